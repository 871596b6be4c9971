"""medcnn.training.device_augmentation: the same variants, a batch at once."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from medcnn.planning.sections import Augmentation
from medcnn.training.augmentation import augment, generator
from medcnn.training.device_augmentation import augment_batch, draws_of

PLAIN = {
    "rotation_deg": 0.0,
    "translate": 0.0,
    "scale": 0.0,
    "gamma": 0.0,
    "contrast": 0.0,
    "brightness": 0.0,
    "noise": 0.0,
}


def pictures(count, shape):
    """Smooth pictures: what rounding of coordinates changes little."""
    axes = np.meshgrid(*(np.linspace(0, 3, n) for n in shape), indexing="ij")
    waves = [np.sin(k + sum((k + 1) * a for a in axes)) for k in range(count)]
    return np.rint(127 * (1 + np.stack(waves)))[:, None].astype(np.uint8)


def both(recipe, images, *, epoch=2, seed=5):
    items = [(epoch, 0, index) for index in range(len(images))]
    alone = [
        augment(image, recipe, generator(seed, epoch, index))
        for index, image in enumerate(images)
    ]
    unit = torch.from_numpy(images.astype(np.float32) / 255)
    batch = augment_batch(unit, recipe, draws_of(seed, items, recipe))
    return np.stack(alone), batch.numpy()


@pytest.mark.parametrize("shape", [(40, 32), (6, 40, 32)])
@pytest.mark.parametrize(
    "changes",
    [
        {"rotation_deg": 20.0, "scale": 0.2, "shear_deg": 10.0},
        {"translate": 0.2, "flip": True},
        {"gamma": 0.4, "contrast": 0.3, "brightness": 0.2},
        {"blur": 1.5},
        {"cutout": 0.5},
        {"share": 0.5, "rotation_deg": 15.0, "gamma": 0.2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_it_varies_images_as_the_workers_do(shape, changes):
    recipe = Augmentation(**(PLAIN | changes))
    alone, batch = both(recipe, pictures(6, shape))
    difference = np.abs(alone - batch)
    assert np.mean(difference) < 0.004
    assert np.quantile(difference, 0.99) < 0.03
    if "share" not in changes:
        plain = pictures(6, shape) / 255
        assert np.mean(np.abs(batch - plain)) > 0.01


def test_noise_is_normal_and_each_images_own():
    recipe = Augmentation(**(PLAIN | {"noise": 0.1}))
    grey = np.full((3, 1, 64, 64), 128, np.uint8)
    _, batch = both(recipe, grey)
    noise = (batch - 128 / 255).reshape(3, -1)
    unit = noise / noise.std(axis=1, keepdims=True)
    for one in unit:
        assert kstest(one, "norm").pvalue > 1e-3
        rows = one.reshape(64, 64)
        assert abs(np.corrcoef(rows[:-1].ravel(), rows[1:].ravel())[0, 1]) < 0.06
    assert abs(np.corrcoef(unit)[0, 1]) < 0.06


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    recipe = Augmentation(noise=0.1, blur=0.0)
    images = torch.from_numpy(pictures(4, (24, 24)).astype(np.float32) / 255)
    items = [(1, 0, index) for index in (7, 3, 9, 4)]
    whole = augment_batch(images, recipe, draws_of(0, items, recipe))
    alone = augment_batch(images[2:3], recipe, draws_of(0, items[2:3], recipe))
    torch.testing.assert_close(alone[0], whole[2], rtol=0, atol=1e-6)
    again = augment_batch(images, recipe, draws_of(0, items, recipe))
    assert torch.equal(again, whole)
