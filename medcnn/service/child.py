"""The child process: takes one request, tells how far it is, answers, ends.

It writes a line of JSON for each message to what was its stdout; whatever else writes
to stdout is sent to stderr. When its stdin closes, whoever started it is gone, and it
ends with every process that it started.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import medcnn
from medcnn.dataset import CaseTable
from medcnn.errors import MedcnnError
from medcnn.service.failures import facts_of_error
from medcnn.service.places import Places

__all__ = ["main"]

_TELL_SECONDS = 0.1


class _Teller:
    """Writes messages, not more than ten of progress a second."""

    def __init__(self, channel: IO[str]) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._last = ("", 0.0)

    def send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            self._channel.write(json.dumps(message) + "\n")
            self._channel.flush()

    def progress(self, done: int, total: int | None, words: str) -> None:
        now, stage = time.monotonic(), words.partition(":")[0]
        is_new = stage != self._last[0] or done == total
        if words and (is_new or now - self._last[1] > _TELL_SECONDS):
            self._last = stage, now
            self.send({"progress": [done, total, words]})


def main() -> None:
    """Take a request from stdin and answer it."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    teller = _Teller(channel)
    line = sys.stdin.readline()
    if not line:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asked = json.loads(line)
    try:
        found = _VERBS[asked["kind"]](asked["request"], teller)
    except (MedcnnError, MemoryError, OSError) as error:
        teller.send({"error": facts_of_error(error)})
    except Exception as error:  # told in a word; the traceback is for stderr
        teller.send({"error": facts_of_error(error)})
        raise
    else:
        teller.send({"result": found})


def _end_with_parent() -> None:
    """Wait until whoever started this process is gone, and end."""
    sys.stdin.read()
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _evaluate(request: Mapping[str, Any], teller: _Teller) -> dict[str, Any]:
    """Evaluate a model on data; the files go to the folder of the request."""
    from medcnn.assessment import Run
    from medcnn.assessment.truth import read_truth

    data = Path(request["data"])
    labels = medcnn.open_bundle(request["model"]).spec.labels
    _refuse_outside(request, lambda: read_truth(data, labels))
    output = Path(request["output"])
    run = Run(
        engine=request["engine"],
        device=request["device"],
        progress=lambda done, total: teller.progress(
            done, total, "Reading and classifying"
        ),
        say=lambda words: teller.progress(0, None, words),
    )
    medcnn.evaluate(
        request["model"], data, output=output, split=request["split"], run=run
    )
    names = sorted(
        path.relative_to(output).as_posix()
        for path in output.rglob("*")
        if path.is_file() and path.suffix not in {".sqlite", ".tmp"}
    )
    return {"files": names}


def _plan(request: Mapping[str, Any], teller: _Teller) -> dict[str, Any]:
    """Plan a training, and time a few steps of it."""
    from medcnn.training.planned import Wishes, estimate, plan_wishes, told

    teller.progress(0, 2, "Reading the data")
    wishes = Wishes(request["data"], None, request["settings"], request["device"])
    _refuse_outside(request, wishes.table)
    planned = plan_wishes(wishes)
    teller.progress(1, 2, "Timing a few steps")
    guess = estimate(planned)
    plan = json.loads(planned.plan.to_json())
    return {
        "words": told(planned.plan.fingerprint),
        "decisions": plan["decisions"],
        "estimate": vars(guess) | {"words": guess.words()},
        "plan": plan,
    }


def _train(request: Mapping[str, Any], teller: _Teller) -> dict[str, Any]:
    """Train a model into the folder of the request."""
    settings = dict(request["settings"])
    train = medcnn.train
    from medcnn.training.planned import Wishes

    if request["init"] is not None:
        from medcnn.training.start import start_settings

        settings = start_settings(init=request["init"], weights=None) | settings
    recipe, device = request["recipe"], request["device"]
    _refuse_outside(request, Wishes(request["data"], recipe, settings, device).table)
    train(
        request["data"],
        output=request["output"],
        recipe=recipe,
        settings=settings,
        device=device,
        allow_leak=request["allow_leak"],
        progress=teller.progress,
    )
    return {}


def _refuse_outside(request: Mapping[str, Any], table: Callable[[], CaseTable]) -> None:
    """Refuse data with an image or mask outside the folders that may be read.

    Raises:
        ServiceError: If there is one.
    """
    folders = request["folders"]
    if folders is None:
        return
    places = Places(tuple(map(Path, folders)))
    for case in table().cases:
        places.allowed(case.path)
        for place in case.places.values():
            if place.mask is not None:
                places.allowed(place.mask)


_VERBS = {"evaluate": _evaluate, "plan": _plan, "train": _train}
