"""Run what takes long in a process of its own, which can be ended at any moment."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from medcnn.errors import ServiceError, StoppedError
from medcnn.isolation.process import cause_of_death
from medcnn.service.watch import Watch

__all__ = ["ChildKind", "run_child"]

ChildKind = Literal["evaluate", "plan", "train"]

_COMMAND = (
    *(sys.executable, "-P", "-c"),
    "from medcnn.service.child import main; main()",
)
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_LAST_WORDS = 300


def run_child(
    kind: ChildKind, request: Mapping[str, Any], watch: Watch
) -> dict[str, Any]:
    """Run a request in a child process, and return what it answers.

    The child ends with this process, however that ends; cancelled, it is asked to end,
    and after five seconds made to, with every process that it started.

    Args:
        kind: What to do.
        request: JSON values that `medcnn.service.child` takes.
        watch: Told what the child tells; may stop it.

    Raises:
        ServiceError: What the child says is wrong, or that it ended without an answer.
        StoppedError: If it was cancelled.
    """
    watch.tell(0, None, "starting a process")
    with tempfile.TemporaryFile() as stderr, _child(stderr) as child:
        requests, replies = _pipes(child)
        line = json.dumps({"kind": kind, "request": request}) + "\n"
        with contextlib.suppress(BrokenPipeError):  # it ended; it is told below
            requests.write(line.encode())
            requests.flush()
        answer = _listen(replies, watch)
        if answer is None:
            death = _death(child, stderr)
            raise death
    error = answer.get("error")
    if error is not None:
        raise ServiceError(error["message"], kind=error["kind"], hint=error["hint"])
    found: dict[str, Any] = answer["result"]
    return found


@contextmanager
def _child(stderr: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process; end it with all of its own when the block is left.

    Raises:
        StoppedError: If the block does.
    """
    packages = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": packages},
        start_new_session=True,
    )
    try:
        yield child
    except StoppedError:
        _signal(child, "SIGTERM")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_SECONDS)
        raise
    finally:
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        _signal(child, "SIGKILL")
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None:
        raise AssertionError
    return child.stdin, child.stdout


def _signal(child: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to the child and every process that it started."""
    number = getattr(signal, name, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, number)
        else:
            child.terminate()


def _listen(replies: IO[bytes], watch: Watch) -> dict[str, Any] | None:
    """Hear what the child tells until it answers; None if it ends without.

    Raises:
        StoppedError: If it is to be stopped.
    """
    heard: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):  # closed under it
            for line in replies:
                heard.put(line)
        heard.put(None)

    threading.Thread(target=read, daemon=True, name="child's words").start()
    while True:
        watch.check()
        try:
            line = heard.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            return None
        message = _message(line)
        if "progress" in message:
            done, total, words = message["progress"]
            watch.tell(done, total, words)
        elif message:
            return message


def _message(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing if it is no message."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    known = isinstance(message, dict) and {"progress", "result", "error"} & set(message)
    return message if known else {}


def _death(child: subprocess.Popen[bytes], stderr: IO[bytes]) -> ServiceError:
    """Return the error that says how the child ended."""
    started = time.monotonic()
    while child.poll() is None and time.monotonic() - started < _GRACE_SECONDS:
        time.sleep(0.02)
    code = child.returncode
    how = cause_of_death(code) if code is not None else "it fell silent"
    stderr.seek(0)
    lines = stderr.read().decode("utf-8", "replace").strip().splitlines()
    last = lines[-1][:_LAST_WORDS] if lines else "it said nothing"
    msg = f"The process that did it ended without an answer ({how}): {last}."
    hint = "If it was SIGKILL, memory ran out: use smaller images or batches, "
    hint += "or close other programs."
    return ServiceError(msg, kind="child", hint=hint)
