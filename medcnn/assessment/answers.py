"""What a model says of labelled images, read as a screening run reads them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
    """

    predictions: Predictions
    logits: FloatArray
    errors: tuple[ErrorRow, ...]


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
    """
    at = [labels.index(label) for label in cases.labels]
    score = np.full((len(cases), len(at)), np.nan)
    logits = np.full((len(cases), len(at)), np.nan)
    statuses, reasons, errors = [], [], []
    answers = reader.answers([case.path for case in table.cases])
    for n, (reading, answer) in enumerate(answers):
        if answer is not None:
            told = list(answer.prediction.probabilities.values())
            score[n] = np.array(told)[at]
            logits[n] = answer.logits[at]
        status, reason = _status(reading, answer)
        statuses.append(status)
        reasons.append(reason)
        if reading.failure is not None:
            failure = reading.failure
            errors.append(
                ErrorRow(cases.cases[n], failure.stage, failure.error, failure.hint)
            )
        if progress is not None:
            progress(n + 1, len(cases))
    told_cases = replace(
        cases, score=score, statuses=tuple(statuses), reasons=tuple(reasons)
    )
    return Answered(told_cases, logits, tuple(errors))


def _status(reading: Reading, answer: Answer | None) -> tuple[str, str]:
    """Return what became of a case, and why."""
    if reading.failure is not None:
        return "error", reading.failure.error
    reason = reading.reason if answer is None else answer.prediction.out_of_scope
    return ("out_of_scope", reason) if reason or answer is None else ("ok", "")
