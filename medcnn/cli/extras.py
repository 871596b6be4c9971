"""Say which extra a verb needs, before it does anything."""

from importlib.util import find_spec

from medcnn.errors import MissingDependencyError

__all__ = ["refuse_without"]


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
