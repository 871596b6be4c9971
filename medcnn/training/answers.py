"""What a bundle says of cases, by its own preprocessing, engine and conclusion."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle, BundleSpec
from medcnn.dataset import CaseTable
from medcnn.drift.acquisition import Acquisition, acquisition_of
from medcnn.engines import Outputs, open_engine
from medcnn.gate import GateRules, Pattern, fit_pattern, look_at_facts
from medcnn.gate.pattern import cells_of
from medcnn.image import Image
from medcnn.io import load
from medcnn.model import Model
from medcnn.training.reporter import Reporter

__all__ = ["Answers", "ask"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network said of some cases.

    Attributes:
        table: The cases.
        logits: (N, L).
        features: Pooled feature vectors, (N, F).
        peaks: The head's highest sum of any cell for the main label, (N,).
        reasons: Why the gate's rules refuse a case by its facts; "" if they do not.
        smallest: The shortest side of all images, in pixels.
        pattern: What the prepared images have in common, if they do.
        acquisitions: How each image was made.
    """

    table: CaseTable
    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    peaks: npt.NDArray[np.float32]
    reasons: tuple[str, ...]
    smallest: int
    pattern: Pattern | None = None
    acquisitions: tuple[Acquisition, ...] = ()

    def probabilities(self, spec: BundleSpec, bundle: Bundle) -> FloatArray:
        """Return (N, L) as `Model` makes them, with the calibration of `spec`."""
        whole = spec.model_copy(update={"files": bundle.spec.files})
        model = Model(Bundle(bundle.path, whole), _Replay(self))
        blank = np.zeros((1, 1, 1), np.float32)
        told = model.stream(blank for _ in range(len(self.logits)))
        rows = [list(answer.prediction.probabilities.values()) for answer in told]
        return np.array(rows).reshape(-1, len(spec.labels))


class _Replay:
    """An engine that repeats what was said already."""

    name = "replay"
    device = "cpu"

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def stream(self, tensors: Iterable[npt.NDArray[np.float32]]) -> Iterator[Outputs]:
        pairs = zip(self._answers.logits, self._answers.features, strict=True)
        for _, (logits, pooled) in zip(tensors, pairs, strict=True):
            yield Outputs(logits, pooled[:, None, None])


def ask(
    bundle: Bundle, table: CaseTable, rules: GateRules, reporter: Reporter, *, what: str
) -> Answers:
    """Run a bundle's default engine over cases, from their files on.

    Args:
        bundle: The bundle.
        table: The cases.
        rules: What the gate is to look at.
        reporter: Where progress goes.
        what: What to call these cases.

    Raises:
        ReadError: If a file cannot be read any more.
    """
    engine = open_engine(bundle)
    made: list[Acquisition] = []
    spec, reasons, sides, cells = bundle.spec, [], [], []

    def prepare(image: Image) -> npt.NDArray[np.float32]:
        reasons.append(look_at_facts(rules, image, dims=spec.input.dims))
        sides.append(min(image.shape[:2]))
        made.append(acquisition_of(image))
        tensor = spec.preprocessing.apply(image).tensor
        cells.append(cells_of(tensor))
        return tensor

    row = bundle.head()[0][0]
    logits, features, peaks = [], [], []
    with reporter.bar(what, len(table.cases)) as tick:
        tensors = (prepare(load(case.path)) for case in table.cases)
        for outputs in engine.stream(tensors):
            logits.append(outputs.logits)
            pooled = outputs.features.reshape(len(outputs.features), -1).mean(axis=1)
            features.append(pooled)
            peaks.append(np.tensordot(row, outputs.features, axes=1).max())
            tick(1, engine.name)
    told = np.array(logits), np.array(features), np.array(peaks, np.float32)
    return Answers(
        table,
        *told,
        reasons=tuple(reasons),
        smallest=min(sides),
        pattern=fit_pattern(cells),
        acquisitions=tuple(made),
    )
