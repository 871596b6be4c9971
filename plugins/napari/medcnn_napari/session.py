"""The worker of this napari: started when it is first needed, ended with napari."""

import atexit
import os
import string
import sys
import threading
from pathlib import Path

from MedCNNLib.client import Worker

__all__ = ["PYTHON_VARIABLE", "Session"]

PYTHON_VARIABLE = "MEDCNN_PYTHON"
"""Names the Python that has medcnn, if it is not napari's own."""


class Session:
    """One worker for readers and panels.

    Args:
        python: The Python that has medcnn; None takes MEDCNN_PYTHON, else napari's.
    """

    _shared: "Session | None" = None

    def __init__(self, python: str | None = None) -> None:
        self.python = python or os.environ.get(PYTHON_VARIABLE) or sys.executable
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    @classmethod
    def shared(cls) -> "Session":
        """Return the one of this napari."""
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def worker(self) -> Worker:
        """Return the worker; start one if there is none, or it has ended.

        Raises:
            WorkerError: If it does not start.
        """
        with self._lock:
            if self._worker is not None and not self._worker.alive:
                self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = Worker(self.python, folders=_every_drive())
            return self._worker

    def use(self, python: str) -> None:
        """Use another Python from now on."""
        if python != self.python:
            self.python = python
            self.close()

    def close(self) -> None:
        """End the worker, if there is one."""
        with self._lock:
            if self._worker is not None:
                self._worker.close()
                self._worker = None


def _every_drive() -> list[str]:
    """Return all that this user may read: the worker runs as the same user."""
    if sys.platform != "win32":
        return ["/"]
    drives = (f"{letter}:\\" for letter in string.ascii_uppercase)
    return [drive for drive in drives if Path(drive).exists()]
