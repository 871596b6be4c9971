"""One foreign model of each kind, by its own name, through verbs and the worker."""

import csv
import json

import numpy as np
import pytest
import torch
from films import write_films
from foreign_models import LABELS, SAID, WEIGHTS, monai_folder, seeded, written

import medcnn as package
from medcnn.service import Service
from medcnn.service.classifying import Wish
from medcnn.worklist import read_worklist

pytestmark = pytest.mark.slow

KINDS = ["onnx", "torchxrayvision", "monai"]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Eight films of four patients, with a truth for the main label."""
    folder = tmp_path_factory.mktemp("films")
    paths = write_films(folder, 8)
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "patient_id", LABELS[0]])
        rows.writerows(
            [path.name, f"P{n // 2}", n // 2 % 2] for n, path in enumerate(paths)
        )
    return folder


def densenet():
    from monai.networks.nets import DenseNet121

    return seeded(DenseNet121(spatial_dims=2, in_channels=1, out_channels=3))


def from_onnx(folder):
    path, description, network = written(folder)
    return path, description, network, "kji"


def from_torchxrayvision(folder):
    network = densenet()
    names = {
        key.replace(".layers.", ".").replace("class_layers.out.", "classifier."): value
        for key, value in network.state_dict().items()
    }
    torch.save(names | {"op_threshs": torch.full((3,), 0.4)}, folder / "their.pt")
    (folder / "said.json").write_text(json.dumps(WEIGHTS))
    return folder / "their.pt", folder / "said.json", network, "kji"


def from_monai(folder):
    network = densenet()
    description = monai_folder(folder / "theirs", network)["description"]
    said = json.loads(description.read_text()) | {"axes": "ijk"}
    description.write_text(json.dumps(said))
    return folder / "theirs", description, network, "ijk"


MAKERS = dict(zip(KINDS, (from_onnx, from_torchxrayvision, from_monai), strict=True))


@pytest.fixture(scope="module", params=KINDS)
def foreign(request, tmp_path_factory):
    """Import one as own/their; return its folder, the network and its axes."""
    root = tmp_path_factory.mktemp(request.param)
    source, description, network, axes = MAKERS[request.param](root)
    package.import_model(
        source, description=description, output=root / "models" / "their"
    )
    return root / "models", network, axes


@pytest.fixture
def named(foreign, monkeypatch):
    monkeypatch.setenv("MEDCNN_MODELS", str(foreign[0]))
    return "own/their"


def wanted(foreign, path):
    """Return what the source's own network says of a film's main label."""
    models, network, axes = foreign
    recipe = package.open_bundle(models / "their").spec.preprocessing
    tensor = recipe.apply(package.load(path)).tensor
    if axes == "ijk":
        tensor = tensor.transpose(0, 2, 1)
    with torch.no_grad():
        logits = network(torch.from_numpy(np.ascontiguousarray(tensor))[None])
    return float(torch.sigmoid(logits)[0, 0])


def test_it_is_listed_screened_and_classified_as_its_source_says(
    medcnn, foreign, named, films, tmp_path
):
    assert any(
        one["model"] == named for one in json.loads(medcnn("models", "--json").stdout)
    )
    ended = medcnn("screen", films, "-o", tmp_path / "run", "--model", named)
    rows = {r.path: r for r in read_worklist(tmp_path / "run" / "worklist.csv")}
    assert ended.returncode in {0, 8}, ended.stderr
    path = films / "film0003.dcm"
    expected = wanted(foreign, path)
    assert rows[path.name].probability == pytest.approx(expected, abs=1e-4)
    assert (tmp_path / "run" / "report.html").is_file()
    with Service(models=foreign[0]) as service:
        (facts,) = [one for one in service.shelf.facts() if one["own"]]
        result = service.classify(package.load(path), named, Wish())
    assert facts["error"] == ""
    assert result.probabilities[LABELS[0]] == pytest.approx(expected, abs=1e-4)
    assert result.heatmaps[0].heatmap.array.shape == package.load(path).shape


def test_it_is_explained_and_evaluated(medcnn, named, films, tmp_path):
    ended = medcnn(
        "explain", films / "film0003.dcm", "-o", tmp_path / "maps", "--model", named
    )
    assert ended.returncode == 0, ended.stderr
    assert list((tmp_path / "maps").rglob("*.png"))
    ended = medcnn(
        "evaluate", films / "table.csv", "-o", tmp_path / "found", "--model", named,
        "--trust", "off", "--bootstrap", "100",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "found" / "evaluation.json").read_text())
    assert 0 <= found["labels"][LABELS[0]]["auroc"]["value"] <= 1
    assert found["model"]["name"] == SAID["name"]


@pytest.mark.parametrize("form", ["onnx", "monai-bundle"])
def test_it_is_exported_again(medcnn, named, films, tmp_path, form):
    is_graph = package.open_bundle(named).spec.network.name == "onnx-graph"
    if form == "monai-bundle" and not is_graph:
        pytest.skip("test_exporting_forms.py exports networks of ours so")
    words = ("export", "--model", named, "--format", form, "-o", tmp_path / "out")
    ended = medcnn(*words, "--data", films / "table.csv")
    if form == "monai-bundle":  # torch cannot build a graph
        assert ended.returncode == 1
        assert "was imported as a graph" in ended.stderr
        return
    assert ended.returncode == 0, ended.stderr
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert facts["max_difference_probability"] < 1e-3
    assert facts["areas"]["cases"] == 8


def test_of_a_graph_alone_the_map_needs_no_torch_and_other_methods_say_what_they_need(
    medcnn, named, films, tmp_path
):
    model = package.Model.open(named)
    image = package.load(films / "film0003.dcm")
    assert package.explain(model, image).method == "cam"
    ended = medcnn(
        "explain", films / "film0003.dcm", "-o", tmp_path / "maps", "--model", named,
        "--method", "grad-cam",
    )  # fmt: skip
    if model.spec.network.name != "onnx-graph":
        assert ended.returncode == 0, ended.stderr
        return
    assert ended.returncode == 1
    assert "was imported as a graph" in ended.stderr
    shown = package.explain(model, image, method="occlusion")
    assert shown.array.shape == image.shape
