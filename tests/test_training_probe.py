"""The head starts where a logistic regression on the features leads."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medcnn.training.probe import fit_probe


def _features(seed=0, count=400):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, count).astype(np.float32)
    features = rng.normal(5, 3, (count, 20))
    features[:, 3] += 4 * truth
    return features, truth


def test_a_probe_finds_the_feature_that_tells():
    features, truth = _features()
    weight, bias = fit_probe(features, truth, strength=0.1)
    other, answer = _features(seed=1)
    assert np.abs(weight).argmax() == 3
    assert roc_auc_score(answer, other @ weight + bias) > 0.75


def test_a_probe_is_calibrated_in_the_large():
    features, truth = _features()
    weight, bias = fit_probe(features, truth, strength=0.1)
    mean = (1 / (1 + np.exp(-(features @ weight + bias)))).mean()
    assert mean == pytest.approx(truth.mean(), abs=1e-3)


def test_one_class_alone_gives_no_probe():
    features, _ = _features()
    assert fit_probe(features, np.ones(len(features), np.float32), strength=1) is None
