"""Intervals of decision curve, workload, likelihood ratios and mean precision."""

import numpy as np
import pytest
from predicted import make_predictions
from scipy.stats import norm
from sklearn.metrics import average_precision_score, confusion_matrix

from medcnn.evaluation import Design, Settings, evaluate_predictions
from medcnn.evaluation.curves import draw_curves
from medcnn.evaluation.discrimination import Side
from medcnn.evaluation.operating import measure_point
from medcnn.evaluation.rules import Point
from medcnn.metrics.bootstrap import patient_bootstrap

ALL = Design(split="all", settings=Settings(bootstrap=400))


def curves_of(truth, score, cluster=None, seed=0):
    codes = np.arange(len(truth)) if cluster is None else np.asarray(cluster)
    rng = np.random.default_rng(seed)
    truth, score = np.asarray(truth, float), np.asarray(score, float)
    return draw_curves(truth, score, codes, rng, is_probability=True)


def test_net_benefit_is_that_of_the_confusion_matrix():
    made = make_predictions()
    truth, score = made.truth[:, 0], made.score[:, 0]

    for found in curves_of(truth, score).net_benefit:
        t = found.threshold
        _, fp, _, tp = confusion_matrix(truth, score >= t).ravel()
        assert found.model == pytest.approx((tp - fp * t / (1 - t)) / len(truth))
        share = truth.mean()
        assert found.all == pytest.approx(share - (1 - share) * t / (1 - t))
        assert found.ci95[0] <= found.model <= found.ci95[1]


def test_net_benefit_has_the_interval_of_a_mean_over_patients():
    made = make_predictions(patients=300, each=1)
    truth, score = made.truth[:, 0], made.score[:, 0]

    found = curves_of(truth, score).net_benefit[29]

    each = (score >= 0.3) * np.where(truth == 1, 1.0, -0.3 / 0.7)
    half = 1.96 * each.std() / np.sqrt(300)
    assert found.ci95 == pytest.approx(
        (each.mean() - half, each.mean() + half), abs=0.012
    )
    over = each - np.where(truth == 1, 1.0, -0.3 / 0.7)
    half = 1.96 * over.std() / np.sqrt(300)
    wanted = (over.mean() - half, over.mean() + half)
    assert found.over_all_ci95 == pytest.approx(wanted, abs=0.012)


def test_several_images_of_a_patient_widen_the_bands():
    made = make_predictions(patients=80, each=4)
    truth, score = made.truth[:, 0], made.score[:, 0]

    together = curves_of(truth, score, made.clusters)
    apart = curves_of(truth, score)

    for n in (19, 39):
        wide, narrow = together.net_benefit[n].ci95, apart.net_benefit[n].ci95
        assert np.ptp(wide) > 1.3 * np.ptp(narrow)
    wide, narrow = (
        np.subtract(one.workload.high, one.workload.low).mean()
        for one in (together, apart)
    )
    assert wide > 1.2 * narrow


def test_the_workload_is_counted_by_hand():
    truth, score = [0, 0, 1, 1] * 30, [0.1, 0.4, 0.35, 0.8] * 30

    found = curves_of(truth, score).workload

    assert found.read_for_95.value == found.read_for_all == 0.75
    assert [(p.read, p.missed) for p in found.points] == [
        (0.0, 1.0),
        (0.25, 0.5),
        (0.5, 0.5),
        (0.75, 0.0),
        (1.0, 0.0),
    ]
    assert found.read_for_95.ci95[0] < 0.75 < found.read_for_95.ci95[1]


def test_few_diseased_give_no_interval_of_a_twentieth_of_them():
    found = curves_of([0, 1] * 15, np.linspace(0, 1, 30)).workload

    assert found.read_for_95.ci95 is None
    assert "15 diseased are too few" in found.read_for_95.method


def test_the_interval_of_the_workload_covers_what_is_true():
    rng = np.random.default_rng(3)
    cut = 1.5 + norm.ppf(0.05)  # misses 5 % of the diseased
    true = 0.3 * 0.95 + 0.7 * norm.sf(cut)
    hits = 0
    for seed in range(60):
        truth = (rng.random(400) < 0.3).astype(float)
        score = norm.cdf(rng.normal(1.5 * truth, 1))
        low, high = curves_of(truth, score, seed=seed).workload.read_for_95.ci95
        hits += low <= true <= high
    assert hits >= 51  # 60 x 0.95 less three standard deviations


