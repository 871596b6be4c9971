"""medcnn.training.sampler: who is seen when."""

import numpy as np
import pytest

from medcnn.errors import RecipeError
from medcnn.planning.sections import Sampling
from medcnn.training.sampler import EpochPlan


def plan(samples, *, batch_size=4, seed=0):
    column = ["a"] * 10 + ["b"] * 30
    sampling = Sampling(column="site", samples=samples)
    indices = np.arange(100, 140)
    return EpochPlan.make(sampling, column, indices, batch_size=batch_size, seed=seed)


def test_an_epoch_holds_as_many_of_each_group_as_asked():
    made = plan({"a": 16, "b": 8})
    for epoch in range(6):
        order = made.order(epoch)
        assert (order < 110).sum() == 16
        assert (order >= 110).sum() == 8
    assert made.steps == 6


def test_every_case_has_its_turn_before_any_comes_again():
    made = plan({"a": 10, "b": 8})
    seen = np.concatenate([made.order(epoch) for epoch in range(15)])
    counts = np.bincount(seen, minlength=140)[100:]
    assert (counts[:10] == 15).all()
    assert (counts[10:] == 4).all()


def test_without_a_column_an_epoch_holds_every_case_once():
    indices = np.arange(20)
    made = EpochPlan.make(Sampling(), [""] * 20, indices, batch_size=6, seed=1)
    assert sorted(made.order(0)) == list(range(20))
    assert made.steps == 3
    assert made.order(0).tolist() != made.order(1).tolist()


def test_a_resumed_epoch_goes_on_with_the_same_batches():
    made = plan({"a": 16, "b": 8})
    whole = list(made.batches(2, side=16, start=0))
    assert list(made.batches(2, side=16, start=4)) == whole[4:]
    assert plan({"a": 16, "b": 8}).order(2).tolist() == made.order(2).tolist()
    assert plan({"a": 16, "b": 8}, seed=1).order(2).tolist() != made.order(2).tolist()


def test_sampling_of_an_unknown_value_is_refused():
    with pytest.raises(RecipeError, match=r"samples names 'c'.*only a, b"):
        plan({"c": 3})
