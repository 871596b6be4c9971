"""TIFF pictures of every layout against tifffile and Pillow."""

import io as bytes_io
import struct

import numpy as np
import PIL.Image
import pytest

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError
from medcnn.io.tiff_directories import exif_turn

tifffile = pytest.importorskip("tifffile")

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (70, 90)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (70, 90, 3)).astype(np.uint8)


def written(path, pixels, **options):
    tifffile.imwrite(path, pixels, **options)
    return path


LAYOUTS = [
    {},
    {"rowsperstrip": 16},
    {"tile": (32, 48)},
    {"compression": "lzw", "predictor": True},
    {"compression": "zlib", "predictor": True, "rowsperstrip": 8},
    {"compression": "packbits"},
    {"compression": "zlib", "tile": (16, 16)},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"bigtiff": True, "byteorder": ">", "compression": "lzw"},
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2", "u4", "i4", "f4", "f2"])
def test_grey_of_every_layout_and_type(kind, layout, tmp_path):
    if kind in {"f2", "f4"} and layout.get("byteorder") and "predictor" in layout:
        pytest.skip("tifffile writes none")
    pixels = (GREY.astype(np.float64) - 100 * (kind[0] == "i")).astype(kind)
    path = written(tmp_path / "a.tif", pixels, photometric="minisblack", **layout)
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), pixels)
    assert image.array.dtype == (np.float32 if kind[0] == "f" else np.dtype(kind))
    assert io.describe(path).shape == image.shape
    assert image.geometry is None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_colour_of_every_layout(kind, planes, layout, tmp_path):
    pixels = COLOUR.astype(kind)
    stored = pixels if planes == "contig" else np.moveaxis(pixels, 2, 0)
    path = written(
        *(tmp_path / "a.tif", stored), photometric="rgb", planarconfig=planes, **layout
    )
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), pixels)
    assert io.describe(path).channels == 3


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_white_at_zero_is_turned_round_whatever_the_depth(kind, tmp_path):
    pixels = GREY.astype(kind)
    path = written(tmp_path / "a.tif", pixels, photometric="miniswhite")
    image = io.load(path)
    top = np.iinfo(kind).max
    np.testing.assert_array_equal(image.picture(), top - pixels)
    assert f"white was zero: value = {top} - stored" in image.provenance


def test_white_at_zero_of_one_bit(tmp_path):
    bits = GREY > 99
    for name, light in (("miniswhite", ~bits), ("minisblack", bits)):
        path = written(tmp_path / f"{name}.tif", bits, photometric=name)
        np.testing.assert_array_equal(io.load(path).picture(), light * 255)
        theirs = np.asarray(PIL.Image.open(path).convert("L"))
        np.testing.assert_array_equal(io.load(path).picture(), theirs)


def test_fax_coding_equals_pillow(tmp_path):
    picture = PIL.Image.fromarray(GREY > 99)
    for coding in ("group3", "group4", "tiff_ccitt"):
        path = tmp_path / f"{coding}.tif"
        picture.save(path, compression=coding)
        np.testing.assert_array_equal(io.load(path).picture(), (GREY > 99) * 255)


def test_twelve_bits_are_kept(tmp_path):
    pixels = GREY.astype(np.uint16) * 16
    path = tmp_path / "a.tif"
    try:
        written(path, pixels, bitspersample=12)
    except (ImportError, NotImplementedError, ValueError):
        pytest.skip("tifffile cannot write it")
    np.testing.assert_array_equal(io.load(path).picture(), pixels)


def test_palette_becomes_colour(tmp_path):
    indexed = PIL.Image.fromarray(COLOUR).quantize(40)
    indexed.save(tmp_path / "a.tif")
    image = io.load(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.picture(), np.asarray(indexed.convert("RGB")))
    assert "palette applied" in image.provenance


@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_jpeg_inside_equals_pillow(pixels, tmp_path):
    smooth = np.kron(pixels[:2, :2], np.ones((32, 32, *[1] * (pixels.ndim - 2))))
    path = tmp_path / "a.tif"
    PIL.Image.fromarray(smooth.astype(np.uint8)).save(path, compression="jpeg")
    theirs = np.asarray(PIL.Image.open(path)).astype(int)
    assert np.abs(io.load(path).picture() - theirs).max() <= 3


@pytest.mark.parametrize(("kind", "word"), [("unassalpha", ""), ("assocalpha", "pre")])
def test_alpha_is_dropped_and_told(kind, word, tmp_path):
    pixels = np.dstack([COLOUR, GREY])
    path = written(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[kind])
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), COLOUR)
    (told,) = image.warnings
    assert f"{(GREY < 255).sum()} of 6300 pixels are not opaque" in told
    assert ("premultiplied" in told) == bool(word)


