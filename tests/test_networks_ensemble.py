"""medcnn.networks.ensemble: several networks as one, in every engine."""

import numpy as np
import pytest
import torch
from bundles import draft_spec

from medcnn.bundle import NetworkSpec
from medcnn.bundle_writing import write_bundle
from medcnn.errors import BundleError
from medcnn.model import Model
from medcnn.networks import build, ensemble_of, export_graph


def members(count, *, dims=2, name="basic_cnn", **arguments):
    torch.manual_seed(0)  # noqa: TID251 - random networks for a test
    made = []
    for _ in range(count):
        one = build(name, dims=dims, in_channels=1, labels=2, **arguments).eval()
        with torch.no_grad():
            one.head.weight *= 8
        made.append(one)
    return made


@pytest.mark.parametrize(("dims", "shape"), [(2, (24, 20)), (3, (8, 12, 10))])
def test_the_logits_are_the_mean_of_the_members_logits(dims, shape):
    parts = members(3, dims=dims, width=4, depth=3)
    images = torch.rand(2, 1, *shape)
    with torch.inference_mode():
        told = [part(images) for part in parts]
        joined = ensemble_of(parts).eval()(images)
    torch.testing.assert_close(joined, torch.stack(told).mean(0))
    assert (told[0] - told[1]).abs().max() > 1e-2


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_every_engine_says_the_members_mean_and_maps_the_mean_of_their_maps(
    engine, tmp_path
):
    parts = members(3, width=4, depth=3)
    joined = ensemble_of(parts)
    named = {"of": "basic_cnn", "members": 3, "width": 4, "depth": 3}
    spec = draft_spec().model_copy(
        update={"network": NetworkSpec(name="ensemble", arguments=named)}
    )
    bundle = write_bundle(
        tmp_path / "joined",
        spec,
        weights={k: v.numpy() for k, v in joined.state_dict().items()},
        graph=lambda file: export_graph(joined, (1, 32, 32), file),
        files={},
    )
    model = Model.open(bundle.path, engine=engine, device="cpu", threads=1)
    tensor = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    answer = next(model.stream([tensor]))
    with torch.inference_mode():
        each = [part.with_features(torch.from_numpy(tensor)[None]) for part in parts]
    logit = np.mean([logits[0, 0] for logits, _ in each])
    assert answer.prediction.probability == pytest.approx(
        1 / (1 + np.exp(-logit)), abs=1e-5
    )
    maps = [
        np.tensordot(part.head.weight[0].detach(), features[0], 1)
        / features[0, 0].numel()
        for part, (_, features) in zip(parts, each, strict=True)
    ]
    expected = np.maximum(np.mean(maps, axis=0), 0)
    assert expected.max() > 0
    found = model.relevance(answer.features, "abnormal")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_networks_of_different_layers_are_refused():
    narrow, wide = members(1, width=4), members(1, width=8)
    with pytest.raises(BundleError, match="must have the same layers"):
        ensemble_of([*narrow, *wide])
