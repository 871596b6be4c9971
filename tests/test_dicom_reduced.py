"""Pictures at a half, quarter or eighth: as wanted, where they say, never smaller."""

from io import BytesIO

import cv2
import imagecodecs
import numpy as np
import PIL.Image
import pytest
from dicoms import lut_item, oblique, picture, save
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)

from medcnn import io

SHAPE = (301, 263)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
PLACE = (170.3, 98.6)


def blob(bits):
    """A bright blob on a dark ground, centred at PLACE (row, column)."""
    near = ((ROWS - PLACE[0]) ** 2 + (COLUMNS - PLACE[1]) ** 2) / (2 * 18**2)
    return np.rint(0.1 * 2**bits + 0.7 * 2**bits * np.exp(-near))


def j2k(pixels, **options):
    options = {"level": 0, "codecformat": "J2K"} | options
    return imagecodecs.jpeg2k_encode(pixels, **options)


def in_tiles(pixels):
    out = BytesIO()
    picture = PIL.Image.fromarray(pixels)
    picture.save(out, "JPEG2000", tile_size=(100, 70), no_jp2=True)
    return out.getvalue()


CODINGS = {
    "JPEG 2000": (JPEG2000Lossless, 12, lambda p: j2k(p, bitspersample=12)),
    "tiles": (JPEG2000Lossless, 8, in_tiles),
    "HTJ2K": (HTJ2KLossless, 16, imagecodecs.htj2k_encode),
    "JPEG": (JPEGBaseline8Bit, 8, lambda p: imagecodecs.jpeg8_encode(p, level=95)),
}


def film(coding, pixels=None, **attributes):
    syntax, bits, encode = CODINGS[coding]
    if pixels is None:
        pixels = blob(bits)
    pixels = pixels.astype("u1" if bits == 8 else "<u2")
    parts = {"BitsStored": bits, "PixelSpacing": [0.4, 0.3], "SliceThickness": 2}
    parts["ImagePositionPatient"] = [-20, 35, 7]
    parts["ImageOrientationPatient"] = [f"{v:.10g}" for v in oblique()]
    dataset = picture(pixels, **(parts | attributes))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encode(pixels)])
    dataset["PixelData"].VR = "OB"
    return dataset


def read(dataset, tmp_path, size=None):
    return io.load(save(dataset, tmp_path / "a.dcm"), size=size)


def centre_mm(image):
    """World position of the blob: the centre of what stands out."""
    weight = image.picture().astype(float)
    weight = np.clip(weight - np.percentile(weight, 60), 0, None)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]]
    i = (weight * columns).sum() / weight.sum()
    j = (weight * rows).sum() / weight.sum()
    return image.geometry.to_world([i, j, 0])


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_a_blob_stays_where_it_is_in_the_world(coding, ratio, tmp_path):
    size = tuple(-(-n // ratio) for n in SHAPE)
    dataset = film(coding)
    full, small = read(dataset, tmp_path), read(dataset, tmp_path, size)
    assert small.picture().shape == size
    assert f"decoded at 1/{ratio} resolution" in small.provenance[-1]
    moved = np.linalg.norm(centre_mm(small) - centre_mm(full))
    assert moved < 0.05 * ratio * 0.3
    spacing = np.array(full.geometry.spacing_mm) * [ratio, ratio, 1]
    np.testing.assert_allclose(small.geometry.spacing_mm, spacing)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_values_are_those_of_the_averaged_full_picture(coding, ratio, tmp_path):
    dataset = film(coding)
    full = read(dataset, tmp_path).picture().astype(np.float32)
    small = read(dataset, tmp_path, tuple(-(-n // ratio) for n in SHAPE)).picture()
    blurred = cv2.blur(full, (ratio, ratio)) if coding == "JPEG" else full
    shift = ratio // 2 if coding == "JPEG" else 0
    wanted = blurred[shift::ratio, shift::ratio]
    inner = small[: wanted.shape[0] - 1, : wanted.shape[1] - 1].astype(float)
    wanted = wanted[: inner.shape[0], : inner.shape[1]]
    assert np.corrcoef(inner.ravel(), wanted.ravel())[0, 1] > 0.999
    assert abs(inner.mean() - wanted.mean()) < 0.005 * full.max()


@pytest.mark.parametrize(
    ("size", "ratio"), [((301, 263), 1), ((151, 132), 2), ((152, 132), 1), ((5, 9), 8)]
)
def test_a_picture_never_comes_smaller_than_asked_for(size, ratio, tmp_path):
    small = read(film("JPEG 2000"), tmp_path, size)
    assert small.picture().shape == tuple(-(-n // ratio) for n in SHAPE)


def test_no_more_levels_are_left_out_than_there_are(tmp_path):
    pixels = blob(12).astype("<u2")
    dataset = film("JPEG 2000")
    frame = j2k(pixels, bitspersample=12, resolutions=2)
    dataset.PixelData = encapsulate([frame])
    assert read(dataset, tmp_path, (9, 9)).picture().shape == (151, 132)


@pytest.mark.parametrize("is_signed", [False, True])
def test_steps_after_decoding_are_the_same(is_signed, tmp_path):
    pixels = blob(12) - (2048 if is_signed else 0)
    kind = "<i2" if is_signed else "<u2"
    dataset = film("JPEG 2000", RescaleSlope=2, RescaleIntercept=-5, Modality="CT")
    dataset.PixelRepresentation = int(is_signed)
    frame = j2k(pixels.astype(kind), bitspersample=12)
    dataset.PixelData = encapsulate([frame])
    small = read(dataset, tmp_path, (70, 60))
    assert small.unit == "HU"
    wanted = 2 * pixels[::4, ::4] - 5
    assert np.abs(small.picture() - wanted).max() < 60


def test_padding_is_not_mixed_with_others(tmp_path):
    image = read(film("JPEG 2000", PixelPaddingValue=0), tmp_path, (40, 40))
    assert image.picture().shape == SHAPE
    assert "full resolution" in image.provenance[-1]
    assert "Pixel Padding Value" in image.provenance[-1]


def test_a_folded_look_up_table_is_not_mixed(tmp_path):
    dataset = film("JPEG 2000")
    fold = np.abs(np.arange(4096) - 2000).tolist()
    dataset.ModalityLUTSequence = Sequence([lut_item(fold, 0, 12)])
    image = read(dataset, tmp_path, (40, 40))
    assert image.picture().shape == SHAPE
    assert "rises and falls" in image.provenance[-1]


def test_codings_that_cannot_be_reduced_come_in_full(tmp_path):
    dataset = film("JPEG 2000")
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    frame = imagecodecs.jpegls_encode(blob(12).astype("<u2"))
    dataset.PixelData = encapsulate([frame])
    image = read(dataset, tmp_path, (40, 40))
    assert image.picture().shape == SHAPE
    assert not any("resolution" in step for step in image.provenance)


def test_a_raw_film_comes_in_full(tmp_path):
    pixels = blob(12).astype("<u2")
    image = read(picture(pixels), tmp_path, (40, 40))
    np.testing.assert_array_equal(image.picture(), pixels)
