"""Which images a model was made with: the list that lies in its bundle.

It names no file and no patient: a row holds checksums only, of the path as it stands
in the table, of the file and of the pixel values. Patients are counted through: no
checksum of a number that somebody could try. Who has an image can find out whether the
model has seen it; who has only the list learns how many images and patients there were.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from medcnn.dataset.cases import CaseTable
from medcnn.errors import BundleError

__all__ = ["SEEN", "SeenImages", "read_seen", "seen_csv"]

SEEN = "splits.csv"
"""The list's name in a bundle."""

_COLUMNS = ("case", "patient", "split", "fold", "file", "pixels")


@dataclass(frozen=True)
class SeenImages:
    """The images that a model was made with.

    Attributes:
        files: The split of each file's checksum, one of `content_hashes`.
        pixels: The split of each `Look.checksum`.
    """

    files: Mapping[str, str]
    pixels: Mapping[str, str]

    def split_of(self, file: str = "", pixels: str = "") -> str:
        """Return train, val or test for an image of the list, "" for another one."""
        return self.files.get(file, "") or self.pixels.get(pixels, "")


def seen_csv(
    table: CaseTable,
    hashes: Sequence[str],
    pixels: Sequence[str],
    folds: npt.NDArray[np.intp] | None,
) -> bytes:
    """Return the list.

    Args:
        table: All cases, with their splits.
        hashes: Their `content_hashes`.
        pixels: Their `Look.checksum`.
        folds: The fold of each case, if there are folds.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    root = table.source if table.source.is_dir() else table.source.parent
    patients: dict[str, str] = {}
    for n, case in enumerate(table.cases):
        inside = case.path.is_relative_to(root)
        path = case.path.relative_to(root) if inside else case.path
        patient = ""
        if case.patient_id is not None:
            patient = patients.setdefault(case.patient_id, str(len(patients) + 1))
        fold = "" if folds is None or folds[n] < 0 else str(folds[n] + 1)
        row = _sum(path.as_posix()), patient, case.split or "", fold
        writer.writerow((*row, hashes[n], pixels[n]))
    return file.getvalue().encode()


def read_seen(content: bytes) -> SeenImages:
    """Read the list.

    Raises:
        BundleError: If it is none.
    """
    try:
        rows = csv.DictReader(io.StringIO(content.decode()), strict=True)
        files, pixels = {}, {}
        for row in rows:
            files[row["file"]] = row["split"]
            pixels[row["pixels"]] = row["split"]
    except (UnicodeDecodeError, csv.Error, KeyError) as error:
        msg = f"{SEEN} of the bundle cannot be read: {error!r}"
        raise BundleError(msg, hint="Copy the bundle again.") from error
    files.pop("", None)
    pixels.pop("", None)
    return SeenImages(MappingProxyType(files), MappingProxyType(pixels))


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
