"""medcnn.training.schedule against torch and closed forms."""

import numpy as np
import pytest
import torch

from medcnn.planning.sections import Optimiser
from medcnn.training.schedule import average_into, ema_decay, rate_factor


def test_one_cycle_is_torchs():
    steps, recipe = 80, Optimiser(schedule="one-cycle", warmup=0.25)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=1.0,
        total_steps=steps,
        pct_start=0.25,
        div_factor=25,
        final_div_factor=1e4 / 25,
        cycle_momentum=False,
    )
    for step in range(steps):
        expected = optimiser.param_groups[0]["lr"]
        assert rate_factor(recipe, step, steps) == pytest.approx(expected, abs=1e-9)
        optimiser.step()
        reference.step() if step < steps - 1 else None


def test_cosine_rises_in_a_line_and_falls_to_nothing():
    recipe = Optimiser(schedule="cosine", warmup=0.1)
    rates = [rate_factor(recipe, step, 100) for step in range(100)]
    np.testing.assert_allclose(np.diff(rates[:10]), 1 / 11)
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3


def test_the_average_is_the_closed_form():
    def line(value):
        layer = torch.nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            layer.weight.fill_(value)
        return layer

    average, decay, values = line(5.0), 0.8, [1.0, -2.0, 4.0, 0.5]
    for value in values:
        average_into(average, line(value), decay)
    closed = decay**4 * 5 + sum(
        (1 - decay) * decay ** (3 - n) * value for n, value in enumerate(values)
    )
    assert average.weight.item() == pytest.approx(closed)


def test_the_average_takes_running_statistics_along():
    average, network = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    network.running_mean.fill_(4.0)
    network.num_batches_tracked.fill_(7)
    average_into(average, network, 0.75)
    assert average.running_mean.tolist() == [1.0, 1.0]
    assert average.num_batches_tracked.item() == 7


def test_the_decay_grows_to_what_was_asked():
    recipe = Optimiser(ema=0.99)
    assert ema_decay(recipe, 0) == pytest.approx(0.1)
    assert ema_decay(recipe, 10_000) == 0.99
    assert ema_decay(Optimiser(ema=0.99, ema_warmup=False), 0) == 0.99
