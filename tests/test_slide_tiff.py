"""Whole slides in TIFF; oracles: OpenSlide, and the pixels themselves."""

import struct

import numpy as np
import openslide
import pytest
import tifffile
from slides import (
    SPACING_MM,
    halved,
    position_of,
    position_picture,
    stained_picture,
    write_tiff_slide,
)

from medcnn.errors import DecodeError, ReadError, SeveralSeriesError, UnknownFormatError
from medcnn.geometry import Frame
from medcnn.io.slide import open_slide, slide_kind
from medcnn.io.tiff_directories import tiff_directories

PICTURE = position_picture()
KINDS = ("plain", "svs", "ome")


@pytest.fixture(scope="module", params=KINDS)
def slide_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiff") / f"{request.param}.tif"
    return write_tiff_slide(path, PICTURE, kind=request.param, compression="deflate")


def test_levels_and_spacing_are_found(slide_file):
    with open_slide(slide_file) as slide:
        assert [one.shape for one in slide.levels] == [
            (700, 500),
            (350, 250),
            (175, 125),
        ]
        assert [one.downsample for one in slide.levels] == [1, 2, 4]
        assert slide.spacing_mm == pytest.approx((SPACING_MM, SPACING_MM))
        assert slide.modality == ("SM" if "svs" in slide_file.name else None)
        is_svs = slide_file.name == "svs.tif"
        assert slide.associated == (("Thumbnail (87 x 62)",) if is_svs else ())


def test_every_pixel_lies_where_it_was_written(slide_file):
    with open_slide(slide_file) as slide:
        assert np.array_equal(slide.whole().picture(), PICTURE)


def test_every_tile_knows_its_place_from_the_upper_left_corner(slide_file):
    with open_slide(slide_file) as slide:
        tiles = list(slide.tiles((130, 90), overlap=10, tissue=False))
    for tile in tiles:
        known = ~tile.image.padding[..., 0] if tile.image.padding is not None else ...
        i, j = (n[known] for n in np.mgrid[:90, :130])
        column, row = position_of(np.moveaxis(tile.image.array[..., 0], 0, -1)[known])
        told = tile.image.geometry.to_world(np.stack([i, j, 0 * i], axis=-1))
        true = SPACING_MM * np.stack([column + 0.5, row + 0.5, 0 * row], axis=-1)
        assert np.abs(told - true).max() < 1e-9
        assert tile.image.geometry.frame is Frame.SLIDE
        assert tile.image.geometry.axis_codes == "XYZ"


@pytest.mark.parametrize("level", [1, 2])
def test_a_coarser_level_is_read_as_it_is_stored(slide_file, level):
    with open_slide(slide_file) as slide:
        tiles = slide.tiles((90, 80), spacing_mm=SPACING_MM * 2**level, tissue=False)
        tile = tiles.tile(1, 0)
    assert np.array_equal(tile.image.picture(), halved(PICTURE, 2**level)[:90, 80:160])


@pytest.mark.parametrize("kind", ["plain", "svs"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_openslide_sees_the_same_pixels(tmp_path, kind, bigtiff):
    picture = stained_picture(400, 300)
    path = write_tiff_slide(tmp_path / "a.tif", picture, kind=kind, bigtiff=bigtiff)
    with openslide.OpenSlide(path) as theirs, open_slide(path) as ours:
        assert theirs.level_dimensions == tuple(one.shape for one in ours.levels)
        for level in range(3):
            size = theirs.level_dimensions[level]
            seen = np.asarray(theirs.read_region((0, 0), level, size))[..., :3]
            mine = ours.tiles(
                size[::-1], spacing_mm=SPACING_MM * 2**level, tissue=False
            ).tile(0, 0)
            apart = np.abs(seen.astype(int) - mine.image.picture())
            assert apart.max() <= 2  # two JPEG decoders
        mpp = float(theirs.properties["openslide.mpp-x"])
        assert mpp == pytest.approx(1000 * ours.spacing_mm[0], rel=1e-3)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "jpeg", "jpeg2000"])
