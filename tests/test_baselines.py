"""medcnn.baselines: what is reached without a network."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from medcnn.baselines import (
    Asked,
    Baselines,
    compare,
    image_features,
    metadata_features,
)
from medcnn.dataset import Case, CaseTable

RNG = np.random.default_rng(0)


def blobs(count, shape):
    """Noise, every second image with a bright block somewhere."""
    images = RNG.normal(90, 20, (count, 1, *shape))
    for image in images[1::2]:
        at = [int(RNG.integers(2, side - 6)) for side in shape]
        image[0][tuple(slice(a, a + 4) for a in at)] += 90
    return images.clip(0, 255).astype(np.uint8)


def table(rows):
    cases = tuple(
        Case(Path(f"{n}.png"), {"ill": 0.0}, attributes=row)
        for n, row in enumerate(rows)
    )
    return CaseTable(Path("t.csv"), ("ill",), "sigmoid", cases)


@pytest.mark.parametrize("shape", [(28, 28), (14, 14, 14)])
def test_boosting_on_simple_features_finds_a_bright_block(shape):
    images = blobs(240, shape)
    truth = (np.arange(240) % 2).astype(np.float32)[:, None]
    features = image_features(images)
    assert np.isfinite(features).all()
    none = np.zeros((240, 0), np.float32)
    learners = Baselines(truth, "sigmoid", features, none, seed=0)
    told = learners.told(np.arange(160), np.arange(160, 240))
    assert set(told) == {"prevalence", "logistic", "boosting"}
    assert roc_auc_score(truth[160:, 0], told["boosting"][:, 0]) > 0.9
    assert (told["prevalence"] == 0.5).all()


def test_features_are_one_row_an_image_whatever_its_size_and_depth_of_bits():
    small = blobs(4, (28, 28))
    features = image_features(small)
    wide = image_features(small.astype(np.uint16) * 257)
    np.testing.assert_allclose(wide, features, rtol=1e-4, atol=1e-4)
    large = image_features(np.zeros((2, 1, 300, 200), np.uint8))
    assert large.shape == (2, features.shape[1])
    assert np.isfinite(large).all()
    colour = image_features(np.repeat(small, 3, axis=1))
    assert colour.shape[1] > 2 * features.shape[1]


def test_features_of_a_known_block():
    image = np.zeros((1, 1, 20, 20), np.uint8)
    image[0, 0, 5:10, 4:14] = 255
    told = image_features(image)[0]
    assert told[0] == pytest.approx(350 / 400)  # the darkest bin
    assert told[15] == pytest.approx(50 / 400)  # the brightest
    assert told[23] == pytest.approx(50 / 400)  # the mean
    places = np.argwhere(image[0, 0])
    expected = np.sort(np.linalg.eigvalsh(np.cov(places.T, bias=True)))[::-1]
    at = [np.isclose(told, value, rtol=1e-4).any() for value in expected]
    assert all(at)


def test_metadata_uses_numbers_and_few_words_and_leaves_names_out():
    rows = [
        {
            "age": "" if n == 3 else f"{30 + n % 40:03}Y",
            "sex": "FM"[n % 2],
            "name": f"person {n}",
            "same": "x",
            "reader": "yes" if n % 3 else "no",
        }
        for n in range(50)
    ]
    features, used = metadata_features(table(rows), without=("reader",))
    assert used == ("age", "sex")
    assert features.shape == (50, 4)  # the age, where it lacks, F, M
    assert features[3, 1] == 1
    assert features[:, 1].sum() == 1
    assert features[5].tolist() == [35, 0, 0, 1]
    assert metadata_features(table([{}] * 3))[0].shape == (3, 0)


def test_unknown_truths_are_left_out_and_one_class_gives_its_share():
    features = RNG.normal(size=(60, 3)).astype(np.float32)
    truth = np.column_stack([features[:, 0] > 0, np.ones(60)]).astype(np.float32)
    truth[::3, 0] = np.nan
    none = np.zeros((60, 0), np.float32)
    told = Baselines(truth, "sigmoid", features, none, seed=0).told(
        np.arange(60), np.arange(60)
    )
    assert roc_auc_score(features[:, 0] > 0, told["logistic"][:, 0]) > 0.9
    assert (told["boosting"][:, 1] == 1).all()


def test_classes_are_judged_together_and_an_absent_one_gets_nothing():
    kind = np.arange(90) % 3
    features = (np.eye(3)[kind] + RNG.normal(0, 0.1, (90, 3))).astype(np.float32)
    truth = np.eye(4, dtype=np.float32)[kind]
    none = np.zeros((90, 0), np.float32)
    told = Baselines(truth, "softmax", features, none, seed=0).told(
        np.arange(60), np.arange(60, 90)
    )
    for found in told.values():
        np.testing.assert_allclose(found.sum(1), 1)
        assert (found[:, 3] == 0).all()
    assert (told["boosting"].argmax(1) == kind[60:]).all()


def test_the_verdict_says_when_a_baseline_is_as_good():
    truth = (np.arange(100) % 2).astype(float)[:, None]
    weak = np.clip(truth * 0.2 + RNG.uniform(0, 0.8, (100, 1)), 0, 1)
    strong = np.clip(truth * 0.6 + RNG.uniform(0, 0.4, (100, 1)), 0, 1)
    flat = np.full((100, 1), 0.5)

    def judged(**models):
        asked = Asked(truth, np.arange(100), models)
        return compare(("ill",), {"test": asked}, network="network", judged=["ill"])

    found = judged(network=weak, Boosting=strong, Share=flat)
    assert found.beaten
    assert found.verdict.startswith("A baseline is as good as the network or better.")
    assert "best baseline 1.000 (boosting). Difference -0." in found.verdict
    row = found.rows[0]
    assert (row.model, row.trained) == ("network", True)
    assert row.auroc == pytest.approx(roc_auc_score(truth[:, 0], weak[:, 0]))
    assert row.brier == pytest.approx(brier_score_loss(truth[:, 0], weak[:, 0]))
    assert row.ci95[0] < row.auroc < row.ci95[1]
    other = judged(network=strong, Boosting=weak, Share=flat)
    assert not other.beaten
    assert other.verdict.startswith("AUC on test (ill): network 1.000")


def test_networks_of_an_ensemble_are_no_baselines_and_have_a_spread():
    truth = (np.arange(60) % 2).astype(float)[:, None]
    models = {
        name: np.clip(truth * pull + RNG.uniform(0, 0.6, (60, 1)), 0, 1)
        for name, pull in (("all", 0.1), ("one", 0.3), ("two", 0.2), ("Plain", 0.0))
    }
    asked = Asked(truth, np.arange(60), models)
    found = compare(
        ("ill",),
        {"test": asked},
        network="all",
        trained=("one", "two"),
        judged=["ill"],
    )
    assert "(plain)" in found.verdict
    areas = [roc_auc_score(truth[:, 0], models[n][:, 0]) for n in ("one", "two")]
    mean, deviation, count = found.spread("test", "ill")
    assert (mean, deviation) == pytest.approx((np.mean(areas), np.std(areas, ddof=1)))
    assert count == 2
    assert found.spread("val", "ill") is None
