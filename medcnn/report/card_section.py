"""An evaluation as a section of a model's card, in the words of the report."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from medcnn.evaluation import Evaluation
from medcnn.evaluation.records import LabelResult, OperatingResult, Subgroup
from medcnn.report.numbers import (
    NONE,
    count,
    estimate_words,
    ratio_words,
    share_words,
    with_interval,
)

__all__ = ["card_section", "with_section"]

_START, _END = "<!-- evaluation of {name} -->", "<!-- end of evaluation -->"
_BEFORE = "\n## Beside simple baselines"
_AFTER = "\n## How it was made"


def card_section(found: Evaluation) -> str:
    """Return an evaluation as Markdown: whom, areas, thresholds, calibration, groups.

    All numbers are those of evaluation.json; none is computed here.
    """
    lines = [_START.format(name=_name(found)), f"## Evaluated on {_name(found)}", ""]
    lines += [_whom(found), ""]
    lines += [f"* {_plain(words)}" for words in found.warnings]
    lines += ["", *_areas(found)]
    for label, one in found.labels.items():
        if one.operating_points:
            lines += ["", f"### At its thresholds: {_plain(label)}", ""]
            lines += _points(one.operating_points)
    if any(one.calibration for one in found.labels.values()):
        lines += ["", "### Calibration", "", *_calibration(found.labels)]
    main = next(iter(found.labels))
    if found.labels[main].subgroups:
        lines += ["", f"### Subgroups: {_plain(main)}", ""]
        lines += _groups(found.labels[main].subgroups)
    methods = {one.auroc.method for one in found.labels.values() if one.auroc}
    lines += [
        "",
        f"95 % intervals of areas: {'; '.join(sorted(methods)) or NONE}.",
        _END,
    ]
    return "\n".join(lines) + "\n"


def with_section(card: str, section: str) -> str:
    """Return a card with a section, in place of an earlier one of the same name."""
    start = section.splitlines()[0]
    if start in card:
        before, _, rest = card.partition(start)
        _, _, after = rest.partition(_END + "\n")
        return before + section + after
    for heading in (_BEFORE, _AFTER):
        if heading in card:
            before, _, after = card.partition(heading)
            return f"{before.rstrip()}\n\n{section}{heading}{after}"
    return f"{card.rstrip()}\n\n{section}"


def _name(found: Evaluation) -> str:
    split = found.data.split or "all cases"
    return f"{_plain(Path(found.data.source).name)}, {split}".replace("-->", "")


def _whom(found: Evaluation) -> str:
    data = found.data
    who = f"{count(data.cases)} cases"
    if data.patients is not None:
        who += f" of {count(data.patients)} patients"
    words = [f"{who}; {count(data.out_of_scope)} out of scope"]
    words.append(f"{count(data.errors)} that could not be read.")
    together = "patients" if data.is_clustered else "cases"
    return f"{', '.join(words)} Counted as independent: {together}."


def _areas(found: Evaluation) -> Iterator[str]:
    """Yield the areas of every label, and their mean."""
    yield from _head("label", "with / without", "AUC", "AUPRC")
    for label, one in found.labels.items():
        numbers = f"{count(one.n_positive)} / {count(one.n_negative)}"
        yield _row(label, numbers, estimate_words(one.auroc), estimate_words(one.auprc))
    if len(found.labels) > 1:
        macro = found.macro
        name = f"mean of {len(macro.labels)}"
        yield _row(name, "", estimate_words(macro.auroc), estimate_words(macro.auprc))


def _points(points: tuple[OperatingResult, ...]) -> Iterator[str]:
    """Yield what each threshold achieves."""
    names = ("sensitivity", "specificity", "PPV", "NPV", "LR+", "LR-")
    yield from _head("point", "threshold", "chosen on", *names)
    for point in points:
        shares = (point.sensitivity, point.specificity, point.ppv, point.npv)
        ratios = (point.lr_positive, point.lr_negative)
        yield _row(
            point.name,
            f"{point.threshold:.3g}",
            point.chosen_on,
            *(share_words(share) for share in shares),
            *(ratio_words(ratio) for ratio in ratios),
        )


def _calibration(labels: Mapping[str, LabelResult]) -> Iterator[str]:
    """Yield how far the probabilities of each label are from what was found."""
    yield from _head("label", "slope", "intercept", "ECE", "Brier", "said", "found")
    for label, one in labels.items():
        part = one.calibration
        if part is not None:
            yield _row(
                label,
                with_interval(part.slope, part.slope_ci95),
                with_interval(part.intercept, part.intercept_ci95),
                *(f"{value:.3f}" for value in (part.ece, part.brier)),
                *(f"{value:.3f}" for value in (part.mean_probability, part.prevalence)),
            )


def _groups(groups: tuple[Subgroup, ...]) -> Iterator[str]:
    """Yield the area and the calls of each subgroup."""
    names = ("subgroup", "with / without", "AUC", "sensitivity", "specificity")
    yield from _head(*names)
    for group in groups:
        for value in group.values:
            numbers = f"{count(value.n_positive)} / {count(value.n_negative)}"
            few = " (too few to judge)" if value.is_small else ""
            yield _row(
                f"{group.column} = {value.value}{few}",
                numbers,
                estimate_words(value.auroc),
                share_words(value.sensitivity),
                share_words(value.specificity),
            )


def _head(*names: str) -> tuple[str, str]:
    return _row(*names), "|" + "---|" * len(names)


def _row(*cells: str) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """Return text that is neither markup nor a new cell or line."""
    words = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return words.replace("&", "&amp;").replace("<", "&lt;").replace("`", "\\`")
