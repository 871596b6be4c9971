"""Foreign classifiers become bundles that answer as they did; no code of them runs."""

import json
import pickle
import shutil

import cv2
import numpy as np
import onnx
import pytest
import torch
from films import film_pixels
from foreign_models import (
    LABELS,
    SAID,
    WEIGHTS,
    Canary,
    Foreign,
    images,
    monai_folder,
    written,
)
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from typer.testing import CliRunner

import medcnn
from medcnn.cli import app
from medcnn.engines import open_engine
from medcnn.errors import (
    BundleError,
    DataError,
    EngineError,
    MedcnnError,
    OutputError,
)
from medcnn.importing import read_description
from medcnn.worklist import read_worklist

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_imported_graph_answers_as_its_source(tmp_path, engine, dynamic):
    path, description, network = written(tmp_path, dynamic=dynamic)
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    got = [
        out.logits for out in open_engine(made.bundle, engine=engine).stream(images())
    ]
    with torch.no_grad():
        wanted = network(torch.from_numpy(np.stack(images()))).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert made.keeps_places
    assert made.max_difference < 1e-4
    assert medcnn.open_bundle(tmp_path / "out").spec.labels == tuple(LABELS)
    assert "Imported from `their.onnx`" in made.bundle.card()


def test_its_heatmap_is_the_head_laid_on_the_feature_map(tmp_path):
    path, description, network = written(tmp_path)
    medcnn.import_model(path, description=description, output=tmp_path / "out")
    model = medcnn.Model.open(tmp_path / "out")
    image = images()[0]
    (answer,) = model.stream([image])
    with torch.no_grad():
        features = network.body(torch.from_numpy(image)[None])[0]
        wanted = torch.einsum("f,fhw->hw", network.head.weight[1], features)
    wanted = (wanted / features[0].numel()).clamp(min=0).numpy()
    assert wanted.max() > 0
    np.testing.assert_allclose(
        model.relevance(answer.features, "mass"), wanted, atol=1e-5
    )


def test_predict_screen_and_explain_take_an_imported_model(tmp_path):
    path, description, network = written(tmp_path)
    medcnn.import_model(path, description=description, output=tmp_path / "out")
    films = tmp_path / "films"
    films.mkdir()
    film = film_pixels(1, rows=128, columns=120)
    cv2.imwrite(str(films / "film.png"), film * 16)
    model = medcnn.Model.open(tmp_path / "out")
    image = medcnn.load(films / "film.png")
    tensor = model.spec.preprocessing.apply(image).tensor
    with torch.no_grad():
        wanted = torch.sigmoid(network(torch.from_numpy(tensor)[None]))[0].tolist()
    found = model.predict(image)
    assert list(found.probabilities.values()) == pytest.approx(wanted, abs=1e-5)
    assert not found.out_of_scope
    heatmap = medcnn.explain(model, image)
    assert heatmap.method == "cam"
    assert heatmap.array.shape == image.shape
    run = {"model": tmp_path / "out", "output": tmp_path / "run", "workers": 1}
    medcnn.screen(films, **run).run()
    (row,) = read_worklist(tmp_path / "run" / "worklist.csv")
    assert row.probability == pytest.approx(wanted[0], abs=1e-4)


