"""Before the first step: images are decoded, copies found, splits made or refused."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lightning import Fabric

from medcnn.dataset import (
    CaseTable,
    Leaks,
    Looks,
    Twin,
    assign_splits,
    contradictions,
    find_leaks,
    find_twins,
    joined,
    leave_out_copies,
    name_patients,
    refuse_leaks,
)
from medcnn.outputs import write_whole
from medcnn.planning.recipe import Recipe
from medcnn.training.cache import Pixels, build_cache
from medcnn.training.reporter import Reporter
from medcnn.worklist import safe_cell

__all__ = [
    "SPLITS_FILE",
    "Place",
    "Prepared",
    "prepare",
    "refuse_early",
    "settle_splits",
    "write_splits",
]

SPLITS_FILE = "splits.csv"
"""Which case was in which split, in the folder of the training."""

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Place:
    """Where a training runs.

    Attributes:
        work: Its folder; the cache of decoded images lies there.
        fabric: Lightning's hand on the devices.
        reporter: Where words go.
    """

    work: Path
    fabric: Fabric
    reporter: Reporter


@dataclass(frozen=True, eq=False)
class Prepared:
    """Labelled images with their splits, decoded and looked through.

    Attributes:
        table: Cases with patients, as far as known, and splits.
        same: One name for each case, the same for copies of an image.
        leaks: What is in several splits nevertheless, because that was allowed.
        notes: What was found out, in words; names no patient and no file of theirs.
        named: The files that it was found out of, for whoever trains.
        checksums: Of each image's pixel values.
    """

    table: CaseTable
    same: tuple[str, ...]
    leaks: Leaks
    notes: tuple[str, ...]
    checksums: tuple[str, ...]
    named: tuple[str, ...] = ()


def prepare(
    table: CaseTable,
    hashes: Sequence[str],
    recipe: Recipe,
    place: Place,
    *,
    allow_leak: bool = False,
) -> tuple[Prepared, Pixels]:
    """Decode all images once and give each case its split.

    Args:
        table: Cases as read.
        hashes: Their `content_hashes`.
        recipe: The recipe.
        place: Where it is done; of several processes the first decodes.
        allow_leak: Train although patients or images are in several splits.

    Returns:
        The cases, and their pixels in the same order.

    Raises:
        DataError: If images cannot be read, or are too few; LeakageError if a patient
            or an image is in several splits.
        OutputError: If the cache cannot be written.
    """
    reporter, fabric = place.reporter, place.fabric
    if not fabric.is_global_zero:
        fabric.barrier()
    with reporter.bar("reading images", len(table.cases)) as tick:
        pixels, looks = build_cache(
            table,
            hashes,
            recipe.input,
            place.work / "cache",
            tick=lambda more: tick(more, ""),
        )
    if fabric.is_global_zero:
        fabric.barrier()
    done = settle_splits(table, looks, recipe, allow_leak=allow_leak)
    for note in (*done.notes, *done.named):
        reporter.say(note)
    return done, pixels


def refuse_early(table: CaseTable, hashes: Sequence[str], *, allow_leak: bool) -> None:
    """Refuse what leaks by the table and the files alone, before images are decoded.

    Args:
        table: Cases as read.
        hashes: Their `content_hashes`.
        allow_leak: Refuse nothing.

    Raises:
        LeakageError: If a patient or a file is in several stated splits.
    """
    if allow_leak:
        return
    first: dict[str, int] = {}
    pairs = [(first.setdefault(one, n), n) for n, one in enumerate(hashes)]
    twins = tuple(Twin(a, b, 1.0, identical=True) for a, b in pairs if a != b)
    refuse_leaks(table, find_leaks(table, twins))


def settle_splits(
    table: CaseTable, looks: Looks, recipe: Recipe, *, allow_leak: bool
) -> Prepared:
    """Give every case its split, so that no patient and no image is in two.

    Args:
        table: Cases as read.
        looks: What their images look like.
        recipe: Its seed and share of val decide what is drawn.
        allow_leak: Keep stated splits although patients or images are in several.

    Raises:
        DataError: If there are too few cases; LeakageError if a patient or an image is
            in several stated splits.
    """
    table, known = name_patients(table, looks)
    notes = [f"{known[0].upper()}{known[1:]}."]
    twins = find_twins(looks)
    same = joined(twins, len(table.cases))
    if table.kind == "data set" and not allow_leak:
        table, out = leave_out_copies(table, twins)
        if out:
            notes.append(
                f"{len(out)} images are left out, since val or test holds a copy: "
                f"{_some(out)}."
            )
    rng = np.random.default_rng((recipe.seed, 0))
    table = assign_splits(table, same, rng=rng, val_share=recipe.val_share)
    leaks = find_leaks(table, twins)
    if leaks and not allow_leak:
        refuse_leaks(table, leaks)
    if leaks:
        notes.append(f"Leaks were allowed: {leaks.counted()}. Results are too good.")
    torn, named = contradictions(table, twins), tuple[str, ...]()
    if torn:
        words = "pairs of identical images have different labels; one is wrong"
        notes.append(f"{len(torn)} {words} of each.")
        named = (f"Different labels: {_some(torn)}.",)
    checksums = tuple(str(name) for name in looks.checksums)
    return Prepared(table, same, leaks, tuple(notes), checksums, named)


def write_splits(table: CaseTable, work: Path) -> None:
    """Keep which case was in which split, beside the training.

    It names patients as the user's table does, and those that only headers name by an
    image. What the bundle keeps of it names nobody: see `medcnn.dataset.seen`.

    Raises:
        OutputError: If it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "patient_id", "split"))
    for case in table.cases:
        patient = safe_cell(case.patient_id or "")
        writer.writerow((case.path.absolute(), patient, case.split))
    write_whole(work / SPLITS_FILE, text.getvalue().encode())


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:_SHOWN]) + ("; ..." if len(lines) > _SHOWN else "")
