"""medcnn.training.module: which weights learn, and how fast."""

import math

import pytest
import torch
from trainings import both_labels, small_module

from medcnn.networks import build
from medcnn.planning.recipe import Recipe
from medcnn.planning.sections import Input, Loss
from medcnn.training.module import ClassifierModule


def one_step(module, epoch):
    module.begin_epoch(epoch)
    optimiser = module.configure_optimizers()
    before = {k: v.clone() for k, v in module.network.state_dict().items()}
    batch = torch.rand(8, 1, 16, 16), torch.randint(0, 2, (8, 2)).float()
    module.training_step(batch)["loss"].backward()
    optimiser.step()
    after = module.network.state_dict()
    return {k for k in after if not torch.equal(before[k], after[k])}


def test_a_frozen_body_keeps_its_weights_and_running_statistics():
    assert one_step(small_module(frozen_epochs=2), 1) == {"head.weight", "head.bias"}


def test_a_thawed_body_learns():
    changed = one_step(small_module(frozen_epochs=2), 2)
    assert any(name.startswith("body.block1.convolution") for name in changed)
    assert any("running_mean" in name for name in changed)


def test_the_first_stages_can_stay_frozen_for_good():
    changed = one_step(small_module(freeze_until=2), 5)
    assert not any(name.startswith(("body.block1", "body.block2")) for name in changed)
    assert any(name.startswith("body.block3") for name in changed)


def test_frozen_norms_learn_weights_but_not_statistics():
    changed = one_step(small_module(freeze_norm=True), 0)
    assert "body.block1.normalisation.weight" in changed
    assert not any("running" in name for name in changed)


def test_rates_fall_by_stage_and_thin_weights_are_not_decayed():
    module = small_module(lr_head=1.0, lr_body=0.1, stage_decay=0.5, weight_decay=0.3)
    optimiser = module.configure_optimizers()
    groups = {
        id(weight): group
        for group in optimiser.param_groups
        for weight in group["params"]
    }
    named = dict(module.network.named_parameters())
    top = {k: groups[id(v)]["top"] for k, v in named.items()}
    assert top["head.weight"] == 1.0
    assert top["body.block3.convolution.weight"] == pytest.approx(0.1)
    assert top["body.block1.convolution.weight"] == pytest.approx(0.025)
    assert groups[id(named["head.weight"])]["weight_decay"] == 0.3
    assert groups[id(named["body.block1.normalisation.weight"])]["weight_decay"] == 0
    assert len(groups) == len(named)
    module.set_rates(optimiser, 0, 100)
    assert groups[id(named["head.weight"])]["lr"] == pytest.approx(1 / 25)


def test_mixing_with_an_unknown_truth_is_unknown():
    recipe = Recipe(loss=Loss(mixup=0.4), input=Input(shape=(16, 16)))
    network = build("basic_cnn", dims=2, in_channels=1, labels=2, width=4, depth=3)
    module = ClassifierModule(network, both_labels(), recipe)
    truth = torch.tensor([[1.0, math.nan], [0.0, math.nan]])
    answer = module.training_step((torch.rand(2, 1, 16, 16), truth))
    answer["loss"].backward()
    assert network.head.weight.grad[0].abs().sum() > 0
    assert network.head.weight.grad[1].abs().sum() == 0