def test_a_head_on_other_pooling_has_no_map(tmp_path):
    path, description, network = written(tmp_path, pools=False)
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    assert not made.keeps_places
    assert any("No class activation map" in words for words in made.warnings)
    (answer, *_) = medcnn.Model.open(tmp_path / "out").stream(images())
    with torch.no_grad():
        wanted = network(torch.from_numpy(images()[0])[None])[0].numpy()
    np.testing.assert_allclose(answer.logits, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("last", "activation"), [(nn.Sigmoid(), "sigmoid"), (nn.Softmax(1), "softmax")]
)
def test_an_activation_in_the_graph_is_not_applied_twice(tmp_path, last, activation):
    said = {"gives": "probabilities", "activation": activation}
    path, description, network = written(tmp_path, last=last, said=said)
    medcnn.import_model(path, description=description, output=tmp_path / "out")
    (answer, *_) = medcnn.Model.open(tmp_path / "out").stream(images())
    with torch.no_grad():
        wanted = network(torch.from_numpy(images()[0])[None])[0].tolist()
    got = list(answer.prediction.probabilities.values())
    assert got == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("last", "said", "match"),
    [
        (nn.Sigmoid(), {}, "ends with Sigmoid, and is said to give logits"),
        (None, {"gives": "probabilities"}, "is said to give probabilities"),
        (
            nn.Softmax(1),
            {"gives": "probabilities"},
            "ends with Softmax, and sigmoid is described",
        ),
        (None, {"labels": ["a", "b"]}, "has 3 outputs, 2 labels are named"),
        (
            None,
            {"input": {"dims": 2, "channels": 1, "shape": [40, 40]}},
            r"takes float of \[1, 1, 32, 40\], described is float of \[1, 1, 40, 40\]",
        ),
    ],
)
def test_what_is_said_must_be_what_the_graph_is(tmp_path, last, said, match):
    path, description, _ = written(tmp_path, last=last, said=said)
    with pytest.raises(BundleError, match=match):
        medcnn.import_model(path, description=description, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_colour_is_normalised_by_channel_within_the_graph(tmp_path):
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    said = {
        "input": {"dims": 2, "channels": 3, "shape": [32, 40]},
        "preprocessing": {**SAID["preprocessing"], "channels": 3},
        "channels": {"means": means, "deviations": deviations},
    }
    path, description, network = written(tmp_path, channels=3, said=said)
    medcnn.import_model(path, description=description, output=tmp_path / "out")
    image = images(3)[0]
    (answer,) = medcnn.Model.open(tmp_path / "out").stream([image])
    column = np.reshape(means, (3, 1, 1)), np.reshape(deviations, (3, 1, 1))
    scaled = ((image - column[0]) / column[1]).astype(np.float32)
    with torch.no_grad():
        wanted = network(torch.from_numpy(scaled)[None])[0].numpy()
    np.testing.assert_allclose(answer.logits, wanted, atol=1e-3)


def test_a_network_without_a_head_is_imported_without_a_map(tmp_path):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(1, 3, 3)

        def forward(self, x):
            return self.layer(x).amax((2, 3))

    path, description, network = written(tmp_path, network=Bare())
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    assert not made.keeps_places
    (answer, *_) = medcnn.Model.open(tmp_path / "out").stream(images())
    with torch.no_grad():
        wanted = network(torch.from_numpy(images()[0])[None])[0].numpy()
    np.testing.assert_allclose(answer.logits, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["model.pkl", "model.joblib", "model.onnx", "model.pt"]
)
def test_a_pickle_is_refused_by_name_and_never_read(tmp_path, name):
    canary = tmp_path / "it-ran"
    (tmp_path / name).write_bytes(pickle.dumps(Canary(canary)))
    description = tmp_path / "their.json"
    description.write_text(json.dumps(SAID))
    with pytest.raises(BundleError, match="is a pickle, which can run code"):
        medcnn.import_model(
            tmp_path / name, description=description, output=tmp_path / "out"
        )
    assert not canary.exists()


def plain_graph(*nodes, initializers=()):
    """Return a model of these nodes from x to y."""
    sizes = [1, 1, 32, 40]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializer=list(initializers),
    )
    return helper.make_model(graph)


def outside_weights(folder):
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, "../../secret", 0, 12)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return plain_graph(
        helper.make_node("Add", ["x", "w"], ["y"]), initializers=[tensor]
    )


def own_operator(folder):
    return plain_graph(helper.make_node("Run", ["x"], ["y"], domain="com.evil"))


def inner_graph(folder):
    body = plain_graph(helper.make_node("Relu", ["x"], ["y"])).graph
    node = helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)
    return plain_graph(node)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (outside_weights, "holds weights in other files"),
        (own_operator, r"holds operators of com\.evil"),
        (inner_graph, "holds graphs within its graph"),
    ],
)
def test_a_graph_that_reaches_beyond_itself_is_refused(tmp_path, make, match):
    (tmp_path / "their.onnx").write_bytes(make(tmp_path).SerializeToString())
    (tmp_path / "their.json").write_text(json.dumps(SAID))
    with pytest.raises(BundleError, match=match):
        medcnn.import_model(
            tmp_path / "their.onnx",
            description=tmp_path / "their.json",
            output=tmp_path / "out",
        )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"script": "os.system('true')"}, "script: Extra inputs are not permitted"),
        ({"labels": []}, "labels: "),
        ({"labels": ["a", "a", "b"]}, "labels are named twice"),
        ({"labels": ["a", "b\n", "c"]}, r"labels\.1: "),
        ({"labels": ["a", "b\\\\c", "d"]}, r"labels\.1: "),
        ({"labels": ["a"], "activation": "softmax"}, "always 1"),
        ({"thresholds": {"mass": {"flag": 0.2, "review": 0.5}}}, "is above flag"),
        ({"thresholds": {"x": {"flag": 0.5, "review": 0.5}}}, "x, which are no labels"),
        ({"channels": {"means": [0.5], "deviations": [0]}}, "deviations above 0"),
        ({"channels": {"means": [0.5] * 3, "deviations": [1] * 3}}, "3 numbers for 1"),
        (
            {"preprocessing": {"channels": 3, "steps": []}},
            r"preprocessing\.channels is 3",
        ),
    ],
)
def test_a_description_says_what_is_wrong_with_it(tmp_path, change, match):
    path, description, _ = written(tmp_path, said=change)
    with pytest.raises(DataError, match=match):
        medcnn.import_model(path, description=description, output=tmp_path / "out")


