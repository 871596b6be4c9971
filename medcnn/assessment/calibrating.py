"""`calibrate`: a model's probabilities and thresholds for a site, never its weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medcnn.assessment.answers import Answered
from medcnn.assessment.evaluating import Run, rule_of, run_model
from medcnn.assessment.marks import marked_cases
from medcnn.assessment.sampling import sample_of_answers
from medcnn.bands import BandScore
from medcnn.bundle import (
    CARD,
    INT8_SECTION,
    Bundle,
    BundleSpec,
    OperatingPoint,
    SiteFacts,
)
from medcnn.bundle_writing import derive_bundle, refuse_existing
from medcnn.calibration import probabilities_of
from medcnn.dataset import CaseTable
from medcnn.drift import REFERENCE, Sample
from medcnn.errors import DataError
from medcnn.evaluation import Design, Predictions, threshold_by
from medcnn.evaluation.bands import band_scores
from medcnn.evaluation.fitting import fit_calibration
from medcnn.model import Model

__all__ = ["FEWEST", "SMALL", "Fitted", "calibrate"]

FEWEST = 20
"""Patients with and without a finding that a label needs: ten for each of the two
parameters that are fitted, the rule of Peduzzi et al., J. Clin. Epidemiol. 49 (1996)
1373-1379. Below it the fit would say more about chance than about the site."""

SMALL = 100
"""Patients of each kind below which a calibration is told to be rough: Vergouwe et al.,
J. Clin. Epidemiol. 58 (2005) 475-483."""

_SECTION = "## Calibrated for a site"
_RULES = {"flag": "youden", "review": "sensitivity 0.95"}

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What was fitted, and to whom.

    Attributes:
        bundle: The new model.
        site: What its probabilities and thresholds were fitted to.
        kept: Labels that keep what they had, and why.
        warnings: What must be known before it is used.
    """

    bundle: Bundle
    site: SiteFacts
    kept: dict[str, str]
    warnings: tuple[str, ...]


def calibrate(  # noqa: PLR0913 - a main entry; all but three have a default
    model: Model | str | Path,
    data: str | Path,
    *,
    output: str | Path,
    split: str | None = None,
    flag: str | None = None,
    review: str | None = None,
    marks: str | Path | None = None,
    run: Run | None = None,
) -> Fitted:
    """Fit a model's probabilities and thresholds to the cases of a site.

    For labels that may occur together each gets Platt's slope and intercept, as do two
    classes; more classes get one temperature. Weights, graph and gate stay byte for
    byte.

    Args:
        model: The model.
        data: Labelled images of the site, which training has not seen.
        output: The new model's directory; there must be none yet.
        split: Which split; None: all cases.
        flag: The rule of the flag threshold: "youden", "sensitivity 0.95" or
            "specificity 0.9"; None: the rule that the model has.
        review: Likewise.
        marks: Marks that a screening report exported; `data` is then the run's output
            folder, or the folder that was screened.
        run: How the model is run.

    Raises:
        DataError: If the data are wrong, or too few; it says how many are needed.
        LeakageError: If the model was trained on some of the images.
        OutputError: If the model cannot be written.
    """
    refuse_existing(Path(output))
    options = run or Run()
    opened = options.open(model)
    source: str | Path | CaseTable = data
    site_name, notes = Path(data).name, tuple[str, ...]()
    if marks is not None:
        marked = marked_cases(Path(data), Path(marks), opened.spec)
        source, notes, site_name = marked.table, marked.notes, Path(marks).name
    material = run_model(opened, source, Design(split=split or "all"), options)
    told = material.answered.predictions
    enough, kept = _enough(told, opened.labels)
    _refuse_few(opened.spec, told, enough)
    spec = _fit(opened.spec, material.answered, enough, site_name)
    again = _probabilities(spec, material.answered)
    points = _points(spec, again, enough, {"flag": flag, "review": review}, site_name)
    site = _site(told, site_name, enough)
    changes: dict[str, object] = {
        "operating_points": points,
        "site": site,
        "evaluation": (),
        "int8": None,  # its thresholds are for the scores as they were
    }
    changes["bands"] = _bands(again, points[0], site_name)
    spec = spec.model_copy(update=changes)
    warnings = (*_warnings(told, enough), *_without_int8(opened.spec), *notes)
    card = _card(opened, spec, kept, warnings)
    files = {CARD: card.encode()}
    sample: Sample | None = sample_of_answers(
        again, material.answered, f"the site's cases, {site_name}"
    )
    if marks is not None:
        sample = _scoreless(opened.bundle)
    if sample is not None:
        files[REFERENCE] = sample.model_dump_json().encode()
    bundle = derive_bundle(Path(output), opened.bundle, spec, files=files)
    return Fitted(bundle, site, kept, warnings)


