"""A model in other forms says the same; at 8 bits it is verified, or refused."""

import csv
import json

import numpy as np
import pytest
from bundles import make_bundle
from films import film_pixels, write_films

import medcnn
from medcnn.bundle import OperatingPoint, open_bundle
from medcnn.engines import open_engine
from medcnn.engines.openvino import _core as core
from medcnn.engines.openvino import read_graph
from medcnn.errors import BundleError, DataError, EngineError, OutputError
from medcnn.exporting import int8
from medcnn.exporting.rounding import _first_and_last
from medcnn.exporting.thresholds import moved_threshold
from medcnn.image import Image
from medcnn.worklist import read_run, read_worklist

pytestmark = pytest.mark.slow


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
