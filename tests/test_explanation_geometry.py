"""Every method's hottest voxel lies in a planted lesion, in world millimetres."""

import numpy as np
import pytest
from lesions import lesion_finder, planted

import medcnn
from medcnn.explanation import METHODS, Explainer

GEOMETRIES = 50
BLIND = {"eigen-cam", "score-cam", "smoothgrad"}
"""They show the same, or nearly, for a label and its opposite."""
SETTINGS = {"batch": 64, "steps": 8, "samples": 6}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_the_peak_lies_in_the_lesion_whatever_the_geometry(method, dims):
    network, missed = lesion_finder(dims), []
    for seed in range(GEOMETRIES):
        case = planted(seed, dims)
        heatmap = medcnn.explain(
            network,
            case.image,
            label=0,
            method=method,
            preprocessing=case.recipe,
            **SETTINGS,
        )
        assert heatmap.geometry is case.image.geometry
        assert heatmap.array.shape == case.image.shape
        assert heatmap.array.max() > 0
        if not case.holds(heatmap.peak):
            missed.append(seed)
    assert not missed


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_an_image_without_anything_has_a_map_of_zeros(method, dims):
    case = planted(0, dims)
    flat = case.image.with_array(np.full_like(case.image.array, 100), step="emptied")
    explainer = Explainer(
        lesion_finder(dims), method=method, preprocessing=case.recipe, **SETTINGS
    )
    (heatmap,) = explainer.explain(flat, ["0"]).heatmaps
    assert not heatmap.array.any()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", sorted(set(METHODS) - BLIND))
def test_the_opposite_label_is_not_hot_where_the_lesion_is(method, dims):
    case = planted(1, dims)
    explainer = Explainer(
        lesion_finder(dims), method=method, preprocessing=case.recipe, **SETTINGS
    )
    of_it, against_it = explainer.explain(case.image, ["0", "1"]).heatmaps
    assert case.holds(of_it.peak)
    assert not against_it.array.any() or not case.holds(against_it.peak)


def test_what_the_network_never_saw_is_zero():
    cut = 0
    for seed in range(30):
        case = planted(seed, 2)
        prepared = case.recipe.apply(case.image)
        everywhere = prepared.restore(np.ones((4, 4), np.float32))[..., 0]
        way = np.linalg.inv(prepared.to_voxel)
        i, j = np.meshgrid(*map(np.arange, case.image.shape[:2]), indexing="ij")
        inside = np.ones(i.shape, bool)
        for axis, size in enumerate(prepared.tensor.shape[:0:-1]):
            place = way[axis, 0] * i + way[axis, 1] * j + way[axis, 3]
            inside &= (place > -0.5 - 1e-4) & (place < size - 0.5 + 1e-4)
        assert not everywhere[~inside].any()
        np.testing.assert_allclose(everywhere[inside], 1, atol=1e-5)
        cut += not inside.all()
    assert cut > 3