class OfOneAxis(Foreign):
    """A network that forgets which image its answer is of."""

    def forward(self, x):
        return super().forward(x)[0]


def test_an_answer_of_another_form_is_refused_and_leaves_nothing(tmp_path):
    path, description, _ = written(tmp_path, network=OfOneAxis())
    with pytest.raises(BundleError, match="cannot be made a model of"):
        medcnn.import_model(path, description=description, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_graph_is_refused_in_words(tmp_path):
    path, description, _ = written(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, 1500, 3):  # where the nodes and sizes are
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            medcnn.import_model(path, description=description, output=tmp_path / "out")
        except MedcnnError:
            refused += 1
            assert not (tmp_path / "out").exists()
        else:  # a name or a word was hit
            shutil.rmtree(tmp_path / "out")
    assert refused > 20


def test_what_is_no_model_is_refused(tmp_path):
    path, description, _ = written(tmp_path)
    out = {"description": description, "output": tmp_path / "out"}
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"bad\.onnx"):
        medcnn.import_model(tmp_path / "bad.onnx", **out)
    with pytest.raises(BundleError, match="is not there"):
        medcnn.import_model(tmp_path / "none.onnx", **out)
    with pytest.raises(BundleError, match="of no kind that is imported"):
        medcnn.import_model(description, **out)
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="is there already"):
        medcnn.import_model(path, **out)
    (tmp_path / "broken.toml").write_text("labels = [")
    with pytest.raises(DataError, match="cannot be read as TOML or JSON"):
        medcnn.import_model(
            path, description=tmp_path / "broken.toml", output=tmp_path / "new"
        )


def test_torch_refuses_an_imported_graph_in_words(tmp_path):
    path, description, _ = written(tmp_path)
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    with pytest.raises(EngineError, match="was imported as a graph"):
        open_engine(made.bundle, engine="torch")


@pytest.fixture(scope="module")
def densenet():
    """MONAI's own DenseNet with weights and running statistics of a seed."""
    from monai.networks.nets import DenseNet121

    with torch.random.fork_rng():
        torch.manual_seed(4)  # noqa: TID251 - a test's network is seeded whole
        network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=3)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
    return network.eval()


def squares():
    rng = np.random.default_rng(3)
    return list(rng.normal(size=(3, 1, 64, 64)).astype(np.float32))


def logits_of(network, tensors):
    with torch.no_grad():
        return network(torch.from_numpy(np.stack(tensors))).numpy()


def in_torchxrayvisions_names(network):
    """Name weights as torchvision and TorchXRayVision do."""
    named = {}
    for key, tensor in network.state_dict().items():
        theirs = key.replace(".layers.", ".")
        named[theirs.replace("class_layers.out.", "classifier.")] = tensor
    return named | {"op_threshs": torch.full((3,), 0.3)}


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_in_torchxrayvisions_names_answer_as_their_network(
    tmp_path, densenet, kind
):
    from safetensors.torch import save_file

    path, description = tmp_path / f"their.{kind}", tmp_path / "their.json"
    weights = in_torchxrayvisions_names(densenet)
    save = save_file if kind == "safetensors" else torch.save
    save(weights if kind == "safetensors" else {"state_dict": weights}, path)
    description.write_text(json.dumps(WEIGHTS))
    made = medcnn.import_model(path, description=description, output=tmp_path / "out")
    got = [out.logits for out in open_engine(made.bundle).stream(squares())]
    np.testing.assert_allclose(got, logits_of(densenet, squares()), atol=1e-4)
    assert made.keeps_places
    assert "TorchXRayVision DenseNet" in made.bundle.card()


def test_weights_of_another_head_are_refused(tmp_path, densenet):
    from safetensors.torch import save_file

    weights = in_torchxrayvisions_names(densenet)
    weights["classifier.weight"] = torch.zeros(5, 1024)
    save_file(weights, tmp_path / "their.safetensors")
    (tmp_path / "their.json").write_text(json.dumps(WEIGHTS))
    said = {"description": tmp_path / "their.json", "output": tmp_path / "out"}
    with pytest.raises(BundleError, match=r"expected the head's weight \(3, 1024\)"):
        medcnn.import_model(tmp_path / "their.safetensors", **said)
    (tmp_path / "their.json").write_text(json.dumps({**WEIGHTS, "network": None}))
    with pytest.raises(DataError, match="names no network"):
        medcnn.import_model(tmp_path / "their.safetensors", **said)
    (tmp_path / "their.json").write_text(
        json.dumps({**WEIGHTS, "gives": "probabilities"})
    )
    with pytest.raises(DataError, match="gives logits, the description says prob"):
        medcnn.import_model(tmp_path / "their.safetensors", **said)


