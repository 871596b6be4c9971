"""Where models lie: those that come with medcnn, and one's own in a folder."""

import os
from importlib import resources
from pathlib import Path

from platformdirs import user_data_path

from medcnn.errors import BundleError

__all__ = [
    "OWN",
    "SPEC",
    "find_bundle",
    "models_folder",
    "own_bundles",
    "shipped_bundles",
]

SPEC = "bundle.json"

OWN = "own/"
"""What the names of one's own models begin with."""

_VARIABLE = "MEDCNN_MODELS"


def models_folder(given: str | Path | None = None) -> Path:
    """Return the folder of one's own models; it need not exist.

    It is the given one, else what MEDCNN_MODELS says, else `medcnn/models` in the
    user's data folder.
    """
    named = given or os.environ.get(_VARIABLE)
    if named:
        return Path(named).expanduser()
    return user_data_path("medcnn", appauthor=False) / "models"


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the bundles that come with the package."""
    return _names(_shipped_root())


def own_bundles(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of one's own models, such as "own/my-model".

    Args:
        folder: Each folder in it with a bundle.json; None is `models_folder()`.
    """
    root = models_folder() if folder is None else folder
    return tuple(OWN + name for name in _names(root))


def find_bundle(name_or_path: str | Path) -> Path:
    """Return the directory of a model's name or path.

    Args:
        name_or_path: A directory with a bundle.json, the name of a shipped model, or
            "own/NAME" of one's own.

    Raises:
        BundleError: If it is none of these.
    """
    path, name = Path(name_or_path), str(name_or_path)
    if (path / SPEC).is_file():
        return path
    if name in shipped_bundles():
        return _shipped_root() / name
    if name in own_bundles():
        return models_folder() / name.removeprefix(OWN)
    known = ", ".join(shipped_bundles()) or "none"
    own = ", ".join(own_bundles()) or "none"
    msg = f"no model {name!r}: it is no directory with a {SPEC}"
    hint = f"Shipped models: {known}. Your own in {models_folder()}: {own}."
    raise BundleError(msg, hint=hint)


def _names(root: Path) -> tuple[str, ...]:
    """Return which folders in a folder hold a model."""
    try:
        return tuple(sorted(path.parent.name for path in root.glob(f"*/{SPEC}")))
    except OSError:
        return ()


def _shipped_root() -> Path:
    return Path(str(resources.files("medcnn"))) / "models"
