"""The worker's folder, and what killed workers left of theirs."""

import contextlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

__all__ = ["lives", "new_folder"]

_PREFIX = "medcnn-serve-"
_NAME = re.compile(r"medcnn-(?:serve|client)-(\d+)-\w+")


def new_folder() -> Path:
    """Make a private folder; remove those of this user's processes that live no more.

    A worker that was killed cannot remove its own, and an upload may lie in it; nor can
    a viewer that was killed, in whose folder lies what its worker said.
    """
    root = Path(tempfile.gettempdir())
    for path in root.glob("medcnn-*"):
        with contextlib.suppress(OSError):
            if _is_left(path):
                shutil.rmtree(path, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def lives(pid: int) -> bool:
    """Say whether a process runs; on Windows, where asking could end it, always."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_left(path: Path) -> bool:
    """Say whether a folder is this user's, and of a process that lives no more."""
    named = _NAME.fullmatch(path.name)
    if named is None or path.is_symlink() or not path.is_dir():
        return False
    is_own = sys.platform == "win32" or path.stat().st_uid == os.getuid()
    return is_own and not lives(int(named[1]))
