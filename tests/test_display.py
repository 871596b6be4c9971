"""How images are shown."""

import numpy as np
import pytest

from medcnn.display import grey_levels, grey_picture, middle_slice
from medcnn.errors import GeometryError
from medcnn.geometry import Geometry
from medcnn.image import Image


def test_grey_picture_keeps_rows_and_columns_and_stretches_to_black_and_white():
    pixels = np.linspace(1000, 3000, 6 * 200).reshape(6, 200).astype(np.uint16)

    grey = grey_picture(Image.from_picture(pixels))

    assert grey.shape == (6, 200, 3)
    assert (grey[0, 0] == 0).all()
    assert (grey[-1, -1] == 255).all()
    assert (np.diff(grey[..., 0].ravel().astype(int)) >= 0).all()


def test_grey_picture_leaves_padding_out_of_the_stretch():
    pixels = np.tile(np.arange(100, 200, dtype=np.int16), (10, 1))
    pixels[:, :50] = -2000
    padding = (pixels == -2000).T[..., None]

    grey = grey_picture(Image.from_picture(pixels, padding=padding))

    assert (grey[:, :50] == 0).all()
    assert np.unique(grey[:, 50:]).size == 50


def test_grey_picture_of_nan_and_of_a_flat_image_is_black():
    assert not grey_picture(Image.from_picture(np.full((3, 4), 7.0))).any()
    assert not grey_picture(Image.from_picture(np.full((3, 4), np.nan))).any()


def test_grey_picture_leaves_8_bit_colours_alone():
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)

    assert (grey_picture(Image.from_picture(pixels)) == pixels).all()


def marked_volume(codes, *, channels=1):
    """Return a volume with one bright voxel towards L, P and S, axes as in `codes`."""
    base = np.zeros((channels, 4, 5, 6), np.int16)
    base[:, 3, 4, 3] = 1000  # leftmost, most posterior, in the middle slice
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    turn = Geometry((4, 5, 6), affine).reorientation_to(codes)
    array = base.transpose(0, *(axis + 1 for axis in turn.axes))
    matrix = affine[:, [*turn.axes, 3]]
    for axis, flip in enumerate(turn.flips):
        if flip:
            array = np.flip(array, axis + 1)
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis + 1] - 1)
            matrix[:3, axis] *= -1
    return Image(array, geometry=Geometry(array.shape[1:], matrix))


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL", "PIR", "ILP", "ASR"])
def test_axial_slice_is_seen_from_the_feet_however_it_is_stored(codes):
    image = marked_volume(codes)
    assert image.geometry.axis_codes == codes

    picture, spacing = middle_slice(image, "S", (0, 1000))

    assert picture.shape == (5, 4, 3)
    assert spacing == (2.0, 3.0)
    assert picture[4, 3].tolist() == [255] * 3  # left on the right, back at the bottom
    assert picture.sum() == 3 * 255


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SAL"])
def test_coronal_and_sagittal_slices_have_the_head_on_top(codes):
    array = np.zeros((1, 4, 5, 6))
    array[..., 5] = 7.0
    upright = Image(array, geometry=Geometry((4, 5, 6), np.diag([-1, -1, 1, 1])))

    for towards, shape in (("A", (6, 4, 3)), ("L", (6, 5, 3))):
        picture, _ = middle_slice(upright, towards, (0, 7))
        assert picture.shape == shape
        assert (picture[0] == 255).all()
        assert not picture[1:].any()


def test_planes_of_an_image_without_geometry_are_refused():
    with pytest.raises(GeometryError, match="no anatomical planes"):
        middle_slice(Image(np.zeros((1, 2, 2, 2))), "S", (0, 1))


def test_grey_levels_of_a_volume_leave_padding_out():
    values = np.tile(np.linspace(0, 100, 1001), 3).reshape(1, 7, 11, 39)
    padding = values[0] > 50
    low, high = grey_levels(Image(values, padding=padding))
    assert (low, high) == pytest.approx((0.25, 49.75), abs=0.2)


def test_all_slices_share_the_levels_that_are_given():
    image = Image(np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2))
    assert grey_picture(image, k=1, levels=(0, 255))[..., 0].tolist() == [
        [1, 5],
        [3, 7],
    ]
