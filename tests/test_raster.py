"""PNG, JPEG and TIFF against Pillow."""

import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from medcnn import io
from medcnn.errors import DecodeError

RNG = np.random.default_rng(3)
GREY_8 = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
GREY_16 = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
COLOUR = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)


def saved(pixels, path, **options):
    PIL.Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pixels", [GREY_8, GREY_16, COLOUR])
def test_lossless_pictures_are_exact(pixels, suffix, tmp_path):
    image = io.load(saved(pixels, tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(image.picture(), pixels)
    assert image.array.dtype == pixels.dtype
    assert image.geometry is None
    assert image.unit is None
    assert image.modality is None


@pytest.mark.parametrize("pixels", [GREY_8, COLOUR])
def test_jpeg_equals_pillow(pixels, tmp_path):
    smooth = np.kron(pixels[:2, :2], np.ones((16, 16, *[1] * (pixels.ndim - 2))))
    path = saved(smooth.astype(np.uint8), tmp_path / "a.jpg", quality=95)
    theirs = np.asarray(PIL.Image.open(path)).astype(int)
    assert np.abs(io.load(path).picture() - theirs).max() <= 2


UPRIGHT = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p.T, 2),
    8: np.rot90,
}
"""What Exif 2.32, tag 274, says must be done to show a picture upright."""


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_picture_is_turned_upright_by_its_exif_orientation(turn, suffix, tmp_path):
    exif = PIL.Image.Exif()
    exif[274] = turn
    big = np.kron(GREY_8[:3, :4], np.ones((8, 8))).astype(np.uint8)
    path = saved(big, tmp_path / f"a.{suffix}", exif=exif)
    image = io.load(path)
    np.testing.assert_allclose(image.picture(), UPRIGHT[turn](big), atol=12)
    assert io.describe(path).shape == image.shape
    assert any("turned upright" in step for step in image.provenance) == (turn > 1)


def test_three_equal_channels_become_one_and_it_is_said(tmp_path):
    image = io.load(saved(np.dstack([GREY_8] * 3), tmp_path / "a.png"))
    assert image.channels == 1
    np.testing.assert_array_equal(image.picture(), GREY_8)
    assert "three equal channels: one kept" in image.provenance


def test_alpha_is_dropped_and_it_is_said(tmp_path):
    path = saved(np.dstack([COLOUR, GREY_8]), tmp_path / "a.png")
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), COLOUR)
    assert "alpha channel dropped" in image.provenance


def test_one_bit_picture_is_black_and_white(tmp_path):
    image = io.load(saved(GREY_8 > 127, tmp_path / "a.png"))
    np.testing.assert_array_equal(image.picture() > 0, GREY_8 > 127)


def test_palette_becomes_colour(tmp_path):
    path = tmp_path / "a.png"
    indexed = PIL.Image.fromarray(COLOUR).convert("P")
    indexed.save(path)
    np.testing.assert_array_equal(
        io.load(path).picture(), np.asarray(indexed.convert("RGB"))
    )


def test_content_decides_not_the_name(tmp_path):
    path = saved(GREY_16, tmp_path / "a.png").rename(tmp_path / "a.dcm")
    np.testing.assert_array_equal(io.load(path).picture(), GREY_16)


def test_one_pixel_is_an_image(tmp_path):
    image = io.load(saved(np.array([[300]], np.uint16), tmp_path / "a.png"))
    assert image.array.tolist() == [[[[300]]]]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_picture_is_refused(suffix, share, tmp_path):
    noise = RNG.integers(0, 256, (64, 64)).astype(np.uint8)
    path = saved(noise, tmp_path / f"a.{suffix}")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DecodeError, match=r"a\.|broken|cut off|outside"):
        io.load(path)


def test_huge_declared_size_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    raw = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        raw += struct.pack(">I", len(body)) + name + body + checksum
    (tmp_path / "a.png").write_bytes(raw)
    with pytest.raises(DecodeError, match="60000 x 60000 x 1 numbers"):
        io.load(tmp_path / "a.png")


def test_broken_checksum_is_refused(tmp_path):
    path = saved(GREY_16, tmp_path / "a.png")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"IDAT") + 8
    raw[at] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(DecodeError, match="cannot be decoded"):
        io.load(path)


def test_several_pages_are_refused(tmp_path):
    first, second = (PIL.Image.fromarray(GREY_8) for _ in range(2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(DecodeError, match="a TIFF of 2 pages is not one picture"):
        io.load(tmp_path / "a.tif")


def test_double_precision_is_refused(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.tif"), np.ones((3, 4)))
    with pytest.raises(DecodeError, match="8 and 16 bit are read"):
        io.load(tmp_path / "a.tif")
