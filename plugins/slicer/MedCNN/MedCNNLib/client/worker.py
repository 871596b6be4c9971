"""A worker that a viewer starts and ends itself."""

from __future__ import annotations

import os
import secrets
import sys
import time
from typing import TYPE_CHECKING

from MedCNNLib.client.client import Client
from MedCNNLib.client.errors import WorkerError
from MedCNNLib.client.handshake import greeting
from MedCNNLib.client.process import Process
from MedCNNLib.client.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from MedCNNLib.client.aliases import Place
    from MedCNNLib.client.steps import Steps

__all__ = ["Worker"]


class Worker(Client):
    """Start a worker in another Python; it ends with `close`, or with this process.

    Args:
        python: The Python that has medcnn; None is the one that runs.
        folders: Below which the worker may read paths.
        models: The folder of one's own models; None is the user's.
        device: auto, cpu, cuda, cuda:N or mps.
        engine: auto, openvino, onnxruntime or torch.
        wait: Whether to return only when it can be asked; else see `ready`.
        timeout: Seconds for its start.

    Attributes:
        process: In which it runs.

    Raises:
        WorkerError: If it does not start.
    """

    def __init__(  # noqa: PLR0913 - each is one choice of the caller
        self,
        python: Place | None = None,
        *,
        folders: Sequence[Place] = (),
        models: Place | None = None,
        device: str = "auto",
        engine: str = "auto",
        wait: bool = True,
        timeout: float = 60.0,
    ) -> None:
        token = secrets.token_urlsafe(32)
        self._until, self._timeout = time.monotonic() + timeout, timeout
        self._greeting: Steps | None = None
        command = _command(python, folders, models)
        command += ["--device", device, "--engine", engine, "--quiet"]
        self.process = Process(command, token)
        super().__init__(Wire(token=token, reason=self.process.reason))
        if wait:
            self._wait()

    @property
    def pid(self) -> int | None:
        """Its process id; None once it is closed."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.alive

    def ready(self) -> bool:
        """Say at once whether it can be asked.

        Raises:
            WorkerError: If it ended, did not start in time, or speaks another version.
        """
        address = self.process.listen()
        if address is not None:
            self.wire.url = address
            return self._is_greeted()
        if time.monotonic() > self._until:
            self.close()
            message = f"The worker did not start within {self._timeout:g} s."
            raise WorkerError(message, "Try again, with more time.", "start")
        return False

    def close(self) -> None:
        """End the worker, and wait until it is gone."""
        super().close()
        self.process.close()

    def ending(self) -> Steps:
        """As `close`, in steps; the first one tells it to end. See `uploading`."""
        super().close()
        yield from self.process.ending()

    def _wait(self) -> None:
        try:
            while not self.ready():
                time.sleep(0.02)
        except BaseException:
            self.close()
            raise

    def _is_greeted(self) -> bool:
        """Say whether its version is known to be this client's, and go on asking."""
        if self.wire.limit is None:
            steps, self._greeting = self._greeting or greeting(self.wire), None
            for _ in steps:
                self._greeting = steps
                break
        return self.wire.limit is not None


def _command(
    python: Place | None, folders: Sequence[Place], models: Place | None
) -> list[str]:
    """Return what starts a worker that ends with this process."""
    # -P: what lies in the current folder is not taken for medcnn
    command = [str(python or sys.executable), "-P", "-m", "medcnn", "worker"]
    command += ["--stdin"]
    if sys.platform != "win32":
        command += ["--parent-pid", str(os.getpid())]
    for folder in folders:
        command += ["--folder", str(folder)]
    if models is not None:
        command += ["--models", str(models)]
    return command
