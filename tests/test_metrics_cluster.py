"""Clustered intervals against Obuchowski's definition, properties and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.bootstrap import auc_bootstrap
from medcnn.metrics.classes import cluster_codes
from medcnn.metrics.roc import clustered_ci, delong_ci, paired_difference

CASES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(-4, 4), st.integers(0, 9)),
    min_size=8,
    max_size=60,
).filter(
    lambda cases: all(
        len({c for u, _, c in cases if u == side}) >= 2 for side in (0, 1)
    )
)


def obuchowski(truth, score, cluster):
    """Obuchowski 1997, patient by patient and pair by pair."""
    patients = sorted(set(cluster))
    cases = list(zip(truth, score, cluster, strict=True))
    x = {p: [s for u, s, c in cases if c == p and u == 1] for p in patients}
    y = {p: [s for u, s, c in cases if c == p and u == 0] for p in patients}
    every_x, every_y = ([s for own in z.values() for s in own] for z in (x, y))
    m, n, count = len(every_x), len(every_y), len(patients)

    def win(a, b):
        return float(a > b) + 0.5 * (a == b)

    area = sum(win(a, b) for a in every_x for b in every_y) / (m * n)
    v10 = {p: sum(win(a, b) for a in x[p] for b in every_y) / n for p in patients}
    v01 = {p: sum(win(a, b) for a in every_x for b in y[p]) / m for p in patients}
    with_x, with_y = sum(map(bool, x.values())), sum(map(bool, y.values()))
    off_x = {p: v10[p] - len(x[p]) * area for p in patients}
    off_y = {p: v01[p] - len(y[p]) * area for p in patients}
    s10 = with_x / ((with_x - 1) * m) * sum(v**2 for v in off_x.values())
    s01 = with_y / ((with_y - 1) * n) * sum(v**2 for v in off_y.values())
    s11 = count / (count - 1) * sum(off_x[p] * off_y[p] for p in patients)
    return area, s10 / m + s01 / n + 2 * s11 / (m * n)


def effective(truth, cluster):
    """The smaller of both classes' numbers of patients, unequal ones discounted."""
    found = []
    for side in (0, 1):
        own = [c for u, c in zip(truth, cluster, strict=True) if u == side]
        sizes = [own.count(c) for c in set(own)]
        found.append(sum(sizes) ** 2 / sum(size**2 for size in sizes))
    return min(found)


@given(CASES)
@settings(max_examples=100, deadline=None)
def test_interval_is_obuchowskis_by_definition(cases):
    truth, score, cluster = zip(*cases, strict=True)
    area, variance = obuchowski(truth, score, cluster)
    got, low, high = clustered_ci(truth, score, cluster)
    assert got == pytest.approx(area)
    assert 0 <= low <= got <= high <= 1
    if variance < 1e-9 or not 1e-9 < area < 1 - 1e-9:
        assert high - low > 0.01  # never empty
        return
    patients = effective(truth, cluster)
    q = norm.ppf(0.975) if patients >= 20 else t.ppf(0.975, max(1, patients - 1))
    half = q * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    assert low == pytest.approx(1 / (1 + math.exp(half - centre)), abs=1e-9)
    assert high == pytest.approx(1 / (1 + math.exp(-half - centre)), abs=1e-9)


@given(CASES, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_neither_order_nor_names_of_patients_matter(cases, chance):
    truth, score, cluster = zip(*cases, strict=True)
    expected = clustered_ci(truth, score, cluster)
    shuffled = list(cases)
    chance.shuffle(shuffled)
    truth, score, cluster = zip(*shuffled, strict=True)
    names = [f"patient {c}" for c in cluster]
    assert clustered_ci(truth, score, names) == pytest.approx(expected, abs=1e-9)


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_patients_of_one_image_are_delongs(cases):
    truth, score, _ = zip(*cases, strict=True)
    alone = [("patient", index) for index in range(len(truth))]
    assert clustered_ci(truth, score, alone) == delong_ci(truth, score)


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_copies_of_an_image_in_its_patient_add_nothing(cases):
    truth, score, cluster = (np.array(column) for column in zip(*cases, strict=True))
    twice = clustered_ci(np.tile(truth, 2), np.tile(score, 2), np.tile(cluster, 2))
    assert twice == pytest.approx(clustered_ci(truth, score, cluster), abs=1e-9)


def test_copies_that_pass_for_patients_make_the_interval_too_short():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    score = rng.normal(truth, 1)
    _, low, high = delong_ci(truth, score)
    _, false_low, false_high = delong_ci(np.tile(truth, 4), np.tile(score, 4))
    assert false_high - false_low < 0.6 * (high - low)


def test_perfectly_apart_classes_are_as_sure_as_their_patients_are_many():
    truth, patients = np.repeat([0, 1], 40), np.repeat(np.arange(20), 4)
    area, low, high = clustered_ci(truth, np.arange(80), patients)
    assert (area, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 10))  # ten patients of each


