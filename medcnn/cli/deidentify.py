"""medcnn deidentify: images without whose they are, in a folder of their own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from medcnn.cli.console import answer, complain, end, error_facts, progress_bar, say
from medcnn.cli.images import Problems
from medcnn.cli.options import Json, OutputFolder, Paths, Quiet
from medcnn.errors import MedcnnError

__all__ = ["deidentify"]

_MOST_TOLD = 8


def deidentify(
    paths: Paths,
    *,
    output: OutputFolder,
    key: Annotated[
        Path | None,
        typer.Option(
            help="File with the secret that new identifiers follow from, made if there "
            "is none: with it a later run gives a patient the same number. Keep it as "
            "safe as the images; without it nothing is kept.",
            show_default=False,
        ),
    ] = None,
    retain: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep more than the Basic Profile, by an option of PS3.15: UIDs; the "
            "device; the institution; sex, age, size and weight; dates, each patient's "
            "shifted by one secret number of days. Repeatable.",
            metavar="uids|device|institution|patient|shifted-dates",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy DICOM images without whose they are.

    By the Basic Profile of DICOM PS3.15: names, numbers, dates, descriptions and
    private elements go; UIDs and the patient's number are replaced, alike for alike.
    Words in the pixels stay: which images may have some is told. Reports and plans are
    left out. Nothing is overwritten.
    """
    from medcnn.dicom_out.deidentification import (
        Pseudonyms,
        Retain,
        check_apart,
        deidentify_file,
        read_or_make_key,
    )
    from medcnn.io.discover import discover

    check_apart(output, paths if key is None else [*paths, key])
    pseudonyms = Pseudonyms(read_or_make_key(key) if key is not None else None)
    kept = _options(retain or (), Retain)
    problems: Problems = []
    done = []
    files = list(discover(paths))
    with progress_bar("De-identified", unit="files", quiet=quiet) as advance:
        for number, found in enumerate(files, start=1):
            try:
                done.append(deidentify_file(found.path, output, pseudonyms, kept))
            except MedcnnError as error:
                problems.append(error_facts(str(found.path), error))
                if len(problems) <= _MOST_TOLD:
                    complain(error, found.path)
            advance(number, len(files))
    if as_json:
        rows = [
            {"path": str(one.path), "new": one.is_new, "burned_in": one.burned_in}
            for one in done
        ]
        answer({"images": rows, "errors": problems})
    marks: list[str] = [one.burned_in for one in done]
    for words in _summary(output, marks, len(problems)):
        say(words, quiet=quiet)
    end(answers=len(done), problems=len(problems))


def _options(named: Iterable[str], known: Any) -> frozenset[Any]:
    """Return the options of these names.

    Raises:
        BadParameter: If one is none.
    """
    try:
        return frozenset(known(name) for name in named)
    except ValueError as error:
        msg = f"--retain: {error}; there are {', '.join(known)}"
        raise typer.BadParameter(msg) from error


def _summary(output: Path, marks: list[str], problems: int) -> list[str]:
    """Say how much there was, and what nobody looked at."""
    words = [f"{len(marks)} image{'s' * (len(marks) != 1)} in {output}."]
    if problems:
        words.append(f"{problems} file{'s' * (problems != 1)} left out.")
    if marks.count("yes"):
        words.append(
            f"{marks.count('yes')} say that a name or a face is in the pixels: look at "
            "them before they leave."
        )
    if marks.count("may"):
        words.append(
            f"{marks.count('may')} do not rule out words in the pixels, which nothing "
            "here looks for."
        )
    return words
