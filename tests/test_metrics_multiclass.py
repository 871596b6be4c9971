"""Several classes and labels against scikit-learn; MedMNIST's definitions by loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics as reference

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.medmnist import official_acc, official_auc
from medcnn.metrics.multiclass import (
    accuracy,
    class_numbers,
    confusion_matrix,
    label_aucs,
    macro_auc,
    macro_auc_ci,
    one_against_rest,
    top_label,
)
from medcnn.metrics.roc import clustered_ci


def cases(classes=4, count=200, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = 1.2 * np.eye(classes)[truth] + rng.normal(0, 1, (count, classes))
    return truth, softmax(logits, axis=1).round(2)


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_matrix_and_macro_area_are_scikit_learns(seed):
    truth, score = cases(seed=seed)
    called = score.argmax(axis=1)
    assert accuracy(truth, called) == reference.accuracy_score(truth, called)
    expected = reference.confusion_matrix(truth, called, labels=range(4))
    assert confusion_matrix(truth, called, 4).tolist() == expected.tolist()
    hot = np.eye(4)[truth]
    assert one_against_rest(truth, 4).tolist() == hot.tolist()
    areas = reference.roc_auc_score(hot, score, average=None)
    assert label_aucs(truth, score) == pytest.approx(areas)
    assert macro_auc(truth, score) == pytest.approx(areas.mean())


def test_unknown_labels_are_left_out():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (80, 3)).astype(float)
    score = truth + rng.normal(0, 1, (80, 3))
    truth[rng.uniform(size=(80, 3)) < 0.3] = math.nan
    known = ~np.isnan(truth)
    for label, area in enumerate(label_aucs(truth, score)):
        rows = known[:, label]
        expected = reference.roc_auc_score(truth[rows, label], score[rows, label])
        assert area == pytest.approx(expected)


def test_macro_interval_of_one_label_is_the_areas():
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(60), 3)
    truth = (cluster % 2).astype(float)
    score = truth + rng.normal(0, 1, 60)[cluster] + rng.normal(0, 1, 180)
    found = macro_auc_ci(truth[:, None], score[:, None], cluster)
    # the factor P / (P - 1) is of 60 patients here, of 30 in each class there
    assert found == pytest.approx(clustered_ci(truth, score, cluster), abs=2e-3)
    twice = macro_auc_ci(np.tile(truth, (2, 1)).T, np.tile(score, (2, 1)).T, cluster)
    assert twice == pytest.approx(found)


def test_macro_interval_covers():
    rng, hits, areas = np.random.default_rng(5), 0, []
    found = []
    for _ in range(400):
        truth = rng.integers(0, 3, 150)
        score = np.eye(3)[truth] + rng.normal(0, 1, (150, 3))
        found.append(macro_auc_ci(truth, score))
        areas.append(found[-1][0])
    true_area = np.mean(areas)  # its error is a twentieth of one sample's
    hits = sum(low <= true_area <= high for _, low, high in found)
    assert hits / 400 == pytest.approx(0.95, abs=0.035)


def test_top_label_is_right_or_wrong_as_often_as_accuracy_says():
    truth, score = cases()
    right, sure = top_label(truth, score)
    assert right.mean() == accuracy(truth, score.argmax(axis=1))
    assert sure.tolist() == score.max(axis=1).tolist()


def test_a_class_without_cases_is_named_with_its_counts():
    with pytest.raises(UndefinedMetricError, match="label 2: 0 diseased and 2 healthy"):
        macro_auc([0, 1], np.eye(3)[[0, 1]])
    truth, score = np.array([[1, 0], [0, 1], [0, 1.0]]), np.zeros((3, 2))
    with pytest.raises(UndefinedMetricError, match="label 0: 1 diseased and 2 healthy"):
        macro_auc_ci(truth, score)


def test_senseless_input_is_refused():
    with pytest.raises(ValueError, match="2 of 3 classes are not whole"):
        class_numbers([0, 3, 1.5], 3)
    with pytest.raises(ValueError, match=r"classes must have shape \(N,\)"):
        class_numbers([[0]], 3)
    with pytest.raises(ValueError, match="must be equal"):
        accuracy([0, 1], [0])
    with pytest.raises(ValueError, match="must be equal"):
        confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="truth has 1 cases, score 2"):
        top_label([0], [[0.1, 0.9], [0.2, 0.8]])
    with pytest.raises(ValueError, match="1 of 2 cases have scores"):
        macro_auc([0, 1], [[0.1, math.nan], [0.2, 0.8]])
    with pytest.raises(ValueError, match="scores must have shape"):
        top_label([0], [0.3])
    with pytest.raises(ValueError, match=r"truth \(2, 3\) and score \(2, 2\)"):
        label_aucs([[0, 1, 1], [1, 0, 0]], [[1, 2], [3, 4]])


def test_no_case_is_undefined():
    for call in (lambda: accuracy([], []), lambda: confusion_matrix([], [], 2)):
        with pytest.raises(UndefinedMetricError, match="0 cases"):
            call()


TWO, SEVERAL, LABELS = "binary-class", "multi-class", "multi-label, binary-class"


def loops_auc(truth, score, task):
    """The mean over columns, as the package's evaluator describes it."""
    if task == TWO:
        return reference.roc_auc_score(truth, score[:, -1])
    columns = range(score.shape[1])
    side = {c: truth[:, c] if task == LABELS else truth == c for c in columns}
    areas = [reference.roc_auc_score(side[c], score[:, c]) for c in columns]
    return sum(areas) / len(areas)


