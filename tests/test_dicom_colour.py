"""Colour pictures: as RGB by the closed forms of PS3.3 C.7.6.3.1.2, or refused."""

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
from dicoms import picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcnn import io
from medcnn.errors import DecodeError

RGB = np.random.default_rng(2).integers(0, 256, (12, 10, 3)).astype("u1")
SMOOTH = np.stack(
    [np.add.outer(np.arange(32), np.arange(40)) * s % 256 for s in (1, 2, 3)], -1
).astype("u1")


def colour(pixels, photometric="RGB", **attributes):
    """Return a colour data set whose pixels are given as (rows, columns, 3)."""
    bits = 8 * pixels.dtype.itemsize
    parts = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "BitsStored": bits}
    parts["PhotometricInterpretation"] = photometric
    dataset = picture(pixels[..., 0], **(parts | attributes))
    raw = pixels.tobytes()
    if dataset.PlanarConfiguration:
        raw = pixels.transpose(2, 0, 1).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    return dataset


def compressed(pixels, syntax, frame, photometric="RGB", **attributes):
    dataset = colour(pixels, photometric, **attributes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return dataset


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm")).picture()


def closed_rgb(ybr, bits=8):
    """PS3.3 C.7.6.3.1.2 solved for R, G and B."""
    y, blue, red = (ybr[..., n].astype(float) for n in range(3))
    blue, red = blue - 2 ** (bits - 1), red - 2 ** (bits - 1)
    green = y - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587
    found = np.stack([y + 1.402 * red, green, y + 1.772 * blue], -1)
    return np.clip(found, 0, 2**bits - 1)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", ["u1", "<u2", "<u4"])
def test_uncompressed_rgb_is_read_as_it_is(planar, kind, tmp_path):
    pixels = RGB.astype(kind) * (1 if kind == "u1" else 251)
    found = read(colour(pixels, PlanarConfiguration=planar), tmp_path)
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", ["u1", "<u2"])
def test_big_endian_rgb_is_read_as_it_is(planar, kind, tmp_path):
    pixels = RGB.astype(kind) * (1 if kind == "u1" else 251)
    dataset = colour(pixels, PlanarConfiguration=planar)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped = np.frombuffer(dataset.PixelData, "u2").byteswap().tobytes()
    dataset["PixelData"].value = swapped
    dataset["PixelData"].VR = "OW"
    np.testing.assert_array_equal(read(dataset, tmp_path), pixels)


def test_unused_bits_of_colour_are_dropped(tmp_path):
    pixels = (RGB.astype("<u2") * 16) | 0x3000
    found = read(colour(pixels, BitsStored=12, HighBit=11), tmp_path)
    np.testing.assert_array_equal(found, RGB.astype(int) * 16)


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("<u2", 12), ("<u2", 16)])
def test_full_range_ybr_follows_the_closed_form(kind, bits, tmp_path):
    ybr = (RGB.astype(int) << (bits - 8)).astype(kind)
    found = read(colour(ybr, "YBR_FULL", BitsStored=bits), tmp_path)
    limit = 0.51 + 2**bits * 1e-5
    assert np.abs(found - closed_rgb(ybr, bits)).max() <= limit


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_two_pixels_of_ybr_422_share_their_colour(syntax, tmp_path):
    ybr = RGB.copy()
    ybr[:, 1::2, 1:] = ybr[:, ::2, 1:]
    dataset = colour(ybr, "YBR_FULL_422")
    pairs = [ybr[:, ::2, :1], ybr[:, 1::2, :1], ybr[:, ::2, 1:]]
    raw = np.concatenate(pairs, -1).tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData, dataset["PixelData"].VR = raw, "OB"
    assert np.abs(read(dataset, tmp_path) - closed_rgb(ybr)).max() <= 0.51


def test_ybr_422_with_an_odd_width_is_refused(tmp_path):
    with pytest.raises(DecodeError, match="YBR_FULL_422 together with odd Columns"):
        read(colour(RGB[:, :9].copy(), "YBR_FULL_422"), tmp_path)


def test_black_and_white_of_partial_range_ybr_become_full(tmp_path):
    ybr = np.full((2, 4, 3), 128, "u1")
    ybr[..., 0] = [[16, 235, 16, 235]] * 2
    dataset = colour(ybr, "YBR_PARTIAL_422")
    dataset.PixelData = bytes([16, 235, 128, 128] * 4)
    wanted = np.array([[0, 255, 0, 255]] * 2)[..., None].repeat(3, -1)
    np.testing.assert_array_equal(read(dataset, tmp_path), wanted)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", ["u1", "<u2"])
def test_run_lengths_of_colour_give_the_original_back(planar, kind, tmp_path):
    pixels = RGB.astype(kind) * (1 if kind == "u1" else 251)
    dataset = colour(pixels)
    dataset.compress(RLELossless)
    dataset.PlanarConfiguration = planar
    np.testing.assert_array_equal(read(dataset, tmp_path), pixels)


