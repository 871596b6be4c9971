"""Rank correlation and overlap of maps: scipy and closed forms."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from medcnn.trust.alike import hottest_overlap, rank_correlation


@pytest.mark.parametrize("digits", [1, 8])
def test_rank_correlation_is_scipys_spearman(digits):
    rng = np.random.default_rng(digits)
    first, second = rng.random((2, 12, 9, 4)).round(digits)  # one digit: many ties
    wanted = spearmanr(first.ravel(), second.ravel()).statistic
    assert rank_correlation(first, second) == pytest.approx(wanted, abs=1e-12)


def test_an_equal_map_has_no_ranks():
    assert rank_correlation(np.zeros((3, 3)), np.eye(3)) is None


def test_equal_maps_overlap_wholly_and_opposite_ones_not():
    values = np.random.default_rng(0).permutation(400).reshape(20, 20)
    assert hottest_overlap(values, values) == 1
    assert hottest_overlap(values, -values) == 0


def test_maps_without_any_order_overlap_by_chance_in_every_storage_order():
    flat = np.ones((20, 20))
    values = np.random.default_rng(0).permutation(400).reshape(20, 20)
    assert hottest_overlap(flat, flat) == pytest.approx(0.05)
    assert hottest_overlap(flat, values) == pytest.approx(0.05)
    tied = np.minimum(values, 390)
    turned = hottest_overlap(tied[::-1].T, values[::-1].T)
    assert hottest_overlap(tied, values) == pytest.approx(turned)


def test_unrelated_maps_overlap_by_chance():
    rng = np.random.default_rng(3)
    found = [hottest_overlap(*rng.random((2, 40, 40))) for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.05, abs=0.005)


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(4,\)"):
        rank_correlation(np.eye(2), np.ones(4))
    with pytest.raises(ValueError, match="share must be above 0"):
        hottest_overlap(np.eye(2), np.eye(2), share=0)
