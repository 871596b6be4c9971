"""Any torch module can be explained, and is afterwards as it was before."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from lesions import lesion_finder, planted
from torch import nn

import medcnn
from medcnn.errors import DataError, EngineError, GeometryError
from medcnn.explanation import METHODS, Explainer

BROKEN = "broken on purpose"
FAILS_AT = {"integrated-gradients": 2, "smoothgrad": 2}
"""At which pass: the first asks for the scores, the second looks for the layer."""
QUICK = {"batch": 16, "steps": 4, "samples": 4}


class Branched(nn.Module):
    """A residual block with activations that write in place, and a flat head."""

    def __init__(self, dropout=0.5):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        )
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(4 * 6 * 6, 2)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.stem(x), 2)
        x = self.act(x + self.block(x))
        return self.head(self.drop(x.flatten(1)))


class Patches(nn.Module):
    """A transformer for pictures: patches, attention among them, the first token."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(1, 16, 4, stride=4)
        self.norm = nn.LayerNorm(16)
        self.score = nn.Softmax(dim=-1)
        self.drop = nn.Dropout(0.1)
        self.mix = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, x):
        tokens = self.norm(self.embed(x).flatten(2).transpose(1, 2))
        heads = tokens.unflatten(2, (2, 8)).transpose(1, 2)
        attention = self.drop(self.score(heads @ heads.transpose(2, 3)))
        mixed = (attention @ heads).transpose(1, 2).flatten(2)
        return self.head(self.mix(mixed).mean(1))


@pytest.fixture
def film():
    return np.random.default_rng(0).normal(0, 1, (1, 12, 12)).astype(np.float32)


def state_of(module):
    return (
        [part.training for part in module.modules()],
        [(w.requires_grad, w.grad is None, w.clone()) for w in module.parameters()],
        [buffer.clone() for buffer in module.buffers()],
        [
            len(getattr(part, hooks))
            for part in module.modules()
            for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
        ],
        [getattr(part, "inplace", None) for part in module.modules()],
        torch.get_rng_state(),
    )


def assert_same(before, after):
    assert before[0] == after[0]
    for one, other in zip(before[1], after[1], strict=True):
        assert one[:2] == other[:2]
        assert torch.equal(one[2], other[2])
    assert all(torch.equal(a, b) for a, b in zip(before[2], after[2], strict=True))
    assert before[3:5] == after[3:5]
    assert torch.equal(before[5], after[5])


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_a_module_is_afterwards_as_it_was(method, film):
    network = Branched().train()
    network.stem.eval()  # a part that its owner froze
    network.stem[0].weight.requires_grad = False
    before = state_of(network)
    if method == "cam":
        with pytest.raises(DataError, match="linear in the average"):
            medcnn.explain(network, film, method=method)
    else:
        medcnn.explain(network, film, method=method, **QUICK)
    assert_same(before, state_of(network))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"cam"}))
def test_hooks_are_gone_after_a_failure(method, film):
    network = Branched().train()
    before = state_of(network)
    calls = []

    def fail(_part, _given, output):
        calls.append(1)
        if len(calls) == FAILS_AT.get(method, 3):
            raise RuntimeError(BROKEN)
        return output

    handle = network.head.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match=BROKEN):
        medcnn.explain(network, film, method=method, **QUICK)
    handle.remove()
    assert_same(before, state_of(network))


def test_it_works_where_gradients_are_switched_off(film):
    network = Branched().eval()
    wanted = medcnn.explain(network, film, label=0, method="grad-cam")
    with torch.no_grad():
        got = medcnn.explain(network, film, label=0, method="grad-cam")
    with torch.inference_mode():
        other = medcnn.explain(network, film, label=0, method="integrated-gradients")
    assert (got.array == wanted.array).all()
    assert np.isfinite(other.array).all()


def test_a_map_is_not_what_an_activation_in_place_made_of_it():
    """The layer before an in-place ReLU keeps its negative values."""
    network = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(16, 1, bias=False),
    )  # fmt: skip
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[3].weight.fill_(1.0)
    image = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 4, 4)
    heatmap = medcnn.explain(network, image, method="grad-cam", layer="0")
    weight = (image > 0).mean()  # the mean gradient: 1 where the ReLU lets it through
    np.testing.assert_allclose(
        heatmap.array[..., 0].T, (weight * image[0]).clip(0), rtol=1e-5
    )


def test_the_last_layer_is_found_and_named_and_another_can_be_given(film):
    network = Branched()
    found = medcnn.explain(network, film, label=0)
    given = medcnn.explain(network, film, label=0, method="layercam", layer="stem")
    assert (found.layer, found.method, found.model) == ("act", "hirescam", "Branched")
    assert (given.layer, given.cells) == ("stem", 144)
    assert found.cells == 36


def test_an_unknown_layer_is_answered_with_those_there_are(film):
    message = r"layer 'conv9' is unknown; there are stem\.0 \(4 of 12 x 12\), .*act "
    with pytest.raises(DataError, match=message):
        medcnn.explain(Branched(), film, method="grad-cam", layer="conv9")
    with pytest.raises(DataError, match="'head' has no feature map; there are"):
        medcnn.explain(Branched(), film, method="grad-cam", layer="head")
    with pytest.raises(DataError, match="'occlusion' is made of no layer"):
        medcnn.explain(Branched(), film, method="occlusion", layer="stem")


