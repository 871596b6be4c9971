"""The model's card: what people must know before they use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import jinja2
import numpy as np

from medcnn.baselines import Comparison
from medcnn.bundle import BundleSpec
from medcnn.dataset import SPLITS, CaseTable
from medcnn.evaluation.trust import Trust
from medcnn.evaluation.trust_words import markdown_section
from medcnn.planning.recipe import Recipe
from medcnn.training.measure import Achieved
from medcnn.training.state import Progress

__all__ = ["Findings", "write_card"]

_TEMPLATE = Path(__file__).with_name("card.md.j2")


@dataclass(frozen=True)
class Findings:
    """What was measured beside the scores that the bundle carries.

    Attributes:
        calls: What both thresholds of the main label achieve.
        refused: Of each split: images that the gate's rules refuse by what they are,
            images in all, and some of the reasons.
        beside: The model beside its baselines.
        leaks: What is in several splits because that was allowed; "" if nothing is.
        trust: Of each split in which something is marked: whether heatmaps find it.
    """

    calls: tuple[Achieved, ...]
    refused: Mapping[str, tuple[int, int, Sequence[str]]]
    beside: Comparison | None
    leaks: str = ""
    trust: Mapping[str, Trust] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class _Count:
    """How many cases of a split are what."""

    split: str
    cases: int
    patients: int | None
    labels: tuple[tuple[str, int, int, int], ...]


def write_card(
    spec: BundleSpec,
    recipe: Recipe,
    table: CaseTable,
    records: Sequence[tuple[str, Progress]],
    findings: Findings,
) -> bytes:
    """Return CARD.md: numbers from the evaluation, words from the recipe.

    Args:
        spec: The bundle, measured.
        recipe: What it was made with.
        table: All cases.
        records: How the training of each network went, by its name.
        findings: What was measured besides.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, made of the model's own numbers
    )
    environment.filters["interval"] = _interval
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    parts = [split for split in SPLITS if split in table.column("split")]
    text = template.render(
        spec=spec,
        recipe=recipe,
        records=records,
        findings=findings,
        heatmaps=markdown_section(findings.trust),
        counts=[_count(split, table.part(split)) for split in parts],
        data_sets=_in_order([score.data for score in spec.evaluation]),
    )
    return text.encode()


def _interval(share: tuple[float, float, float]) -> str:
    value, low, high = (f"{100 * part:.0f}" for part in share)
    return f"{value} % ({low} to {high})"


def _in_order(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _count(split: str, table: CaseTable) -> _Count:
    truth = table.truth()
    patients = {case.patient_id for case in table.cases}
    labels = tuple(
        (
            label,
            int((truth[:, n] == 1).sum()),
            int((truth[:, n] == 0).sum()),
            int(np.isnan(truth[:, n]).sum()),
        )
        for n, label in enumerate(table.labels)
    )
    known = None if None in patients else len(patients)
    return _Count(split, len(table.cases), known, labels)
