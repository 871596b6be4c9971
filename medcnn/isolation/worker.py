"""The worker process: requests in, answers out, one after the other.

It may crash, hang or run out of memory without harm to the process that started it. It
has no terminal, writes only into its own temporary folder (for archives),
and ends when nobody is left to ask it.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from medcnn.io.bounds import Bounds, set_bounds
from medcnn.isolation.wire import (
    FOLDER_PREFIX,
    Failure,
    Kind,
    Message,
    receive_bytes,
    send,
    send_bytes,
)

__all__ = ["TOO_MUCH_MEMORY", "Answering", "Job", "Tell", "foreign_failure", "main"]

READY = b"ready"

TOO_MUCH_MEMORY = Failure(
    "memory",
    "reading it takes more memory than one file may have.",
    "It may declare a size it does not have; look at it: medcnn inspect PATH.",
)
"""What a request came to that was refused memory."""

_GRACE_S = 5
_MOST_WRITTEN_BYTES = 1 << 32


class Tell(Protocol):
    """Sends what belongs before the answer."""

    def __call__(self, message: Message, kind: Kind = Kind.PIECE) -> None:
        """Send a piece of the answer, or a beat."""


Answering = Callable[[Any, Tell], Message]
"""From a request (JSON values) to its answer; pieces may be told before."""

Job = Callable[[Any], Answering]
"""What a worker does: called once with the crew's setup (JSON values)."""


def main() -> None:
    """Serve on standard input and output until the other side closes them."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the replies
    warnings.simplefilter("ignore")
    with contextlib.suppress(EOFError, BrokenPipeError):
        serve(requests, replies)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    _tidy_up()
    os._exit(0)


def _tidy_up() -> None:
    """Remove what was unpacked: who started this process may have been killed."""
    folder = Path(tempfile.gettempdir())
    if folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    """Answer one request after the other.

    Raises:
        EOFError: When the other side is gone.
    """
    setup = json.loads(receive_bytes(requests))
    module, _, function = setup["job"].partition(":")
    job: Job = getattr(import_module(module), function)
    set_bounds(Bounds(**setup["bounds"]))
    answering = job(setup["setup"])
    allowed_s = setup["timeout_s"] + _GRACE_S
    _limit_means(setup["memory_bytes"])
    _fall_silent()
    send_bytes(replies, READY)

    def tell(message: Message, kind: Kind = Kind.PIECE) -> None:
        _limit_time(allowed_s)
        send(replies, kind, message)

    while True:
        request = json.loads(receive_bytes(requests))
        _limit_time(allowed_s)
        kind, message = _answer(answering, request, tell)
        _limit_time(0)
        send(replies, kind, message)


def foreign_failure(error: Exception) -> Failure:
    """Return what an error means that no reader raises on purpose.

    The text of a foreign error may quote patient data, so only its kind is kept.
    """
    return Failure(
        "decode",
        f"its reader failed with {type(error).__name__}.",
        "Look at it alone: medcnn inspect PATH.",
    )


def _answer(answering: Answering, request: Any, tell: Tell) -> tuple[Kind, Message]:
    """Have a request answered, whatever goes wrong in it.

    Raises:
        BrokenPipeError: If nobody waits for the answer.
    """
    try:
        return Kind.ANSWER, answering(request, tell)
    except MemoryError:
        failure = TOO_MUCH_MEMORY
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file may raise anything
        failure = foreign_failure(error)
    return Kind.FAILURE, Message(vars(failure))


def _fall_silent() -> None:
    """Drop what libraries print about files: it may quote them, and fill a disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for channel in (1, 2):
        os.dup2(nowhere, channel)


def _limit_time(seconds: float) -> None:
    """Die after so long even if nobody is left to end this process; 0 cancels."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_means(memory_bytes: int) -> None:
    """Allow this process so many more bytes of memory, where that can be limited.

    It leaves no core, which would hold a patient's image, and offers itself first when
    the machine runs out of memory.
    """
    try:
        import resource  # POSIX only
    except ImportError:
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    _lower(resource, "RLIMIT_CORE", 0)
    _lower(resource, "RLIMIT_FSIZE", _MOST_WRITTEN_BYTES)
    with contextlib.suppress(OSError, ValueError, IndexError):  # Linux only
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        have = int(pages) * resource.getpagesize()
        _lower(resource, "RLIMIT_AS", have + memory_bytes)


def _lower(resource: Any, name: str, most: int) -> None:
    """Lower one limit of this process."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        resource.setrlimit(getattr(resource, name), (most, most))
