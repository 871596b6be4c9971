"""Patient bootstrap: who is drawn, how often, and when there is no interval."""

import numpy as np
import pytest

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.bootstrap import auc_bootstrap, patient_bootstrap
from medcnn.metrics.multiclass import macro_auc
from medcnn.metrics.precision import average_precision
from medcnn.metrics.roc import clustered_ci, roc_auc


def cases(patients=60, images=3, seed=0):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(patients), images)
    truth = cluster % 2
    shared = rng.normal(0, 0.8, patients)[cluster]
    score = (truth + shared + rng.normal(0, 0.6, len(cluster))).round(1)
    return truth, score, cluster


def test_fast_bootstrap_of_the_area_is_the_general_one_number_for_number():
    data = cases()
    general = patient_bootstrap(
        roc_auc, *data, samples=200, rng=np.random.default_rng(4)
    )
    fast = auc_bootstrap(*data, samples=200, rng=np.random.default_rng(4))
    assert fast == pytest.approx(general, abs=1e-12)


def test_interval_agrees_with_obuchowskis():
    data = cases(patients=200)
    area, low, high = auc_bootstrap(*data, rng=np.random.default_rng(1))
    expected = clustered_ci(*data)
    assert area == pytest.approx(expected[0])
    assert (low, high) == pytest.approx(expected[1:], abs=0.015)


def test_whole_patients_are_drawn_and_as_many_of_each_stratum_as_there_are():
    truth = np.array([1, 1, 0, 0, 0, 0, 1, 0])
    cluster = ["a", "a", "b", "c", "c", "d", "e", "e"]  # a and e have a diseased image
    seen = []

    def look(drawn_truth, drawn_row):
        rows = drawn_row.astype(int).tolist()
        assert drawn_truth.tolist() == truth[rows].tolist()
        pairs = [(0, 1), (3, 4), (6, 7)]
        assert all(rows.count(i) == rows.count(j) for i, j in pairs)
        seen.append((rows.count(0) + rows.count(6), len({*rows})))
        return float(len(seen))

    patient_bootstrap(
        look, truth, np.arange(8), cluster, samples=100, rng=np.random.default_rng(0)
    )
    assert {diseased for diseased, _ in seen} == {2}
    assert len({different for _, different in seen}) > 1


def test_percentiles_are_those_of_the_mean():
    rng = np.random.default_rng(3)
    value = rng.normal(10, 2, 400)

    def mean(_, score):
        return float(score.mean())

    found = patient_bootstrap(mean, np.zeros(400), value, None, rng=rng)
    error = value.std() / 20
    assert found[0] == pytest.approx(value.mean())
    assert found[1] == pytest.approx(value.mean() - 1.96 * error, abs=0.02)
    assert found[2] == pytest.approx(value.mean() + 1.96 * error, abs=0.02)


def test_the_same_generator_gives_the_same_interval():
    data = cases()
    first, second = (
        patient_bootstrap(
            average_precision, *data, samples=50, rng=np.random.default_rng(2)
        )
        for _ in range(2)
    )
    assert first == second
    assert first[1] < first[0] < first[2]


def test_several_classes_are_drawn_by_class():
    rng = np.random.default_rng(6)
    truth = np.repeat([0, 1, 2], 20)
    score = np.eye(3)[truth] + rng.normal(0, 0.7, (60, 3))
    value, low, high = patient_bootstrap(
        macro_auc, truth, score, None, samples=200, rng=rng
    )
    assert low < value < high <= 1


def test_several_labels_are_drawn_without_strata_and_lacking_ones_again():
    rng = np.random.default_rng(6)
    truth = np.stack([np.arange(30) % 2, np.arange(30) < 3], axis=1).astype(float)
    score = truth + rng.normal(0, 1, truth.shape)
    value, low, high = patient_bootstrap(
        macro_auc, truth, score, None, samples=200, rng=rng
    )
    assert low < value < high


def test_where_there_is_no_interval_the_counts_are_said():
    rng = np.random.default_rng(0)
    with pytest.raises(UndefinedMetricError, match="50 samples of 8 patients give 1"):
        auc_bootstrap([0] * 4 + [1] * 4, range(8), None, samples=50, rng=rng)
    with pytest.raises(UndefinedMetricError, match="1 of 3 patients has 1 as highest"):
        auc_bootstrap([0, 0, 1, 1], range(4), ["a", "b", "c", "c"], samples=9, rng=rng)
    with pytest.raises(UndefinedMetricError, match="0 diseased and 4 healthy"):
        patient_bootstrap(roc_auc, [0] * 4, range(4), None, rng=rng)


def test_a_statistic_that_most_samples_lack_is_given_up():
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 1))
    truth[0] = 1  # of one patient, not drawn in 37 % of the samples

    def picky(drawn, _):
        if len(drawn) == 40 and drawn.sum() == 1 and drawn[0] == 1:
            return float(rng.normal())
        msg = "not here"
        raise UndefinedMetricError(msg)

    with pytest.raises(UndefinedMetricError, match="30 samples of patients lack"):
        patient_bootstrap(picky, truth, truth, None, samples=30, rng=rng)
