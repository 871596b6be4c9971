"""medcnn.training.loss against scikit-learn and torch."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from medcnn.errors import RecipeError
from medcnn.planning.sections import Loss
from medcnn.training.loss import MaskedCrossEntropy, positive_weights


def loss_of(labels=("a", "b", "c"), *, softmax=False, positive=None, **keys):
    weights = np.ones(len(labels), np.float32) if positive is None else positive
    return MaskedCrossEntropy(Loss(**keys), labels, softmax=softmax, positive=weights)


def test_an_unknown_label_gives_exactly_no_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    truth = torch.tensor([[1, math.nan, 0.0]] * 4)
    loss_of()(logits, truth).backward()
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, [0, 2]] != 0).all()


def test_a_batch_of_unknowns_gives_a_loss_of_zero():
    logits = torch.randn(2, 3, requires_grad=True)
    for softmax in (False, True):
        loss = loss_of(softmax=softmax)(logits, torch.full((2, 3), math.nan))
        assert loss.item() == 0


def test_masked_loss_equals_scikit_learns_log_loss_of_the_known():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(50, 3)).astype(np.float32))
    truth = torch.from_numpy(rng.integers(0, 2, (50, 3)).astype(np.float32))
    truth[torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) < 0.3] = (
        math.nan
    )
    known = ~truth.isnan()
    expected = log_loss(truth[known].numpy(), logits[known].sigmoid().numpy())
    assert loss_of()(logits, truth).item() == pytest.approx(expected, rel=1e-5)


def test_label_weights_count_a_label_that_much():
    logits, truth = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    logits[0, 0] = 2
    one, other = math.log1p(math.exp(-2)), math.log(2)
    loss = loss_of(("a", "b"), label_weights={"a": 3})(logits, truth)
    assert loss.item() == pytest.approx((3 * one + other) / 4)


def test_softmax_loss_equals_torchs_with_smoothing_and_class_weights():
    logits = torch.randn(6, 3)
    classes = torch.tensor([0, 1, 2, 2, 1, 0])
    truth = functional.one_hot(classes, 3).float()
    smooth = loss_of(softmax=True, label_smoothing=0.1)(logits, truth)
    expected = functional.cross_entropy(logits, classes, label_smoothing=0.1)
    assert smooth.item() == pytest.approx(expected.item(), rel=1e-5)
    weights = np.array([1, 2, 5], np.float32)
    weighed = loss_of(softmax=True, positive=weights)(logits, truth)
    expected = functional.cross_entropy(logits, classes, torch.from_numpy(weights))
    assert weighed.item() == pytest.approx(expected.item(), rel=1e-5)
    truth[0] = math.nan
    left = loss_of(softmax=True)(logits, truth)
    expected = functional.cross_entropy(logits[1:], classes[1:])
    assert left.item() == pytest.approx(expected.item(), rel=1e-5)


def test_positive_weights_are_negatives_over_positives_up_to_ten():
    truth = np.array([[1, 1, 0], [0, 1, 0], [0, np.nan, 0], [0, 0, 0]], np.float32)
    truth = np.concatenate([truth, np.tile([[np.nan, np.nan, 0.0]], (30, 1))])
    balanced = positive_weights(
        Loss(pos_weight="balanced"), ("a", "b", "c"), truth, softmax=False
    )
    np.testing.assert_allclose(balanced, [3, 0.5, 10])
    named = positive_weights(
        Loss(pos_weight={"b": 2.5}), ("a", "b", "c"), truth, softmax=False
    )
    np.testing.assert_allclose(named, [1, 2.5, 1])
    with pytest.raises(RecipeError, match=r"loss\.pos_weight names 'x'"):
        positive_weights(Loss(pos_weight={"x": 1}), ("a",), truth[:, :1], softmax=False)
    with pytest.raises(RecipeError, match=r"loss\.label_weights names 'x'"):
        loss_of(label_weights={"x": 1})


def test_balanced_classes_pull_alike_whatever_their_counts():
    classes = np.repeat([0, 1, 2], [60, 30, 10])
    truth = np.eye(3, dtype=np.float32)[classes]
    balanced = Loss(pos_weight="balanced")
    weights = positive_weights(balanced, ("a", "b", "c"), truth, softmax=True)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    assert weights == pytest.approx(expected)
    assert weights[classes].sum() == pytest.approx(len(classes))
    two = np.repeat([[1, 0], [0, 1]], [5, 95], axis=0).astype(np.float32)
    ill, well = positive_weights(balanced, ("ill", "well"), two, softmax=True)
    assert ill / well == pytest.approx(95 / 5)  # once, not squared
