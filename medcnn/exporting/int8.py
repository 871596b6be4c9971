"""A bundle's network at 8 bits, verified against itself at full precision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.assessment import Run
from medcnn.assessment.answers import Reader
from medcnn.assessment.truth import read_truth
from medcnn.bundle import CARD, INT8_SECTION, AreaChange, Bundle, BundleSpec, Int8Facts
from medcnn.bundle_writing import derive_bundle, refuse_existing
from medcnn.dataset import CaseTable
from medcnn.errors import DataError
from medcnn.evaluation import Predictions
from medcnn.exporting.areas import (
    METHOD,
    WORST,
    answers_of,
    area_changes,
    refuse_worse,
    verified_on,
)
from medcnn.exporting.rounding import rounded_files, trial
from medcnn.exporting.thresholds import same_share
from medcnn.model import Model

__all__ = ["IMAGES", "WORST", "Quantised", "quantise"]

IMAGES = 300
"""Images that ranges are measured on; more change nothing."""

_FEWEST = 20
_MAPS = 60
_KEEP = "Use the model at full precision, or measure ranges on images more like these."

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Quantised:
    """A bundle with an 8-bit network.

    Attributes:
        bundle: The new model.
        facts: What the 8 bits cost.
        warnings: What must be known before it is used.
    """

    bundle: Bundle
    facts: Int8Facts
    warnings: tuple[str, ...]


def quantise(
    model: str | Path,
    data: str | Path,
    *,
    output: str | Path,
    split: str | None = None,
    run: Run | None = None,
) -> Quantised:
    """Add an 8-bit network to a model, if it tells as much as the full one.

    Ranges are measured on images of the split train where there is one, the areas on
    others. Thresholds are moved so that as many cases are flagged as before.

    Args:
        model: A shipped model's name, or a bundle's directory.
        data: Labelled images.
        output: The new model's directory; there must be none yet.
        split: Which split it is verified on, or "all"; None: val, else test, else all.
        run: How images are read.

    Raises:
        DataError: If the data are too few, or it loses more than 0.005 of area.
        MissingDependencyError: If NNCF is not installed.
        OutputError: If the model cannot be written.
    """
    refuse_existing(Path(output))
    options = run or Run()
    full = Model.open(model)
    table = read_truth(data, full.labels)
    learnt, where = _for_ranges(table)
    reader = Reader(full, options.workers, options.limits)
    tensors = list(_tensors(reader, learnt))
    if len(tensors) < _FEWEST:
        msg = f"{data}: {len(tensors)} images to measure ranges on are too few"
        raise DataError(
            msg, hint=f"At least {_FEWEST} that the model takes are needed."
        )
    files = rounded_files(full.bundle, tensors)
    small = trial(full.bundle, files)
    before, after = answers_of(
        (full, small), table, split or verified_on(table), options
    )
    changes = _changes(full.spec, before, after)
    refuse_worse(changes, "at 8 bits", hint=_KEEP)
    points = tuple(
        same_share(point, before, after, Path(data).name)
        for point in full.spec.operating_points
    )
    facts = Int8Facts(
        data=Path(data).name,
        sha256=before.sha256(),
        date=datetime.now(UTC).date().isoformat(),
        calibrated_on=where,
        images=len(tensors),
        cases=int((before.is_ok & after.is_ok).sum()),
        patients=len(set(before.patients)) if before.has_patients else None,
        changes=changes,
        method=METHOD,
        heatmap_correlation=_maps_alike(full, small, tensors[:_MAPS]),
        operating_points=points,
        environment={name: version(name) for name in ("nncf", "openvino")},
    )
    return _written(full.bundle, Path(output), facts, files)


def _for_ranges(table: CaseTable) -> tuple[list[Path], str]:
    """Choose the images that ranges are measured on, and say which they are."""
    train = [case.path for case in table.cases if case.split == "train"]
    paths = train or [case.path for case in table.cases]
    chosen = np.random.default_rng(0).permutation(len(paths))[:IMAGES]
    words = "the split train" if train else "all images, those verified on among them"
    return [paths[n] for n in sorted(chosen)], words


def _tensors(reader: Reader, paths: Sequence[Path]) -> Iterator[Tensor]:
    """Read images as the network sees them; others are left out."""
    for reading in reader.readings(paths):
        if reading.tensor is not None:
            yield reading.tensor


def _changes(
    spec: BundleSpec, before: Predictions, after: Predictions
) -> tuple[AreaChange, ...]:
    """Compare areas and decisions, with thresholds that flag as many as before.

    Raises:
        DataError: If the data cannot tell the main label.
    """
    points = spec.operating_points
    moved = [(point, same_share(point, before, after, "").flag) for point in points]
    return area_changes(moved, before, after)


def _maps_alike(full: Model, small: Model, tensors: Sequence[Tensor]) -> float | None:
    """Return the median correlation of both precisions' maps of the main label."""
    label = full.labels[0]
    found = []
    for one, other in zip(full.stream(tensors), small.stream(tensors), strict=True):
        if not one.has_places:
            return None
        maps = [
            m.relevance(a.features, label) for m, a in ((full, one), (small, other))
        ]
        if min(float(part.std()) for part in maps) > 0:
            found.append(float(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1]))
    return float(np.median(found)) if found else None


def _written(
    base: Bundle, output: Path, facts: Int8Facts, files: dict[str, bytes]
) -> Quantised:
    """Write the bundle with its 8-bit network, and say on its card what that costs."""
    warnings = _warnings(facts)
    card = "\n".join(
        [
            base.card().split(INT8_SECTION)[0].rstrip(),
            "",
            *_card_lines(facts),
            *warnings,
            "",
        ]
    )
    draft: dict[str, Any] = {"int8": facts}
    spec = base.spec.model_copy(update=draft)
    bundle = derive_bundle(output, base, spec, files={CARD: card.encode(), **files})
    return Quantised(bundle, facts, warnings)


def _warnings(facts: Int8Facts) -> tuple[str, ...]:
    """Return what must be known before it is used."""
    found = []
    open_still = [one.label for one in facts.changes if one.ci95[0] < -WORST]
    if open_still:
        found.append(
            f"A loss of more than {WORST} is not excluded for {', '.join(open_still)}: "
            "see the intervals."
        )
    told = {one.label for one in facts.changes}
    kept = [p.label for p in facts.operating_points if p.label not in told]
    if kept:
        found.append(f"Not verified, since the data do not tell: {', '.join(kept)}.")
    return tuple(found)


def _card_lines(facts: Int8Facts) -> list[str]:
    patients = "" if facts.patients is None else f" of {facts.patients} patients"
    return [
        INT8_SECTION,
        "",
        f"int8.xml was made on {facts.date}; ranges were measured on {facts.images} "
        f"images ({facts.calibrated_on}). Verified on {facts.cases} cases{patients} of "
        f"`{facts.data}` (checksum `{facts.sha256[:16]}`). Thresholds were moved so "
        "that as many cases are flagged as at full precision.",
        "",
        "| label | with / without | AUC | AUC at 8 bits | change (95 %) | decisions "
        "that flip |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one.label} | {one.n_positive} / {one.n_negative} | {one.auroc:.4f} | "
            f"{one.auroc_int8:.4f} | {one.change:+.4f} ({one.ci95[0]:+.4f} to "
            f"{one.ci95[1]:+.4f}) | {one.flipped:.1%} |"
            for one in facts.changes
        ),
        "",
        f"Intervals: {facts.method}.",
    ]
