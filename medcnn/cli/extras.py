"""Say which extra a verb needs, before it does anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from medcnn.errors import MissingDependencyError

__all__ = ["imports_of", "refuse_without"]


def refuse_without(library: str, what: str, *, extra: str = "dicomweb") -> None:
    """Refuse what a missing library would do.

    Args:
        library: Its import name.
        what: The command.
        extra: The extra that brings it.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    if find_spec(library) is None:
        msg = f"{what} needs {library}, which is not installed"
        hint = f"Add it: pip install 'medcnn-imaging[{extra}]'"
        raise MissingDependencyError(msg, hint=hint)


@contextmanager
def imports_of(what: str, *, extra: str) -> Iterator[None]:
    """Say of a library that an import misses which extra brings it.

    Args:
        what: The command.
        extra: The extra that brings all it imports.

    Raises:
        MissingDependencyError: If one is not installed.
        ModuleNotFoundError: If a part of medcnn itself is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "medcnn").partition(".")[0] == "medcnn":
            raise
        msg = f"{what} needs {error.name}, which is not installed"
        hint = f"Add it: pip install 'medcnn-imaging[{extra}]'"
        raise MissingDependencyError(msg, hint=hint) from error
