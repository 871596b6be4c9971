"""Several processes train as one: one plan for all, and one sentence when one fails."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import torch.distributed as dist
from lightning import Fabric

from medcnn.errors import MedcnnError

__all__ = ["Failures", "agree"]

Found = TypeVar("Found")

_FILE = "failed-{}.json"
_BROKEN = ("onnection", "gloo", "NCCL", "timed out", "Broken pipe")
"""Words of torch's errors where another process is not there any more."""

_LOOK_SECONDS = 2.0
_GRACE_SECONDS = 20.0
"""How long a process may take to notice by itself that another one has ended."""


def agree(fabric: Fabric, find: Callable[[], Found]) -> Found:
    """Return what the first process finds out; the others take it over.

    Args:
        fabric: Of processes that were launched already.
        find: What the first process calls; the others do not.

    Raises:
        MedcnnError: In every process, if it raises one in the first; of any other
            error the first raises it as it is, and the others are told its words.
    """
    if fabric.world_size == 1:
        return find()
    if fabric.is_global_zero:
        try:
            found = find()
        except MedcnnError as error:
            dist.broadcast_object_list([None, (error.message, error.hint)], src=0)
            raise
        except Exception as error:
            dist.broadcast_object_list([None, (_words(error), "")], src=0)
            raise
        dist.broadcast_object_list([found, None], src=0)
        return found
    told: list[Any] = [None, None]
    dist.broadcast_object_list(told, src=0)
    if told[1] is not None:
        message, hint = told[1]
        raise MedcnnError(_said(0, fabric.world_size, message), hint=hint)
    taken: Found = told[0]
    return taken


@dataclass(frozen=True)
class Failures:
    """Where processes tell each other that they cannot go on: files in a shared folder.

    Attributes:
        folder: The work folder of the training, which all processes reach.
        rank: Which process this is.
        world: How many there are.
    """

    folder: Path
    rank: int
    world: int

    @classmethod
    def of(cls, fabric: Fabric, folder: Path) -> Self:
        """Return the place of these processes."""
        return cls(folder, fabric.global_rank, fabric.world_size)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Tell the others of an error in here, and stop when another one has failed.

        A process that waits for one that is gone gets an error of the library in
        between, or waits for hours: a watch ends it with the other's sentence.

        Raises:
            MedcnnError: What another process told, if it failed first.
            RuntimeError: As it comes, if it is of this process.
        """
        if self.world == 1:
            yield
            return
        self._mine.unlink(missing_ok=True)
        dist.barrier()
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), daemon=True)
        watch.start()
        try:
            yield
        except MedcnnError as error:
            self._tell(error)
            raise
        except RuntimeError as error:
            if not any(word in str(error) for word in _BROKEN):
                self._tell(MedcnnError(_words(error)))
                raise
            self._raise_what_others_told(error)
        except Exception as error:
            self._tell(MedcnnError(_words(error)))
            raise
        finally:
            over.set()

    @property
    def _mine(self) -> Path:
        return self.folder / _FILE.format(self.rank)

    def _tell(self, error: MedcnnError) -> None:
        """Write why this process fails, for the others."""
        content = json.dumps({"message": error.message, "hint": error.hint})
        temporary = self._mine.with_suffix(".part")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(self._mine)

    def _told(self) -> MedcnnError | None:
        """Return what another process has told."""
        for rank in range(self.world):
            path = self.folder / _FILE.format(rank)
            if rank != self.rank and path.is_file():
                said = json.loads(path.read_text(encoding="utf-8"))
                message = _said(rank, self.world, said["message"])
                return MedcnnError(message, hint=said["hint"])
        return None

    def _raise_what_others_told(self, error: RuntimeError) -> NoReturn:
        """Raise another process's error, or that one has ended without a word.

        Raises:
            MedcnnError: What another one told.
        """
        for _ in range(int(_GRACE_SECONDS / _LOOK_SECONDS / 2)):
            told = self._told()
            if told is not None:
                raise told from error
            time.sleep(_LOOK_SECONDS / 2)
        msg = f"another of {self.world} processes has ended, and told nobody why"
        hint = "The same command goes on where it stood."
        raise MedcnnError(msg, hint=hint) from error

    def _watch(self, over: threading.Event) -> None:
        """End this process if it still waits long after another one has failed."""
        since = None
        while not over.wait(_LOOK_SECONDS):
            told = self._told()
            if told is None:
                continue
            since = since or time.monotonic()
            if time.monotonic() - since > _GRACE_SECONDS:
                sys.stderr.write(f"medcnn: {told.message}\n")
                sys.stderr.flush()
                os._exit(1)


def _words(error: Exception) -> str:
    """Return what kind of error it is, and what it says."""
    return f"{type(error).__name__}: {error}"


def _said(rank: int, world: int, message: str) -> str:
    """Return another process's sentence as one's own."""
    return f"process {rank + 1} of {world} failed: {message}"