def loops_acc(truth, score, task):
    if task == TWO:
        return np.mean([(s[-1] > 0.5) == t for s, t in zip(score, truth, strict=True)])
    if task == LABELS:
        rows, columns = score.shape
        hits = [
            [(score[r, c] >= 0.5) == truth[r, c] for r in range(rows)]
            for c in range(columns)
        ]
        return np.mean([np.mean(column) for column in hits])
    return np.mean([np.argmax(s) == t for s, t in zip(score, truth, strict=True)])


@given(st.integers(0, 10_000), st.sampled_from([TWO, SEVERAL, LABELS]))
@settings(max_examples=40, deadline=None)
def test_official_numbers_are_those_of_plain_loops(seed, task):
    rng = np.random.default_rng(seed)
    columns = 2 if task == TWO else 3
    score = rng.uniform(size=(60, columns)).round(1)  # 0.5 itself is there
    hot = task == LABELS
    truth = rng.integers(0, 2, (60, 3)) if hot else rng.integers(0, columns, 60)
    expected = loops_auc(truth, score, task), loops_acc(truth, score, task)
    given_truth = truth if hot else truth[:, None]  # as the files hold it
    assert official_auc(given_truth, score, task) == pytest.approx(expected[0])
    assert official_acc(given_truth, score, task) == pytest.approx(expected[1])


def test_official_two_class_numbers_take_one_column_too():
    truth, score = [0, 1, 1, 0], [0.2, 0.5, 0.9, 0.6]
    both = np.stack([1 - np.array(score), score], axis=1)
    for number in (official_auc, official_acc):
        assert number(truth, score, TWO) == number(truth, both, TWO)
    assert official_acc(truth, score, TWO) == 0.5  # 0.5 is not called
    assert official_auc([2, 0, 1], np.eye(3)[[2, 0, 1]], "ordinal-regression") == 1


def test_official_numbers_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="do not fit multi-class"):
        official_auc([0, 1], [0.1, 0.9], SEVERAL)
    with pytest.raises(ValueError, match="do not fit multi-label"):
        official_acc([[0, 1]], [[0.1, 0.9, 0.3]], LABELS)
    with pytest.raises(ValueError, match="1 scores are not finite"):
        official_acc([0, 1], [0.1, math.nan], TWO)
    with pytest.raises(UndefinedMetricError, match="0 cases"):
        official_acc([], np.zeros((0, 2)), TWO)
