import matplotlib as mpl
import numpy as np

from medcnn.explanation.overlay import colour_scale, grey_picture, heat_layer, lay_over
from medcnn.image import Image


def test_colour_scale_is_matplotlibs_inferno():
    expected = (mpl.colormaps["inferno"](np.arange(256))[:, :3] * 255).round()

    apart = np.abs(colour_scale().astype(int) - expected)

    assert apart.max() <= 2


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


def test_no_relevance_leaves_the_picture_as_it_is():
    picture = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    layer = heat_layer(np.zeros((5, 7), np.float32), top=0)

    assert (lay_over(picture, layer) == picture).all()


def test_hot_is_high_and_the_top_of_the_scale_is_given_by_the_caller():
    relevance = np.array([[0, 1, 2, 4]], np.float32)

    layer = heat_layer(relevance, top=2)

    assert layer[0, :, 3].tolist() == [0, 128, 255, 255]
    assert layer[0, :, :3].sum(axis=1).tolist() == sorted(
        layer[0, :, :3].sum(axis=1).tolist()
    )


def test_opacity_one_shows_the_hottest_colour_alone():
    picture = np.full((1, 1, 3), 90, np.uint8)
    layer = heat_layer(np.ones((1, 1), np.float32), top=1)

    assert (lay_over(picture, layer, opacity=1) == colour_scale()[255]).all()
