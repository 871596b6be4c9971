"""A model in other forms says the same; at 8 bits it is verified, or refused."""

import csv
import json
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import onnx
import pytest
from bundles import make_bundle
from films import film_pixels, write_films
from sklearn.metrics import roc_auc_score

import medcnn
from medcnn.bundle import OperatingPoint, open_bundle
from medcnn.engines import open_engine
from medcnn.engines.openvino import _core as core
from medcnn.engines.openvino import read_graph
from medcnn.errors import BundleError, DataError, EngineError, OutputError
from medcnn.exporting import forms, int8
from medcnn.exporting.rounding import _first_and_last
from medcnn.exporting.thresholds import moved_threshold
from medcnn.image import Image
from medcnn.networks.whole import whole_graph
from medcnn.worklist import read_run, read_worklist

pytestmark = pytest.mark.slow


@pytest.fixture
def command(request):
    """The command line, which a module of that name would hide."""
    return request.getfixturevalue("medcnn")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A model that flags some films, reviews some and passes some."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    make_bundle(path, seed=5, spread=40, labels=("abnormal",))
    model = medcnn.Model.open(path)
    films = [Image.from_picture(film_pixels(n), modality="CR") for n in range(40)]
    review, flag = np.quantile(
        [model.predict(one).probability for one in films], [0.4, 0.7]
    )
    spec = path / "bundle.json"
    facts = json.loads(spec.read_text())
    facts["operating_points"][0].update(flag=flag, review=review)
    spec.write_text(json.dumps(facts))
    return open_bundle(path)


@pytest.fixture(scope="module")
def labelled(bundle, tmp_path_factory):
    """120 films, two of a patient, whose truth follows the model with some doubt."""
    folder = tmp_path_factory.mktemp("labelled")
    films = write_films(folder, 120)
    model = medcnn.Model.open(bundle.path)
    rng = np.random.default_rng(0)
    scores = [model.predict(medcnn.load(path)).probability for path in films]
    middle = np.median(scores)
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "patient_id", "split", "abnormal"])
        for number, (path, score) in enumerate(zip(films, scores, strict=True)):
            truth = int(score > middle) if rng.random() < 0.9 else int(score <= middle)
            split = "train" if number < 40 else "val"
            rows.writerow([path.name, f"P{number // 2}", split, truth])
    return folder / "table.csv"


@pytest.fixture(scope="module")
def rounded(bundle, labelled, tmp_path_factory):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    output = tmp_path_factory.mktemp("out") / "int8"
    run = int8.Run(workers=1)
    return int8.quantise(bundle.path, labelled, output=output, run=run)


def tensors():
    return [
        (film_pixels(n, rows=32, columns=32)[None] / 2048 - 1).astype(np.float32)
        for n in range(8)
    ]


def logits(engine):
    return np.array([out.logits for out in engine.stream(tensors())])


def test_the_8_bit_network_is_verified_on_cases_that_ranges_were_not(rounded, bundle):
    facts = rounded.facts
    assert (facts.images, facts.calibrated_on) == (40, "the split train")
    assert (facts.cases, facts.patients) == (80, 40)
    (change,) = facts.changes
    assert change.ci95[0] <= change.change <= change.ci95[1]
    assert abs(change.change) <= int8.WORST
    assert facts.heatmap_correlation > 0.9
    assert rounded.bundle.spec.int8 == facts
    assert open_bundle(rounded.bundle.path).sha256 == bundle.sha256
    assert f"{change.auroc_int8:.4f}" in rounded.bundle.card()


def test_the_8_bit_network_is_another_one_and_says_nearly_the_same(rounded):
    both = [
        logits(open_engine(rounded.bundle, precision=precision))
        for precision in ("fp32", "int8")
    ]
    apart = np.abs(both[0] - both[1]).max()
    assert 0 < apart < 0.1 * np.ptp(both[0])


def test_as_many_cases_are_flagged_at_both_precisions(rounded, labelled, tmp_path):
    flagged = {}
    for precision in ("fp32", "int8"):
        output = tmp_path / precision
        run = {"model": rounded.bundle.path, "output": output, "workers": 1}
        medcnn.screen(labelled.parent, **run, precision=precision).run()
        rows = list(read_worklist(output / "worklist.csv"))
        films = [r for r in rows if r.band and r.path >= "film0040"]
        flagged[precision] = sum(row.band == "flag" for row in films)
        engine = read_run(output / "run.json").engine
        assert engine == ("openvino" if precision == "fp32" else "openvino int8")
    assert flagged["fp32"] == flagged["int8"] > 0


def test_a_loss_of_area_is_refused_with_its_interval(bundle, labelled, tmp_path):
    pytest.importorskip("nncf", reason="NNCF is not installed")

    def spoilt(found, *others):
        made = int8_changes(found, *others)
        return tuple(one.model_copy(update={"auroc_int8": 0.5}) for one in made)

    int8_changes = int8._changes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "_changes", spoilt)
        with pytest.raises(DataError, match=r"changes by -0\.\d+ \(.* to .*\)"):
            int8.quantise(
                bundle.path, labelled, output=tmp_path / "x", run=int8.Run(workers=1)
            )
    assert not (tmp_path / "x").exists()


