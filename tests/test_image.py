"""Images in memory: axes, immutability, refusals."""

import numpy as np
import pytest

from medcnn.errors import GeometryError
from medcnn.geometry import Geometry
from medcnn.image import Identity, Image


def test_a_picture_has_columns_along_i_and_rows_along_j():
    picture = np.arange(6).reshape(2, 3)  # 2 rows, 3 columns
    image = Image.from_picture(picture)
    assert image.array.shape == (1, 3, 2, 1)
    assert image.array[0, 2, 0, 0] == picture[0, 2]
    assert np.array_equal(image.picture(), picture)
    assert (image.dims, image.channels) == (2, 1)


def test_a_colour_picture_comes_back_as_it_was():
    picture = np.random.default_rng(0).integers(0, 255, (4, 5, 3))
    image = Image.from_picture(picture)
    assert image.array.shape == (3, 5, 4, 1)
    assert np.array_equal(image.picture(), picture)


def test_an_image_is_a_view_that_cannot_be_written():
    picture = np.zeros((4, 4))
    image = Image.from_picture(picture)
    assert np.shares_memory(image.array, picture)
    with pytest.raises(ValueError, match="read-only"):
        image.array[0, 0, 0, 0] = 1
    with pytest.raises(TypeError):
        image.facts["view"] = "PA"


def test_with_array_notes_the_step():
    image = Image.from_picture(np.zeros((4, 4)))
    doubled = image.with_array(image.array + 1, step="added 1")
    assert doubled.provenance == ("added 1",)
    assert image.provenance == ()


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 0, 4, 1)])
def test_other_shapes_than_cijk_are_refused(shape):
    with pytest.raises(GeometryError, match=r"\(C, I, J, K\)"):
        Image(np.zeros(shape))


def test_a_flat_or_deep_picture_is_refused():
    with pytest.raises(GeometryError, match="a picture is"):
        Image.from_picture(np.zeros(4))


def test_parts_of_another_shape_are_refused():
    grid = Geometry((4, 4, 2), np.eye(4))
    with pytest.raises(GeometryError, match="geometry is for"):
        Image(np.zeros((1, 4, 4, 1)), geometry=grid)
    with pytest.raises(GeometryError, match="padding is for"):
        Image(np.zeros((1, 4, 4, 1)), padding=np.zeros((4, 4, 2), bool))


def test_a_printed_image_does_not_say_whose_it_is():
    identity = Identity("Doe^John", "1.2.3", "1.2.4", "1.2.5")
    shown = repr(Image(np.zeros((1, 2, 2, 1), np.uint8), identity=identity))
    assert "Identity()" in shown
    assert "Doe" not in shown
    assert "1.2." not in shown
