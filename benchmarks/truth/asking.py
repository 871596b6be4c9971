"""Ask one reader about cases, in a process that may be lost.

    python asking.py READER      reads "GROUP NUMBER" lines, writes one JSON line each

The parent gives each case a time limit; a process that is lost or late is replaced.
"""

import json
import os
import re
import resource
import selectors
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks"), str(ROOT)]

from reader_cases import GROUPS  # noqa: E402 - it lies beside the tests
from reader_cases.case import Case  # noqa: E402
from reader_cases.judge import judge  # noqa: E402

from truth.peers import PEERS, UnavailableError  # noqa: E402

MEMORY_BYTES = 16 * 2**30
GROUP_OF = {group.key: group for group in GROUPS}
_OF_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
_NUMBERS = re.compile(r"\S*/\S+|\(0x\w+\)|[-\d.]+")


@dataclass(frozen=True)
class Result:
    """What a reader made of a case.

    Attributes:
        word: As in `reader_cases.judge.Verdict`, or "" if it was not asked.
        detail: The error, or what is lacking, or the sentence of a refusal.
        warning: What it said besides, that it does not say of a usual file.
    """

    word: str
    detail: str = ""
    warning: str = ""


class Asked:
    """A reader in a process of its own.

    Args:
        reader: A name of PEERS, "medcnn" or "medcnn-asked".
        seconds: How long a case may take.
    """

    def __init__(self, reader: str, seconds: float) -> None:
        self._reader, self._seconds = reader, seconds
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, group: str, number: int) -> Result:
        """Ask about one case."""
        process = self._process or self._start()
        line = self._reply(process, f"{group} {number}\n")
        if line:
            return Result(**json.loads(line))
        try:
            code = str(process.wait(timeout=1))
        except subprocess.TimeoutExpired:
            process.kill()
            code = ""
            process.wait()
        self._process = None
        return Result("lost", f"exit code {code}" if code else "too slow")

    def _reply(self, process: subprocess.Popen[str], question: str) -> str:
        """Return the line that answers a question, or "" if none comes in time."""
        assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(self._seconds) else ""

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self._process


def ask(reader: str, case: Case) -> Result:
    """Ask a reader about a case, here and now; its warning has one line for each."""
    with tempfile.TemporaryDirectory() as folder:
        path = case.build(Path(folder))
        with told() as warned:
            try:
                answer = _answer(reader, case, path)
            except UnavailableError:
                return Result("")
            except Exception as error:  # noqa: BLE001 - whatever a reader raises
                return Result("refused", _sentence(error, path))
        verdict = judge(case.truth, answer)
    return Result(verdict.word, verdict.detail, "\n".join(warned))


@contextmanager
def told() -> Iterator[list[str]]:
    """Collect what is warned of, in Python or on the standard error stream."""
    texts: list[str] = []
    with (
        tempfile.TemporaryFile("w+") as stream,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        before = os.dup(2)
        os.dup2(stream.fileno(), 2)
        try:
            yield texts
        finally:
            os.dup2(before, 2)
            os.close(before)
            ours = [w for w in caught if not issubclass(w.category, _OF_DEVELOPERS)]
            texts += [str(w.message).strip().splitlines()[0] for w in ours]
            stream.seek(0)
            lines = stream.read().splitlines()
            texts += [
                f"{line} {after}".strip()
                for line, after in pairwise([*lines, ""])
                if line.upper().startswith("WARNING")
            ]


def unusual(warning: str, usual: str) -> str:
    """Return the first line of a warning that is not among the usual ones."""
    known = {_NUMBERS.sub("", line) for line in usual.splitlines()}
    lines = warning.splitlines()
    return next((line for line in lines if _NUMBERS.sub("", line) not in known), "")


def _answer(reader: str, case: Case, path: Path) -> dict:
    """Return the answer of a reader.

    Raises:
        UnavailableError: If it has nothing to say about the case.
    """
    if reader in PEERS:
        return PEERS[reader].ask(path, case.truth)
    from reader_cases import ours

    is_asked = reader == "medcnn-asked"
    if is_asked and not case.ask:
        raise UnavailableError
    return ours.answer(path, case.truth, case.ask if is_asked else {})


def _sentence(error: Exception, path: Path) -> str:
    """Return what an exception says, in one line."""
    from reader_cases import ours

    from medcnn.errors import ReadError

    if isinstance(error, ReadError):
        return ours.sentence(error, path)
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def main() -> None:
    """Answer cases until there are no more; libraries may print what they like."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    usual: dict[str, str] = {}
    for line in sys.stdin:
        name, number = line.split()
        group = GROUP_OF[name]
        if name not in usual:
            case = next(case for case in group.cases if case.name == group.usual)
            usual[name] = ask(sys.argv[1], case).warning
        result = ask(sys.argv[1], group.cases[int(number)])
        result = replace(result, warning=unusual(result.warning, usual[name]))
        print(json.dumps(asdict(result)), file=out, flush=True)


if __name__ == "__main__":
    main()
