"""The feature maps of cases, one after the other: what detectors are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle
from medcnn.dataset import CaseTable
from medcnn.detectors import Detector, Places, places_for
from medcnn.drift.acquisition import Acquisition, acquisition_of
from medcnn.engines import open_engine
from medcnn.gate import GateRules, fit_pattern, look_at_facts
from medcnn.gate.pattern import cells_of
from medcnn.image import Image
from medcnn.io import load
from medcnn.training.answers import Answers
from medcnn.training.reporter import Reporter

__all__ = ["Maps"]

FloatArray = npt.NDArray[Any]


class Maps:
    """Runs a bundle's default engine over cases, from their files on.

    Args:
        bundle: The network, with any head.
        reporter: Where progress goes.
    """

    def __init__(self, bundle: Bundle, reporter: Reporter) -> None:
        self._spec = bundle.spec
        self._engine = open_engine(bundle)
        self._reporter = reporter

    def places(self) -> Places:
        """Return the places of the network's feature maps."""
        blank = np.zeros((self._spec.input.channels, *self._spec.input.shape))
        outputs = next(iter(self._engine.stream([blank.astype(np.float32)])))
        return places_for(outputs.features)

    def answers(
        self, table: CaseTable, detector: Detector, rules: GateRules, *, what: str
    ) -> Answers:
        """Return what a detector says of cases; its score stands for the logit."""
        found: list[tuple[float, float]] = []

        def judge(features: FloatArray) -> None:
            cells = detector.cells(features)
            found.append((detector.score(features), float(cells.max())))

        seen = self.each(table, rules, judge, what)
        said = np.array(found, np.float32).reshape(-1, 2)
        return _with(seen, said[:, :1], said[:, 1])

    def each(
        self,
        table: CaseTable,
        rules: GateRules,
        take: Callable[[FloatArray], None],
        what: str,
    ) -> Answers:
        """Hand over each case's feature map; return what else was seen.

        Args:
            table: The cases.
            rules: What the gate is to look at.
            take: Given each feature map, (F, h, w) or (F, d, h, w).
            what: What to call these cases.

        Raises:
            ReadError: If a file cannot be read any more.
        """
        reasons: list[str] = []
        sides: list[int] = []
        cells: list[FloatArray | None] = []
        made: list[Acquisition] = []

        def prepare(image: Image) -> npt.NDArray[np.float32]:
            reasons.append(look_at_facts(rules, image, dims=self._spec.input.dims))
            sides.append(min(image.shape[:2]))
            made.append(acquisition_of(image))
            tensor = self._spec.preprocessing.apply(image).tensor
            cells.append(cells_of(tensor))
            return tensor

        pooled = []
        with self._reporter.bar(what, len(table.cases)) as tick:
            tensors = (prepare(load(case.path)) for case in table.cases)
            for outputs in self._engine.stream(tensors):
                features = outputs.features
                pooled.append(features.reshape(len(features), -1).mean(axis=1))
                take(features)
                tick(1, self._engine.name)
        nothing = np.zeros((len(pooled), 1), np.float32)
        return Answers(
            table,
            nothing,
            np.array(pooled),
            nothing[:, 0],
            reasons=tuple(reasons),
            smallest=min(sides),
            pattern=fit_pattern(cells),
            acquisitions=tuple(made),
        )


def _with(seen: Answers, logits: FloatArray, peaks: FloatArray) -> Answers:
    return Answers(
        seen.table,
        logits,
        seen.features,
        peaks,
        reasons=seen.reasons,
        smallest=seen.smallest,
        pattern=seen.pattern,
        acquisitions=seen.acquisitions,
    )
