"""Two models on the same cases."""

from dataclasses import replace

import numpy as np
import pytest
from predicted import make_predictions
from sklearn.metrics import roc_auc_score

from medcnn.errors import DataError
from medcnn.evaluation import compare_predictions, write_comparison
from medcnn.metrics.roc import paired_difference

NAMES = ("A", "B")


def pair(**options):
    good = make_predictions(shift=2.5, **options)
    noise = np.random.default_rng(9).normal(0, 0.2, good.score.shape)
    return good, replace(good, score=np.clip(good.score + noise, 0, 1), source="b.csv")


def test_areas_are_those_of_each_alone_and_the_test_is_paired_by_patient():
    a, b = pair()

    found = compare_predictions(a, b, names=NAMES, split="all")

    one = found.labels["abnormal"]
    assert one.auroc_a == pytest.approx(roc_auc_score(a.truth[:, 0], a.score[:, 0]))
    assert one.auroc_b == pytest.approx(roc_auc_score(b.truth[:, 0], b.score[:, 0]))
    expected = paired_difference(
        a.truth[:, 0], a.score[:, 0], b.score[:, 0], a.patients
    )
    assert one.difference.ci95 == pytest.approx((expected.low, expected.high))
    assert one.p_value == pytest.approx(expected.p_value)
    assert found.patients == 60


def test_the_order_of_the_rows_changes_nothing():
    a, b = pair()
    turned = b.take(np.random.default_rng(1).permutation(len(b)))

    assert compare_predictions(a, turned, names=NAMES) == compare_predictions(
        a, b, names=NAMES
    )


def test_a_model_and_itself_do_not_differ():
    a, _ = pair()

    one = compare_predictions(a, a, names=NAMES).labels["abnormal"]

    assert one.difference.value == 0
    assert one.p_value == 1


def test_several_labels_are_corrected_for_their_number():
    a, b = pair(labels=("x", "y", "z"))

    found = compare_predictions(a, b, names=NAMES).labels

    raw = sorted(one.p_value for one in found.values())
    holm = sorted(one.p_holm for one in found.values())
    assert holm[0] == pytest.approx(min(1, 3 * raw[0]))
    assert all(h >= p for h, p in zip(holm, raw, strict=True))


def test_other_cases_are_refused_by_name():
    a, b = pair()
    fewer = b.take(np.arange(len(b) - 1))

    with pytest.raises(DataError, match=r"1 of made.csv are not in b.csv.*p59-1"):
        compare_predictions(a, fewer, names=NAMES)


def test_other_truths_are_refused_by_name():
    a, b = pair()
    truth = b.truth.copy()
    truth[4] = 1 - truth[4]

    with pytest.raises(DataError, match="differ in 1 cases, such as p2-0"):
        compare_predictions(a, replace(b, truth=truth), names=NAMES)


def test_other_patients_are_refused():
    a, b = pair()

    with pytest.raises(DataError, match="other patients"):
        compare_predictions(a, replace(b, patients=("q",) * len(b)), names=NAMES)


def test_models_without_a_common_label_are_refused():
    a, b = pair()

    with pytest.raises(DataError, match=r"made.csv has abnormal; b.csv has mass"):
        compare_predictions(a, replace(b, labels=("mass",)), names=NAMES)


def test_cases_that_one_of_both_did_not_answer_are_left_out_and_counted():
    a, b = pair()
    statuses = ("error", *b.statuses[1:])

    found = compare_predictions(a, replace(b, statuses=statuses), names=NAMES)

    assert (found.cases, found.left_out) == (119, 1)
    assert any("1 cases are left out" in words for words in found.warnings)


def test_one_class_has_no_difference_and_says_why(tmp_path):
    a, b = pair(truth=np.zeros((120, 1)))

    found = compare_predictions(a, b, names=NAMES)
    write_comparison(found, tmp_path / "c.json")

    assert found.labels["abnormal"].difference is None
    assert "0 diseased" in found.labels["abnormal"].note
    assert "NaN" not in (tmp_path / "c.json").read_text()
