"""Tiles of a slide: their grid, their scale, what is left out, what is never loaded."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from slides import SPACING_MM, position_picture, stained_picture, write_dicom_slide

from medcnn.errors import GeometryError
from medcnn.io.slide import open_slide
from medcnn.io.slide.contract import SlideParts, whole_downsample
from medcnn.io.slide.pyramid import Pyramid, Window
from medcnn.io.slide.slide import Slide
from medcnn.io.slide.tissue import share_in_boxes, tissue_mask


class Stored:
    """A level in memory that counts what is decoded of it."""

    def __init__(self, picture, tile=(64, 48)):
        self.picture, self.tile, self.decoded = picture, tile, []
        self.shape = picture.shape[1], picture.shape[0]

    def stored_tile(self, across, down):
        self.decoded.append((across, down))
        left, top = across * self.tile[0], down * self.tile[1]
        return self.picture[top : top + self.tile[1], left : left + self.tile[0]]


def slide_of(*levels, downsamples=(1.0,), spacing_mm=SPACING_MM):
    affine = None
    if spacing_mm:
        affine = np.diag([spacing_mm, spacing_mm, 1, 1])
        affine[:2, 3] = spacing_mm / 2
    where = Path("memory.tif")
    parts = SlideParts(where, "test", levels, downsamples, affine, close=lambda: None)
    return Slide(parts)


def test_tiles_cover_the_slide_once_with_the_overlap_asked_for():
    slide = slide_of(Stored(position_picture(300, 200)))
    tiles = slide.tiles((64, 100), overlap=12, tissue=False)
    seen = np.zeros((200, 300), int)
    for tile in tiles:
        top, left = int(tile.row), int(tile.column)
        seen[top : top + 64, left : left + 100] += 1
        assert tile.image.shape == (100, 64, 1)
    assert tiles.grid == (4, 4)
    assert seen.min() == 1
    assert len(tiles) == tiles.total == 16
    assert tiles.skipped == 0


@pytest.mark.parametrize("size", [(200, 300), (500, 700)])
def test_a_tile_as_large_as_the_slide_or_larger_is_one_tile(size):
    slide = slide_of(Stored(position_picture(300, 200)))
    (tile,) = slide.tiles(size, tissue=False)
    assert tile.image.shape == (*size[::-1], 1)
    outside = 0 if tile.image.padding is None else tile.image.padding.sum()
    assert outside == size[0] * size[1] - 200 * 300


def test_shrinking_is_the_exact_average_over_each_new_pixels_area():
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (90, 120, 3), np.uint8)
    window = Window((0.0, 0.0), (2.4, 1.8), (50, 50))
    pixels, mask = Pyramid(slide_of(Stored(picture))._parts).sample(window)
    # OpenCV's area interpolation is the oracle where it covers the same area
    oracle = cv2.resize(picture, (50, 50), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - oracle).max() <= 1
    assert not mask.any()


def test_true_geometry_at_a_spacing_between_two_levels():
    # ramps of 2 for each column and row: averages of two are whole numbers
    picture = np.zeros((120, 120, 3), np.uint8)
    picture[..., 0] = 2 * np.arange(120)[None]
    picture[..., 1] = 2 * np.arange(120)[:, None]
    coarse = picture.reshape(60, 2, 60, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    slide = slide_of(Stored(picture), Stored(coarse), downsamples=(1.0, 2.0))
    for spacing in (0.0025, 0.0033, 0.0047, 0.007):
        for tile in slide.tiles((12, 8), spacing_mm=spacing, tissue=False):
            if tile.image.padding is not None:
                continue
            i, j = np.mgrid[:8, :12]
            told = tile.image.geometry.to_world(np.stack([i, j, 0 * i], axis=-1))
            for axis in range(2):
                at = told[..., axis] / SPACING_MM - 0.5
                apart = at - tile.image.array[axis, ..., 0] / 2
                # a pixel of the coarse level counts at its middle, and is rounded
                assert np.abs(apart).max() < 1
                assert abs(apart.mean()) < 0.1
            assert tile.image.geometry.spacing_mm[:2] == pytest.approx((spacing,) * 2)


def test_the_coarsest_level_that_is_fine_enough_is_read():
    levels = [Stored(np.zeros((n, n, 3), np.uint8)) for n in (400, 200, 100)]
    slide = slide_of(*levels, downsamples=(1.0, 2.0, 4.0))
    slide.tiles((10, 10), spacing_mm=3 * SPACING_MM, tissue=False).tile(0, 0)
    assert [bool(level.decoded) for level in levels] == [False, True, False]


def test_only_the_tiles_that_are_needed_are_decoded_and_once_each():
    level = Stored(position_picture(640, 480))
    tiles = slide_of(level).tiles((96, 128), tissue=False)
    first = tiles.tile(0, 0)
    assert sorted(level.decoded) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert first.image.array.shape == (3, 128, 96, 1)
    for _ in tiles:
        pass
    assert len(level.decoded) == len(set(level.decoded)) == 100


def test_a_spacing_finer_than_the_slides_is_refused_not_invented():
    slide = slide_of(Stored(position_picture(100, 100)))
    with pytest.raises(GeometryError, match=r"0.5 um a pixel .* scanned at 2 um"):
        slide.tiles((10, 10), spacing_mm=0.0005)
    with pytest.raises(ValueError, match="above 0"):
        slide.tiles((10, 10), spacing_mm=-1)
    with pytest.raises(ValueError, match="cannot overlap"):
        slide.tiles((10, 10), overlap=10)


def test_a_spacing_is_refused_where_the_slide_says_none():
    slide = slide_of(Stored(position_picture(100, 100)), spacing_mm=None)
    with pytest.raises(GeometryError, match=r"memory\.tif does not say how large"):
        slide.tiles((10, 10), spacing_mm=0.001)


def test_tiles_of_glass_are_left_out_and_counted():
    picture = stained_picture()
    slide = slide_of(Stored(picture))
    tiles = slide.tiles((32, 32))
    glass = picture.astype(int).max(axis=2) - picture.min(axis=2) < 20
    kept = {(tile.across, tile.down) for tile in tiles}
    assert tiles.skipped == tiles.total - len(kept) > 50
    for down in range(tiles.grid[1]):
        for across in range(tiles.grid[0]):
            top, left = 32 * down, 32 * across
            around = np.s_[max(top - 4, 0) : top + 36, max(left - 4, 0) : left + 36]
            if glass[top : top + 32, left : left + 32].mean() < 0.9:
                assert (across, down) in kept
            elif glass[around].all():
                assert (across, down) not in kept
    assert "Otsu" in tiles.rule


@pytest.mark.parametrize("colour", [(245, 244, 246), (224, 150, 190)])
def test_bare_glass_is_all_glass_and_full_tissue_is_all_tissue(colour):
    rng = np.random.default_rng(2)
    noisy = np.array(colour) + rng.normal(0, 1, (80, 90, 3))
    picture = np.clip(noisy, 0, 255).astype(np.uint8)
    mask = tissue_mask(picture, np.zeros((80, 90), bool))
    assert mask.mean() == (0 if min(colour) > 240 else 1)


def test_shares_count_every_pixel_that_a_box_touches():
    mask = np.zeros((4, 6), bool)
    mask[1, 2] = True
    starts = np.array([0.0, 2.5]), np.array([0.0, 2.0])
    share = share_in_boxes(mask, starts, (2.5, 2.0))
    assert share == pytest.approx(np.array([[1 / 6, 1 / 6], [0, 0]]))


def test_a_thumbnail_shows_the_whole_slide_with_its_own_geometry(tmp_path):
    picture = stained_picture(600, 400)
    write_dicom_slide(tmp_path, picture)
    with open_slide(tmp_path) as slide:
        small = slide.thumbnail(150)
        whole = slide.geometry
        assert small.shape == (150, 100, 1)
        assert small.geometry.extent_mm[:2] == pytest.approx(whole.extent_mm[:2])
        for corner in ([-0.5, -0.5, 0], [149.5, 99.5, 0]):
            scaled = (np.array(corner) + 0.5) * 4 - 0.5
            scaled[2] = 0
            apart = small.geometry.to_world(corner) - whole.to_world(scaled)
            assert np.abs(apart).max() < 1e-9
        oracle = cv2.resize(picture, (150, 100), interpolation=cv2.INTER_AREA)
        assert np.abs(small.picture().astype(int) - oracle).max() <= 2
        with pytest.raises(ValueError, match="1 to 8192"):
            slide.thumbnail(10_000)


@pytest.mark.parametrize(
    ("base", "level", "told"),
    [
        ((1001, 777), (500, 388), 2),
        ((1001, 777), (501, 389), 2),
        ((46000, 32914), (2875, 2057), 16),
        ((1000, 1000), (700, 700), 1000 / 700),
    ],
)
def test_a_downsample_is_whole_where_rounding_explains_it(base, level, told):
    assert whole_downsample(base, level) == pytest.approx(told)
