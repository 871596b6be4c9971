"""Class activation maps equal gradient-based Grad-CAM, and sit where they should."""

import numpy as np
import pytest
import torch
from bundles import make_bundle
from monai.visualize import GradCAM

from medcnn.errors import DataError
from medcnn.explanation import explain
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.model import Model
from medcnn.networks import build

SMALL = {"cnn": "basic_cnn", "width": 4, "hidden": 8}
NETWORKS = {
    "basic_cnn": ("basic_cnn", {}),
    "densenet121": ("densenet121", {}),
    "resnet18": ("resnet18", {}),
    "efficientnet-lite0": ("efficientnet-lite0", {}),
    "small stem": ("resnet18", {"stem": "small"}),
    "acs": ("resnet18", {"acs": True}),
    "cnn_rnn": ("cnn_rnn", SMALL),
    "cnn_rnn without attention": ("cnn_rnn", SMALL | {"attention": False}),
}
KINDS = [(name, dims) for name in NETWORKS for dims in (2, 3)]
VOLUMES_ONLY = {"acs", "cnn_rnn", "cnn_rnn without attention"}


def _keep(values):
    """Stand in for MONAI's default normaliser, which turns hot into cold."""
    return values


@pytest.mark.parametrize(
    ("kind", "dims"), [k for k in KINDS if k[1] == 3 or k[0] not in VOLUMES_ONLY]
)
def test_the_map_equals_gradient_based_grad_cam(kind, dims, tmp_path):
    shape = (96, 64) if dims == 2 else (32, 64, 32)
    name, arguments = NETWORKS[kind]
    bundle = make_bundle(
        tmp_path / "b", network=name, arguments=arguments, dims=dims, shape=shape
    )
    model = Model.open(bundle.path)
    tensor = np.random.default_rng(0).normal(0, 1, (1, *shape)).astype(np.float32)
    answer = next(model.stream([tensor]))
    network = _network(bundle)
    gradcam = GradCAM(network, target_layers="body", postprocessing=_keep)
    image = torch.from_numpy(tensor)[None].requires_grad_()
    for index, label in enumerate(model.labels):
        cells = answer.features[0].shape
        reference = (
            gradcam.compute_map(image, class_idx=index, layer_idx=-1)
            .detach()
            .numpy()[0, 0]
        )
        got = model.relevance(answer.features, label)
        assert got.shape == cells
        scale = max(float(reference.max()), 1e-6)
        assert np.abs(got - reference).max() < 1e-3 * scale + 1e-7


def _network(bundle):
    spec = bundle.spec
    network = build(
        spec.network.name,
        dims=spec.input.dims,
        in_channels=1,
        labels=len(spec.labels),
        **spec.network.arguments,
    )
    weights = {k: torch.from_numpy(v) for k, v in bundle.weights().items()}
    network.load_state_dict(weights)
    return network.eval()


def test_the_map_has_the_image_grid_and_names_its_label(tmp_path):
    bundle = make_bundle(tmp_path / "tiny3", dims=3, shape=(24, 24, 24))
    affine = np.diag([-1.0, 0.5, 3.0, 1.0])[[0, 2, 1, 3]]
    grid = Geometry((30, 28, 12), affine)
    values = np.random.default_rng(0).normal(0, 1, (1, 30, 28, 12)).astype(np.float32)
    image = Image(values, geometry=grid)
    heatmap = explain(Model.open(bundle.path), image, label="mass")
    assert heatmap.array.shape == grid.shape
    assert heatmap.geometry.same_grid(grid)
    assert (heatmap.label, heatmap.method, heatmap.model) == ("mass", "cam", "tiny")
    assert heatmap.array.min() >= 0
    assert heatmap.array.max() > 0


def test_a_fully_connected_network_predicts_but_has_no_map(tmp_path):
    bundle = make_bundle(tmp_path / "tiny", network="mlp", arguments={"hidden": 8})
    film = Image.from_picture(np.random.default_rng(0).normal(0, 1, (64, 64)))
    for engine in ("openvino", "onnxruntime", "torch"):
        model = Model.open(bundle.path, engine=engine)
        assert 0 < model.predict(film).probability < 1
        assert model.answer(film)[0].features.shape == (8,)
        with pytest.raises(DataError, match=r"fully connected network \(mlp\)"):
            explain(model, film)


def test_an_unknown_label_is_refused(tmp_path):
    model = Model.open(make_bundle(tmp_path / "tiny").path)
    film = Image.from_picture(np.random.default_rng(0).normal(0, 1, (64, 64)))
    with pytest.raises(DataError, match="no label 'cat'"):
        explain(model, film, label="cat")


def test_the_map_and_the_bias_add_up_to_the_logit_where_nothing_is_negative(tmp_path):
    bundle = make_bundle(tmp_path / "tiny")
    model = Model.open(bundle.path)
    weight, bias = bundle.head()
    tensor = np.random.default_rng(0).normal(0, 1, (1, 32, 32)).astype(np.float32)
    outputs = next(model.engine.stream([tensor]))
    positive = np.abs(weight)
    model._head = (positive, bias)  # a head without negative weights
    total = model.relevance(outputs.features, "abnormal").sum()
    pooled = outputs.features.mean(axis=(1, 2))
    assert total == pytest.approx(float(positive[0] @ pooled), rel=1e-4)
