"""medcnn.training.stepper: too little memory, losses that are no numbers, parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Fabric

from medcnn.dataset import Case, CaseTable
from medcnn.errors import RecipeError
from medcnn.networks import build
from medcnn.training import Recipe
from medcnn.training.loss import MaskedCrossEntropy
from medcnn.training.module import ClassifierModule
from medcnn.training.stepper import Stepper, predict

SIZE = 12
FABRIC = Fabric(accelerator="cpu", devices=1)


def made(*, clip=0.0, softmax=False, places=0.0):
    """A stepper whose normalisation keeps its statistics, so that parts add up."""
    torch.manual_seed(0)  # noqa: TID251 - a random network for a test
    recipe = Recipe.model_validate(
        {
            "input": {"shape": [16, 16]},
            "optimiser": {"freeze_norm": True, "clip": clip, "batch_size": SIZE},
            "loss": {"places": places},
        }
    )
    network = build(
        "basic_cnn", dims=2, in_channels=1, labels=2, width=4, depth=2, dropout=0.0
    )
    weights = np.array([1.0, 3.0], np.float32)
    loss = MaskedCrossEntropy(
        recipe.loss, ("a", "b"), softmax=softmax, positive=weights
    )
    module = ClassifierModule(network, loss, recipe)
    module.begin_epoch(0)
    cases = tuple(Case(Path(f"{n}.png"), {"a": 1.0, "b": 0.0}) for n in range(20))
    table = CaseTable(Path("t.csv"), ("a", "b"), "sigmoid", cases)
    said = []
    return Stepper(module, FABRIC, table, said.append), module, said


def batch(*, softmax=False):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (SIZE, 2)).astype(np.float32)
    if softmax:
        truth[:, 1] = 1 - truth[:, 0]
    else:
        truth[::3, 0] = np.nan
    images = rng.random((SIZE, 1, 16, 16), np.float32)
    return torch.from_numpy(images), torch.from_numpy(truth)


def placed(given):
    """The batch with places of some labels."""
    cells = torch.full((SIZE, 2, 8, 8), torch.nan)
    cells[::4] = 0.0
    cells[::4, :, 1, 2] = 1.0
    return *given, cells


def step(stepper, given):
    stepper.step(given, range(SIZE), seed=1, where="epoch 1, step 1")
    return stepper.settle()[0]


@pytest.mark.parametrize("places", [0.0, 2.0])
@pytest.mark.parametrize("softmax", [False, True])
def test_parts_of_a_batch_move_the_weights_as_the_whole_does(softmax, places):
    whole, one, _ = made(softmax=softmax, places=places)
    parts, other, _ = made(softmax=softmax, places=places)
    parts.most = 5
    given = batch(softmax=softmax)
    if places:
        given = placed(given)
        assert not torch.equal(given[2], given[2])  # some are unknown
    assert step(whole, given) == pytest.approx(step(parts, given), rel=1e-5)
    for name, weight in one.network.named_parameters():
        found = dict(other.network.named_parameters())[name]
        torch.testing.assert_close(found.grad, weight.grad, rtol=1e-4, atol=1e-6)


def test_a_taught_place_adds_its_loss_and_leaves_the_logits():
    plain, one, _ = made()
    taught, other, _ = made(places=1.0)
    given = batch()
    logits = plain.step(given, range(SIZE), seed=1, where="")
    with_maps = taught.step(placed(given), range(SIZE), seed=1, where="")
    torch.testing.assert_close(with_maps, logits, rtol=0, atol=0)
    (low,), (high,) = plain.settle(), taught.settle()
    other.eval(), one.eval()
    cells = placed(given)[2]
    assert high > low
    with torch.no_grad():
        fresh = made(places=1.0)[1].eval()
        told, maps = fresh.with_maps(given[0])
        extra = fresh.loss.places(maps, cells) / fresh.loss.weight(given[1])
        means = maps.flatten(2).mean(2) + fresh.network.head.bias
    torch.testing.assert_close(means, told, rtol=1e-4, atol=1e-5)
    assert extra > 0


def scarce(module, most):
    """Let the module fail as torch does when more than `most` images are asked."""
    logits = module.logits

    def few(network, images):
        if len(images) > most:
            msg = "CUDA out of memory. Tried to allocate 2.00 GiB."
            raise torch.OutOfMemoryError(msg)
        return logits(network, images)

    module.logits = few


def test_too_little_memory_is_answered_by_parts_and_said():
    easy, one, _ = made()
    hard, other, said = made()
    scarce(other, 4)
    given = batch()
    assert step(easy, given) == pytest.approx(step(hard, given), rel=1e-5)
    assert hard.most == 3
    assert len(said) == 2
    assert said[-1].endswith("batches of 12 go through the network in parts of 3.")
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_memory_for_not_even_one_image_is_an_error_and_other_errors_stay():
    stepper, module, _ = made()
    scarce(module, 0)
    with pytest.raises(RecipeError, match="memory does not suffice for 1 images"):
        step(stepper, batch())
    stepper, module, _ = made()
    module.logits = lambda *_: torch.zeros(3) @ torch.zeros(4)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        step(stepper, batch())


def test_a_loss_that_is_no_number_names_the_images():
    stepper, _, _ = made()
    images, truth = batch()
    images[5] = torch.nan
    stepper.step((images, truth), range(3, 3 + SIZE), seed=1, where="epoch 2, step 7")
    with pytest.raises(RecipeError) as caught:
        stepper.settle()
    assert "training diverged in epoch 2, step 7: loss nan" in caught.value.message
    assert "the batch was 3.png, 4.png" in caught.value.message
    assert caught.value.message.endswith("and 4 more")


def test_a_gradient_that_is_no_number_is_found_though_the_loss_is_one():
    stepper, module, _ = made(clip=1.0)
    module.network.head.weight.register_hook(lambda grad: grad * torch.inf)
    stepper.step(batch(), range(SIZE), seed=1, where="epoch 1, step 1")
    with pytest.raises(RecipeError, match=r"gradient (inf|nan); the batch was 0.png"):
        stepper.settle()


def test_losses_may_wait_for_one_step():
    stepper, _, _ = made()
    for _ in range(3):
        stepper.step(batch(), range(SIZE), seed=1, where="")
    assert len(stepper.settle(leave=1)) == 2
    assert len(stepper.settle()) == 1
    assert stepper.settle() == []


def test_predictions_come_in_order_and_in_smaller_parts_where_memory_lacks():
    asked = []

    def ask(chosen):
        asked.append(len(chosen))
        if len(chosen) > 4:
            msg = "DefaultCPUAllocator: can't allocate memory: you tried"
            raise RuntimeError(msg)
        return torch.from_numpy(chosen[:, None] * 2.0)

    found = predict(ask, np.arange(10), size=8, fabric=FABRIC)
    assert found[:, 0].tolist() == [2.0 * n for n in range(10)]
    assert asked == [8, 4, 4, 2]


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)],
)
def test_layers_compute_in_the_precision_that_was_chosen(
    monkeypatch, precision, expected
):
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    monkeypatch.setitem(globals(), "FABRIC", fabric)
    stepper, module, _ = made()
    seen = []
    module.network.body[0].register_forward_hook(lambda *a: seen.append(a[2].dtype))
    step(stepper, batch())
    assert seen == [expected]
