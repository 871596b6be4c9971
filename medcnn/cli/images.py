"""The images that the paths of a command line stand for.

They may come from anywhere, so they are read in a worker process with limits.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import medcnn
from medcnn.cli.console import complain, error_facts, say, waiting
from medcnn.errors import MedcnnError, ReadError

__all__ = ["Problems", "descriptions_in", "image_of", "images_in"]

Problems = list[dict[str, str]]

_MOST_TOLD = 8


def images_in(
    reader: "medcnn.SafeReader",
    paths: list[Path],
    problems: Problems,
    options: "medcnn.ReadOptions",
) -> Iterator["medcnn.Image"]:
    """Yield every image of these files and folders, one after the other.

    Args:
        reader: Reads them.
        paths: Files, and folders of series or pictures.
        problems: What cannot be read is added to it, and told on stderr.
        options: How they are read.
    """
    for path in paths:
        try:
            study = reader.load_study(path, **asdict(options))
        except MedcnnError as error:
            complain(error)
            problems.append(error_facts(str(path), error))
            continue
        _note(path, len(study.images), study.problems, problems)
        yield from study.images


def image_of(
    reader: "medcnn.SafeReader",
    description: "medcnn.Description",
    problems: Problems,
    options: "medcnn.ReadOptions",
) -> "medcnn.Image | None":
    """Read the image that was described; None, and a problem told, if it is broken."""
    from medcnn.io import is_collection

    path = description.source
    wanted = replace(options, part=description.part if description.parts > 1 else None)
    try:
        if is_collection(path):
            wanted = replace(wanted, series=description.series_uid)
        return reader.load(path, **asdict(wanted))
    except MedcnnError as error:
        complain(error)
        problems.append(error_facts(str(path), error))
        return None


def descriptions_in(
    reader: "medcnn.SafeReader",
    paths: list[Path],
    problems: Problems,
    options: "medcnn.ReadOptions",
    *,
    quiet: bool,
) -> Iterator["medcnn.Description"]:
    """Yield what the headers in these files and folders say.

    Args:
        reader: Reads them.
        paths: Files and folders.
        problems: What cannot be read is added to it, and told on stderr.
        options: How they would be read.
        quiet: Whether nobody is told that it goes on.
    """
    for path in paths:
        try:
            with waiting(f"Reading headers in {path}", quiet=quiet):
                found, broken = reader.describe_study(path, **asdict(options))
        except MedcnnError as error:
            complain(error)
            problems.append(error_facts(str(path), error))
            continue
        _note(path, len(found), broken, problems)
        yield from found


def _note(
    folder: Path,
    images: int,
    broken: tuple[tuple[Path, str], ...],
    problems: Problems,
) -> None:
    """Tell what in a folder gave nothing, and add it to `problems`."""
    for number, (where, reason) in enumerate(broken):
        error = ReadError(reason, path=where)
        if number < _MOST_TOLD:
            complain(error)
        problems.append(error_facts(str(where), error))
    if len(broken) > _MOST_TOLD:
        say(f"... and {len(broken) - _MOST_TOLD} more like these; --json lists all.")
    if not images and not broken:
        hint = "Name a folder that holds images, or the files."
        empty = ReadError(f"{folder} holds no image", path=folder, hint=hint)
        complain(empty)
        problems.append(error_facts(str(folder), empty))
