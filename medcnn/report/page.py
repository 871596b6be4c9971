"""Make report.html of a run's files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from medcnn.outputs import write_whole
from medcnn.report.cards import card_of, state_of
from medcnn.report.figures import gradient, histogram
from medcnn.report.markup import asset, policy
from medcnn.report.pictures import Embedder, beside
from medcnn.report.workload import workload
from medcnn.results import LIMITS_OF_A_MAP, Status
from medcnn.worklist import (
    ERRORS,
    RUN,
    WORKLIST,
    ErrorRow,
    RunRecord,
    WorklistRow,
    read_errors,
    read_run,
    read_worklist,
)

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"

MOST_CARDS = 300
"""Images with a card of their own, from the most urgent on; the table has all."""

MORE_CARDS = 60
"""Further cards of images out of scope, and of files that could not be read."""

MOST_LINES = 500
"""Lines of the tables of errors and of what is out of scope."""

PICTURE_BUDGET = 6 * 2**20
"""Bytes of pictures in the page itself: the most urgent ones survive a lone copy."""


@dataclass(frozen=True)
class _Run:
    """Everything a report is made of."""

    output: Path
    record: RunRecord
    rows: tuple[WorklistRow, ...]
    errors: tuple[ErrorRow, ...]


def write_report(output: Path) -> Path:
    """Write report.html into a screening run's output folder, from its files.

    Args:
        output: Folder with worklist.csv, errors.csv, run.json and pictures.

    Returns:
        The page.

    Raises:
        DataError: If one of these files is missing or broken.
        OutputError: If the page cannot be written.
    """
    run = _Run(
        output,
        read_run(output / RUN),
        tuple(read_worklist(output / WORKLIST)),
        tuple(read_errors(output / ERRORS)),
    )
    page = output / REPORT
    write_whole(page, _render(run).encode("utf-8", errors="replace"))
    return page


def _render(run: _Run) -> str:
    """Return the page's text."""
    environment = Environment(
        loader=PackageLoader("medcnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    style = asset("report.css") + asset("panels.css")
    script = asset("report.js")
    return environment.get_template("report.html").render(
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=policy(style, script),
        **_content(run),
    )


def _content(run: _Run) -> dict[str, Any]:
    """Return what the template shows."""
    record = run.record
    label = record.model.labels[0]
    embedder = Embedder(run.output, budget=PICTURE_BUDGET)
    cards = [card_of(n, run.rows[n], record, embedder) for n in _chosen(run.rows)]
    scores = [
        (row.probability, row.band)
        for row in run.rows
        if row.band is not None and row.probability is not None
    ]
    flag, review = record.model.thresholds[label], record.model.reviews[label]
    refused = [row for row in run.rows if row.status is Status.OUT_OF_SCOPE]
    return {
        "run": record,
        "label": label,
        "flag": flag,
        "review": review,
        "cards": cards,
        "embedded": embedder.embedded,
        "states": _states(record),
        "workload": workload(record),
        "histogram": histogram(scores, review=review, flag=flag),
        "stops": gradient(record.heatmap.colours, record.heatmap.opacity),
        "limits": LIMITS_OF_A_MAP,
        "refused": refused[:MOST_LINES],
        "refused_total": len(refused),
        "errors": run.errors[:MOST_LINES],
        "errors_total": len(run.errors),
        "card": _markdown(record.model.card),
        "finished": record.sessions[-1] if record.sessions else None,
        "data": _data(run),
    }


def _chosen(rows: Sequence[WorklistRow]) -> list[int]:
    """Return which rows get a card: the most urgent, and some of each other state."""
    chosen = list(range(min(len(rows), MOST_CARDS)))
    for status in (Status.OUT_OF_SCOPE, Status.ERROR):
        rest = range(MOST_CARDS, len(rows))
        chosen += islice((n for n in rest if rows[n].status is status), MORE_CARDS)
    return chosen


def _states(record: RunRecord) -> list[tuple[str, str, int]]:
    """Return key, words and number of images of each state, most urgent first."""
    counts = record.counts
    return [
        ("flag", "Flag", counts.flag),
        ("review", "Review", counts.review),
        ("no-flag", "No flag", counts.no_flag),
        ("out_of_scope", "Out of scope", counts.out_of_scope),
        ("error", "Not read", counts.error),
    ]


def _data(run: _Run) -> Markup:
    """Return every row as JSON that cannot end the element it stands in."""
    model = run.record.model
    rows = [
        [
            row.rank,
            row.path,
            state_of(row),
            row.probability,
            row.reason,
            row.patient_id,
            [(row.probabilities or {}).get(label) for label in model.labels],
            beside(row.thumbnail),
            beside(row.heatmap),
        ]
        for row in run.rows
    ]
    value = {
        "labels": model.labels,
        "flags": [model.thresholds[label] for label in model.labels],
        "reviews": [model.reviews[label] for label in model.labels],
        "rows": rows,
    }
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for unsafe in "<>&":
        text = text.replace(unsafe, f"\\u{ord(unsafe):04x}")
    return Markup(text)  # noqa: S704 - no character of it can end a script element


def _markdown(card: str) -> Markup:
    """Return a model's card as HTML; HTML in it is shown as text, pictures as links."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(parser.render(card))  # noqa: S704 - it was escaped by the parser
