"""Make report.html and the figures of an evaluation."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from medcnn.evaluation import EVALUATION, Evaluation, read_evaluation, trust_words
from medcnn.evaluation.records import Estimate, LabelResult
from medcnn.outputs import make_folder, write_whole
from medcnn.report.checklist import answers, index
from medcnn.report.markup import asset, policy, templates
from medcnn.report.numbers import (
    count,
    estimate_words,
    interval_words,
    percent,
    plain,
    ratio_words,
    share_with,
    share_words,
    signed_words,
    stacked,
    with_interval,
)
from medcnn.report.plots import Rendered, evaluation_figures
from medcnn.results import LIMITS_OF_A_MAP

__all__ = ["FIGURES", "write_evaluation_report"]

FIGURES = "figures"
"""Folder of the figures below the output folder."""

REPORT = "report.html"

BUDGET = 8 * 2**20
"""Bytes of figures and pictures in the page itself; more are linked beside it."""

MOST_REASONS = 12

_NAMES = {"auroc": "AUC", "auprc": "AUPRC", "calibration": "Calibration"}
_PICTURE = re.compile(r"gallery/[\w-]+\.(?:jpg|png)", re.ASCII)
_UNQUOTED = " !$'()*+,-./:;<=>?@[]^_`{|}~"
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def write_evaluation_report(output: Path) -> Path:
    """Write report.html and figures/ into a folder, from its evaluation.json.

    Args:
        output: The output folder of an evaluation.

    Returns:
        The page.

    Raises:
        DataError: If evaluation.json is missing or broken.
        OutputError: If the page cannot be written.
    """
    found = read_evaluation(output / EVALUATION)
    rendered = evaluation_figures(found)
    names = _file_names(found, rendered)
    make_folder(output / FIGURES)
    for key, figure in rendered.items():
        write_whole(output / FIGURES / f"{names[key]}.svg", figure.svg)
        write_whole(output / FIGURES / f"{names[key]}.png", figure.png)
    page = output / REPORT
    text = _render(found, _Figures(rendered, names), _Pictures(output))
    write_whole(page, text.encode("utf-8", errors="replace"))
    return page


def _in_page(svg: bytes) -> Markup:
    """Return a drawing as an address; a quarter shorter than base64 would be."""
    text = quote(svg.decode("utf-8").strip(), safe=_UNQUOTED)
    return Markup(f"data:image/svg+xml,{text}")  # noqa: S704 - no quote is left in it


class _Figures:
    """What an img's src is for each figure: itself, or its file when there are many."""

    def __init__(
        self,
        rendered: Mapping[tuple[str, str], Rendered],
        names: Mapping[tuple[str, str], str],
    ) -> None:
        self._rendered, self._names = rendered, names
        self._left = BUDGET

    def has(self, label: str, kind: str) -> bool:
        return (label, kind) in self._rendered

    def source(self, label: str, kind: str) -> str:
        """Return what an img's src is, safe between double quotes."""
        source = _in_page(self._rendered[label, kind].svg)
        if len(source) > self._left:
            return f"{FIGURES}/{self._names[label, kind]}.svg"
        self._left -= len(source)
        return source