def test_one_huge_patient_leaves_little_known():
    rng = np.random.default_rng(1)
    truth = np.concatenate([np.ones(1000), np.repeat([0, 1], 30)])
    cluster = np.concatenate([np.zeros(1000), np.arange(1, 61)])
    score = rng.normal(truth, 1)
    _, low, high = clustered_ci(truth, score, cluster)
    _, image_low, image_high = delong_ci(truth, score)
    assert high - low > 3 * (image_high - image_low)


def test_a_patient_may_have_both_classes_but_not_be_the_only_one():
    with pytest.raises(
        UndefinedMetricError, match="2 diseased and 1 healthy, of 1 and"
    ):
        clustered_ci([1, 1, 0], [3, 2, 1], ["a", "a", "a"])
    with pytest.raises(UndefinedMetricError, match="of 1 and 2 patients"):
        clustered_ci([1, 1, 0, 0], [3, 2, 1, 4], ["a", "a", "b", "c"])
    _, low, high = clustered_ci([1, 0, 1, 0], [3, 2, 1, 4], ["a", "a", "b", "b"])
    assert 0 <= low < high <= 1


def test_three_patients_give_an_interval_that_says_almost_nothing():
    found = clustered_ci([1, 0, 1, 0, 0], [3, 2, 1, 0, 2], ["a", "a", "b", "b", "c"])
    assert found[2] - found[1] > 0.9


def test_cases_of_unknown_patients_are_refused():
    for nobody in (None, math.nan):
        with pytest.raises(ValueError, match="2 of 4 cases name no patient"):
            clustered_ci([1, 1, 0, 0], [4, 3, 2, 1], ["a", nobody, nobody, "b"])
    with pytest.raises(ValueError, match="2 of 4 cases name no patient"):
        cluster_codes(np.array([1, np.nan, np.nan, 2]), 4)
    with pytest.raises(ValueError, match="cluster names 3 cases, truth 4"):
        clustered_ci([1, 1, 0, 0], [4, 3, 2, 1], ["a", "b", "c"])


def test_patients_of_different_types_are_different_patients():
    assert cluster_codes([1, "1", (1,), 1], 4).tolist() == [0, 1, 2, 0]


TRUE_AREA = norm.cdf(1 / math.sqrt(2))  # two normal distributions, 1 apart


def simulated(rng, images, rho, patients=120):
    """Images of a patient share the truth and `rho` of the variance of the score."""
    cluster = np.repeat(np.arange(patients), images)
    truth = cluster % 2
    shared = rng.normal(0, math.sqrt(rho), patients)[cluster]
    own = rng.normal(0, math.sqrt(1 - rho), len(cluster))
    return truth, truth + shared + own, cluster


def coverage(interval, images, rho, repeats, seed=7):
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(repeats):
        _, low, high = interval(*simulated(rng, images, rho))
        hits += low <= TRUE_AREA <= high
    return hits / repeats


def by_image(truth, score, cluster):
    return delong_ci(truth, score)


def test_clustered_intervals_cover_and_image_level_ones_do_not():
    assert coverage(by_image, 4, 0.5, 300) < 0.83
    assert 0.92 <= coverage(clustered_ci, 4, 0.5, 300) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "rho", "image_level"),
    [(1, 0.0, 0.95), (4, 0.5, 0.76), (4, 0.8, 0.70)],
)
def test_coverage_table(images, rho, image_level):
    repeats = 3000  # standard error of 0.95: 0.004
    assert coverage(by_image, images, rho, repeats) == pytest.approx(
        image_level, abs=0.03
    )
    assert coverage(clustered_ci, images, rho, repeats) == pytest.approx(
        0.95, abs=0.012
    )
    rng = np.random.default_rng(1)

    def bootstrap(*data):
        return auc_bootstrap(*data, samples=200, rng=rng)

    assert coverage(bootstrap, images, rho, 400) == pytest.approx(0.945, abs=0.03)


@pytest.mark.slow
def test_paired_test_rejects_equal_models_as_often_as_it_says():
    rng, found = np.random.default_rng(5), []
    for _ in range(1500):
        truth, first, cluster = simulated(rng, 4, 0.5)
        base = first - rng.normal(0, 0.5, len(first))
        second = base + rng.normal(0, 0.5, len(first))
        first = base + rng.normal(0, 0.5, len(first))
        found.append(paired_difference(truth, first, second, cluster).p_value)
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.017)