def test_pages_are_parts(tmp_path):
    pages = [GREY, COLOUR, GREY[:20, :30].astype(np.uint16)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack")
        file.write(GREY[:7, :7], subfiletype=1)
    with pytest.raises(SeveralSeriesError, match="page 3 of 3, 30 x 20"):
        io.load(path)
    for number, page in enumerate(pages, start=1):
        np.testing.assert_array_equal(io.load(path, part=number).picture(), page)
    images = io.load_study(path).images
    assert [image.shape for image in images] == [(90, 70, 1), (90, 70, 1), (30, 20, 1)]
    found, _ = io.describe_study(path)
    assert [one.channels for one in found] == [1, 3, 1]
    assert found[2].title == "page 3 of 3, 30 x 20"


def test_a_thumbnail_before_the_picture_is_not_the_picture(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(GREY[:7, :7], subfiletype=1)
        file.write(GREY)
    np.testing.assert_array_equal(io.load(path).picture(), GREY)


def test_not_a_number_is_counted(tmp_path):
    pixels = GREY.astype(np.float32)
    pixels[0, :4] = np.nan
    image = io.load(written(tmp_path / "a.tif", pixels))
    assert "4 of 6300 values are NaN or infinite" in image.warnings


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (GREY.astype("f8"), {}, "64 bits"),
        (GREY.astype("c8"), {}, "format 6|64 bits"),
        (np.dstack([COLOUR, GREY]), {"photometric": "separated"}, "is CMYK"),
        (GREY, {"compression": "zstd"}, "packed with Zstandard"),
        (GREY, {"compression": "jpeg2000"}, "packed with JPEG 2000"),
        (GREY.astype("f4"), {"photometric": "miniswhite"}, "white at zero"),
        (COLOUR, {"photometric": "cielab"}, "is CIE Lab"),
        (np.dstack([GREY] * 6), {"photometric": "minisblack"}, "6 channels"),
    ],
)
def test_what_is_not_read_is_refused_by_name(pixels, options, words, tmp_path):
    if pixels.shape[-1] == 6:
        options |= {"planarconfig": "contig"}
    path = written(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(DecodeError, match=words):
        io.load(path)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
def test_truncated_files_are_refused(share, layout, tmp_path):
    path = written(tmp_path / "a.tif", GREY, **layout)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError):
        io.load(path)


def patched(tag, kind, *values):
    """Return bytes of a TIFF in which the value of a tag is another."""
    buffer = bytes_io.BytesIO()
    tifffile.imwrite(buffer, GREY)
    raw = bytearray(buffer.getvalue())
    with tifffile.TiffFile(bytes_io.BytesIO(raw)) as file:
        at = file.pages[0].tags[tag].offset
    new = np.array(values, kind).tobytes()
    raw[at + 8 : at + 8 + len(new)] = new
    return bytes(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (patched(256, "<u4", 60000), "cannot be decoded|at most"),
        (patched(256, "<u2", 0), "holds nothing"),
        (patched(273, "<u4", 10**9), "cannot be decoded"),
        (patched(277, "<u2", 60000), "at most|channels"),
        (b"II*\0\x08\0\0\0\0\0", "has 0 entries"),
        (b"II*\0\xff\xff\0\0", "outside the file"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "broken|outside the file"),
        (b"II*\0\x08\0\0\0\x01\0" + bytes(12) + b"\x08\0\0\0", "in a circle"),
    ],
)
def test_lies_of_directories_are_refused(raw, words, tmp_path):
    (tmp_path / "a.tif").write_bytes(raw)
    with pytest.raises(DecodeError, match=words):
        io.load(tmp_path / "a.tif")


def test_a_slide_is_refused_with_what_to_do(tmp_path, monkeypatch):
    from medcnn.io import bounds

    monkeypatch.setattr(bounds, "_BOUNDS", [bounds.Bounds(samples=1000)])
    with pytest.raises(DecodeError, match="at most 1000") as caught:
        io.load(written(tmp_path / "a.tif", GREY, tile=(16, 16)))
    assert "open_slide" in str(caught.value)


@pytest.mark.parametrize("coding", [None, "packbits"])
def test_a_predictor_where_none_is_defined_is_refused(coding, tmp_path):
    path = written(tmp_path / "a.tif", GREY.astype("u2"), compression="lzw")
    raw = bytearray(written(path, GREY, compression=coding).read_bytes())
    with tifffile.TiffFile(path) as file:
        entry = file.pages[0].tags["Software"].offset
    raw[entry : entry + 12] = struct.pack("<HHII", 317, 3, 1, 2)
    path.write_bytes(raw)
    with pytest.raises(DecodeError, match="predictor, which is not defined"):
        io.load(path)


@pytest.mark.parametrize("samples", [2, 4])
def test_grey_channels_that_are_not_alpha_are_not_dropped(samples, tmp_path):
    pixels = RNG.integers(0, 256, (9, 11, samples)).astype(np.uint8)
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    path = written(tmp_path / "a.tif", pixels, **options)
    with pytest.raises(DecodeError, match=f"has {samples} grey channels"):
        io.load(path)


def test_a_picture_below_another_is_no_page(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, subifds=1)
        file.write(GREY[::2, ::2], subfiletype=1)
        file.write(GREY[:9])
    assert [image.shape for image in io.load_study(path).images] == [
        (90, 70, 1),
        (90, 9, 1),
    ]


def test_text_that_lies_outside_the_file_hides_no_picture(tmp_path):
    path = written(tmp_path / "a.tif", GREY)
    with tifffile.TiffFile(path) as file:
        entry = file.pages[0].tags["Software"].offset
    raw = bytearray(path.read_bytes())
    raw[entry + 4 : entry + 12] = struct.pack("<II", 500, 10**6)
    path.write_bytes(raw)
    np.testing.assert_array_equal(io.load(path).picture(), GREY)


def test_a_broken_entry_of_exif_hides_no_orientation():
    maker = struct.pack("<HHII", 258, 3, 500, 10**6)
    turn = struct.pack("<HHII", 274, 3, 1, 6)
    block = b"II*\0" + struct.pack("<IH", 8, 2) + maker + turn
    assert exif_turn(block) == 6
    assert exif_turn(block[:-12]) == 1