def test_a_bundle_without_8_bits_says_how_they_are_made(bundle):
    with pytest.raises(EngineError, match="has no 8-bit network") as caught:
        medcnn.Model.open(bundle.path, precision="int8")
    assert "medcnn export" in caught.value.hint


def test_a_calibration_leaves_the_8_bit_network_out(rounded, labelled, tmp_path):
    run = int8.Run(workers=1)
    to = {"output": tmp_path / "site", "split": "val", "run": run}
    found = medcnn.calibrate(rounded.bundle.path, labelled, **to)
    assert found.bundle.spec.int8 is None
    assert not list((tmp_path / "site").glob("int8*"))
    assert "At 8 bits" in rounded.bundle.card()
    assert "At 8 bits" not in found.bundle.card()
    assert any("8-bit network is left out" in words for words in found.warnings)
    again = int8.quantise(tmp_path / "site", labelled, output=tmp_path / "b", run=run)
    both = again.bundle.spec.operating_points, again.facts.operating_points
    assert both[0][0].flag == pytest.approx(both[1][0].flag, abs=0.1)


def test_what_is_there_already_is_refused_before_the_work(
    bundle, labelled, tmp_path, monkeypatch
):
    monkeypatch.setattr(medcnn.Model, "open", None)
    for verb in (int8.quantise, medcnn.calibrate):
        with pytest.raises(OutputError, match="is there already"):
            verb(bundle.path, labelled, output=tmp_path)


def test_8_bits_are_for_openvino_on_a_cpu(rounded):
    with pytest.raises(EngineError, match="not in torch on auto"):
        open_engine(rounded.bundle, engine="torch", precision="int8")


def test_an_altered_8_bit_network_is_refused(rounded, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in rounded.bundle.path.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / "int8.bin").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"int8\.bin has checksum"):
        open_bundle(copy)


def test_at_full_precision_openvino_says_what_torch_says(bundle):
    both = [logits(open_engine(bundle, engine=name)) for name in ("openvino", "torch")]
    probabilities = [1 / (1 + np.exp(-one.astype(np.float64))) for one in both]
    assert np.abs(probabilities[0] - probabilities[1]).max() < 1e-5


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_other_forms_need_nothing_of_the_bundle(bundle, tmp_path, form):
    folder = medcnn.export(bundle.path, form=form, output=tmp_path / form)
    name = {"onnx": "model.onnx", "openvino": "model.xml"}[form]
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # bf16 is the default on some
    graph = core().compile_model(folder / name, "CPU", exact)
    wanted = logits(open_engine(bundle))
    got = np.array([graph([tensor[None]])[0][0] for tensor in tensors()])
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)
    assert {"README.txt", "CARD.md", "bundle.json"} < {p.name for p in folder.iterdir()}
    with pytest.raises(OutputError, match="is there already"):
        medcnn.export(bundle.path, form=form, output=folder)


def test_an_onnx_file_is_run_where_others_will_run_it(bundle, tmp_path):
    pytest.importorskip("onnxruntime")
    folder = medcnn.export(bundle.path, form="onnx", output=tmp_path / "onnx")
    told = json.loads((folder / "export.json").read_text())
    assert told["compared_with"] == "openvino on cpu"
    assert told["environment"]["onnxruntime"] == version("onnxruntime")
    assert 0 < told["max_difference_logit"] < 1e-3  # two engines, never bit for bit


@pytest.mark.parametrize(
    ("after", "wanted"),
    [([0.1, 0.2, 0.3], 0.25), ([0.9, 0.8, 0.7], 0.85), ([0.2, 0.3, 0.3], 0.5)],
)
def test_a_moved_threshold_leaves_as_many_above_it(after, wanted):
    before = np.array([0.1, 0.4, 0.6])
    found = moved_threshold(0.5, before, np.array(after))
    assert found == pytest.approx(wanted)
    if wanted != 0.5:
        assert (np.array(after) >= found).sum() == 1


def test_a_bundle_whose_8_bit_points_are_for_others_is_refused(rounded):
    facts = rounded.facts
    point = OperatingPoint(label="x", flag=0.5, review=0.5, rule="", chosen_on="")
    wrong = facts.model_copy(update={"operating_points": (point,)})
    spec = rounded.bundle.spec.model_dump() | {"int8": wrong.model_dump()}
    with pytest.raises(ValueError, match="at 8 bits are not for its labels"):
        type(rounded.bundle.spec).model_validate(spec)


def test_the_first_and_the_last_layer_keep_full_precision():
    graph = read_graph(open_bundle("chest-xray"))
    first, last = _first_and_last(graph)
    assert "stem" in first
    assert "head" in last


# ------------------------------------------- areas of the forms for other programs


