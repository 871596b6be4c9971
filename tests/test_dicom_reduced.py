"""Pictures at less than full detail: means of squares that lie where they say."""

from io import BytesIO

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


def means(pixels, side):
    """The mean of each square, what is left at the edges alone: by numpy."""
    rows, columns = (range(0, n, side) for n in pixels.shape)
    return np.array(
        [[pixels[r : r + side, c : c + side].mean() for c in columns] for r in rows]
    )


def asked(ratio):
    """The size at which a codec leaves out so much detail."""
    return tuple(-(-n // ratio) for n in SHAPE)


def side_of(ratio):
    """Squares are half as wide as what a codec leaves out, two samples at least."""
    return max(ratio // 2, 2)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_a_blob_stays_where_it_is_in_the_world(coding, ratio, tmp_path):
    dataset = film(coding)
    full, small = read(dataset, tmp_path), read(dataset, tmp_path, asked(ratio))
    side = side_of(ratio)
    assert small.picture().shape == tuple(-(-n // side) for n in SHAPE)
    words = f"decoded at 1/{ratio} resolution and brought to 1/{side}"
    assert words in small.provenance[-1]
    moved = np.linalg.norm(centre_mm(small) - centre_mm(full))
    assert moved < 0.05 * ratio * 0.3
    spacing = np.array(full.geometry.spacing_mm) * [side, side, 1]
    np.testing.assert_allclose(small.geometry.spacing_mm, spacing)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_values_are_those_of_the_averaged_full_picture(coding, ratio, tmp_path):
    dataset = film(coding)
    full = read(dataset, tmp_path).picture().astype(np.float64)
    small = read(dataset, tmp_path, asked(ratio)).picture()
    wanted = means(full, side_of(ratio))
    inner = np.s_[2:-3, 2:-3]  # a codec's last samples stand for less than a square
    apart = np.abs(small[inner] - wanted[inner])
    assert apart.max() < 0.02 * full.max()
    assert apart.mean() < 0.003 * full.max()


@pytest.mark.parametrize(
    ("size", "side"), [((301, 263), 1), ((151, 132), 2), ((152, 132), 1), ((5, 9), 4)]
)
def test_a_picture_never_comes_smaller_than_asked_for(size, side, tmp_path):
    small = read(film("JPEG 2000"), tmp_path, size)
    assert small.picture().shape == tuple(-(-n // side) for n in SHAPE)


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
    wanted = 2 * means(pixels, 2) - 5
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


def noisy(bits):
    """Values of that many bits whose neighbours differ."""
    return np.random.default_rng(3).integers(0, 2**bits, SHAPE)


def raw(pixels, **attributes):
    return picture(pixels.astype("<u2"), BitsStored=12, HighBit=11, **attributes)


def jpeg_ls(pixels):
    dataset = raw(pixels)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = encapsulate([imagecodecs.jpegls_encode(pixels.astype("<u2"))])
    dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("make", [raw, jpeg_ls])
@pytest.mark.parametrize("ratio", [4, 8])
def test_codings_without_levels_are_averaged_over_squares(make, ratio, tmp_path):
    image = read(make(noisy(12)), tmp_path, asked(ratio))
    side = ratio // 2
    words = f"decoded at full resolution and brought to 1/{side}"
    assert words in image.provenance[-1]
    assert np.abs(image.picture() - means(noisy(12), side)).max() <= 0.5 + 1e-3


def test_a_raw_film_not_much_larger_than_asked_for_stays_as_it_is(tmp_path):
    image = read(raw(noisy(12)), tmp_path, asked(2))
    np.testing.assert_array_equal(image.picture(), noisy(12))


def test_means_of_eight_bit_values_are_not_rounded(tmp_path):
    dataset = picture(noisy(8).astype("u1"), BitsStored=8)
    image = read(dataset, tmp_path, asked(4))
    np.testing.assert_allclose(image.picture(), means(noisy(8), 2), atol=1e-3)


def test_what_wavelets_swing_beyond_the_bits_stored_is_cut_off(tmp_path):
    edge = np.where(COLUMNS < 131, 0, 1023)
    dataset = film("HTJ2K", edge, BitsStored=10, HighBit=9)
    small = read(dataset, tmp_path, asked(4)).picture()
    assert 0 <= small.min() < 5
    assert 1018 < small.max() <= 1023


def test_a_blob_of_an_averaged_film_stays_where_it_is(tmp_path):
    parts = {"PixelSpacing": [0.4, 0.3], "ImagePositionPatient": [-20, 35, 7]}
    parts["ImageOrientationPatient"] = [f"{v:.10g}" for v in oblique()]
    dataset = raw(blob(12), SliceThickness=2, **parts)
    full, small = read(dataset, tmp_path), read(dataset, tmp_path, (40, 40))
    assert small.picture().shape == (151, 132)
    assert np.linalg.norm(centre_mm(small) - centre_mm(full)) < 0.03


def test_a_window_that_clips_is_applied_before_the_average(tmp_path):
    window = {"WindowCenter": 2000, "WindowWidth": 300, "Modality": "DX"}
    dataset = raw(noisy(12), **window)
    full, small = read(dataset, tmp_path), read(dataset, tmp_path, (40, 40))
    assert np.abs(small.picture() - means(full.picture(), 2)).max() <= 0.5 + 1e-3


def test_garbage_in_unused_bits_is_dropped_before_the_average(tmp_path):
    clean = noisy(12)
    dirty = clean | (np.random.default_rng(4).integers(0, 16, SHAPE) << 12)
    small = read(raw(dirty), tmp_path, (40, 40)).picture()
    assert np.abs(small - means(clean, 2)).max() <= 0.5 + 1e-3


def test_signed_values_are_averaged_as_such(tmp_path):
    pixels = noisy(12) - 2048
    dataset = raw(pixels & 0xFFF, PixelRepresentation=1)
    small = read(dataset, tmp_path, (40, 40)).picture()
    assert np.abs(small - means(pixels, 2)).max() <= 0.5 + 1e-3


def test_padding_of_a_raw_film_is_not_mixed_with_others(tmp_path):
    image = read(raw(noisy(12), PixelPaddingValue=0), tmp_path, (40, 40))
    assert image.picture().shape == SHAPE
    assert "Pixel Padding Value" in image.provenance[-1]