def test_every_coding_that_is_promised_is_read(tmp_path, compression):
    picture = stained_picture(200, 150)
    path = write_tiff_slide(tmp_path / "a.tif", picture, compression=compression)
    with open_slide(path) as slide:
        apart = np.abs(slide.whole().picture().astype(int) - picture)
    assert apart.max() <= (70 if compression == "jpeg" else 0)
    assert apart.mean() < 3


def test_other_codings_and_depths_are_refused_by_name(tmp_path):
    path = write_tiff_slide(tmp_path / "a.tif", PICTURE, compression="zstd")
    with pytest.raises(DecodeError, match="ZSTD, which is not read"):
        open_slide(path)
    path = tmp_path / "deep.tif"
    deep = PICTURE.astype(np.uint16)
    tifffile.imwrite(path, deep, tile=(64, 64), photometric="rgb", bigtiff=True)
    with pytest.raises(DecodeError, match="3 samples of 16 bits"):
        open_slide(path)


def test_focal_planes_of_ome_are_listed_and_one_is_chosen(tmp_path):
    path = tmp_path / "z.ome.tif"
    planes = np.stack([PICTURE - np.minimum(PICTURE, n) for n in range(3)])
    with tifffile.TiffWriter(path, ome=True) as file:
        about = {"axes": "ZYXS", "PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0}
        file.write(planes, tile=(64, 64), photometric="rgb", metadata=about)
    with pytest.raises(SeveralSeriesError, match="3 focal planes"):
        open_slide(path)
    with open_slide(path, focal_plane=2) as slide:
        assert np.array_equal(slide.whole().picture(), planes[1])
    with pytest.raises(DecodeError, match="no focal plane 4"):
        open_slide(path, focal_plane=4)


def test_a_printers_resolution_is_not_taken_for_a_microscopes(tmp_path):
    path = write_tiff_slide(tmp_path / "a.tif", PICTURE, spacing_mm=25.4 / 72)
    with open_slide(path) as slide:
        assert slide.spacing_mm is None
        assert slide.geometry is None
        assert "no microscope has" in slide.warnings[0]
        assert slide.tiles((99, 99), tissue=False).tile(0, 0).image.geometry is None


def test_a_plain_picture_in_tiles_is_no_slide_unless_asked_for(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE, tile=(64, 64), photometric="rgb")
    assert slide_kind(path) == ""
    with open_slide(path) as slide:
        assert slide.shape == (700, 500)


def test_what_is_no_slide_is_refused(tmp_path):
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, PICTURE, photometric="rgb")
    with pytest.raises(UnknownFormatError, match="no whole-slide image"):
        open_slide(path)
    with pytest.raises(ReadError, match="does not exist"):
        open_slide(tmp_path / "nothing")


def test_directories_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "circle.tif"
    entry = struct.pack("<HHII", 256, 4, 1, 8)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 8))
    with pytest.raises(DecodeError, match="run in a circle"):
        tiff_directories(path)


def test_values_outside_the_file_are_refused(tmp_path):
    path = tmp_path / "outside.tif"
    entry = struct.pack("<HHII", 324, 4, 1000, 4000)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0))
    with pytest.raises(DecodeError, match="lies outside the file"):
        tiff_directories(path)


def test_a_tile_that_declares_another_size_than_its_directory_is_refused(tmp_path):
    path = write_tiff_slide(tmp_path / "a.tif", PICTURE, compression="jpeg")
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    path.write_bytes(bytes(data))
    with open_slide(path) as slide, pytest.raises(DecodeError, match="60000 rows"):
        slide.whole()


def test_a_cut_off_file_is_refused(tmp_path):
    path = write_tiff_slide(tmp_path / "a.tif", PICTURE, compression=None, bigtiff=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises((DecodeError, UnknownFormatError)), open_slide(path) as slide:
        slide.whole()


def test_an_orientation_that_is_not_followed_is_told(tmp_path):
    path = tmp_path / "a.tif"
    turned = [(274, 3, 1, 6, True)]
    options = {"photometric": "rgb", "tile": (64, 64)}
    with tifffile.TiffWriter(path) as file:
        file.write(PICTURE, extratags=turned, **options)
        file.write(PICTURE[::2, ::2], subfiletype=1, **options)
    with open_slide(path) as slide:
        assert "its Orientation (6) is not followed" in slide.warnings
