"""Pixels that are more, fewer or of another kind than the header says."""

import struct

import imagecodecs
import numpy as np
import pytest
from dicoms import RAMP_12, as_big_endian, picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from medcnn import io
from medcnn.errors import DecodeError

FRAMES = np.random.default_rng(4).integers(0, 4096, (3, 21, 17)).astype("<u2")


def j2k(frame):
    return imagecodecs.jpeg2k_encode(frame, level=0, codecformat="J2K")


def lossless(frame):
    return imagecodecs.jpeg8_encode(frame, lossless=True, bitspersample=16)


def run_lengths(frame):
    """Literal runs of one row of one byte each (PS3.5 G.3)."""
    high, low = (frame >> 8).astype("u1"), frame.astype("u1")
    parts = [
        b"".join(bytes([len(row) - 1]) + row.tobytes() for row in plane)
        for plane in (high, low)
    ]
    return struct.pack("<16I", 2, 64, 64 + len(parts[0]), *[0] * 13) + b"".join(parts)


CODINGS = [
    (JPEG2000Lossless, j2k),
    (JPEGLosslessSV1, lossless),
    (RLELossless, run_lengths),
]


def coded(syntax, frames, declared, **layout):
    dataset = picture(FRAMES[0], NumberOfFrames=declared)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames, **layout)
    dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("declared", [1, 2])
@pytest.mark.parametrize("has_bot", [True, False])
@pytest.mark.parametrize(("syntax", "encode"), CODINGS)
def test_more_frames_than_declared_are_refused(
    syntax, encode, has_bot, declared, tmp_path
):
    frames = [encode(frame) for frame in FRAMES]
    dataset = coded(syntax, frames, declared, has_bot=has_bot)
    with pytest.raises(DecodeError, match=r"3 frames|split into frames|of 2 frames"):
        io.load(save(dataset, tmp_path / "a.dcm"))


@pytest.mark.parametrize(("syntax", "encode"), CODINGS)
def test_as_many_frames_as_declared_are_read(syntax, encode, tmp_path):
    frames = [encode(frame) for frame in FRAMES]
    path = save(coded(syntax, frames, 3), tmp_path / "a.dcm")
    found = io.load(path).array[0].transpose(2, 1, 0)
    np.testing.assert_array_equal(found, FRAMES)


def test_one_frame_of_run_lengths_in_several_fragments_is_one_frame(tmp_path):
    """Against PS3.5 A.4.2, but such files are there."""
    dataset = coded(RLELossless, [run_lengths(FRAMES[0])], 1, fragments_per_frame=4)
    found = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.picture(), FRAMES[0])


@pytest.mark.parametrize("declared", [1, 2])
def test_more_uncompressed_frames_than_declared_are_refused(declared, tmp_path):
    dataset = picture(FRAMES[0], NumberOfFrames=declared)
    dataset.PixelData = FRAMES.tobytes()
    with pytest.raises(DecodeError, match="2142 bytes of pixels"):
        io.load(save(dataset, tmp_path / "a.dcm"))


def test_some_bytes_behind_the_pixels_are_told(tmp_path):
    dataset = picture(FRAMES[0])
    dataset.PixelData += bytes(10)
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.picture(), FRAMES[0])
    assert "10 bytes follow its pixels and were left out" in image.warnings


def test_full_colours_that_are_said_to_be_halved_are_refused(tmp_path):
    dataset = picture(np.zeros((4, 18), "u1"), BitsStored=8, SamplesPerPixel=3)
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.Columns, dataset.PlanarConfiguration = 6, 0
    with pytest.raises(DecodeError, match="holds 72 bytes, not 48"):
        io.load(save(dataset, tmp_path / "a.dcm"))


def test_big_endian_without_file_meta_information_is_not_turned_round(tmp_path):
    path = save(as_big_endian(picture(RAMP_12)), tmp_path / "a.dcm")
    whole = path.read_bytes()
    (length,) = struct.unpack_from("<I", whole, 140)
    path.write_bytes(whole[144 + length :])
    np.testing.assert_array_equal(io.load(path).picture(), RAMP_12)


def test_fragments_in_a_syntax_without_fragments_are_no_pixels(tmp_path):
    dataset = coded(JPEG2000Lossless, [j2k(FRAMES[0])], 1)
    path = save(dataset, tmp_path / "a.dcm")
    native = b"1.2.840.10008.1.2.1\0\0\0"
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.90", native))
    with pytest.raises(DecodeError, match="come in fragments"):
        io.load(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_jpeg_frame_without_an_end_is_refused_not_filled_with_grey(share, tmp_path):
    dataset = picture((RAMP_12 // 16).astype("u1"), BitsStored=8)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    frame = imagecodecs.jpeg8_encode((RAMP_12 // 16).astype("u1"), level=95)
    dataset.PixelData = encapsulate([frame[: int(len(frame) * share)]])
    with pytest.raises(DecodeError, match="has no end"):
        io.load(save(dataset, tmp_path / "a.dcm"))


def baseline(pixels):
    return imagecodecs.jpeg8_encode(pixels, level=95)


def lossless_8(pixels):
    return imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=8)


@pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("size", [None, (16, 16)])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(JPEGBaseline8Bit, baseline), (JPEGLosslessSV1, lossless_8)],
)
def test_jpeg_scan_that_ends_early_is_refused_in_spite_of_its_end(
    syntax, encode, size, share, tmp_path
):
    dataset = picture((RAMP_12 // 16).astype("u1"), BitsStored=8)
    dataset.file_meta.TransferSyntaxUID = syntax
    frame = encode((RAMP_12 // 16).astype("u1"))
    dataset.PixelData = encapsulate([frame[: int(len(frame) * share)] + b"\xff\xd9"])
    with pytest.raises(DecodeError, match="ends before its picture does"):
        io.load(save(dataset, tmp_path / "a.dcm"), size=size)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [(JPEGBaseline8Bit, baseline), (JPEGLosslessSV1, lossless_8)],
)
def test_a_picture_that_is_grey_at_its_end_is_read(syntax, encode, tmp_path):
    grey = (RAMP_12 // 16).astype("u1")
    grey[40:] = 128
    dataset = picture(grey, BitsStored=8)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encode(grey)])
    found = io.load(save(dataset, tmp_path / "a.dcm")).picture()
    np.testing.assert_allclose(found.astype(int), grey, atol=6)