@pytest.mark.parametrize("interleave", [1, 2])
@pytest.mark.parametrize("planar", [0, 1])
def test_jpeg_ls_colour_is_right_by_line_and_by_sample(interleave, planar, tmp_path):
    frame = bytes(
        jpeg_ls.encode_pixel_data(
            RGB.tobytes(),
            lossy_error=0,
            interleave_mode=interleave,
            rows=12,
            columns=10,
            samples_per_pixel=3,
            bits_stored=8,
        )
    )
    dataset = compressed(RGB, JPEGLSLossless, frame, PlanarConfiguration=planar)
    np.testing.assert_array_equal(read(dataset, tmp_path), RGB)


def test_jpeg_ls_of_ybr_is_converted(tmp_path):
    dataset = compressed(
        RGB, JPEGLSLossless, imagecodecs.jpegls_encode(RGB), "YBR_FULL"
    )
    assert np.abs(read(dataset, tmp_path) - closed_rgb(RGB)).max() <= 0.51


@pytest.mark.parametrize("kind", ["u1", "<u2"])
def test_jpeg_2000_colour_transformation_is_undone_once(kind, tmp_path):
    pixels = RGB.astype(kind) * (1 if kind == "u1" else 251)
    frame = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K", mct=True)
    dataset = compressed(pixels, JPEG2000Lossless, frame, "YBR_RCT")
    np.testing.assert_array_equal(read(dataset, tmp_path), pixels)


def test_jpeg_2000_of_ybr_without_transformation_is_converted(tmp_path):
    frame = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="J2K", mct=False)
    dataset = compressed(RGB, JPEG2000Lossless, frame, "YBR_FULL")
    assert np.abs(read(dataset, tmp_path) - closed_rgb(RGB)).max() <= 0.51


def test_jpeg_2000_transformed_from_rgb_but_called_ybr_is_refused(tmp_path):
    frame = imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="J2K", mct=True)
    with pytest.raises(DecodeError, match="was transformed from RGB"):
        read(compressed(RGB, JPEG2000Lossless, frame, "YBR_FULL"), tmp_path)


def test_high_throughput_jpeg_2000_of_colour_gives_the_original_back(tmp_path):
    dataset = compressed(RGB, HTJ2KLossless, imagecodecs.htj2k_encode(RGB), "YBR_RCT")
    np.testing.assert_array_equal(read(dataset, tmp_path), RGB)


def test_lossless_jpeg_of_rgb_gives_the_original_back(tmp_path):
    frame = imagecodecs.jpeg8_encode(
        RGB, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
    )
    dataset = compressed(RGB, JPEGLosslessSV1, frame)
    np.testing.assert_array_equal(read(dataset, tmp_path), RGB)


def without_markers(frame):
    """Return a JPEG without its JFIF segment, as DICOM files often have it."""
    assert frame[2:4] == b"\xff\xe0"
    return frame[:2] + frame[4 + int.from_bytes(frame[4:6], "big") :]


@pytest.mark.parametrize("says", ["JFIF", "nothing"])
def test_baseline_jpeg_of_ybr_becomes_rgb(says, tmp_path):
    frame = imagecodecs.jpeg8_encode(SMOOTH, level=98, subsampling="444")
    if says == "nothing":
        frame = without_markers(frame)
    dataset = compressed(SMOOTH, JPEGBaseline8Bit, frame, "YBR_FULL_422")
    wanted = imagecodecs.jpeg8_decode(
        imagecodecs.jpeg8_encode(SMOOTH, level=98, subsampling="444")
    )
    assert np.abs(read(dataset, tmp_path).astype(int) - wanted).max() <= 2


def test_baseline_jpeg_of_rgb_is_left_alone(tmp_path):
    frame = imagecodecs.jpeg8_encode(
        SMOOTH, level=98, colorspace="RGB", outcolorspace="RGB"
    )
    found = read(compressed(SMOOTH, JPEGBaseline8Bit, frame), tmp_path)
    assert np.abs(found.astype(int) - SMOOTH).mean() < 4


def test_rgb_with_a_jpeg_that_says_ycbcr_is_refused(tmp_path):
    frame = imagecodecs.jpeg8_encode(SMOOTH, level=98)
    with pytest.raises(DecodeError, match="its colours can be read in two ways"):
        read(compressed(SMOOTH, JPEGBaseline8Bit, frame), tmp_path)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PhotometricInterpretation": "YBR_PARTIAL_420"}, "is retired or for video"),
        ({"PhotometricInterpretation": "YBR_ICT"}, "YBR_ICT' with 3 samples"),
        ({"PixelRepresentation": 1}, "'RGB' with 3 samples of 8 bits, signed"),
        ({"SamplesPerPixel": 4, "PhotometricInterpretation": "ARGB"}, "is retired"),
        ({"PlanarConfiguration": 2}, "PlanarConfiguration is 2, not 0 or 1"),
    ],
)
def test_colour_that_is_not_read_is_refused_by_name(attributes, reason, tmp_path):
    dataset = colour(RGB)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    with pytest.raises(DecodeError, match=reason):
        read(dataset, tmp_path)
