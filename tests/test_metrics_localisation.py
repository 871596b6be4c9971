"""Pointing game, energy, overlap, AUPRC of pixels: closed forms and other libraries."""

import numpy as np
import pytest
import torch
import torch.nn.functional as tf
from scipy import ndimage
from sklearn.metrics import average_precision_score, jaccard_score

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.localisation import (
    centre_map,
    energy_inside,
    locate,
    overlap,
    peak_inside,
    pixel_precision,
)
from medcnn.metrics.patient_mean import patient_mean
from medcnn.metrics.region_prior import coverage, usual_places


def a_case(seed, shape=(13, 9, 5)):
    rng = np.random.default_rng(seed)
    region = np.zeros(shape, bool)
    region[2:7, 3:8, 1:4] = True
    return rng.random(shape).astype(np.float32), region


@pytest.mark.parametrize("seed", range(5))
def test_auprc_and_iou_are_scikit_learns(seed):
    relevance, region = a_case(seed)
    relevance = np.round(relevance, 1)  # many ties
    hot = relevance >= 0.5 * relevance.max()
    wanted = average_precision_score(region.ravel(), relevance.ravel())
    assert pixel_precision(relevance, region) == pytest.approx(wanted, abs=1e-12)
    wanted = jaccard_score(region.ravel(), hot.ravel())
    assert overlap(relevance, region) == pytest.approx(wanted, abs=1e-12)


def test_energy_is_the_sum_inside_over_the_sum():
    relevance, region = a_case(1)
    inside = sum(
        float(v) for v, r in zip(relevance.flat, region.flat, strict=True) if r
    )
    wanted = inside / sum(map(float, relevance.flat))
    assert energy_inside(relevance, region) == pytest.approx(wanted, rel=1e-6)


def test_of_equal_peaks_the_share_inside_counts_in_every_storage_order():
    relevance, region = a_case(2)
    for place in ((0, 0, 0), (3, 4, 2), (12, 8, 4), (4, 4, 2)):
        relevance[place] = 5
    for axis in range(3):
        turned = np.flip(relevance, axis), np.flip(region, axis)
        assert peak_inside(*turned) == 0.5
    assert peak_inside(relevance.transpose(2, 0, 1), region.transpose(2, 0, 1)) == 0.5


def test_two_equal_cells_stay_equal_after_interpolation():
    cells = torch.zeros(1, 1, 7, 7)
    cells[0, 0, 1, 1] = cells[0, 0, 5, 4] = 0.123456
    relevance = tf.interpolate(cells, size=(98, 105), mode="bilinear")[0, 0].numpy()
    region = np.zeros((98, 105), bool)
    region[:40, :40] = True
    assert peak_inside(relevance, region) == 0.5


@pytest.mark.parametrize("tolerance", [0.0, 1.0, 2.5, 4.0])
def test_tolerance_is_a_distance_in_millimetres(tolerance):
    region = np.zeros((15, 15), bool)
    region[5:8, 6:9] = True
    spacing, hits = (2.0, 0.7), 0
    for i, j in np.ndindex(15, 15):
        relevance = np.zeros((15, 15))
        relevance[i, j] = 1
        nearest = min(
            np.hypot((i - a) * 2.0, (j - b) * 0.7) for a, b in np.argwhere(region)
        )
        hit = peak_inside(relevance, region, tolerance=tolerance, spacing=spacing)
        assert hit == (nearest <= tolerance + 1e-9)
        hits += hit
    assert hits >= 9


def test_a_map_of_zeros_is_a_miss_and_is_told():
    found = locate(np.zeros((4, 4)), np.eye(4))
    assert (found.pointing, found.energy, found.iou) == (0, 0, 0)
    assert (found.auprc, found.is_empty) == (0.25, True)


def test_an_equal_map_has_the_share_of_the_image_in_every_score():
    _, region = a_case(0)
    found = locate(np.full(region.shape, 0.3), region)
    share = region.sum() / region.size
    assert found.area == pytest.approx(share)
    for got in (found.pointing, found.energy, found.iou, found.auprc):
        assert got == pytest.approx(share, rel=1e-6)


