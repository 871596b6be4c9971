"""The card of a detector."""

from collections.abc import Mapping

from medcnn.bundle import BundleSpec
from medcnn.detectors import DetectorSpec
from medcnn.training.answers import Answers
from medcnn.training.prepare import Prepared

__all__ = ["detector_card"]

_NAMES = {"padim": "PaDiM", "patchcore": "PatchCore"}


def detector_card(
    spec: BundleSpec,
    detector: DetectorSpec,
    prepared: Prepared,
    parts: Mapping[str, Answers],
) -> bytes:
    """Return CARD.md.

    Args:
        spec: The bundle, measured.
        detector: What was fitted.
        prepared: The cases, and what was found out about them.
        parts: What it said of held-out cases.
    """
    point, (label,) = spec.operating_points[0], spec.labels
    share = 100 * detector.percentile
    lines = [
        f"# {spec.name} {spec.version}",
        "",
        spec.summary,
        "",
        "**Research use only. Not a medical device.** It ranks images; it makes no "
        "diagnosis.",
        "",
        "## What it is",
        "",
        f"A normal-only detector ({_NAMES[detector.kind]}) on the feature maps of "
        f"{detector.body}. It learnt from {detector.normals} images labelled normal, "
        "and from no other. It finds what is unlike them, ill or not: another device, "
        "projection or age is unusual, too; and what is ill but looks usual it passes.",
        "",
        "Its number from 0 to 1 is an anomaly score, about the share of normal images "
        f"that look less unusual, and no probability of `{label}`. It is a smooth "
        f"curve through two points: 0.5 is the median of {detector.held_out} held-out "
        f"normal images, and {detector.percentile:g} their {share:g}th percentile, "
        f"where a flag begins. Review begins at {point.review:.3f}. An image is as "
        f"unusual as {_mean(detector)}.",
        "",
        "## What it achieves",
        "",
        *_measured(spec),
        "",
        "## Data",
        "",
        "| split | images | normal | not normal |",
        "|---|---|---|---|",
        f"| train | {detector.normals} | {detector.normals} | not used |",
        *(_counts(name, answers) for name, answers in parts.items()),
        "",
        *(f"* {note}" for note in prepared.notes),
        "",
    ]
    return "\n".join(lines).encode()


def _mean(detector: DetectorSpec) -> str:
    """Say which places an image's score is the mean of."""
    places = f"{' x '.join(map(str, detector.grid))} places"
    if detector.top == 1:
        return f"the mean of its {places}"
    return f"the mean of the most unusual {100 * detector.top:g} % of its {places}"


def _measured(spec: BundleSpec) -> list[str]:
    """Return the table of what was measured, or that nothing could be."""
    if not spec.evaluation:
        return [
            "Unknown: the held-out images are all normal. Measure it on labelled ones: "
            "`medcnn evaluate`.",
        ]
    lines = [
        "Val chose the thresholds by its normal images alone.",
        "",
        "| data | with / without | AUC | 95 % interval |",
        "|---|---|---|---|",
    ]
    for score in spec.evaluation:
        where = score.data if score.subgroup == "all" else score.subgroup
        counts = f"{score.n_positive} / {score.n_negative}"
        low, high = score.ci95
        lines.append(
            f"| {where} | {counts} | {score.auroc:.3f} | {low:.3f} to {high:.3f} |"
        )
    lines += ["", "| data | from | sensitivity | specificity |", "|---|---|---|---|"]
    for band in spec.bands:
        sides = (band.sensitivity, band.specificity)
        first, second = (
            f"{100 * v:.0f} % ({100 * a:.0f} to {100 * b:.0f})" for v, a, b in sides
        )
        lines.append(f"| {band.data} | {band.band} | {first} | {second} |")
    return lines


def _counts(name: str, answers: Answers) -> str:
    truth = answers.table.truth()[:, 0]
    healthy = int((truth == 0).sum())
    return f"| {name} | {len(truth)} | {healthy} | {len(truth) - healthy} |"
