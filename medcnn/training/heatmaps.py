"""Whether the heatmaps of a new bundle find what readers marked, for its card."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle
from medcnn.dataset import CaseTable
from medcnn.engines import open_engine
from medcnn.evaluation.trust import Trust
from medcnn.model import Model
from medcnn.training.reporter import Reporter, Tick
from medcnn.training.team import Team
from medcnn.trust import TrustDesign, has_mark, measure_trust

__all__ = ["trust_in", "trust_of"]


def trust_of(
    team: Team, bundle: Bundle, indices: Mapping[str, npt.NDArray[np.intp]]
) -> dict[str, Trust]:
    """Hold heatmaps against the marks of cases that none of the networks learnt from.

    With folds the bundle is made of networks that saw the held-out cases, so that only
    test is left.

    Args:
        team: The networks and their cases.
        bundle: Made of them.
        indices: Of each split's cases.

    Raises:
        DataError: If a mask cannot be read, or does not fit its image.
    """
    unseen = {
        name: team.material.table.take(chosen.tolist())
        for name, chosen in indices.items()
        if name == "test" or not team.has_folds
    }
    return trust_in(bundle, unseen, team.material.reporter)


def trust_in(
    bundle: Bundle, parts: Mapping[str, CaseTable], reporter: Reporter
) -> dict[str, Trust]:
    """Hold heatmaps against the marks of cases that the model did not learn from.

    Args:
        bundle: With its final thresholds and gate.
        parts: The cases of each split.
        reporter: Where progress goes.

    Returns:
        The scores of each split in which something is marked.

    Raises:
        DataError: If a mask cannot be read, or does not fit its image.
    """
    found = {}
    for name, table in parts.items():
        count = sum(
            any(has_mark(case, label) for label in table.labels) for case in table.cases
        )
        if not count:
            continue
        model = Model(bundle, open_engine(bundle))
        with reporter.bar(f"heatmaps of {name}", count) as tick:
            design = TrustDesign(progress=_one_more(tick))
            trust = measure_trust(model, table.cases, design)
        if trust is not None:
            found[name] = trust
    return found


def _one_more(tick: Tick) -> Callable[[int, int | None], None]:
    """Return what moves a bar on by one for each image that was looked at."""
    return lambda _done, _total: tick(1, "")
