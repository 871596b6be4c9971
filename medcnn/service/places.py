"""Which paths may be read: those below folders that were named at the start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcnn.errors import ServiceError

__all__ = ["Places"]

_PATH_SETTINGS = ("network.pretrained", "selftest")
"""Settings of a training that name a file."""


@dataclass(frozen=True)
class Places:
    """Folders below which paths may be read.

    Attributes:
        folders: Resolved folders; None is every path, for callers in this process.
    """

    folders: tuple[Path, ...] | None = None

    @classmethod
    def of(cls, folders: Iterable[str | Path]) -> "Places":
        """Allow these folders alone.

        Raises:
            ServiceError: If one is not a folder.
        """
        found = []
        for folder in folders:
            path = Path(folder).expanduser().resolve()
            if not path.is_dir():
                msg = f"{folder} is no folder."
                raise ServiceError(msg, hint="--folder names an existing folder.")
            found.append(path)
        return cls(tuple(found))

    def allowed(self, path: str | Path) -> Path:
        """Return the path, links followed, if it may be read.

        Raises:
            ServiceError: If it lies outside every folder.
        """
        if self.folders is None:
            return Path(path)
        try:
            real = Path(path).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
            real = None
        if real is not None and any(real.is_relative_to(at) for at in self.folders):
            return real
        msg = "That path is outside the folders that this worker may read."
        named = ", ".join(map(str, self.folders)) or "none, so no path is read"
        hint = f"Start it with --folder for that folder. It may read: {named}."
        raise ServiceError(msg, kind="folder", hint=hint)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of a training that name a file outside.

        Raises:
            ServiceError: If there is one.
        """
        if self.folders is None:
            return
        for key, value in settings.items():
            nested = isinstance(value, Mapping)
            if nested or (key in _PATH_SETTINGS and value is not None):
                if nested or not isinstance(value, str):
                    msg = f"{key} must be a plain value, got a {type(value).__name__}"
                    hint = "Name settings by dotted keys, such as optimiser.epochs."
                    if key == "network.arguments":
                        continue
                    raise ServiceError(msg, hint=hint)
                self.allowed(value)
