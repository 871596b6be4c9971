"""The images that the paths of a command line stand for."""

from collections.abc import Iterator
from pathlib import Path

import medcnn
from medcnn.cli.console import complain, error_facts
from medcnn.errors import MedcnnError, ReadError

__all__ = ["Problems", "descriptions_in", "images_in"]

Problems = list[dict[str, str]]


def images_in(paths: list[Path], problems: Problems) -> Iterator["medcnn.Image"]:
    """Yield every image of these files and folders, one after the other.

    Args:
        paths: Files, and folders of series or pictures.
        problems: What cannot be read is added to it, and told on stderr.
    """
    for path in paths:
        try:
            if not path.is_dir():
                yield medcnn.load(path)
                continue
            study = medcnn.load_study(path)
        except MedcnnError as error:
            complain(error)
            problems.append(error_facts(str(path), error))
            continue
        for where, reason in study.problems:
            complain(ReadError(f"{where}: {reason}"))
            problems.append(error_facts(str(where), ReadError(reason, path=where)))
        yield from study.images


def descriptions_in(
    paths: list[Path], problems: Problems
) -> Iterator["medcnn.Description"]:
    """Yield what the headers in these files and folders say.

    Args:
        paths: Files and folders.
        problems: What cannot be read is added to it, and told on stderr.
    """
    for path in paths:
        try:
            yield medcnn.describe(path)
        except MedcnnError as error:
            complain(error)
            problems.append(error_facts(str(path), error))