def grouped(rng, patients, each, rho):
    """Return truth, score and patient of images that are alike within a patient."""
    of = np.repeat(np.arange(patients), each)
    truth = (of % 2).astype(float)
    own = np.sqrt(rho) * rng.normal(0, 1, patients)[of]
    return truth, 1.2 * truth + own + np.sqrt(1 - rho) * rng.normal(0, 1, len(of)), of


def test_likelihood_ratios_cover_with_four_images_of_a_patient():
    rng = np.random.default_rng(11)
    true = norm.sf(0.6 - 1.2) / norm.sf(0.6), norm.cdf(0.6 - 1.2) / norm.cdf(0.6)
    point, hits, alone = Point("at", "given", 0.6, "stated"), np.zeros(2), np.zeros(2)
    for _ in range(300):
        truth, score, of = grouped(rng, 100, 4, 0.6)
        for codes, count in ((of, hits), (np.arange(len(of)), alone)):
            found = measure_point(Side(truth, score, codes), point, None)
            both = found.lr_positive.ci95, found.lr_negative.ci95
            count += [a <= t <= b for t, (a, b) in zip(true, both, strict=True)]
    assert (hits / 300 > 0.91).all()
    assert (hits / 300 < 0.99).all()
    assert (alone / 300 < 0.87).all()  # what images taken for independent would give


def test_a_likelihood_ratio_of_a_call_that_nobody_got_does_not_exist():
    truth, score = np.array([0.0, 1.0] * 10), np.full(20, 0.5)
    side = Side(truth, score, np.arange(20))

    all_called = measure_point(side, Point("low", "given", 0.1, "stated"), None)
    nobody = measure_point(side, Point("high", "given", 0.9, "stated"), None)

    assert all_called.lr_negative is None
    assert all_called.lr_positive.value == pytest.approx(1)
    assert nobody.lr_positive is None


def test_predictive_values_at_a_prevalence_have_the_interval_of_the_odds():
    made = make_predictions(patients=200, each=1)
    settings = Settings(bootstrap=0, prevalences=(0.0, 1e-6, 0.4))
    design = Design(split="all", thresholds=("0.5",), settings=settings)

    point = evaluate_predictions(made, design).labels["abnormal"].operating_points[0]

    none, rare, often = point.at_prevalence
    assert (none.ppv, none.ppv_ci95) == (0, None)
    for at in (rare, often):
        odds = at.prevalence / (1 - at.prevalence)
        low, high = (
            odds * bound / (1 + odds * bound) for bound in point.lr_positive.ci95
        )
        assert at.ppv_ci95 == pytest.approx((low, high))
        assert at.ppv_ci95[0] < at.ppv < at.ppv_ci95[1]
        assert at.npv_ci95[0] < at.npv < at.npv_ci95[1]


def test_the_mean_precision_has_the_interval_of_resampled_patients():
    made = make_predictions(patients=80, each=3, labels=("a", "b", "c"))

    found = evaluate_predictions(made, ALL).macro.auprc

    def mean(truth, score):
        return average_precision_score(truth, score, average="macro")

    rng = np.random.default_rng(1)
    value, low, high = patient_bootstrap(
        mean, made.truth, made.score, made.clusters, samples=400, rng=rng
    )
    assert found.value == pytest.approx(value)
    assert found.ci95 == pytest.approx((low, high), abs=0.025)


def test_labels_too_rare_to_resample_have_a_mean_precision_without_interval():
    made = make_predictions(patients=30, each=1, labels=("a", "b"))
    made.truth[:, 1] = 0
    made.truth[0, 1] = 1

    found = evaluate_predictions(made, ALL).macro.auprc

    if found.ci95 is None:
        assert "samples of patients have both classes" in found.method
    made.truth[1, 1] = 1
    assert evaluate_predictions(made, ALL).macro.auprc.ci95 is not None
