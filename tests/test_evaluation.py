"""Predictions to numbers: right ones, defined ones, the same ones again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predicted import make_predictions
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
)

from medcnn.errors import DataError, LeakageError
from medcnn.evaluation import (
    Design,
    Point,
    Settings,
    evaluate_predictions,
    read_evaluation,
    write_evaluation,
)
from medcnn.evaluation.rules import name_of

QUICK = Settings(bootstrap=200)
ALL = Design(split="all", settings=QUICK)


def evaluate(predictions, design=ALL, **options):
    return evaluate_predictions(predictions, design, **options)


def test_numbers_are_those_of_scikit_learn():
    made = make_predictions()
    truth, score = made.truth[:, 0], made.score[:, 0]

    found = evaluate(made).labels["abnormal"]

    assert found.auroc.value == pytest.approx(roc_auc_score(truth, score))
    assert found.auprc.value == pytest.approx(average_precision_score(truth, score))
    assert found.calibration.brier == pytest.approx(brier_score_loss(truth, score))
    for point in found.operating_points:
        tn, fp, fn, tp = confusion_matrix(truth, score >= point.threshold).ravel()
        assert point.confusion.model_dump() == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
        assert point.sensitivity.value == pytest.approx(tp / (tp + fn))
        assert point.ppv.value == pytest.approx(tp / (tp + fp))


def test_several_images_of_a_patient_widen_every_interval():
    made = make_predictions(each=4)

    together = evaluate(made).labels["abnormal"]
    apart = evaluate(replace(made, patients=("",) * len(made))).labels["abnormal"]

    for name in ("auroc", "auprc", "auroc_bootstrap"):
        wide, narrow = getattr(together, name).ci95, getattr(apart, name).ci95
        assert wide[1] - wide[0] > narrow[1] - narrow[0]
    point, alone = together.operating_points[0], apart.operating_points[0]
    assert np.ptp(point.sensitivity.ci95) > np.ptp(alone.sensitivity.ci95)


def test_unknown_patients_are_warned_of():
    made = make_predictions()
    some = replace(made, patients=("", *made.patients[1:]))

    assert evaluate(made).data.patients == 60
    assert not any("patient_id" in words for words in evaluate(made).warnings)
    found = evaluate(some)
    assert "1 of 120 cases have no patient_id" in found.warnings[0]
    assert found.data.patients is None


def test_the_keys_promised_in_the_interface_are_there():
    written = evaluate(make_predictions()).model_dump(mode="json")

    assert {"model", "data", "labels", "macro"} <= set(written)
    assert "sha256" in written["data"]
    label = written["labels"]["abnormal"]
    assert {"n_positive", "n_negative", "prevalence", "auroc", "auprc"} <= set(label)
    assert {"subgroups", "net_benefit", "operating_points"} <= set(label)
    assert {"value", "ci95", "method"} == set(label["auroc"])
    point = label["operating_points"][0]
    assert {"rule", "threshold", "chosen_on", "sensitivity"} <= set(point)
    assert {"specificity", "ppv", "npv", "confusion"} <= set(point)
    assert {"ece", "brier", "slope", "intercept"} <= set(label["calibration"])
    assert "auroc" in written["macro"]


def test_the_same_predictions_give_the_same_bytes(tmp_path):
    made = make_predictions(labels=("a", "b"), columns={"age": lambda p: 20 + p})

    for name in ("one.json", "two.json"):
        write_evaluation(evaluate(made), tmp_path / name)

    one, two = ((tmp_path / name).read_bytes() for name in ("one.json", "two.json"))
    assert one == two
    assert read_evaluation(tmp_path / "one.json") == evaluate(made)


def test_a_broken_evaluation_is_refused(tmp_path):
    (tmp_path / "e.json").write_text('{"format": 1, "extra": 2}')

    with pytest.raises(DataError, match="it is no evaluation"):
        read_evaluation(tmp_path / "e.json")
    with pytest.raises(DataError, match="No such file"):
        read_evaluation(tmp_path / "none.json")


# --------------------------------------------------------------- which thresholds


def test_thresholds_come_from_val_and_are_measured_on_test():
    made = make_predictions(splits=("val", "test"))

    found = evaluate(made, Design(settings=QUICK))

    point = found.labels["abnormal"].operating_points[1]
    val = made.part("val")
    sick = np.sort(val.score[val.truth[:, 0] == 1, 0])
    assert found.data.split == "test"
    assert found.data.cases == 60
    assert point.threshold == sick[len(sick) - int(np.ceil(0.95 * len(sick)))]
    assert point.chosen_on == "val, 60 cases"
    assert not point.is_optimistic


def test_thresholds_chosen_on_the_measured_cases_are_said_to_be():
    found = evaluate(make_predictions())

    point = found.labels["abnormal"].operating_points[0]
    assert point.is_optimistic
    assert point.chosen_on == "the evaluated cases themselves"
    assert any("too good" in words for words in found.warnings)


def test_the_thresholds_of_a_model_and_those_stated_come_first():
    design = Design(split="all", thresholds=("0.25", "abnormal=0.7"), settings=QUICK)
    own = {"abnormal": (Point("Flag", "youden", 0.4, "val"),)}

    found = evaluate(make_predictions(), design, own=own).labels["abnormal"]

    assert [p.threshold for p in found.operating_points] == [0.25, 0.7, 0.4]
    assert [p.rule for p in found.operating_points] == ["given", "given", "youden"]


def test_choose_on_wins_over_the_thresholds_of_a_model():
    made = make_predictions(splits=("val", "test"))
    own = {"abnormal": (Point("Flag", "youden", 0.4, "val"),)}

    found = evaluate(made, Design(choose_on="val", settings=QUICK), own=own)

    point = found.labels["abnormal"].operating_points[0]
    assert point.chosen_on == "val, 60 cases"


@pytest.mark.parametrize(
    ("text", "message"),
    [("mass=0.3", "no label 'mass'"), ("high", "no number"), ("nan", "no number")],
)
def test_a_wrong_threshold_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        evaluate(make_predictions(), Design(split="all", thresholds=(text,)))


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "abnormal=30"])
def test_a_threshold_that_no_probability_is_refused_for_probabilities(text):
    design = Design(split="all", thresholds=(text,))
    with pytest.raises(DataError, match="is no probability above 0 and up to 1"):
        evaluate(make_predictions(), design)


@pytest.mark.parametrize("rule", ["best", "sensitivity", "sensitivity 2", "youden 1"])
def test_an_unknown_rule_is_refused(rule):
    with pytest.raises(DataError, match="no rule"):
        evaluate(make_predictions(), Design(split="all", rules=(rule,)))


def test_rules_have_names_for_readers():
    assert name_of("specificity 0.9") == "Specificity ≥ 0.9"


def test_a_patient_in_both_splits_is_refused_by_name():
    made = make_predictions(patients=4, each=2, splits=("test",))
    mixed = replace(made, splits=("val", "test") * 4)

    with pytest.raises(
        LeakageError, match=r"4 patients are in val and in test: p0, p1"
    ):
        evaluate(mixed, Design(settings=QUICK))


@pytest.mark.parametrize(
    ("splits", "split", "message"),
    [
        (("train", "val"), None, "no case with split test; it has 'train', 'val'"),
        (("test",), "val", "no case with split val; it has test"),
    ],
)
def test_a_split_that_is_not_there_is_refused(splits, split, message):
    with pytest.raises(DataError, match=message):
        evaluate(make_predictions(splits=splits), Design(split=split))


def test_val_is_measured_with_a_warning():
    found = evaluate(make_predictions(splits=("val",)), Design(settings=QUICK))

    assert any("These are the val cases" in words for words in found.warnings)


def test_all_cases_are_measured_with_a_warning_where_some_were_trained_on():
    found = evaluate(make_predictions(splits=("train", "test", "test")), ALL)
    only_test = evaluate(make_predictions(), ALL)

    assert any("40 of 120 cases are train or val" in w for w in found.warnings)
    assert not any("train or val" in words for words in only_test.warnings)


def test_a_rule_that_no_probability_meets_gives_no_point_and_says_so():
    truth = [0, 1] * 20
    score = [1.0 if n % 4 else 0.2 for n in range(40)]  # half of the healthy have 1

    found = evaluate(odd(truth, score))

    named = [point.name for point in found.labels["abnormal"].operating_points]
    assert named == ["Youden", "Sensitivity ≥ 0.95"]
    assert any("Specificity ≥ 0.95 for abnormal" in words for words in found.notes)


def test_choosing_on_the_measured_split_is_done_and_told_whatever_the_model_brings():
    own = {"abnormal": (Point("Own", "flag", 0.7, "val"),)}
    design = Design(split="test", choose_on="test", settings=QUICK)

    found = evaluate_predictions(make_predictions(), design, own=own)

    points = found.labels["abnormal"].operating_points
    assert all(point.is_optimistic for point in points)


# ------------------------------------------------------------------- odd cases


def odd(truth, score, **changes):
    count = len(truth)
    return make_predictions(
        patients=count,
        each=1,
        truth=np.array(truth, float)[:, None],
        score=np.array(score, float)[:, None],
        **changes,
    )


def test_one_class_has_no_auc_and_says_why_with_counts(tmp_path):
    found = evaluate(odd([0, 0, 0], [0.1, 0.2, 0.3])).labels["abnormal"]

    assert found.auroc is None
    assert "0 diseased and 3 healthy" in found.undefined["auroc"]
    assert found.operating_points == ()
    assert found.roc is None
    assert found.histogram is not None
    assert found.calibration.slope is None


def test_equal_scores_have_an_area_of_one_half_and_a_wide_interval():
    found = evaluate(odd([0, 1] * 20, [0.5] * 40)).labels["abnormal"]

    assert found.auroc.value == 0.5
    assert np.ptp(found.auroc.ci95) > 0.2
    assert "all equal" in found.calibration.note


def test_three_patients_have_a_number_and_no_interval():
    found = evaluate(odd([0, 0, 1], [0.1, 0.4, 0.9])).labels["abnormal"]

    assert found.auroc.value == 1
    assert found.auroc.ci95 is None
    assert "2 healthy" in found.auroc.method


def test_unknown_truths_are_left_out_and_counted():
    made = odd([0, 1, np.nan, 1, 0], [0.1, 0.9, 0.5, 0.7, 0.3])

    found = evaluate(made).labels["abnormal"]

    assert (found.n_positive, found.n_negative, found.n_unknown) == (2, 2, 1)


def test_no_known_truth_at_all_is_told():
    found = evaluate(odd([np.nan] * 3, [0.1, 0.9, 0.5])).labels["abnormal"]

    assert found.prevalence is None
    assert "auroc" in found.undefined


def test_scores_that_are_no_probabilities_have_no_calibration():
    made = odd([0, 1] * 20, np.linspace(-3, 9, 40), kind="score")

    found = evaluate(made)

    label = found.labels["abnormal"]
    assert label.calibration is None
    assert label.net_benefit == ()
    assert found.accuracy is None
    assert any("no probabilities" in words for words in found.warnings)


values = st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, np.nan]), values), min_size=1))
def test_no_predictions_give_a_nan(rows):
    truth, score = zip(*rows, strict=True)
    made = odd(truth, score, columns={"half": lambda p: p % 2})
    found = evaluate(made, Design(split="all", settings=Settings(bootstrap=20)))

    json.loads(
        json.dumps(found.model_dump(mode="json"), allow_nan=False)
    )  # raises where there is one


# ------------------------------------------------------------- several labels


def classes(count=300, seed=4):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, count)
    logits = 1.5 * np.eye(3)[true] + rng.normal(0, 1, (count, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = make_predictions(
        patients=count, each=1, labels=("a", "b", "c"), truth=np.eye(3)[true]
    )
    return replace(made, score=shares), true


def test_classes_are_known_by_their_sums_and_get_a_confusion_matrix():
    made, true = classes()

    found = evaluate(made)

    called = made.score.argmax(axis=1)
    assert found.task == "multi-class"
    assert found.multiclass.confusion == tuple(
        map(tuple, confusion_matrix(true, called).tolist())
    )
    assert found.accuracy.value == pytest.approx(accuracy_score(true, called))
    macro = roc_auc_score(true, made.score, multi_class="ovr")
    assert found.macro.auroc.value == pytest.approx(macro)


@pytest.mark.parametrize(("decimals", "task"), [(2, "multi-class"), (0, "multi-label")])
def test_classes_of_rounded_probabilities_are_classes_still(decimals, task):
    made, _ = classes()

    found = evaluate(replace(made, score=made.score.round(decimals)))

    assert found.task == task


def test_labels_that_may_occur_together_get_no_confusion_matrix():
    found = evaluate(make_predictions(labels=("a", "b")))

    assert found.task == "multi-label"
    assert found.multiclass is None
    areas = [one.auroc.value for one in found.labels.values()]
    assert found.macro.auroc.value == pytest.approx(np.mean(areas))


def test_a_label_without_both_classes_is_left_out_of_the_mean():
    made = make_predictions(labels=("a", "b"))
    made.truth[:, 1] = 0

    found = evaluate(made)

    assert found.macro.labels == ("a",)
    assert found.macro.left_out == ("b",)


# ------------------------------------------------------------- indeterminate


def test_cases_without_answer_are_counted_in_both_ways():
    made = make_predictions(patients=60, each=1)
    statuses = ["ok"] * 60
    statuses[0], statuses[1] = "out_of_scope", "error"  # 0 is diseased, 1 is not
    score = made.score.copy()
    score[1] = np.nan
    made = replace(made, statuses=tuple(statuses), score=score)

    found = evaluate(made, Design(split="all", thresholds=("0.5",), settings=QUICK))

    label, data = found.labels["abnormal"], found.data
    assert (data.out_of_scope, data.errors, data.cases) == (1, 1, 60)
    assert (label.n_positive, label.n_negative) == (19, 39)
    assert (label.indeterminate.n_positive, label.indeterminate.n_negative) == (1, 1)
    tp, tn = (
        label.operating_points[0].confusion.tp,
        label.operating_points[0].confusion.tn,
    )
    worst = label.operating_points[0].with_indeterminate
    assert worst.wrong_sensitivity.value == pytest.approx(tp / 20)
    assert worst.wrong_specificity.value == pytest.approx(tn / 40)
    assert worst.called_sensitivity.value == pytest.approx((tp + 1) / 20)
    assert worst.called_specificity.value == pytest.approx(tn / 40)
    assert label.indeterminate.auroc_worst.value < label.auroc.value


def test_the_worst_errors_are_shown_worst_first():
    made = odd(
        [1, 1, 1, 0, 0, 0],
        [0.9, 0.3, 0.1, 0.2, 0.6, 0.8],
        columns={"sex": lambda _: "F"},
    )

    found = evaluate(made, Design(split="all", thresholds=("0.5",), settings=QUICK))

    shown = found.labels["abnormal"].gallery
    assert [(one.kind, one.score) for one in shown] == [
        ("missed", 0.1),
        ("missed", 0.3),
        ("false alarm", 0.8),
        ("false alarm", 0.6),
    ]
    assert shown[0].columns == {"sex": "F"}


def test_prevalences_give_bayes_predictive_values():
    design = Design(
        split="all",
        thresholds=("0.5",),
        settings=Settings(bootstrap=0, prevalences=(0.02,)),
    )

    point = evaluate(make_predictions(), design).labels["abnormal"].operating_points[0]

    sens, spec = point.sensitivity.value, point.specificity.value
    expected = sens * 0.02 / (sens * 0.02 + (1 - spec) * 0.98)
    assert point.at_prevalence[0].ppv == pytest.approx(expected)


@pytest.mark.slow
def test_a_large_table_takes_seconds():
    rng = np.random.default_rng(0)
    count = 200_000
    truth = (rng.random(count) < 0.1).astype(float)
    score = 1 / (1 + np.exp(-(truth + rng.normal(0, 1, count))))
    made = odd(truth, score)

    found = evaluate(made, Design(split="all")).labels["abnormal"]

    assert found.auroc.value == pytest.approx(roc_auc_score(truth, score))
    assert len(found.roc.x) <= 302
