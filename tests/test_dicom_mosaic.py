"""Siemens mosaics: tiles to slices, on a phantom and on real series."""

import struct

import numpy as np
import pytest
from dicoms import AXIAL, CORONAL, decimal, oblique, save, self_describing, series
from pydicom.uid import generate_uid
from test_dicom_series import worst_error

from medcnn import io
from medcnn.errors import ReadError, SeveralSeriesError

TILES, ROWS, COLUMNS, SPACING = 7, 9, 11, 2.5


def csa(**values):
    """Return a CSA image header in its second form."""
    head = b"SV10\4\3\2\1" + struct.pack("<II", len(values), 77)
    for name, items in values.items():
        head += struct.pack("<64si4s3i", name.encode(), len(items), b"FD", 4, 6, 77)
        for item in (*items, *[""] * (6 - len(items))):
            text = f"{item}\0".encode() if item != "" else b""
            size = len(text)
            head += (
                struct.pack("<4i", size, size, 77, size) + text + b"\0" * (-size % 4)
            )
    return head


def mosaic(cosines=AXIAL, *, sign=1, tiles=TILES, **changes):
    """Return the self-describing phantom as a mosaic of 3 x 3 tiles."""
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    normal = sign * np.cross(across, down)
    slices = series(
        cosines, count=tiles, slice_step=lambda k: SPACING * k * normal, modality="MR"
    )
    picture = np.zeros((3 * ROWS, 3 * COLUMNS), "<u2")
    for k, slice_ in enumerate(slices):
        row, column = ROWS * (k // 3), COLUMNS * (k % 3)
        tile = np.frombuffer(slice_.PixelData, "<u2").reshape(ROWS, COLUMNS)
        picture[row : row + ROWS, column : column + COLUMNS] = tile
    whole = slices[0]
    whole.Rows, whole.Columns = picture.shape
    whole.PixelData = picture.tobytes() + b"\0" * (picture.nbytes % 2)
    # the mosaic's position is that of a slice as large as all of it
    corner = np.array(whole.ImagePositionPatient, float)
    corner = corner - across * 0.8 * COLUMNS - down * 0.6 * ROWS
    whole.ImagePositionPatient = [decimal(v) for v in corner]
    whole.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    whole.SpacingBetweenSlices = SPACING
    whole.SOPInstanceUID = generate_uid()
    block = whole.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", changes.get("count", tiles))
    values = {"SliceNormalVector": changes.get("normal", normal.tolist())}
    raw = csa(EchoLinePosition=[1], **values)
    block = whole.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", changes.get("raw", raw))
    return whole


@pytest.mark.parametrize("cosines", [AXIAL, CORONAL, oblique()])
@pytest.mark.parametrize("sign", [1, -1])
def test_tiles_lie_where_their_values_say(cosines, sign, tmp_path):
    path = save(mosaic(cosines, sign=sign), tmp_path / "a.dcm")
    image = io.load(path)
    assert image.shape == (COLUMNS, ROWS, TILES)
    assert worst_error(image) <= 0.501
    assert "unpacked: the tiles of a mosaic are slices" in image.provenance
    description = io.describe(path)
    assert description.shape == image.shape
    assert description.steps == image.provenance


def test_mosaics_of_a_time_series_are_parts(tmp_path):
    first = mosaic()
    save(first, tmp_path / "0.dcm")
    first.AcquisitionNumber = 2
    first.SOPInstanceUID = generate_uid()
    first.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    save(first, tmp_path / "1.dcm")
    with pytest.raises(SeveralSeriesError, match="part 2: acquisition 2"):
        io.load(tmp_path)
    assert worst_error(io.load(tmp_path, part=2)) <= 0.501


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"count": 17}, "33 x 27 pixels are not 17 tiles"),
        ({"count": 0}, "33 x 27 pixels are not 0 tiles"),
        ({"raw": b""}, "does not say to which side its slices go"),
        ({"raw": b"SV10" + bytes(300)}, "does not say to which side its slices go"),
        ({"raw": csa(SliceNormalVector=[1])}, "does not say to which side"),
        ({"normal": [1.0, 0.0, 0.0]}, "do not follow each other along their normal"),
    ],
)
def test_a_mosaic_that_does_not_say_how_it_is_laid_out_is_refused(
    changes, reason, tmp_path
):
    path = save(mosaic(**changes), tmp_path / "a.dcm")
    for read in (io.load, io.describe):
        with pytest.raises(ReadError, match=f"it is a mosaic.*{reason}"):
            read(path)


def test_a_private_header_that_is_cut_off_at_any_byte_is_refused_or_read(tmp_path):
    whole = csa(EchoLinePosition=[1], SliceNormalVector=[0.0, 0.0, 1.0])
    for size in range(0, len(whole), 7):
        path = save(mosaic(raw=whole[:size]), tmp_path / "a.dcm")
        try:
            image = io.load(path)
        except ReadError:
            continue
        assert worst_error(image) <= 0.501


def test_the_phantom_is_what_it_says():
    assert self_describing(np.zeros(3)) == 4000