def _enough(
    told: Predictions, labels: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the labels with enough patients, and why others keep what they have."""
    enough, kept = [], {}
    for label in labels:
        if label not in told.labels:
            kept[label] = "the data do not tell it"
            continue
        sick, healthy = _patients(told, label)
        if min(sick, healthy) < FEWEST:
            who = "patients" if told.has_patients else "cases"
            kept[label] = f"{sick} {who} with and {healthy} without it are too few"
        else:
            enough.append(label)
    return tuple(enough), kept


def _patients(told: Predictions, label: str) -> tuple[int, int]:
    """Return how many patients have a case with, and one without, a finding."""
    use = told.counts_for(label)
    truth, _ = told.known(label)
    of = told.clusters[use]
    return len(np.unique(of[truth == 1])), len(np.unique(of[truth == 0]))


def _refuse_few(spec: BundleSpec, told: Predictions, enough: Sequence[str]) -> None:
    """Refuse too few cases of the main label, or of any class.

    Raises:
        DataError: If there are.
    """
    needed = spec.labels if spec.activation == "softmax" else spec.labels[:1]
    for label in needed:
        if label in enough:
            continue
        sick, healthy = _patients(told, label) if label in told.labels else (0, 0)
        who = "patients" if told.has_patients else "cases"
        msg = f"{told.source}: {sick} {who} with {label} and {healthy} without it; "
        msg += f"{FEWEST} of each are needed, ten for each number that is fitted"
        raise DataError(msg, hint="Add cases of the site.")


def _fit(
    spec: BundleSpec, answered: Answered, labels: Sequence[str], site: str
) -> BundleSpec:
    """Return the spec with calibration fitted to logits."""
    told, logits = answered.predictions, answered.logits
    truth = np.full((len(logits), len(spec.labels)), np.nan)
    said = np.zeros(truth.shape, np.float32)
    for label in labels:
        use, n = told.counts_for(label), told.labels.index(label)
        at = spec.labels.index(label)
        truth[use, at] = told.truth[use, n]
    for n, label in enumerate(told.labels):
        said[:, spec.labels.index(label)] = logits[:, n]
    return fit_calibration(spec, truth, said, fitted_on=site, labels=labels)


def _probabilities(spec: BundleSpec, answered: Answered) -> Predictions:
    """Return the cases with the probabilities that the new calibration gives."""
    told = answered.predictions
    score = np.full(told.score.shape, np.nan)
    at = [spec.labels.index(label) for label in told.labels]
    for n in np.flatnonzero(~np.isnan(answered.logits).any(axis=1)):
        logits = np.zeros(len(spec.labels), np.float32)
        logits[at] = answered.logits[n]
        score[n] = np.array(probabilities_of(spec, logits))[at]
    return replace(told, score=score, kind="probability")


def _points(
    spec: BundleSpec,
    told: Predictions,
    labels: Sequence[str],
    wanted: dict[str, str | None],
    site: str,
) -> tuple[OperatingPoint, ...]:
    """Return the thresholds of each label, chosen anew where there are enough cases."""
    found = []
    for point in spec.operating_points:
        if point.label not in labels:
            found.append(point)
            continue
        rules = {name: rule or _rule(point, name) for name, rule in wanted.items()}
        sides = told.known(point.label)
        flag = min(threshold_by(rules["flag"], *sides), 1.0)
        review = min(threshold_by(rules["review"], *sides), flag)
        text = f"flag: {rules['flag']}; review: {rules['review']}"
        found.append(
            OperatingPoint(
                label=point.label, flag=flag, review=review, rule=text, chosen_on=site
            )
        )
    return tuple(found)


def _rule(point: OperatingPoint, name: str) -> str:
    """Return the rule that a bundle's point was chosen by, if it can be used again."""
    rule = rule_of(point.rule, name)
    kind = rule.partition(" ")[0]
    known = kind in {"youden", "sensitivity", "specificity"}
    return rule if known else _RULES[name]


def _site(told: Predictions, site: str, labels: Sequence[str]) -> SiteFacts:
    """Return what was fitted to whom."""
    use = told.is_ok & ~np.isnan(told.truth).all(axis=1)
    part = told.only(use)
    return SiteFacts(
        data=site,
        sha256=part.sha256(),
        date=datetime.now(UTC).date().isoformat(),
        cases=len(part),
        patients=len(set(part.patients)) if part.has_patients else None,
        labels=tuple(labels),
    )


def _scoreless(bundle: Bundle) -> Sample | None:
    """Return the model's own sample without scores, which its new calibration changed.

    Cases that somebody marked are picked, and no sample of a site.
    """
    sample = bundle.reference()
    if sample is None:
        return None
    numbers = {name: x for name, x in sample.numbers.items() if name != "score"}
    return sample.model_copy(update={"numbers": numbers})


def _bands(
    told: Predictions, point: OperatingPoint, site: str
) -> tuple[BandScore, ...]:
    """Count what the main label's thresholds achieve on the cases they were fitted to.

    Thresholds that were kept are counted too: on these cases they are as new as any.
    """
    if point.label not in told.labels:
        return ()
    place = told.labels.index(point.label)
    return band_scores(
        told.truth[:, place],
        told.score[:, place],
        told.clusters,
        point=point,
        data=f"{site}, which they were fitted to",
        groups={"all": told.counts_for(point.label)},
    )


def _warnings(told: Predictions, labels: Sequence[str]) -> list[str]:
    """Return what must be known before the new model is used."""
    found = []
    few = {x: _patients(told, x) for x in labels}
    few = {x: both for x, both in few.items() if min(both) < SMALL}
    if few:
        words = ", ".join(f"{x} ({a} with, {b} without)" for x, (a, b) in few.items())
        found.append(f"Fewer than {SMALL} of each kind make a rough fit: {words}.")
    if not told.has_patients:
        found.append("Without patient_id for all, cases are counted as patients.")
    left_out = int((~told.is_ok).sum())
    if left_out:
        found.append(f"{left_out} cases without a usable answer are left out.")
    found.append(
        "Measure the new model on other cases of the site: on these its figures are "
        "too good."
    )
    return found


def _without_sections(card: str) -> str:
    """Return a card without what it says of a site, or of 8 bits."""
    return card.split(_SECTION)[0].split(INT8_SECTION)[0].rstrip()


def _without_int8(spec: BundleSpec) -> tuple[str, ...]:
    """Say that the 8-bit network is left out, if there is one."""
    if spec.int8 is None:
        return ()
    return (
        "The 8-bit network is left out, since its thresholds were for the scores as "
        "they were: make it again with medcnn export.",
    )


def _card(
    model: Model, spec: BundleSpec, kept: dict[str, str], warnings: Sequence[str]
) -> str:
    """Return the model's card with its section on the site, replaced or added."""
    before = _without_sections(model.bundle.card())
    site = spec.site
    if site is None:
        return before
    patients = "" if site.patients is None else f" of {site.patients} patients"
    lines = [
        _SECTION,
        "",
        f"Probabilities and thresholds were fitted on {site.date} to {site.cases} cases"
        f"{patients} of `{site.data}` (checksum `{site.sha256[:16]}`). Weights, graph "
        "and gate are unchanged. The sections above tell of the model as trained: its "
        "thresholds and calibrated probabilities are replaced by these:",
        "",
        "| label | review from | flag from | rule | calibration |",
        "|---|---|---|---|---|",
        *(_line(spec, point) for point in spec.operating_points),
        "",
        *(f"`{label}` keeps what it had: {why}." for label, why in kept.items()),
        *warnings,
        "",
    ]
    return "\n".join([before, "", *lines])


def _line(spec: BundleSpec, point: OperatingPoint) -> str:
    """Return a label's line of the card's table."""
    platt = next((c for c in spec.calibration if c.label == point.label), None)
    words = "none"
    if spec.temperature is not None:
        words = f"temperature {spec.temperature.value:.3f}"
    elif platt is not None:
        words = f"slope {platt.slope:.3f}, intercept {platt.intercept:.3f}"
    elif spec.calibration and spec.activation == "softmax":
        words = f"1 less the probability of {spec.labels[0]}"
    rule = f"{point.rule}, on {point.chosen_on}"
    numbers = f"{point.review:.3f} | {point.flag:.3f}"
    return f"| {point.label} | {numbers} | {rule} | {words} |"
