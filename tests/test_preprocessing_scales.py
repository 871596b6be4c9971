"""medcnn.preprocessing: z-scores for MR, and the same millimetres for every volume."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from medcnn.errors import GeometryError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.preprocessing import Orient, Preprocessing, Resize, ZScore


def volume(shape=(12, 10, 8), spacing=(1.0, 2.0, 3.0), values=None):
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    array = np.zeros(shape) if values is None else values
    return Image(array[None], geometry=Geometry(shape, affine))


def test_values_become_deviations_from_the_mean_of_what_is_not_zero():
    values = np.random.default_rng(0).normal(300, 20, (6, 5, 4))
    values[:2] = 0
    steps = Preprocessing(steps=(ZScore(),))
    got = steps.apply(volume((6, 5, 4), values=values)).tensor[0].transpose(2, 1, 0)
    wanted = stats.zscore(values[2:], axis=None) / 8 + 0.5
    np.testing.assert_allclose(got[2:], wanted.clip(0, 1), atol=1e-5)
    assert (got[:2] == 0).all()


def test_another_scanner_s_scale_changes_nothing_and_flat_images_are_zero():
    values = np.random.default_rng(1).uniform(1, 9, (6, 5, 4))
    steps = Preprocessing(steps=(ZScore(),))
    one, other = (
        steps.apply(volume((6, 5, 4), values=v)).tensor for v in (values, 70 * values)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    flat = steps.apply(volume((6, 5, 4), values=np.full((6, 5, 4), 7.0))).tensor
    assert (flat == 0).all()


SPACED = Resize(shape=(10, 16, 8), fit="spacing", spacing_mm=(3.0, 2.0, 1.0))


def test_voxels_of_the_wanted_millimetres_are_cut_and_filled_about_the_middle():
    values = np.random.default_rng(2).uniform(5, 9, (12, 10, 8))
    done = Preprocessing(steps=(SPACED,)).apply(volume(values=values))
    got = done.tensor[0].transpose(2, 1, 0)  # i, j, k; spacing is kept: no resampling
    np.testing.assert_allclose(got[:, 3:13, 1:9], values[2:10], rtol=1e-6)
    assert (got[:, :3] == np.float32(values.min())).all()
    assert (got[..., 9:] == np.float32(values.min())).all()


def test_another_spacing_shows_the_same_millimetres():
    steps = Preprocessing(
        steps=(
            Orient(codes="LPS"),
            Resize(shape=(6, 10, 12), fit="spacing", spacing_mm=(3.0, 2.0, 1.0)),
        )
    )
    ramps = []
    for n in (1, 2):  # the same field of view, once with half the voxels
        shape, spacing = (24 // n, 40 // n, 16 // n), (0.5 * n, 0.5 * n, 1.125 * n)
        i = (np.arange(shape[0]) + 0.5) * spacing[0]
        values = np.broadcast_to(i[:, None, None], shape)
        ramps.append(steps.apply(volume(shape, spacing, values)).tensor)
    np.testing.assert_allclose(ramps[0], ramps[1], atol=0.3)
    np.testing.assert_allclose(ramps[0][0, 3, 5], np.arange(12) + 0.5, atol=0.3)


def test_a_map_comes_back_to_the_voxels_it_is_of():
    values = np.zeros((12, 10, 8))
    values[5, 4, 3] = 1
    done = Preprocessing(steps=(SPACED,)).apply(volume(values=values))
    back = done.restore(done.tensor[0])
    assert np.unravel_index(back.argmax(), back.shape) == (5, 4, 3)
    assert (back[:2] == 0).all()  # what was cut off was not seen


def test_millimetres_of_an_image_without_a_grid_are_refused():
    with pytest.raises(GeometryError, match="knows no millimetre"):
        Preprocessing(steps=(SPACED,)).apply(Image(np.zeros((1, 12, 10, 8))))


@pytest.mark.parametrize(
    ("fit", "mm"),
    [("spacing", None), ("stretch", (1, 1)), ("spacing", (1,)), ("spacing", (1, 0))],
)
def test_a_fit_and_millimetres_that_do_not_go_together_are_refused(fit, mm):
    with pytest.raises(ValidationError, match="spacing_mm"):
        Resize(shape=(4, 4), fit=fit, spacing_mm=mm)
