"""Make report.html of a run's files."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from medcnn.outputs import write_whole
from medcnn.report.cards import card_of, state_of
from medcnn.report.figures import gradient, histogram
from medcnn.report.groups import Facts, groups_of
from medcnn.report.markup import asset, policy, templates
from medcnn.report.pictures import Embedder, beside
from medcnn.report.workload import workload
from medcnn.results import LIMITS_OF_A_MAP, Status
from medcnn.worklist import (
    ERRORS,
    REPORT,
    RUN,
    WORKLIST,
    ErrorRow,
    RunRecord,
    WorklistRow,
    read_errors,
    read_run,
    read_worklist,
)

__all__ = ["write_report"]

MOST_CARDS = 48
"""Images that are in the page itself for print and without scripts, the most urgent
on; the list that the page's script draws has all."""

MORE_CARDS = 12
"""Further ones of images out of scope, and of files that could not be read."""

MOST_LINES = 500
"""Lines of the tables of errors and of what is out of scope."""

PICTURE_BUDGET = 4 * 2**20
"""Bytes of pictures in the page itself: the most urgent ones survive a lone copy."""

_SCRIPTS = ("rows", "marks", "filters", "list", "viewer", "keys")


@dataclass(frozen=True)
class _Run:
    """Everything a report is made of."""

    output: Path
    record: RunRecord
    rows: tuple[WorklistRow, ...]
    errors: tuple[ErrorRow, ...]
    identify: bool
    facts: Facts


def write_report(
    output: Path, *, identify: bool = False, facts: Facts | None = None
) -> Path:
    """Write report.html into a screening run's output folder, from its files.

    Args:
        output: Folder with worklist.csv, errors.csv, run.json and pictures.
        identify: Whether patients' numbers and DICOM UIDs are put into the page.
        facts: What images' headers say, by path and by name: subgroups to pick out.

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
        identify,
        facts or {},
    )
    page = output / REPORT
    write_whole(page, _render(run).encode("utf-8", errors="replace"))
    return page


def _render(run: _Run) -> str:
    """Return the page's text."""
    environment = templates()
    environment.filters["count"] = lambda number: f"{number:,}"
    style, script = asset("report.css") + asset("panels.css"), _script()
    return environment.get_template("report.html").render(
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704
        policy=policy(style, script),
        **_content(run),
    )


def _script() -> str:
    """Return the page's script: its files in one scope of their own."""
    parts = "\n".join(asset(f"report/{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


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
        "identify": run.identify,
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
    groups = groups_of([row.path for row in run.rows], run.output, run.facts)
    value = {
        "run": _run_key(run.record),
        "identify": run.identify,
        "model": f"{model.name} {model.version}",
        "sha256": model.sha256,
        "labels": model.labels,
        "flags": [model.thresholds[label] for label in model.labels],
        "reviews": [model.reviews[label] for label in model.labels],
        "groups": [{"name": one.name, "values": one.values} for one in groups],
        "rows": [
            _row(row, run, [one.places[n] for one in groups])
            for n, row in enumerate(run.rows)
        ],
    }
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for unsafe in "<>&":
        text = text.replace(unsafe, f"\\u{ord(unsafe):04x}")
    return Markup(text)  # noqa: S704 - no character of it can end a script element


def _row(row: WorklistRow, run: _Run, groups: list[int | str]) -> list[Any]:
    """Return what the script knows of an image, in the order of rows.js."""
    cells = [
        row.rank,
        row.path,
        state_of(row),
        row.probability,
        row.reason,
        row.patient_id if run.identify else "",
        [(row.probabilities or {}).get(label) for label in run.record.model.labels],
        beside(row.thumbnail),
        beside(row.heatmap),
        groups,
    ]
    if run.identify:
        cells.append([row.study_uid, row.series_uid, row.sop_uid])
    return cells


def _run_key(record: RunRecord) -> str:
    """Return what a run is known by, however often its report is made again."""
    began = record.sessions[0].started if record.sessions else ""
    parts = (record.model.sha256, record.root, began)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _markdown(card: str) -> Markup:
    """Return a model's card as HTML; HTML in it is shown as text, pictures as links."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(parser.render(card))  # noqa: S704 - it was escaped by the parser