def test_a_torch_file_that_would_run_code_is_refused_and_does_not(tmp_path):
    canary = tmp_path / "it-ran"
    torch.save({"weight": Canary(canary)}, tmp_path / "their.pt")
    (tmp_path / "their.json").write_text(json.dumps(WEIGHTS))
    with pytest.raises(BundleError, match=r"it names __builtin__\.exec, whose"):
        medcnn.import_model(
            tmp_path / "their.pt",
            description=tmp_path / "their.json",
            output=tmp_path / "out",
        )
    assert not canary.exists()


def test_a_monai_bundle_answers_as_monais_network(tmp_path, densenet):
    said = monai_folder(tmp_path / "theirs", densenet)
    made = medcnn.import_model(tmp_path / "theirs", **said)
    got = [out.logits for out in open_engine(made.bundle).stream(squares())]
    np.testing.assert_allclose(got, logits_of(densenet, squares()), atol=1e-4)
    assert made.keeps_places
    assert "a MONAI bundle's DenseNet121" in made.bundle.card()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"_target_": "os.system"}, r"_target_ is 'os\.system', which is not built"),
        ({"_target_": "$CODE"}, "which is not built"),
        ({"_target_": "torch.hub.load"}, "which is not built"),
        ({"out_channels": "$CODE"}, r"network_def\.out_channels is .* an expression"),
        ({"norm": ["$CODE"]}, r"network_def\.norm is .* an expression"),
        (
            {"act": {"_target_": "os.system", "command": "CODE"}},
            r"network_def\.act is .* a part to build",
        ),
        ({"in_channels": "@device"}, r"network_def\.in_channels is .* an expression"),
        ({"in_channels": 10**6}, "is 1000000, more than 4096"),
        ({"nothing": 1}, "cannot be built of"),
    ],
)
def test_nothing_of_a_monai_bundle_is_run(tmp_path, densenet, changes, match):
    canary = tmp_path / "it-ran"
    code = f"open({str(canary)!r}, 'w').close()"
    changed = json.loads(json.dumps(changes).replace("CODE", json.dumps(code)[1:-1]))
    said = monai_folder(tmp_path / "theirs", densenet, **changed)
    with pytest.raises(BundleError, match=match):
        medcnn.import_model(tmp_path / "theirs", **said)
    assert not canary.exists()


def test_a_folder_that_is_no_monai_bundle_is_refused(tmp_path, densenet):
    said = monai_folder(tmp_path / "theirs", densenet)
    config = tmp_path / "theirs" / "configs" / "inference.json"
    for text, match in (
        ("{}", "has no network_def"),
        ("no json", "cannot be read as JSON"),
    ):
        config.write_text(text)
        with pytest.raises(BundleError, match=match):
            medcnn.import_model(tmp_path / "theirs", **said)
    config.unlink()
    with pytest.raises(BundleError, match="it lacks configs/inference"):
        medcnn.import_model(tmp_path / "theirs", **said)


def test_the_description_in_the_docs_is_a_whole_one(repository, tmp_path):
    page = (repository / "docs" / "models.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "their.toml").write_text(text)
    said = read_description(tmp_path / "their.toml")
    assert said.labels == ("effusion", "mass", "nodule")
    picture = np.linspace(0, 255, 65536, dtype=np.float32).reshape(256, 256)
    tensor = said.preprocessing.apply(medcnn.Image.from_picture(picture)).tensor
    assert tensor.min() == pytest.approx(-1024, abs=5)  # as TorchXRayVision scales
    assert tensor.max() == pytest.approx(1024, abs=5)


def test_the_command_says_how_close_it_is_and_what_is_not_known(tmp_path):
    path, description, _ = written(tmp_path)
    words = ["import", str(path), "--description", str(description)]
    told = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "a")])
    assert told.exit_code == 0, told.output
    assert "Answers as its source within" in told.output
    assert "Thresholds of 0.5 mean nothing yet" in told.output
    again = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "b"), "--json"])
    found = json.loads(again.stdout)
    assert found["heatmap"]
    assert found["labels"] == LABELS
    refused = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "b")])
    assert refused.exit_code == 1
    assert "is there already" in refused.output
