"""What cannot be explained is refused in a sentence; odd but sound modules are not."""

import numpy as np
import pytest
import torch
from torch import nn

import medcnn
from medcnn.errors import DataError, GeometryError
from medcnn.explanation import METHODS, Explainer
from medcnn.results import Heatmap

QUICK = {"window": (4, 4), "stride": (4, 4), "steps": 3, "samples": 2}


@pytest.fixture
def module():
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    for weight in net.parameters():
        weight.data = torch.empty_like(weight).normal_(0, 0.5, generator=generator)
    net[-1].weight.data.abs_()  # so that something speaks for every label
    net[1].weight.data.abs_()
    return net.eval()


@pytest.fixture
def film():
    return np.random.default_rng(0).normal(0, 1, (1, 12, 12)).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["half", "parallel", "training"])
def test_half_precision_wrapped_and_training_modules_have_the_same_map(
    kind, method, module, film
):
    settings = QUICK if method in {"occlusion", "integrated-gradients"} else {}
    settings = {"samples": 2} if method == "smoothgrad" else settings
    expected = medcnn.explain(module, film, label=1, method=method, **settings).array
    state = [value.clone() for value in module.buffers()]
    odd = module
    if kind == "half":
        odd = module.to(torch.bfloat16)
    elif kind == "parallel":
        odd = nn.DataParallel(module)
    else:
        module.train()
    mode = odd.training

    found = medcnn.explain(odd, film, label=1, method=method, **settings).array

    # bfloat16 keeps eight binary digits; Grad-CAM++ and others sum up many of them
    bound = 0.15 if kind == "half" else 1e-6
    assert expected.max() > 0
    assert np.abs(found - expected).max() <= bound * expected.max()
    assert odd.training is mode
    kept = zip(module.buffers(), state, strict=True)
    assert all((now.float() - then.float()).abs().max() < 1e-2 for now, then in kept)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"window": 4}, "whole numbers from 1 on"),
        ({"window": (0, 4)}, "whole numbers from 1 on"),
        ({"window": (4, 4, 4)}, "expected 2 numbers each"),
        ({"window": (2, 2), "stride": (3, 3)}, "leaves gaps"),
        ({"steps": 0}, "steps=0 cannot be"),
        ({"samples": 0}, "samples=0 cannot be"),
        ({"batch": 0}, "batch=0 cannot be"),
        ({"noise": -1}, "0 or more"),
        ({"activation": "tanh"}, "sigmoid or softmax"),
        ({"labels": ("a", "a", "b")}, "a name of its own"),
        ({"labels": ("a", "b")}, "3 scores, got 2 labels"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, words, module, film):
    with pytest.raises(DataError, match=words):
        medcnn.explain(module, film, method="occlusion", **wrong)


def test_an_unknown_setting_is_answered_with_those_there_are(module, film):
    with pytest.raises(TypeError, match=r"stepz.*there are batch, progress, window"):
        medcnn.explain(module, film, stepz=3)


def test_an_image_that_the_module_cannot_take_is_told_with_its_shape(module, film):
    with pytest.raises(DataError, match=r"image of \(3, 12, 12\), its channels first"):
        medcnn.explain(module, film.repeat(3, axis=0))
    with pytest.raises(GeometryError, match="no pixels"):
        medcnn.explain(module, film[:, :0])


def test_no_label_at_all_is_refused_and_a_label_twice_is_two_maps(module, film):
    with pytest.raises(DataError, match="no label is asked for"):
        medcnn.explain(module, film, label=[])
    first, second = medcnn.explain(module, film, label=[2, "2"])
    assert first.label == second.label == "2"
    assert (first.array == second.array).all()


def test_a_compiled_module_is_told_which_methods_there_are(module, film):
    with pytest.warns(DeprecationWarning, match="deprecated"):
        compiled = torch.jit.trace(module, torch.zeros(1, 1, 12, 12))
    with pytest.raises(DataError, match="is compiled") as told:
        Explainer(compiled, method="grad-cam").explain(film)
    assert "occlusion" in told.value.hint
    assert medcnn.explain(compiled, film, method="occlusion").array.shape == (12, 12, 1)


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 1, 1), (7, 4, 1), (2, 2, 2)])
def test_the_peak_of_a_map_without_a_highest_place_is_its_middle(shape):
    peak = Heatmap(np.zeros(shape, np.float32), None, "a", "cam", "m").peak
    assert peak == tuple((n - 1) // 2 for n in shape)