def test_attention_weights_are_not_taken_for_a_feature_map(film):
    with pytest.raises(DataError, match=r"tokens, and no feature map .* occlusion"):
        medcnn.explain(Patches(), film, method="grad-cam")
    with pytest.raises(DataError, match=r"'drop' has no feature map; there are embed"):
        medcnn.explain(Patches(), film, method="grad-cam", layer="drop")
    for method in ("occlusion", "integrated-gradients", "smoothgrad"):
        heatmap = medcnn.explain(Patches(), film, method=method, **QUICK)
        assert heatmap.array.max() > 0


def test_a_module_without_places_is_refused_in_one_sentence(film):
    network = nn.Sequential(nn.Flatten(), nn.Linear(144, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(DataError, match="Sequential keeps no map of places"):
        medcnn.explain(network, film)


def test_gradients_that_are_no_numbers_are_told():
    class Root(nn.Module):
        def forward(self, x):
            return torch.sqrt(x.flatten(1).sum(1, keepdim=True) * 0)

    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), Root())
    image = np.ones((1, 6, 6), np.float32)
    with pytest.raises(EngineError, match=r"layer '1': .* gradients are not finite"):
        medcnn.explain(network, image, method="grad-cam")
    with pytest.raises(EngineError, match="not finite"):
        medcnn.explain(network, image, method="smoothgrad")


def test_a_layer_that_does_not_lead_to_the_score_is_told(film):
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aside = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)

        def forward(self, x):
            self.aside(x)
            return self.used(x).flatten(2).mean(2)

    with pytest.raises(DataError, match="does not lead to the score"):
        medcnn.explain(Aside(), film, method="grad-cam", layer="aside")


def test_labels_of_a_module_are_its_highest_score_its_number_or_its_name(film):
    network = Branched().eval()
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([-50.0, 50.0]))
    names = {"labels": ("healthy", "ill")}
    assert medcnn.explain(network, film).label == "1"
    assert medcnn.explain(network, film, label=0).label == "0"
    assert medcnn.explain(network, film, **names).label == "ill"
    several = medcnn.explain(network, film, label=["healthy", "ill"], **names)
    assert [heatmap.label for heatmap in several] == ["healthy", "ill"]
    with pytest.raises(DataError, match=r"no label 'dead'; it has \('healthy', 'ill'"):
        medcnn.explain(network, film, label="dead", **names)
    with pytest.raises(DataError, match="2 scores, got 3 labels"):
        medcnn.explain(network, film, labels=("a", "b", "c"))


@pytest.mark.parametrize("form", ["record", "mapping", "tuple", "column"])
def test_scores_are_found_in_what_modules_answer_with(form, film):
    record = namedtuple("Record", ["logits"])

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Branched()

        def forward(self, x):
            scores = self.inner(x)
            return {
                "record": record(scores),
                "mapping": {"logits": scores},
                "tuple": (scores, None),
                "column": scores[:, 0],
            }[form]

    assert medcnn.explain(Wrapped(), film, label=0).layer == "inner.act"


def test_what_is_no_score_is_refused(film):
    class Segmenter(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x):
            return self.net(x)

    with pytest.raises(DataError, match=r"a tensor of shape \(1, 2, 12, 12\)"):
        medcnn.explain(Segmenter(), film)


def test_a_tensor_with_its_image_gives_a_map_on_the_images_grid():
    case = planted(5, 3)
    steps = case.recipe.model_copy(update={"steps": case.recipe.steps[1:]})
    steps = steps.model_copy(
        update={"steps": (steps.steps[0].model_copy(
            update={"fit": "stretch", "spacing_mm": None}), *steps.steps[1:])}
    )  # fmt: skip
    tensor = steps.apply(case.image).tensor
    heatmap = medcnn.explain(lesion_finder(3), case.image, label=0, tensor=tensor)
    assert heatmap.array.shape == case.image.shape
    assert case.holds(heatmap.peak)
    alone = medcnn.explain(lesion_finder(3), torch.from_numpy(tensor)[None], label=0)
    assert alone.array.shape == tensor.shape[:0:-1]
    assert alone.geometry is None


def test_an_image_alone_does_not_say_how_a_module_sees_it(film):
    image = medcnn.Image.from_picture(film[0])
    with pytest.raises(DataError, match=r"how the module sees .* preprocessing="):
        medcnn.explain(Branched(), image)
    with pytest.raises(GeometryError, match=r"got \(2, 1, 12, 12\)"):
        medcnn.explain(Branched(), np.stack([film, film]))
    with pytest.raises(TypeError, match=r"medcnn\.Model or a torch module, got str"):
        medcnn.explain("chest-xray", image)
    with pytest.raises(TypeError, match=r"unknown settings \['colour'\]"):
        medcnn.explain(Branched(), film, colour="red")
    with pytest.raises(DataError, match="method 'lime' is unknown, expected one of a"):
        medcnn.explain(Branched(), film, method="lime")


def test_images_are_explained_one_after_another(film):
    explainer = Explainer(Branched().eval(), method="grad-cam")
    films = [film, film + 1, film * 2]
    together = [one.heatmaps for one in explainer.each(films, ["0", "1"])]
    assert [len(maps) for maps in together] == [2, 2, 2]
    for (first, _), one in zip(together, films, strict=True):
        again = medcnn.explain(explainer._subject.module(), one, label=0,
                               method="grad-cam")  # fmt: skip
        assert (first.array == again.array).all()


def test_noise_is_the_same_again_and_another_seed_is_another(film):
    network = Branched().eval()
    maps = [
        medcnn.explain(network, film, label=0, method="smoothgrad", seed=seed).array
        for seed in (0, 0, 1)
    ]
    assert (maps[0] == maps[1]).all()
    assert (maps[0] != maps[2]).any()
