"""Image to tensor and back; torch, scipy and closed forms are the oracles."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medcnn.errors import DataError, GeometryError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.preprocessing import (
    Normalise,
    Orient,
    Percentiles,
    Preprocessing,
    Resize,
    Window,
)
from medcnn.preprocessing.resample import resample_onto, resize


def _volume(seed, shape=(12, 10, 8)):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    flips = np.diag(rng.choice([-1.0, 1.0], 3))[:, rng.permutation(3)]
    turn = Rotation.from_rotvec(rng.normal(0, 0.2, 3)).as_matrix()
    affine[:3, :3] = turn @ flips @ np.diag([0.8, 1.1, 2.5])
    affine[:3, 3] = rng.normal(0, 40, 3)
    values = rng.normal(0, 1, (1, *shape)).astype(np.float32)
    return Image(values, geometry=Geometry(shape, affine))


def _blob(image, centre_mm, radius_mm):
    voxels = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1)
    apart = np.linalg.norm(image.geometry.to_world(voxels) - centre_mm, axis=-1)
    return np.exp(-((apart / radius_mm) ** 2)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.int32])
def test_shrinking_by_a_whole_factor_is_the_mean_of_the_pixels(dtype):
    values = np.random.default_rng(0).integers(0, 120, (1, 24, 36)).astype(dtype)
    oracle = values[0].astype(float).reshape(6, 4, 6, 6).mean(axis=(1, 3))
    assert np.abs(resize(values, (6, 6))[0] - oracle).max() <= 0.5


def test_shrinking_by_any_factor_agrees_with_area_averaging():
    values = np.random.default_rng(1).normal(0, 1, (2, 30, 45)).astype(np.float32)
    weights = []
    for old, new in ((30, 7), (45, 11)):
        edges = np.arange(new + 1) * old / new
        low, high = edges[:-1, None], edges[1:, None]
        pixels = np.arange(old)
        overlap = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
        weights.append(np.clip(overlap, 0, None) / (old / new))
    oracle = np.einsum("ar,crk,bk->cab", weights[0], values, weights[1])
    assert np.allclose(resize(values, (7, 11)), oracle, atol=1e-5)


def test_growing_agrees_with_torch_linear_interpolation():
    values = np.random.default_rng(2).normal(0, 1, (1, 5, 6, 7)).astype(np.float32)
    oracle = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None], size=(9, 13, 10), mode="trilinear"
    )
    assert np.allclose(resize(values, (9, 13, 10)), oracle[0].numpy(), atol=1e-5)


def test_shrinking_a_volume_is_the_mean_of_the_voxels():
    values = np.random.default_rng(3).normal(0, 1, (1, 8, 12, 6)).astype(np.float32)
    oracle = values.reshape(1, 4, 2, 4, 3, 3, 2).mean(axis=(2, 4, 6))
    assert np.allclose(resize(values, (4, 4, 3)), oracle, atol=1e-5)


def test_one_axis_may_shrink_while_the_other_grows():
    values = np.random.default_rng(4).normal(0, 1, (1, 8, 4)).astype(np.float32)
    halved = torch.from_numpy(values.reshape(1, 4, 2, 4).mean(2))[None]
    oracle = torch.nn.functional.interpolate(halved, size=(4, 8), mode="bilinear")
    assert np.allclose(resize(values, (4, 8)), oracle[0].numpy(), atol=1e-5)


def test_a_network_sees_rows_and_columns():
    picture = np.zeros((20, 30), np.float32)
    picture[2, 25] = 1  # near the top right
    tensor = Preprocessing(steps=(Resize(shape=(20, 30)),)).apply(
        Image.from_picture(picture)
    )
    assert np.array_equal(tensor.tensor[0], picture)


@pytest.mark.parametrize("seed", range(8))
def test_orient_shows_every_volume_as_a_radiologist_sees_it(seed):
    image = _volume(seed)
    prepared = Preprocessing(steps=(Orient(codes="LPS"),)).apply(image)
    matrix = image.geometry.affine @ prepared.to_voxel
    seen = Geometry(prepared.tensor.shape[:0:-1], matrix)
    assert seen.axis_codes == "LPS"
    corner = prepared.tensor.shape[1:]
    for k, j, i in np.ndindex(corner):
        voxel = np.rint(prepared.to_voxel @ [i, j, k, 1])[:3].astype(int)
        assert prepared.tensor[0, k, j, i] == image.array[(0, *voxel)]


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_peak_comes_back_to_its_place_in_the_world(seed):
    image = _volume(seed, shape=(40, 36, 20))
    centre = image.geometry.to_world([25, 11, 12])
    planted = Image(_blob(image, centre, 6.0)[None], geometry=image.geometry)
    steps = (Orient(), Resize(shape=(16, 24, 24)))
    prepared = Preprocessing(steps=steps).apply(planted)
    heat = prepared.restore(prepared.tensor[0])
    peak = np.unravel_index(heat.argmax(), heat.shape)
    assert np.linalg.norm(image.geometry.to_world(peak) - centre) < 3.0


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_a_planted_peak_comes_back_in_a_picture(fit):
    picture = np.zeros((300, 200), np.float32)
    picture[200:220, 50:70] = 1
    steps = (Resize(shape=(64, 64), fit=fit),)
    prepared = Preprocessing(steps=steps).apply(Image.from_picture(picture))
    coarse = resize(prepared.tensor, (16, 16))[0]
    heat = prepared.restore(coarse)[..., 0].T
    assert heat.shape == picture.shape
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(row - 209.5) <= 20
    assert abs(column - 59.5) <= 13


def test_restoring_a_linear_ramp_gives_the_ramp_of_pixel_centres():
    picture = np.zeros((90, 120), np.float32)
    steps = (Resize(shape=(30, 40)),)
    prepared = Preprocessing(steps=steps).apply(Image.from_picture(picture))
    ramp = np.tile(np.arange(8, dtype=np.float32), (6, 1))
    heat = prepared.restore(ramp)[..., 0].T
    column = np.arange(120)
    oracle = np.clip((column + 0.5) / 15 - 0.5, 0, 7)
    assert np.allclose(heat, oracle[None], atol=2e-2)


def test_a_map_of_zeros_stays_zeros_and_the_unseen_stays_cold():
    picture = np.random.default_rng(0).normal(0, 1, (50, 100)).astype(np.float32)
    steps = (Resize(shape=(64, 64)),)
    prepared = Preprocessing(steps=steps).apply(Image.from_picture(picture))
    assert not prepared.restore(np.zeros((4, 4), np.float32)).any()
    ones = prepared.restore(np.ones((4, 4), np.float32))
    assert ones == pytest.approx(1)


def test_letterbox_keeps_the_aspect_and_fills_with_the_lowest_value():
    picture = np.full((100, 50), 7, np.uint8)
    picture[0, 0] = 3
    steps = (Resize(shape=(40, 40), fit="letterbox"),)
    tensor = Preprocessing(steps=steps).apply(Image.from_picture(picture)).tensor[0]
    assert (tensor[:, :10] == tensor.min()).all()
    assert (tensor[5:, 10:30] == 7).all()


def test_percentiles_stretch_what_was_acquired_only():
    values = np.linspace(100, 200, 10000, dtype=np.float32).reshape(100, 100)
    values[:, :30] = -2000
    padding = (values < 0).T[..., None]
    image = Image.from_picture(values, padding=padding)
    steps = (Resize(shape=(100, 100)), Percentiles(low=0, high=100))
    tensor = Preprocessing(steps=steps).apply(image).tensor[0]
    low, high = values[:, 30:].min(), values[:, 30:].max()
    oracle = (values[:, 30:] - low) / (high - low)
    assert np.allclose(tensor[:, 30:], oracle, atol=1e-5)
    assert (tensor[:, :30] == 0).all()


def test_window_maps_its_edges_to_zero_and_one():
    values = np.array([[-160, 40, 240, 1000]], np.int16)
    image = Image.from_picture(values, unit="HU")
    steps = (Window(center=40, width=400), Normalise(mean=0.5, std=0.25))
    tensor = Preprocessing(steps=steps).apply(image).tensor[0, 0]
    assert tensor.tolist() == [-2, 0, 2, 2]


def test_a_flat_picture_becomes_zero_not_nan():
    steps = (Resize(shape=(8, 8)), Percentiles())
    tensor = Preprocessing(steps=steps).apply(Image.from_picture(np.full((9, 9), 5)))
    assert not tensor.tensor.any()


def test_colour_becomes_luma():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[..., 1] = 200
    steps = (Resize(shape=(8, 8)),)
    tensor = Preprocessing(steps=steps).apply(Image.from_picture(picture)).tensor
    assert tensor == pytest.approx(0.587 * 200)


def test_nan_is_refused_by_number():
    picture = np.ones((16, 16), np.float32)
    picture[3, 3] = np.nan
    steps = (Resize(shape=(16, 16)), Percentiles())
    with pytest.raises(DataError, match="not finite"):
        Preprocessing(steps=steps).apply(Image.from_picture(picture))


def test_a_volume_is_refused_by_a_picture_model():
    with pytest.raises(GeometryError, match="takes 2-D"):
        Preprocessing(steps=(Resize(shape=(8, 8)),)).apply(_volume(0))


def test_a_volume_without_a_geometry_cannot_be_turned():
    image = Image(np.zeros((1, 4, 4, 4), np.float32))
    with pytest.raises(GeometryError, match="volume with a geometry"):
        Preprocessing(steps=(Orient(),)).apply(image)


def test_two_channels_are_refused():
    image = Image(np.zeros((2, 4, 4, 1), np.float32))
    with pytest.raises(GeometryError, match="takes 1 channels"):
        Preprocessing(steps=(Resize(shape=(4, 4)),)).apply(image)


def test_steps_survive_json_and_unknown_keys_are_refused():
    recipe = Preprocessing(
        steps=(Orient(), Resize(shape=(8, 8, 8)), Window(center=0, width=1))
    )
    text = recipe.model_dump_json()
    assert Preprocessing.model_validate_json(text) == recipe
    broken = json.loads(text)
    broken["steps"][0]["code"] = "import os"
    with pytest.raises(ValidationError, match="code"):
        Preprocessing.model_validate(broken)


@pytest.mark.parametrize("coarse", [(5, 7, 1), (4, 3, 6), (1, 5, 4), (70, 40, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_values_along_the_axes_are_looked_up_where_each_voxel_lies(coarse, seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, coarse).astype(np.float32)
    turn = rng.permutation(2 if coarse[2] == 1 else 3)
    order = (*turn, 2) if coarse[2] == 1 else tuple(turn)
    shape = tuple(1 if coarse[n] == 1 else int(rng.integers(9, 30)) for n in order)
    way = np.zeros((4, 4))
    way[3, 3] = 1
    for voxel, axis in enumerate(order):
        step = (coarse[axis] / shape[voxel]) * rng.uniform(0.8, 1.5)
        forth = coarse[axis] == 1 or rng.random() < 0.5
        way[axis, voxel] = 1 if coarse[axis] == 1 else (step if forth else -step)
        way[axis, 3] = 0 if forth else coarse[axis] - 1
        way[axis, 3] += 0 if coarse[axis] == 1 else rng.uniform(-1, 1)
    places = way[:3, :3] @ np.indices(shape).reshape(3, -1) + way[:3, 3:]
    ends = np.array(coarse)[:, None] - 0.5
    inside = ((places > -0.5) & (places < ends)).all(axis=0)
    near = np.clip(places, 0, np.array(coarse)[:, None] - 1)
    oracle = ndimage.map_coordinates(values, near, order=1) * inside

    found = resample_onto(values, shape, way)

    assert 0 < inside.sum() < inside.size or coarse == (1, 5, 4)
    bound = 1e-5 if max(coarse) <= 64 else 0.02  # OpenCV's 32 steps of a pixel
    assert np.abs(found.ravel() - oracle).max() < bound
