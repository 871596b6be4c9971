"""medcnn drift: has a site moved since the model was trained, or since earlier runs?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medcnn.cli.console import answer, say, show
from medcnn.cli.options import Json

if TYPE_CHECKING:
    from medcnn.drift import Comparison

__all__ = ["drift", "in_words"]

_NAMED = 4


def drift(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Outputs of medcnn screen, the run in question last.",
            metavar="RUN...",
            show_default=False,
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Say whether the last run's images moved from those before.

    It is compared with the held-out cases of its model, and with each earlier run:
    scores, the gate's distance, and how the images were acquired.
    """
    from medcnn.screening.drifting import compare_runs

    record, found = compare_runs(runs)
    if as_json:
        comparisons = [one.model_dump(mode="json") for one in found]
        statistics = record.statistics
        images = 0 if statistics is None else statistics.images
        answer({"run": str(runs[-1]), "images": images, "comparisons": comparisons})
        return
    if not found:
        say("The model carries no sample of its own; name an earlier run before it.")
    for one in found:
        show(in_words(one))
        if one.moves:
            show(_table(one))
        for name, why in one.untested.items():
            say(f"  not tested: {name}: {why}")
        for note in one.notes:
            say(f"  note: {note}")


def in_words(one: "Comparison") -> str:
    """Say how a comparison came out, in a line."""
    moved = [move for move in one.moves if move.moved]
    named = "; ".join(f"{move.name} ({move.words})" for move in moved[:_NAMED])
    more = len(moved) - _NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return f"against {one.against}: {one.verdict}" + (
        f": {named}{rest}" if named else ""
    )


def _table(one: "Comparison") -> Any:
    """Lay out what was tested."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for name in ("", "moved", "shift", "PSI", "p, corrected", "n", "what"):
        table.add_column(name)
    for move in one.moves:
        table.add_row(
            move.name,
            "yes" if move.moved else "no",
            f"{move.shift:.2f}",
            f"{move.psi:.2f}",
            f"{move.p_all:.2g}",
            f"{move.before:,} / {move.now:,}",
            move.words,
        )
    return table
