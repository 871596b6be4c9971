"""What a model says of labelled images, read as a screening run reads them."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medcnn.assessment.ledger import Ledger, Told
from medcnn.dataset import CaseTable
from medcnn.evaluation import Predictions
from medcnn.model import Answer, Model
from medcnn.screening.crew import Crew
from medcnn.screening.options import Limits, Options
from medcnn.screening.wire import Reading
from medcnn.worklist import ErrorRow

__all__ = ["Answered", "Progress", "Reader", "answer_cases"]

Progress = Callable[[int, int | None], None]
FloatArray = npt.NDArray[np.float64]

_WAIT_S = 0.2
_WINDOW_BYTES = 128 << 20
_WINDOW = 64


@dataclass(frozen=True, eq=False)
class Answered:
    """What a model says of cases.

    Attributes:
        predictions: With its probabilities.
        logits: Before any calibration, (N, L); NaN where the network was not run.
        errors: The files that could not be read.
        acquisitions: How each image was made; empty where it could not be read.
        distances: Each image's distance from the training images; None where not
            measured.
    """

    predictions: Predictions
    logits: FloatArray
    errors: tuple[ErrorRow, ...]
    acquisitions: tuple[Mapping[str, str | float], ...] = ()
    distances: tuple[float | None, ...] = ()


class Reader:
    """Reads files for a model in worker processes, some ahead, in order.

    Args:
        model: The open model.
        workers: Processes; None takes one for each processor, at most 16.
        limits: What one file may cost; None is 60 s and 4 GiB.
    """

    def __init__(
        self, model: Model, workers: int | None, limits: Limits | None
    ) -> None:
        self._options = Options(workers=workers, limits=limits or Limits())
        self._model = model
        taken = model.spec.input
        each = 4 * taken.channels * int(np.prod(taken.shape))
        self._window = max(4, min(_WINDOW, _WINDOW_BYTES // each))

    def readings(self, paths: Sequence[Path]) -> Iterator[Reading]:
        """Yield what was found in each file, in order."""
        options = self._options
        size = min(options.processes, max(len(paths), 1))
        with Crew(size, self._model.spec, options.limits) as crew:
            arrived: dict[int, Reading] = {}
            ahead = 0
            for number in range(len(paths)):
                while ahead < min(len(paths), number + self._window):
                    crew.submit(ahead, paths[ahead])
                    ahead += 1
                while number not in arrived:
                    arrived.update(crew.poll(_WAIT_S))
                yield arrived.pop(number)

    def answers(self, paths: Sequence[Path]) -> Iterator[tuple[Reading, Answer | None]]:
        """Yield each file's reading, with the network's answer if it has one."""
        waiting: deque[Reading] = deque()

        def tensors() -> Iterator[npt.NDArray[np.float32]]:
            for reading in self.readings(paths):
                waiting.append(reading)
                if reading.tensor is not None:
                    yield reading.tensor

        for answer in self._model.stream(tensors()):
            while waiting[0].tensor is None:
                yield waiting.popleft(), None
            yield waiting.popleft(), answer
        while waiting:
            yield waiting.popleft(), None


def answer_cases(
    reader: Reader,
    labels: Sequence[str],
    table: CaseTable,
    cases: Predictions,
    progress: Progress | None = None,
    ledger: Ledger | None = None,
) -> Answered:
    """Run a model over labelled images.

    A file that cannot be read becomes a case with status error, one that is outside the
    model's world out_of_scope, each with the reason.

    Args:
        reader: Reads and answers.
        labels: The model's.
        table: Where the images are.
        cases: The same cases, without scores.
        progress: Called with (done, total).
        ledger: Keeps answers; what it knows is not asked again.
    """
    paths = [case.path for case in table.cases]
    told = {} if ledger is None else ledger.known(paths)
    left = [n for n in range(len(paths)) if n not in told]
    if progress is not None and told:
        progress(len(told), len(paths))
    answers = reader.answers([paths[n] for n in left])
    for n, found in zip(left, answers, strict=True):
        told[n] = _told(cases.cases[n], *found)
        if ledger is not None:
            ledger.add(paths[n], told[n])
        if progress is not None:
            progress(len(told), len(paths))
    at = [labels.index(label) for label in cases.labels]
    return _answered(cases, [told[n] for n in range(len(paths))], at)


def _answered(cases: Predictions, told: Sequence[Told], at: Sequence[int]) -> Answered:
    """Return cases with what was said of them; `at` are their labels in the model."""
    score = np.full((len(cases), len(at)), np.nan)
    logits = np.full((len(cases), len(at)), np.nan)
    for n, one in enumerate(told):
        if one.score:
            score[n], logits[n] = (np.array(x)[at] for x in (one.score, one.logits))
    named = [
        replace(one.error, path=case)
        for case, one in zip(cases.cases, told, strict=True)
        if one.error is not None
    ]
    told_cases = replace(
        cases,
        score=score,
        statuses=tuple(one.status for one in told),
        reasons=tuple(one.reason for one in told),
    )
    return Answered(
        told_cases,
        logits,
        tuple(named),
        tuple(one.acquisition for one in told),
        tuple(one.distance for one in told),
    )


def _told(case: str, reading: Reading, answer: Answer | None) -> Told:
    """Return what became of a case, and why."""
    if reading.failure is not None:
        failure = reading.failure
        error = ErrorRow(case, failure.stage, failure.error, failure.hint)
        return Told("error", failure.error, error=error)
    if answer is None:
        made = dict(reading.acquisition)
        return Told("out_of_scope", reading.reason, acquisition=made)
    reason = answer.prediction.out_of_scope
    return Told(
        "out_of_scope" if reason else "ok",
        reason or "",
        tuple(float(p) for p in answer.prediction.probabilities.values()),
        tuple(float(x) for x in answer.logits),
        acquisition=dict(reading.acquisition),
        distance=answer.prediction.ood_score,
    )
