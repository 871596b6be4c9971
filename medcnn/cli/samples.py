"""medcnn samples: real images to try it on."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import medcnn
from medcnn.cli.console import answer, say, show
from medcnn.cli.options import Json, Quiet

__all__ = ["samples"]


def samples(
    folder: Annotated[
        Path, typer.Argument(help="Where to.", metavar="DIR", show_default=False)
    ],
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write real radiographs and volumes to DIR, to try it on.

    They come from the installed packages that carry them; nothing is downloaded.
    """
    written = medcnn.write_samples(folder)
    if as_json:
        answer([{"path": str(folder / one.name), **asdict(one)} for one in written])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("file", "shows", "from"):
        table.add_column(title, overflow="fold")
    for one in written:
        table.add_row(*(Text(words) for words in (one.name, one.shows, one.package)))
    show(table)
    say(f"{len(written)} images are in {folder}; SOURCES.md says more.", quiet=quiet)
