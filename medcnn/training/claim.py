"""The work folder of a training: one training at a time, and always the same one."""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medcnn.bundle import SPEC, file_sha256
from medcnn.errors import OutputError
from medcnn.outputs import cannot_write, make_folder, write_whole
from medcnn.planning.recipe import Recipe

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["claim", "work_folder"]

_RUN = "run.json"
_LOCK = "lock"


@contextmanager
def claim(output: Path, recipe: Recipe, data: str) -> Iterator[Path]:
    """Hold the work folder of an output, new or of the same training.

    It is the output's neighbour, named like it with `.work` appended. The system lets
    go of it however this process ends.

    Args:
        output: The directory the model is to be written to.
        recipe: What decides the weights.
        data: Checksum of the data.

    Raises:
        OutputError: If another process trains into this output, it belongs to something
            else, or it cannot be written.
    """
    if not output.name:
        msg = f"{output} cannot be a model's folder: it has no name of its own"
        raise OutputError(msg, hint="Give --output a new folder.")
    work = work_folder(output)
    finished = (output / SPEC).is_file()
    started = (work / _RUN).is_file()
    if output.exists() and not (finished and started):
        what = "a finished model" if finished else "something else"
        msg = f"{output} exists and holds {what}"
        raise OutputError(msg, hint="Choose another output, or delete it.")
    make_folder(work)
    lock = _lock(work)
    try:
        _same_training(work, recipe, data)
        yield work
    finally:
        os.close(lock)


def work_folder(output: Path) -> Path:
    """Return where the state of a training into `output` is kept."""
    return output.with_name(f"{output.name}.work")


def _same_training(work: Path, recipe: Recipe, data: str) -> None:
    """Note which training the folder is of, or see that it is of this one.

    Raises:
        OutputError: If it is of another one, or cannot be read or written.
    """
    pretrained = recipe.network.pretrained
    start = file_sha256(pretrained) if pretrained and pretrained.is_file() else ""
    learning = json.dumps(recipe.learning() | {"start": start}, sort_keys=True)
    digest = hashlib.sha256(f"{learning}{data}".encode()).hexdigest()
    try:
        noted = json.loads((work / _RUN).read_text(encoding="utf-8"))
        same = isinstance(noted, dict) and noted.get("id") == digest
    except FileNotFoundError:
        facts = {"id": digest, "data": data, "recipe": recipe.learning()}
        write_whole(work / _RUN, json.dumps(facts).encode())
        return
    except (OSError, ValueError) as error:
        msg = f"{work / _RUN} cannot be read: {error}"
        raise OutputError(msg, hint=f"Delete {work} to start anew.") from error
    if not same:
        msg = f"{work} holds a training with another recipe or other data"
        raise OutputError(msg, hint="Choose another output, or delete it.")


def _lock(work: Path) -> int:
    """Return the descriptor of the lock; closing it lets go.

    Raises:
        OutputError: If another process holds it, or it cannot be made.
    """
    try:
        lock = os.open(work / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        told = cannot_write(work, error)
        raise told from error
    try:
        if sys.platform == "win32":
            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        msg = f"{work} is in use by another medcnn train"
        raise OutputError(msg, hint="Wait for it, or choose another output.") from error
    return lock
