"""medcnn.training.augmentation against SciPy, and its independence of workers."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.utils.data import DataLoader

from medcnn.planning.recipe import Recipe
from medcnn.planning.sections import Augmentation, Input
from medcnn.training.augmentation import at_side, augment, generator
from medcnn.training.batches import TrainingImages, side_shape

STILL = Augmentation(
    rotation_deg=0, translate=0, scale=0, gamma=0, contrast=0, brightness=0, noise=0
)


class Drawn:
    """A generator whose draws are chosen."""

    def __init__(self, **draws):
        self.draws = np.zeros(16)
        for name, value in draws.items():
            self.draws[int(name[1:])] = value

    def uniform(self, *args):
        return self.draws if args else 0.0


def test_nothing_asked_for_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 7), np.uint8)
    varied = augment(image, STILL, generator(0, 0, 0))
    np.testing.assert_allclose(varied, image / 255, atol=1e-6)


def test_a_quarter_turn_is_clockwise_and_exact():
    image = np.random.default_rng(0).integers(0, 256, (1, 9, 9), np.uint8)
    turned = augment(
        image, STILL.model_copy(update={"rotation_deg": 90.0}), Drawn(d0=1)
    )
    np.testing.assert_allclose(turned[0], np.rot90(image[0], -1) / 255, atol=2 / 255)


def test_a_warp_equals_scipys_affine_transform():
    image = np.zeros((1, 41, 31), np.uint16)
    rng = np.random.default_rng(1)
    image[0] = ndimage.gaussian_filter(rng.uniform(0, 60000, (41, 31)), 3)
    recipe = STILL.model_copy(
        update={"scale": 0.2, "shear_deg": 10.0, "translate": 0.1, "rotation_deg": 20}
    )
    varied = augment(image, recipe, Drawn(d0=0.5, d1=1, d2=-1, d4=0.5, d5=-1))[0]
    # the same in words of (row, column): turn by 10 degrees, shear, zoom 0.8, shift
    turn = math.radians(10)
    rotate = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shear = np.array([[1, 0], [math.tan(math.radians(10)), 1]])
    forward = 0.8 * rotate @ shear
    centre, shift = np.array([20, 15]), np.array([-4.1, 1.55])
    back = np.linalg.inv(forward)
    offset = centre - back @ (centre + shift)
    expected = ndimage.affine_transform(image[0] / 65535, back, offset, order=1)
    inside = ndimage.affine_transform(np.ones((41, 31)), back, offset, order=1) == 1
    core = ndimage.binary_erosion(inside, iterations=2)
    assert core.sum() > 400
    np.testing.assert_allclose(varied[core], expected[core], atol=0.01)


def test_grey_value_changes_follow_their_formulas():
    image = np.array([[[51, 102], [153, 204]]], np.uint8)
    unit = image / 255
    gamma = augment(image, STILL.model_copy(update={"gamma": 0.5}), Drawn(d6=1))
    np.testing.assert_allclose(gamma, unit ** math.exp(0.5), rtol=1e-5)
    contrast = augment(image, STILL.model_copy(update={"contrast": 0.2}), Drawn(d7=-1))
    np.testing.assert_allclose(contrast, 0.5 + (unit - 0.5) * 0.8, rtol=1e-5)
    light = augment(image, STILL.model_copy(update={"brightness": 0.3}), Drawn(d8=1))
    np.testing.assert_allclose(light, np.minimum(unit + 0.3, 1), rtol=1e-5)


def test_a_flip_mirrors_left_and_right():
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    recipe = STILL.model_copy(update={"flip": True})
    mirrored = augment(image, recipe, Drawn(d3=-1))
    np.testing.assert_allclose(mirrored[0], image[0, :, ::-1] / 255, atol=1e-6)


def test_all_slices_of_a_volume_move_alike():
    slice_ = np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)
    volume = np.stack([slice_, slice_, slice_])[None]
    recipe = Augmentation(noise=0.0)
    varied = augment(volume, recipe, generator(1, 2, 3))
    assert varied.shape == (1, 3, 12, 12)
    np.testing.assert_array_equal(varied[0, 0], varied[0, 2])
    assert np.abs(varied[0, 0] - slice_ / 255).max() > 0.05


def test_values_stay_in_range_whatever_is_drawn():
    recipe = Augmentation(
        gamma=1, contrast=0.9, brightness=0.9, noise=0.5, blur=2, cutout=0.5
    )
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16), np.uint8)
    for index in range(50):
        varied = augment(image, recipe, generator(0, 0, index))
        assert varied.dtype == np.float32
        assert 0 <= varied.min() <= varied.max() <= 1


def test_a_smaller_side_keeps_the_aspect():
    assert side_shape((224, 160), 112) == (112, 80)
    assert side_shape((32, 64, 64), 32) == (16, 32, 32)
    image = np.full((1, 8, 8), 7, np.uint8)
    assert at_side(image, (4, 4)).shape == (1, 4, 4)
    assert at_side(image, (8, 8)) is image


@pytest.mark.slow
def test_an_image_does_not_depend_on_workers_or_on_its_batch():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 1, 16, 16), np.uint8)
    truth = np.zeros((12, 1), np.float32)
    images = TrainingImages(pixels, truth, Recipe(input=Input(shape=(16, 16))))

    def varied(order, size, workers):
        batches = [
            [(4, 16, n) for n in order[at : at + size]] for at in range(0, 12, size)
        ]
        # spawned, since other tests left threads behind that a fork would break
        start = "spawn" if workers else None
        loaded = DataLoader(
            images,
            batch_sampler=batches,
            num_workers=workers,
            multiprocessing_context=start,
        )
        rows = torch.cat([batch for batch, _ in loaded])
        return {n: rows[at] for at, n in enumerate(order)}

    alone = varied(list(range(12)), 1, 0)
    other = varied(list(range(11, -1, -1)), 5, 2)
    assert all(torch.equal(alone[n], other[n]) for n in range(12))
    assert not torch.equal(images[5, 16, 0][0], images[4, 16, 0][0])
