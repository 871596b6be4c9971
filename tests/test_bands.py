"""Flag, review, no-flag: what both thresholds achieve, kept, told and shown."""

import numpy as np
import pytest
from runs import make_row, make_run
from sklearn.metrics import recall_score, roc_auc_score

from medcnn.bands import BandScore
from medcnn.bundle import OperatingPoint
from medcnn.evaluation.bands import band_scores
from medcnn.metrics.operating import wilson
from medcnn.report.workload import workload
from medcnn.worklist import RUN, read_run, write_run

POINT = OperatingPoint(label="x", flag=0.6, review=0.3, rule="fixed", chosen_on="val")


@pytest.fixture
def cases():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300).astype(float)
    return truth, np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)


def test_sensitivity_and_specificity_are_those_of_scikit_learn(cases):
    truth, told = cases
    everyone = {"all": np.ones(300, bool)}
    alone = np.arange(300)
    flag, review = band_scores(
        truth, told, alone, point=POINT, data="val", groups=everyone
    )
    for score, threshold in ((flag, 0.6), (review, 0.3)):
        called = told >= threshold
        assert score.sensitivity[0] == recall_score(truth, called)
        assert score.specificity[0] == recall_score(1 - truth, ~called)
        assert score.sensitivity[1:] == pytest.approx(
            wilson(score.tp, score.tp + score.fn)
        )


def test_unknown_truths_do_not_count_and_a_group_of_one_kind_has_no_line(cases):
    truth, told = cases
    truth[:100] = np.nan
    groups = {"all": np.ones(300, bool), "ill": truth == 1, "none": truth > 5}
    found = band_scores(
        truth, told, np.arange(300), point=POINT, data="val", groups=groups
    )
    assert [score.subgroup for score in found] == ["all", "all"]
    assert found[0].tp + found[0].fn + found[0].fp + found[0].tn == 200


def test_many_images_of_a_patient_widen_the_interval(cases):
    truth, told = (np.repeat(values, 4) for values in cases)
    patients = np.repeat(np.arange(300), 4)
    everyone = {"all": np.ones(1200, bool)}
    ways = [
        band_scores(truth, told, of, point=POINT, data="val", groups=everyone)[0]
        for of in (patients, np.arange(1200))
    ]
    clustered, naive = (score.sensitivity for score in ways)
    assert clustered[0] == naive[0]
    assert clustered[2] - clustered[1] > 1.5 * (naive[2] - naive[1])


def _score(band, sensitivity):
    return BandScore(
        data="val",
        subgroup="all",
        band=band,
        threshold=0.5,
        tp=80,
        fn=20,
        fp=30,
        tn=70,
        sensitivity=sensitivity,
        specificity=(0.7, 0.6, 0.78),
    )


@pytest.fixture
def run(tmp_path):
    scores = (0.9, 0.7, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, None)
    rows = [make_row(n, probability=p) for n, p in enumerate(scores, start=1)]
    folder = make_run(tmp_path / "run", rows, pictures=False)
    record = read_run(folder / RUN)
    bands = (_score("flag", (0.8, 0.7, 0.9)), _score("review", (0.95, 0.9, 0.98)))
    model = record.model.model_copy(
        update={"bands": bands, "auroc": (0.85, 0.8, 0.9), "auroc_data": "val"}
    )
    write_run(folder / RUN, record.model_copy(update={"model": model}))
    return folder


def test_piles_hold_the_shares_of_the_run_and_what_they_would_miss(run):
    found = workload(read_run(run / RUN))
    assert found.parts == (
        ("flag", 2, 0.25),
        ("review", 1, 0.125),
        ("no-flag", 5, 0.625),
    )
    assert (found.in_scope, found.outside) == (8, 1)
    first, both = found.piles
    assert (first.count, both.count, both.share) == (2, 3, 0.375)
    (line,) = both.lines
    assert line[:2] == ("val", 100)
    assert line[3] == pytest.approx((0.05, 0.02, 0.10))


def test_normals_before_an_abnormal_image_are_one_less_the_area(cases):
    truth, _ = cases
    told = np.random.default_rng(1).normal(truth, 1)  # no ties
    order = np.argsort(-told, kind="stable")
    healthy_before = np.cumsum(truth[order] == 0)[truth[order] == 1]
    share = (healthy_before / (truth == 0).sum()).mean()
    assert share == pytest.approx(1 - roc_auc_score(truth, told))


def test_a_model_without_counts_says_so(tmp_path):
    folder = make_run(tmp_path, [make_row(1, probability=0.9)], pictures=False)
    found = workload(read_run(folder / RUN))
    assert found.ahead is None
    assert [pile.lines for pile in found.piles] == [(), ()]


def test_a_run_without_an_image_in_scope_has_no_order(tmp_path):
    folder = make_run(tmp_path, [make_row(1)], pictures=False)
    assert workload(read_run(folder / RUN)) is None
