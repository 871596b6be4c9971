"""PNG, JPEG and TIFF against Pillow."""

import struct
import zlib

import imagecodecs
import numpy as np
import PIL.Image
import pytest

from medcnn import io
from medcnn.errors import DecodeError, ReadError, UnknownFormatError

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


def test_half_clear_pixels_are_told(tmp_path):
    alpha = np.full((5, 7), 255, np.uint8)
    alpha[0, :3] = 10
    image = io.load(saved(np.dstack([COLOUR, alpha]), tmp_path / "a.png"))
    np.testing.assert_array_equal(image.picture(), COLOUR)
    assert "3 of 35 pixels are not opaque; their values are kept" in image.warnings


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_bitmap_equals_pillow(mode, tmp_path):
    picture = PIL.Image.fromarray(COLOUR).convert(mode)
    picture.save(tmp_path / "a.bmp")
    expected = np.asarray(PIL.Image.open(tmp_path / "a.bmp").convert("RGB"))
    got = io.load(tmp_path / "a.bmp").picture()
    np.testing.assert_array_equal(
        got if got.ndim == 3 else np.dstack([got] * 3), expected
    )
    assert io.identify(tmp_path / "a.bmp") is io.Kind.RASTER
    assert io.describe(tmp_path / "a.bmp").shape == (7, 5, 1)


def test_colours_for_printing_become_rgb(tmp_path):
    smooth = np.kron(COLOUR[:2, :2], np.ones((16, 16, 1))).astype(np.uint8)
    printed = PIL.Image.fromarray(smooth).convert("CMYK")
    printed.save(tmp_path / "a.jpg", quality=95)
    image = io.load(tmp_path / "a.jpg")
    expected = np.asarray(PIL.Image.open(tmp_path / "a.jpg").convert("RGB")).astype(int)
    assert np.abs(image.picture() - expected).max() <= 3
    assert "CMYK turned to RGB" in image.provenance
    assert any("without a profile" in line for line in image.warnings)


def test_grey_jpeg_with_a_mark_for_colours_is_grey(tmp_path):
    smooth = np.kron(GREY_8[:2, :2], np.ones((16, 16))).astype(np.uint8)
    path = saved(smooth, tmp_path / "a.jpg", quality=95)
    plain = io.load(path)
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\2"
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + adobe + raw[2:])
    marked = io.load(path)
    assert marked.channels == 1
    np.testing.assert_array_equal(marked.array, plain.array)


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (
            lambda g: imagecodecs.ljpeg_encode(g, bitspersample=12),
            "lossless JPEG of 12",
        ),
        (lambda _: jpeg_of_depth(12), "it is a JPEG of 12 bits"),
    ],
)
def test_deep_jpegs_are_refused_by_name(encode, words, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(GREY_16 >> 4))
    with pytest.raises(DecodeError, match=words) as caught:
        io.load(tmp_path / "a.jpg")
    assert "PNG" in caught.value.hint


def jpeg_of_depth(depth):
    """Return the headers of a JPEG, its scan empty."""
    frame = bytes([depth, 0, 8, 0, 8, 1, 1, 0x11, 0])
    segments = b"\xff\xc1" + struct.pack(">H", len(frame) + 2) + frame
    scan = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    return b"\xff\xd8" + segments + scan + b"\xff\xd9"


def test_animated_png_is_refused_by_name(tmp_path):
    first, second = (PIL.Image.fromarray(p) for p in (GREY_8, 255 - GREY_8))
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    with pytest.raises(DecodeError, match="animated PNG of 2 frames"):
        io.load(tmp_path / "a.png")


@pytest.mark.parametrize(("suffix", "words"), [("gif", "GIF"), ("webp", "WebP")])
def test_other_pictures_are_refused_by_name(suffix, words, tmp_path):
    path = saved(COLOUR, tmp_path / f"a.{suffix}")
    with pytest.raises(UnknownFormatError, match=words) as caught:
        io.load(path)
    assert "PNG" in caught.value.hint


def with_chunk(path, name, body):
    """Put a chunk behind the header of a PNG."""
    raw = path.read_bytes()
    checksum = struct.pack(">I", zlib.crc32(name + body))
    chunk = struct.pack(">I", len(body)) + name + body + checksum
    path.write_bytes(raw[:33] + chunk + raw[33:])
    return path


def test_significant_bits_are_told(tmp_path):
    path = with_chunk(saved(GREY_16, tmp_path / "a.png"), b"sBIT", b"\x0c")
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), GREY_16)
    assert image.warnings == ("only 12 of 16 bits are significant (sBIT)",)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_colour_profile_is_left_alone_and_told(suffix, tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = io.load(saved(COLOUR, tmp_path / f"a.{suffix}", icc_profile=profile))
    assert image.warnings == ("an ICC colour profile is left alone",)
    if suffix != "jpg":
        np.testing.assert_array_equal(image.picture(), COLOUR)


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("pixels", [GREY_8, COLOUR])
def test_a_jpeg_may_be_decoded_smaller(pixels, turn, tmp_path):
    exif = PIL.Image.Exif()
    exif[274] = turn
    big = np.kron(pixels[:4, :4], np.ones((64, 64, *[1] * (pixels.ndim - 2))))
    path = saved(big.astype(np.uint8), tmp_path / "a.jpg", exif=exif, quality=95)
    whole = io.load(path)
    for rows, factor in ((48, 4), (64, 4), (65, 2), (129, 1), (999, 1)):
        image = io.load(path, size=(rows, 24))
        assert image.shape[:2] == (256 // factor, 256 // factor)
        assert image.channels == whole.channels
        centres = image.picture()[image.shape[1] // 8, image.shape[0] // 8]
        expected = whole.picture()[whole.shape[1] // 8, whole.shape[0] // 8]
        np.testing.assert_allclose(centres, expected, atol=6)


def test_only_one_part_is_there(tmp_path):
    with pytest.raises(ReadError, match="no part 2"):
        io.load(saved(GREY_8, tmp_path / "a.png"), part=2)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [None, (8, 8)])
def test_a_jpeg_that_is_cut_off_and_given_an_end_is_refused(mode, size, tmp_path):
    chance = np.random.default_rng(7)
    noise = PIL.Image.fromarray(chance.integers(0, 255, (97, 130), np.uint8))
    noise.convert(mode).save(tmp_path / "whole.jpg", quality=90)
    raw = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(raw[: len(raw) // 2] + b"\xff\xd9")

    assert io.load(tmp_path / "whole.jpg", size=size).shape[2] == 1
    with pytest.raises(DecodeError, match="cut off"):
        io.load(tmp_path / "cut.jpg", size=size)


def test_a_jpeg_that_ends_in_mid_grey_is_read(tmp_path):
    PIL.Image.fromarray(np.full((40, 50), 128, np.uint8)).save(tmp_path / "a.jpg")
    assert (io.load(tmp_path / "a.jpg").picture() == 128).all()