def test_a_random_point_hits_as_often_as_the_region_is_large():
    _, region = a_case(0)
    rng = np.random.default_rng(0)
    hits = [peak_inside(rng.random(region.shape), region) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(region.mean(), abs=0.02)


def test_where_the_region_is_the_whole_image_nothing_can_be_missed():
    relevance, region = a_case(3)
    found = locate(relevance, np.ones_like(region))
    assert (found.pointing, found.auprc, found.area) == (1, 1, 1)
    assert found.energy == pytest.approx(1)
    assert found.iou == pytest.approx((relevance >= relevance.max() / 2).mean())


@pytest.mark.parametrize(
    ("relevance", "region", "words"),
    [
        (np.ones((2, 2)), np.zeros((2, 2)), "region is empty"),
        (np.ones((2, 2)), np.ones((2, 3)), r"shape \(2, 2\), the region \(2, 3\)"),
        (-np.ones((2, 2)), np.ones((2, 2)), "not negative"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "finite"),
    ],
)
def test_what_has_no_score_is_refused(relevance, region, words):
    with pytest.raises(ValueError, match=words):
        locate(relevance, region)


def test_impossible_tolerance_and_share_are_refused():
    with pytest.raises(ValueError, match="tolerance must not be negative, got -1"):
        peak_inside(np.ones((2, 2)), np.eye(2), tolerance=-1)
    with pytest.raises(ValueError, match="share must be above 0 and at most 1, got 0"):
        overlap(np.ones((2, 2)), np.eye(2), share=0)


@pytest.mark.parametrize("shape", [(8, 8), (7, 10, 1), (5, 4, 6)])
def test_the_centre_map_is_hottest_in_the_middle_and_symmetric(shape):
    found = centre_map(shape)
    for axis in range(len(shape)):
        np.testing.assert_array_equal(found, np.flip(found, axis))
    middle = np.argwhere(found == found.max()).mean(axis=0)
    np.testing.assert_allclose(middle, (np.array(shape) - 1) / 2)
    np.testing.assert_allclose(ndimage.center_of_mass(found), middle, atol=1e-9)


def test_coverage_is_area_averaging():
    _, region = a_case(0, shape=(48, 30, 12))
    wanted = tf.adaptive_avg_pool3d(torch.from_numpy(region[None].astype("f4")), 6)
    np.testing.assert_allclose(coverage(region, cells=6), wanted[0], atol=1e-6)
    assert coverage(region[:, :, :1], cells=7).shape == (7, 7, 1)
    assert coverage(region, cells=7).mean() == pytest.approx(region.mean())


def test_the_usual_place_is_made_of_the_other_patients():
    boxes = np.zeros((4, 4, 4))
    boxes[0, 0, 0] = boxes[1, 0, 0] = 1  # both of patient a
    boxes[2, 0, 0] = boxes[3, 3, 3] = 1
    found = usual_places(list(boxes), ["a", "a", "b", "c"])
    # a: the others' hottest cells are (0, 0) and (3, 3), equally; b: those of a and c
    np.testing.assert_allclose(found.pointing, [0.5, 0.5, 0.5, 0])
    np.testing.assert_allclose(found.energy, [0.5, 0.5, 0.5, 0])
    with pytest.raises(UndefinedMetricError, match="1 patient: there are no others"):
        usual_places([boxes[0]], ["a"])


def test_a_mean_of_hits_is_wilsons_interval_and_else_resampled():
    rng = np.random.default_rng(0)
    value, low, high, words = patient_mean([1, 1, 1, 1, 0], None, rng=rng)
    assert (value, words) == (0.8, "Wilson, by patient")
    assert (low, high) == pytest.approx((0.3755, 0.9638), abs=1e-3)  # Newcombe 1998
    values = rng.random(200)
    value, low, high, words = patient_mean(values, None, rng=rng)
    spread = 1.96 * values.std() / np.sqrt(200)
    assert (low, high) == pytest.approx((value - spread, value + spread), abs=0.01)
    assert "bootstrap of patients" in words


def test_the_resampled_interval_covers_with_four_images_a_patient():
    rng, inside = np.random.default_rng(1), 0
    codes = np.repeat(np.arange(30), 4)
    for _ in range(200):
        of_patient = rng.normal(size=30)[codes]
        values = of_patient + 0.3 * rng.normal(size=120)
        _, low, high, _ = patient_mean(values, codes, samples=300, rng=rng)
        inside += low <= 0 <= high
    assert 0.88 <= inside / 200 <= 0.98


@pytest.mark.parametrize("values", [[], [np.nan], [[1.0]]])
def test_a_mean_of_nothing_is_refused(values):
    with pytest.raises(ValueError, match="values must be finite numbers"):
        patient_mean(values, None, rng=np.random.default_rng(0))
