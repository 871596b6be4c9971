"""Ray: a cluster joined or started, quietly, and left as it was found."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from medcnn.errors import EngineError, MissingDependencyError

__all__ = ["Cluster", "connect"]

_STORE_BYTES = 256 << 20
"""Memory in which a cluster of our own keeps files' rows and pictures on their way."""

_MOST_CHARACTERS = 24
"""Of the path of the system's temporary folder, below which Ray makes sockets."""

_ANSWERS_S = 10.0
"""How long a cluster's head may take to take a connection."""

_TRIES = 2
"""On a crowded machine Ray's parts may need longer to start than it waits for them."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else it tells its makers that it is used
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
}
"""What Ray reads when it is imported; what the user has set stays."""


@dataclass(frozen=True)
class Cluster:
    """A cluster to work on.

    Attributes:
        ray: The library.
        is_ours: Whether it was joined or started here, and is to be left here.
        folder: What it keeps while it runs, pictures among it; None if elsewhere.
    """

    ray: Any
    is_ours: bool
    folder: Path | None = None

    @property
    def processors(self) -> int:
        """Number of processors of all machines that are alive."""
        return int(self.ray.cluster_resources().get("CPU", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_ours:
            self.ray.shutdown()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def connect(address: str | None, *, processors: int, model_bytes: int) -> Cluster:
    """Join a Ray cluster, or start one on this machine.

    Args:
        address: HOST:PORT of its head, "auto" for the one that runs on this machine;
            None starts one here for this run.
        processors: How many of this machine a cluster that is started here gets.
        model_bytes: Size of what is sent to every worker.

    Raises:
        MissingDependencyError: If Ray is not installed.
        EngineError: If the cluster cannot be reached or started.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray = _ray()
    if ray.is_initialized():
        return Cluster(ray, is_ours=False)
    folder = None
    _refuse_unreachable(address)
    options: dict[str, Any] = {"address": address}
    if address is None:
        folder = _folder()
        options = {
            "address": "local",  # whatever cluster the environment may name
            "num_cpus": processors,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES + 4 * model_bytes,
            "_temp_dir": None if folder is None else str(folder),
        }
    with ExitStack() as on_failure:
        on_failure.enter_context(Cluster(ray, is_ours=True, folder=folder))
        with _own_signals(), _temporary(folder):
            _start(ray, address, options)
        on_failure.pop_all()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return Cluster(ray, is_ours=True, folder=folder)


def _folder() -> Path | None:
    """Make a folder for a cluster of our own; None leaves Ray its own.

    The names of its sockets lie in it, and a system takes no long ones.
    """
    if len(tempfile.gettempdir()) > _MOST_CHARACTERS:
        return None
    return Path(tempfile.mkdtemp(prefix="medcnn-ray-"))


def _ray() -> Any:
    """Import Ray with its data sets.

    Raises:
        MissingDependencyError: If a part of it is not installed.
    """
    try:
        import_module("ray.data")
        return import_module("ray")
    except ImportError as error:  # Ray itself says so of what it needs, without a name
        msg = f"--cluster ray needs {error.name or 'ray[data]'}, which is not installed"
        hint = "Add it: pip install 'medcnn-imaging[ray]'"
        raise MissingDependencyError(msg, hint=hint) from error


def _start(ray: Any, address: str | None, options: dict[str, Any]) -> None:
    """Start or join, once more if its parts did not answer in time.

    Raises:
        EngineError: If that fails.
    """
    for left in reversed(range(1 if address else _TRIES)):
        try:
            with _hushed():
                ray.init(log_to_driver=False, logging_level="error", **options)
        except Exception as error:
            # Ray raises plain exceptions for what is late, and others for the rest
            if left:
                ray.shutdown()
                continue
            where = address or "this machine"
            msg = f"no Ray cluster can be had on {where}: {_first_line(error)}"
            hint = "Start its head with ray start --head, or leave out --address."
            if address is None:
                hint = "Look whether other work fills the machine, then try again."
            raise EngineError(msg, hint=hint) from error
        else:
            return


def _refuse_unreachable(address: str | None) -> None:
    """Refuse HOST:PORT where nobody listens: Ray would try for minutes.

    Raises:
        EngineError: If it is so.
    """
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_S).close()
    except (OSError, OverflowError) as error:
        msg = f"no Ray cluster can be had on {address}: {_first_line(error)}"
        hint = "Start its head with ray start --head, or leave out --address."
        raise EngineError(msg, hint=hint) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


@contextmanager
def _hushed() -> Iterator[None]:
    """Drop what is written to the terminal: Ray tells there that it will be quiet."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _temporary(folder: Path | None) -> Iterator[None]:
    """Let what starts meanwhile keep its temporary files in a folder of ours.

    Ray kills workers without asking; what they leave goes with the folder.
    """
    before = os.environ.get("TMPDIR")
    if folder is not None:
        os.environ["TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is not None:
            os.environ["TMPDIR"] = before
        elif folder is not None:
            del os.environ["TMPDIR"]


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our way of ending on SIGTERM: Ray puts its own in its place."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    with contextlib.suppress(ValueError, TypeError):  # not the main thread
        signal.signal(signal.SIGTERM, before)
