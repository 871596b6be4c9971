"""medcnn report: make a stored run's report again."""

from pathlib import Path
from typing import Annotated

import typer

import medcnn
from medcnn.cli.console import answer, printable, say
from medcnn.cli.options import Identify, Json

__all__ = ["report"]


def report(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The --output of medcnn screen or evaluate.",
            metavar="DIR",
            readable=False,
            show_default=False,
        ),
    ],
    *,
    identify: Identify = False,
    as_json: Json = False,
) -> None:
    """Make the report of a stored run or evaluation again.

    A folder without its database, such as a copy, gets a new page from its CSV files.
    """
    from medcnn.evaluation import EVALUATION
    from medcnn.report import REPORT
    from medcnn.screening import republish
    from medcnn.screening.store import STORE

    if (folder / EVALUATION).is_file():
        from medcnn.report.evaluation_page import write_evaluation_report

        page = write_evaluation_report(folder)
    elif (folder / STORE).is_file():
        republish(folder, identify=identify)
        page = folder / REPORT
    else:
        page = medcnn.write_report(folder, identify=identify)
    if identify and _has_pseudonyms(folder):
        say(
            "The run was made without --identify: the page shows pseudonyms and UIDs. "
            "For patients' numbers screen again, with it, into another --output."
        )
    if as_json:
        answer({"report": str(page)})
        return
    typer.echo(printable(str(page)))


def _has_pseudonyms(folder: Path) -> bool:
    """Say whether a screening run names patients by pseudonyms."""
    from medcnn.worklist import RUN, read_run

    path = folder / RUN
    return path.is_file() and read_run(path).patients == "pseudonyms"
