import matplotlib as mpl
import numpy as np

from medcnn.explanation.overlay import colour_scale, heat_layer, lay_over


def test_colour_scale_is_matplotlibs_inferno():
    expected = (mpl.colormaps["inferno"](np.arange(256))[:, :3] * 255).round()

    apart = np.abs(colour_scale().astype(int) - expected)

    assert apart.max() <= 2


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
