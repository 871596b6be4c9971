"""Slides with flipped, cut and lying bytes are read or refused, and nothing else."""

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit
from slides import stained_picture, write_dicom_slide, write_tiff_slide

from medcnn.errors import MedcnnError
from medcnn.io.slide import open_slide, slide_kind

PICTURE = stained_picture(200, 150)
LIES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")


def write(folder, name):
    if name.endswith(".tif"):
        kind, _, compression = name.removesuffix(".tif").partition("-")
        return write_tiff_slide(
            folder / name, PICTURE, kind=kind, compression=compression, downs=(1, 2)
        )
    syntax = JPEGBaseline8Bit if name == "jpeg" else JPEG2000Lossless
    options = {"sparse": name == "sparse", "downs": (1,), "label": False}
    if name in {"jpeg", "jpeg2000"}:
        options["syntax"] = syntax
    return write_dicom_slide(folder / name, PICTURE, **options) / "level-1.dcm"


def mutant(data, number, rng):
    """Return a copy that is cut off, has some bytes changed, or lies about a size."""
    changed = bytearray(data)
    if number % 4 == 0:
        return changed[: rng.integers(200, len(data))]
    if number % 4 == 3:
        at = rng.integers(0, min(len(data), 6000))
        changed[at : at + 4] = LIES[number % 3]
        return changed
    within = min(len(data), 4000) if number % 4 == 1 else len(data)
    for _ in range(3 if number % 4 == 1 else 20):
        changed[rng.integers(0, within)] = rng.integers(256)
    return changed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    [
        "full", "sparse", "jpeg", "jpeg2000",
        "plain-jpeg.tif", "svs-jpeg2000.tif", "ome-deflate.tif", "plain-lzw.tif",
    ],
)  # fmt: skip
def test_a_broken_slide_is_read_or_refused(tmp_path, name):
    source = write(tmp_path, name)
    data, rng = source.read_bytes(), np.random.default_rng(11)
    target = tmp_path / f"mutant{source.suffix}"
    ends = {"read": 0, "refused": 0}
    for number in range(60):
        target.write_bytes(mutant(data, number, rng))
        try:
            if not slide_kind(target):
                continue
            with open_slide(target) as slide:
                slide.tiles((64, 64), tissue=False).tile(0, 0)
                slide.thumbnail(64)
        except MedcnnError as error:
            assert error.message  # noqa: PT017 - any of them, but one of ours
            ends["refused"] += 1
        else:
            ends["read"] += 1
    assert ends["refused"] > 5
    assert ends["read"] > 0