class _Pictures:
    """What an img's src is for each picture of the gallery; "" if it is not there."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._left = BUDGET

    def source(self, name: str) -> str:
        path = self._output / name
        if not _PICTURE.fullmatch(name) or not path.is_file():
            return ""
        content = path.read_bytes()
        if len(content) > self._left:
            return name
        self._left -= len(content)
        data = base64.b64encode(content).decode("ascii")
        return f"data:{_TYPES[path.suffix]};base64,{data}"


def _render(found: Evaluation, figures: _Figures, pictures: _Pictures) -> str:
    """Return the page's text."""
    environment = templates()
    environment.filters |= {
        "count": count,
        "estimate": estimate_words,
        "percent": percent,
        "plain": plain,
        "ratio": ratio_words,
        "share": share_words,
        "share_with": share_with,
        "signed": signed_words,
        "stacked": stacked,
        "with": with_interval,
    }
    style = asset("evaluation.css")
    reasons = sorted(found.data.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return environment.get_template(
        "evaluation.html"
    ).render(
        style=Markup(style),  # noqa: S704 - our own file
        policy=policy(style),
        found=found,
        figures=figures,
        pictures=pictures,
        title=_title(found),
        lead=_lead(found),
        tiles=_tiles(found),
        reasons=reasons[:MOST_REASONS],
        names=_NAMES,
        limits=LIMITS_OF_A_MAP,
        answers=answers,
        index=index,
        gain=_gain,
        trust_words=trust_words,
    )


def _title(found: Evaluation) -> str:
    data = Path(found.data.source).name
    if found.model.name:
        return f"{found.model.name} {found.model.version} on {data}"
    return data


def _lead(found: Evaluation) -> str:
    """Return the evaluation in a sentence."""
    data = found.data
    who = f"{data.cases:,} cases"
    if data.patients is not None:
        who += f" of {data.patients:,} patients"
    where = f"split {data.split}" if data.split else "all splits"
    labels = list(found.labels)
    what = f"{labels[0]} is"
    if len(labels) > 1:
        what = f"{len(labels)} labels ({found.task}) are"
    return f"How well {what} told apart in {who} ({where})."


def _gain(one: LabelResult) -> str:
    """Return where acting on the model is better than on everybody or nobody."""
    if not any(point.ci95 for point in one.net_benefit):
        return ""
    better = [
        point.threshold
        for point in one.net_benefit
        if point.ci95
        and point.over_all_ci95
        and min(point.ci95[0], point.over_all_ci95[0]) > 0
    ]
    if not better:
        return (
            "At no probability is acting on the model shown to be better than both "
            "acting on everybody and acting on nobody."
        )
    runs: list[list[float]] = []
    for value in better:
        if runs and value - runs[-1][-1] < 0.015:
            runs[-1].append(value)
        else:
            runs.append([value])
    words = ", ".join(
        f"{run[0]:.2f}" if len(run) == 1 else f"{run[0]:.2f} to {run[-1]:.2f}"
        for run in runs
    )
    return (
        "Acting on the model is shown to be better than both acting on everybody and "
        f"acting on nobody where one would act from a probability of {words}."
    )


def _tiles(found: Evaluation) -> list[tuple[str, str, str]]:
    """Return the headline figures: value, words, interval."""
    label, main = next(iter(found.labels.items()))
    tiles = []
    if len(found.labels) > 1 and found.macro.auroc is not None:
        words = f"mean AUC of {len(found.macro.labels)} labels"
        tiles.append(_tile(found.macro.auroc, words))
    if main.auroc is not None:
        tiles.append(_tile(main.auroc, f"AUC, {label}"))
    if main.operating_points:
        point = main.operating_points[0]
        for words, value in (
            ("sensitivity", point.sensitivity),
            ("specificity", point.specificity),
        ):
            shown = f"{words}, {label}, at {point.name}"
            tiles.append(
                (percent(value.value), shown, interval_words(value, in_percent=True))
            )
    if found.multiclass is not None:
        right = found.multiclass.accuracy
        tiles.append(
            (
                percent(right.value),
                "right class",
                interval_words(right, in_percent=True),
            )
        )
    return tiles


def _tile(value: Estimate, words: str) -> tuple[str, str, str]:
    return f"{value.value:.3f}", words, interval_words(value)


def _file_names(
    found: Evaluation, rendered: Mapping[tuple[str, str], Any]
) -> dict[tuple[str, str], str]:
    """Return a file name for each figure that any system takes."""
    number = {label: n for n, label in enumerate(found.labels, start=1)}
    names = {}
    for label, kind in rendered:
        words = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:40]
        start = f"{number[label]:02d}-{words}-" if label else ""
        names[label, kind] = f"{start}{kind}".replace("--", "-")
    return names
