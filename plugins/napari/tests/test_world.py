"""Every orientation keeps its voxels' places, and left is right."""

from itertools import permutations, product
from types import SimpleNamespace

import numpy as np
import pytest
from medcnn_napari.world import heat_layer, image_layer, image_of, matrix_of, point_of
from MedCNNLib.client import Heatmap, Image
from napari.layers import Image as ImageLayer

SHAPE = (5, 4, 3)
TILT = np.array([[0.96, -0.2, 0.1], [0.22, 0.95, -0.15], [-0.07, 0.17, 0.98]])


def orientations():
    """All 48 ways to lay axes, with unequal sides and a tilt."""
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turned = np.zeros((3, 3))
        for column, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            turned[axis, column] = sign
        affine = np.eye(4)
        affine[:3, :3] = TILT @ turned @ np.diag([0.7, 1.1, 2.9])
        affine[:3, 3] = (11, -23, 37)
        yield affine


def layer_of(image):
    array, given, kind = image_layer(image)
    assert kind == "image"
    return ImageLayer(array, **given)


def places(array_ijk, affine):
    """Each voxel's value, and where it lies in RAS+ mm."""
    indices = np.argwhere(np.ones(array_ijk.shape, bool))
    points = indices @ affine[:3, :3].T + affine[:3, 3]
    return dict(zip(array_ijk.ravel().tolist(), points, strict=True))


@pytest.mark.parametrize("affine", list(orientations()))
def test_every_orientation_keeps_each_voxel_in_its_place(affine):
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    back = image_of(layer_of(Image(values, affine)))

    np.testing.assert_array_equal(back.ijk(), values)  # as the file has it
    np.testing.assert_allclose(back.affine, affine, atol=1e-4)
    expected = places(values, affine)
    for value, point in places(back.ijk(), back.affine).items():
        np.testing.assert_allclose(point, expected[value], atol=1e-4)


@pytest.mark.parametrize("affine", list(orientations()))
def test_axes_run_down_to_posterior_and_right_to_the_patients_left(affine):
    layer = layer_of(Image(np.zeros(SHAPE), affine))
    matrix = matrix_of(layer)

    assert (np.diag(matrix)[:3] > 0).all()
    largest = np.abs(matrix[:3, :3]).argmax(axis=0)
    assert largest.tolist() == [0, 1, 2]


def facts(peak):
    texts = dict.fromkeys(("layer", "unit", "meaning", "limits", "window_words"), "")
    numbers = {"peak": peak, "peak_ras": None, "window": (0.0, 1.0)}
    return {"label": "a", "method": "cam", **texts, **numbers}


@pytest.mark.parametrize("affine", list(orientations()))
def test_a_heatmap_lies_on_its_image_and_its_peak_within_a_voxel(affine):
    layer = layer_of(Image(np.zeros(SHAPE), affine))
    sent = image_of(layer)
    peak = tuple(n - 1 for n in sent.shape)
    values = np.zeros(sent.shape, np.float32)
    values[peak] = 1

    array, given, _ = heat_layer(Heatmap(values, sent.affine, facts(peak)), layer)
    heat = ImageLayer(array, **given)

    assert heat.data.shape == layer.data.shape
    np.testing.assert_allclose(matrix_of(heat), matrix_of(layer), atol=1e-5)
    highest = np.unravel_index(heat.data.argmax(), heat.data.shape)
    z, y, x = heat.data_to_world(highest)
    np.testing.assert_allclose(
        point_of(Heatmap(values, sent.affine, facts(peak)), heat), (z, y, x), atol=1e-3
    )
    ras = (sent.affine @ [*peak, 1])[:3]
    np.testing.assert_allclose([-x, -y, z], ras, atol=1e-3)


def test_a_picture_has_its_rows_and_columns_and_keeps_its_grid():
    affine = np.diag([-0.2, 0.3, 1, 1])
    image = Image(np.arange(12).reshape(4, 3, 1), affine, modality="DX")
    layer = layer_of(image)

    assert layer.data.shape == (3, 4)
    np.testing.assert_allclose(layer.scale, (0.3, 0.2))
    back = image_of(layer)
    np.testing.assert_array_equal(back.ijk(), image.ijk())
    np.testing.assert_array_equal(back.affine, affine)
    assert back.modality == "DX"


def test_colour_keeps_its_channels():
    image = Image(np.random.default_rng(0).integers(0, 255, (3, 6, 5, 1)), axes="cijk")
    layer = layer_of(image)
    assert layer.rgb
    assert layer.data.shape == (5, 6, 3)
    np.testing.assert_array_equal(image_of(layer).ijk(), image.ijk())


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros((2, 2, 2, 2)), "has 4 axes"), (np.zeros((0, 3, 3)), "is empty")],
)
def test_what_is_no_picture_or_volume_is_refused_by_name(array, words):
    layer = SimpleNamespace(data=array, rgb=False, name="series", metadata={}, ndim=4)
    with pytest.raises(ValueError, match=f"series {words}"):
        image_of(layer)