def val_rows(labelled):
    with labelled.open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == "val"]


def prepared(bundle, labelled, rows):
    folder = labelled.parent
    recipe = bundle.spec.preprocessing
    return [recipe.apply(medcnn.load(folder / r["path"])).tensor for r in rows]


def exported(bundle, labelled, folder, form):
    run = int8.Run(workers=1)
    out = medcnn.export(bundle.path, form=form, output=folder, data=labelled, run=run)
    return json.loads((out / "export.json").read_text())["areas"]


def test_the_area_of_an_exported_graph_is_that_of_another_runtime(
    bundle, labelled, tmp_path
):
    onnxruntime = pytest.importorskip("onnxruntime")
    areas = exported(bundle, labelled, tmp_path / "out", "onnx")
    rows = val_rows(labelled)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    (name,) = (one.name for one in session.get_inputs())
    logits = [
        session.run(None, {name: tensor[None]})[0][0, 0]
        for tensor in prepared(bundle, labelled, rows)
    ]
    truth = [int(row["abnormal"]) for row in rows]
    (change,) = areas["changes"]
    assert change["auroc_exported"] == pytest.approx(roc_auc_score(truth, logits))
    assert (areas["cases"], areas["patients"], areas["split"]) == (80, 40, "val")
    assert change["n_positive"] + change["n_negative"] == 80
    assert change["ci95"][0] <= change["change"] <= change["ci95"][1]
    assert change["label"] == "abnormal"


@pytest.mark.parametrize("form", ["openvino", "torch-export", "monai-bundle"])
def test_every_form_tells_its_change_in_area(bundle, labelled, tmp_path, form):
    areas = exported(bundle, labelled, tmp_path / "out", form)
    (change,) = areas["changes"]
    assert abs(change["change"]) < 0.002
    assert 0.5 < change["auroc"] < 1
    assert areas["method"].startswith("DeLong")


def test_a_form_that_orders_cases_otherwise_shows_it_with_an_interval(
    bundle, labelled, tmp_path, monkeypatch
):
    """Logits are moved by 0.003 at most, up or down, which only swaps neighbours."""
    way = forms.FORMS["onnx"]

    def tilted(path, tensors):
        logits = way.run(path, tensors)
        return logits + 0.003 * np.sign(np.sin(1e4 * logits))

    monkeypatch.setitem(forms.FORMS, "onnx", replace(way, run=tilted))
    areas = exported(bundle, labelled, tmp_path / "out", "onnx")
    rows = val_rows(labelled)
    truth = [int(row["abnormal"]) for row in rows]
    path = tmp_path / "out" / "model.onnx"
    scores = tilted(path, prepared(bundle, labelled, rows))[:, 0]
    (change,) = areas["changes"]
    assert change["auroc_exported"] == pytest.approx(roc_auc_score(truth, scores))
    assert change["change"] != 0
    low, high = change["ci95"]
    assert low < change["change"] < high


def test_the_command_shows_the_areas_or_says_what_one_image_tells(
    command, bundle, labelled, tmp_path
):
    words = ["export", "--model", bundle.path, "--format", "openvino"]
    told = command(*words, "-o", tmp_path / "a", "--data", labelled)
    assert told.returncode == 0, told.stderr
    assert "Areas of 80 cases of 40 patients of table.csv, split val." in told.stdout
    assert "change (95 %)" in told.stdout
    silent = command(*words, "-o", tmp_path / "b")
    assert "The change in AUC is not measured" in silent.stderr
    found = json.loads((tmp_path / "b" / "export.json").read_text())
    assert found["areas"] is None
    refused = command(*words[:-1], "openvino-int8", "-o", tmp_path / "c")
    assert refused.returncode == 2
    assert "needs --data" in refused.stderr


def test_the_self_tests_image_is_decided_alike(tmp_path):
    out = medcnn.export("chest-xray", form="openvino", output=tmp_path / "out")
    found = json.loads((out / "export.json").read_text())["selftest"]
    expected = json.loads(
        (open_bundle("chest-xray").path / "selftest" / "expected.json").read_text()
    )["probabilities"]
    assert found["decided_otherwise"] == []
    for label, (here, there) in found["probabilities"].items():
        assert here == pytest.approx(expected[label], abs=1e-3)
        assert there == pytest.approx(here, abs=1e-4)


def test_data_that_do_not_tell_the_label_are_refused(bundle, labelled, tmp_path):
    lines = labelled.read_text().splitlines()
    table = labelled.with_name("healthy.csv")
    table.write_text("\n".join([lines[0], *(x for x in lines[1:] if x[-1] == "0")]))
    with pytest.raises(DataError, match="does not tell both sides of abnormal"):
        exported(bundle, table, tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


def test_a_graph_that_breaks_the_rules_is_not_written_whole(tmp_path):
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
    )
    path = tmp_path / "graph.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(EngineError, match="does not keep ONNX's rules"):
        whole_graph(path)
