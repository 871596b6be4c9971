"""Models as torch programs and as MONAI bundles answer as they do here."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile

import cv2
import nibabel
import numpy as np
import pytest
from bundles import draft_spec, make_bundle
from films import film_pixels
from PIL import Image as Picture
from typer.testing import CliRunner

import medcnn
from medcnn.calibration import probabilities_of
from medcnn.cli import app
from medcnn.errors import BundleError, DataError, EngineError
from medcnn.exporting import forms
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.networks import portable
from medcnn.preprocessing import (
    Normalise,
    Percentiles,
    Preprocessing,
    Resize,
    Window,
    ZScore,
)

pytestmark = pytest.mark.slow

ALL = (Percentiles(), Normalise(mean=0.449, std=0.226))
SPACED = Resize(shape=(9, 30, 30), fit="spacing", spacing_mm=(4.0, 2.0, 2.0))


class Placed(np.ndarray):
    """Values that know their affine, as MONAI's tensors do."""


def a_volume(shape):
    """A volume of unequal sides and spacings whose background is 0."""
    rng = np.random.default_rng(1)
    values = rng.normal(100, 40, shape).astype(np.float32)
    values[:3] = 0
    return values, np.diag([0.7, 0.9, 3.1, 1.0])


@pytest.mark.parametrize(
    "steps",
    [
        (Resize(shape=(32, 48)), *ALL),
        (Resize(shape=(32, 120)), *ALL),
        (Resize(shape=(200, 220)), *ALL),
        (Resize(shape=(64, 64), fit="letterbox"), *ALL),
        (Window(center=2000, width=1500), Resize(shape=(31, 33))),
        (ZScore(limit=3), Resize(shape=(50, 50), fit="letterbox")),
        (Resize(shape=(50, 50), fit="letterbox"), ZScore()),
    ],
)
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_the_portable_preprocessing_is_the_same_for_pictures(tmp_path, steps, kind):
    pixels = film_pixels(3).astype(kind)
    recipe = Preprocessing(steps=steps)
    wanted = recipe.apply(Image.from_picture(pixels)).tensor
    got = prepared(tmp_path, recipe, pixels.T[None])
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 2e-3
    assert got.std() > 0.05


@pytest.mark.parametrize(
    "steps",
    [
        (Resize(shape=(6, 20, 24)), ZScore()),
        (Resize(shape=(30, 20, 24), fit="letterbox"), Percentiles()),
        (SPACED, Percentiles(), Normalise(mean=0.5, std=0.5)),
    ],
)
def test_the_portable_preprocessing_is_the_same_for_volumes(tmp_path, steps):
    values, affine = a_volume((40, 31, 12))
    recipe = Preprocessing(steps=steps)
    image = Image(array=values[None], geometry=Geometry(values.shape, affine))
    wanted = recipe.apply(image).tensor
    placed = values[None].view(Placed)
    placed.affine = affine
    got = prepared(tmp_path, recipe, placed)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 2e-3


def test_the_portable_preprocessing_turns_colour_into_the_same_grey(tmp_path):
    colour = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    recipe = Preprocessing(steps=(Resize(shape=(16, 16)), Percentiles()))
    wanted = recipe.apply(Image.from_picture(colour)).tensor
    got = prepared(tmp_path, recipe, colour.transpose(2, 1, 0))
    assert np.abs(got - wanted).max() < 5e-3


def prepared(folder, recipe, array):
    facts = folder / "bundle.json"
    facts.write_text(json.dumps({"preprocessing": recipe.model_dump(mode="json")}))
    return portable.Prepare(facts)(array).numpy()


@pytest.mark.parametrize("name", ["chest-xray", "vessel-3d"])
def test_the_portable_calibration_is_the_same(name):
    spec = medcnn.open_bundle(name).spec
    logits = np.random.default_rng(0).normal(size=len(spec.labels)).astype(np.float32)
    got = portable.probabilities_of(spec.model_dump(mode="json"), logits)
    assert list(got) == list(spec.labels)
    np.testing.assert_allclose(list(got.values()), probabilities_of(spec, logits))


def test_a_torch_program_answers_as_the_model(tmp_path):
    import torch

    bundle = make_bundle(tmp_path / "m", seed=3)
    folder = medcnn.export(bundle.path, form="torch-export", output=tmp_path / "out")
    module = torch.export.load(str(folder / "model.pt2")).module()
    image = np.random.default_rng(5).normal(size=(1, 32, 32)).astype(np.float32)
    logits, features = module(torch.from_numpy(image)[None])
    (answer,) = medcnn.Model.open(bundle.path).stream([image])
    np.testing.assert_allclose(logits[0].detach(), answer.logits, atol=1e-4)
    np.testing.assert_allclose(features[0].detach(), answer.features, atol=1e-4)
    found = json.loads((folder / "export.json").read_text())
    assert found["inputs"] == 8
    assert 0 <= found["max_difference_probability"] < 1e-5


def run_monai(folder, image):
    """Run a MONAI bundle in a process of its own; return its table and its imports."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    config = ["--config_file", "configs/inference.json", "--input", str(image)]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "monai.bundle", "run", *config],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with (folder / "eval" / "probabilities.csv").open() as file:
        (row,) = csv.DictReader(file)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "scripts.medcnn_portable" in loaded
    assert "medcnn" not in loaded
    return row


def test_monai_runs_the_bundle_of_a_model_for_pictures(tmp_path):
    pytest.importorskip("fire", reason="Fire, which MONAI's command line needs")
    picture = tmp_path / "film.png"
    cv2.imwrite(str(picture), film_pixels(4, rows=130, columns=110) * 16)
    bundle = make_bundle(tmp_path / "m", seed=3, spread=20)
    folder = medcnn.export(bundle.path, form="monai-bundle", output=tmp_path / "out")
    row = run_monai(folder, picture)
    wanted = medcnn.Model.open(bundle.path).predict(medcnn.load(picture)).probabilities
    assert {"abnormal", "mass"} == set(wanted)
    for label, probability in wanted.items():
        assert float(row[label]) == pytest.approx(probability, abs=1e-3)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    outputs = metadata["network_data_format"]["outputs"]["pred"]
    assert outputs["channel_def"] == {"0": "abnormal", "1": "mass"}


def test_monai_runs_the_bundle_of_a_model_for_volumes(tmp_path):
    pytest.importorskip("fire", reason="Fire, which MONAI's command line needs")
    values, affine = a_volume((40, 31, 22))
    values += np.linspace(0, 300, 40, dtype=np.float32)[:, None, None]
    affine[:3, :3] = affine[:3, :3] @ [[0, 1, 0], [-1, 0, 0], [0, 0.1, -1]]
    volume = tmp_path / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, affine), volume)
    bundle = make_bundle(tmp_path / "m", seed=3, spread=20, dims=3, shape=(12, 20, 24))
    folder = medcnn.export(bundle.path, form="monai-bundle", output=tmp_path / "out")
    row = run_monai(folder, volume)
    wanted = medcnn.Model.open(bundle.path).predict(medcnn.load(volume)).probabilities
    for label, probability in wanted.items():
        assert float(row[label]) == pytest.approx(probability, abs=1e-3)


def test_a_form_that_answers_otherwise_is_refused_and_not_left(tmp_path, monkeypatch):
    bundle = make_bundle(tmp_path / "m", seed=3)
    way = forms.FORMS["onnx"]
    wrong = forms.Way(way.write, lambda *said: way.run(*said) + 0.1, way.libraries)
    monkeypatch.setitem(forms.FORMS, "onnx", wrong)
    with pytest.raises(EngineError, match=r"as onnx the model answers up to 0\.0\d+"):
        medcnn.export(bundle.path, form="onnx", output=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_pictures_in_millimetres_are_refused_as_monai_bundle(tmp_path):
    spec = draft_spec()
    steps = [{"step": "resize", "shape": [32, 32], "fit": "spacing"}]
    steps[0]["spacing_mm"] = [1.0, 1.0]
    bundle = make_bundle(tmp_path / "m")
    facts = json.loads((bundle.path / "bundle.json").read_text())
    facts["preprocessing"]["steps"] = steps
    (bundle.path / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=f"{spec.name} counts in millimetres"):
        medcnn.export(bundle.path, form="monai-bundle", output=tmp_path / "out")


def test_the_portable_reader_refuses_what_it_would_misread(tmp_path):
    grey = Picture.fromarray(np.zeros((8, 8), np.uint8))
    assert portable.plain(grey) is grey
    with pytest.raises(ValueError, match="a picture of mode P"):
        portable.plain(grey.convert("P"))
    with pytest.raises(ValueError, match="expected --input IMAGE"):
        portable.list_images(None)
    with pytest.raises(ValueError, match=r"film\.dcm"):
        portable.list_images(str(tmp_path / "film.dcm"))
    recipe = Preprocessing(steps=(Resize(shape=(4, 4)),))
    with pytest.raises(ValueError, match="2 channels, expected 1"):
        prepared(tmp_path, recipe, np.zeros((2, 8, 8)))
    with pytest.raises(ValueError, match="takes 2-D images, got 3-D"):
        prepared(tmp_path, recipe, np.zeros((1, 8, 8, 8)))
    with pytest.raises(ValueError, match="not finite"):
        prepared(tmp_path, recipe, np.full((1, 8, 8), np.nan))


def test_the_command_says_how_far_the_exported_answers_are(tmp_path):
    bundle = make_bundle(tmp_path / "m")
    words = ["export", "--model", str(bundle.path), "--format", "openvino"]
    told = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "a")])
    assert told.exit_code == 0, told.output
    assert "Verified on 8 inputs: probabilities differ" in told.output
    again = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "b"), "--json"])
    found = json.loads(again.stdout)
    assert found["agreement"]["max_difference_probability"] < 1e-5
    assert {"model.xml", "model.bin", "export.json"} < set(found["files"])


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize(
    ("dims", "shape"), [(2, (32, 32)), (3, (12, 20, 24))], ids=["pictures", "volumes"]
)
def test_an_exported_monai_bundle_comes_back_as_the_model_that_it_was(
    tmp_path, dims, shape
):
    bundle = make_bundle(tmp_path / "m", seed=3, spread=20, dims=dims, shape=shape)
    folder = medcnn.export(bundle.path, form="monai-bundle", output=tmp_path / "out")
    made = medcnn.import_model(folder, output=tmp_path / "back")
    before, after = (medcnn.Model.open(one.path) for one in (bundle, made.bundle))
    sample = film_pixels(4, rows=130, columns=110) if dims == 2 else None
    image = a_case(sample)
    wanted = before.predict(image).probabilities
    assert len({round(p, 3) for p in wanted.values()}) > 1
    assert after.predict(image).probabilities == pytest.approx(wanted, abs=1e-6)
    there, back = (medcnn.explain(one, image).array for one in (before, after))
    np.testing.assert_allclose(back, there, atol=1e-5 * there.max())
    spec = bundle.spec.model_dump(exclude={"files"})
    assert made.bundle.spec.model_dump(exclude={"files"}) == spec
    assert made.bundle.card() == bundle.card()
    assert made.bundle.sha256 == bundle.sha256
    again = medcnn.export(made.bundle.path, form="onnx", output=tmp_path / "again")
    assert (again / "model.onnx").is_file()


def a_case(pixels):
    if pixels is not None:
        return Image.from_picture(pixels, modality="CR")
    values, affine = a_volume((40, 31, 22))
    values += np.linspace(0, 300, 40, dtype=np.float32)[:, None, None]
    return Image(array=values[None], geometry=Geometry(values.shape, affine))


@pytest.fixture(scope="module")
def monai_export(tmp_path_factory):
    root = tmp_path_factory.mktemp("monai")
    bundle = make_bundle(root / "m", seed=3)
    return medcnn.export(bundle.path, form="monai-bundle", output=root / "out")


def rewritten(archive, change):
    """Write a zip archive anew, with one of its parts changed."""
    with zipfile.ZipFile(archive) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in parts.items():
            new.writestr(name, change(name, content))


def pickled(name, content):
    if name.endswith("config.json"):
        return content.replace(b'"use_pickle": false', b'"use_pickle": true')
    return content


def other_numbers(name, content):
    return content[::-1] if name.endswith("/weight_0") else content


def shorter(name, content):
    return content[:-4] if name.endswith("/weight_0") else content


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (pickled, BundleError, "a tensor is a pickle"),
        (shorter, BundleError, "not laid out row by row"),
        (other_numbers, EngineError, "beside the model that it was made of"),
    ],
)
def test_an_altered_program_is_refused_and_never_run(
    tmp_path, monai_export, change, error, match
):
    folder = tmp_path / "altered"
    shutil.copytree(monai_export, folder)
    rewritten(folder / "models" / "model.pt2", change)
    with pytest.raises(error, match=match):
        medcnn.import_model(folder, output=tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_program_of_another_network_is_refused(tmp_path, monai_export):
    folder = tmp_path / "altered"
    shutil.copytree(monai_export, folder)
    facts = json.loads((folder / "bundle.json").read_text())
    facts["network"]["arguments"]["width"] = 8
    (folder / "bundle.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="does not fit the network that is named"):
        medcnn.import_model(folder, output=tmp_path / "back")
    with zipfile.ZipFile(
        folder / "models" / "model.pt2", "w", zipfile.ZIP_DEFLATED
    ) as new:
        new.writestr("archive/data/weights/model_weights_config.json", "{}")
    with pytest.raises(BundleError, match="its parts are compressed"):
        medcnn.import_model(folder, output=tmp_path / "back")
    with zipfile.ZipFile(folder / "models" / "model.pt2", "w") as new:
        new.writestr("archive/other", "{}")
    with pytest.raises(BundleError, match="holds no list of weights"):
        medcnn.import_model(folder, output=tmp_path / "back")


def test_an_altered_bundle_of_ours_is_refused(tmp_path, monai_export):
    folder = tmp_path / "altered"
    shutil.copytree(monai_export, folder)
    with pytest.raises(DataError, match="says itself what it is"):
        medcnn.import_model(folder, description="x.toml", output=tmp_path / "back")
    (folder / "models" / "model.pt2").write_bytes(b"PK")
    with pytest.raises(BundleError, match="cannot be read as a program"):
        medcnn.import_model(folder, output=tmp_path / "back")
    (folder / "export.json").write_text("{}")
    with pytest.raises(BundleError, match="is no whole MONAI bundle of medcnn"):
        medcnn.import_model(folder, output=tmp_path / "back")
    (folder / "export.json").write_text('{"probe": []}')
    with pytest.raises(BundleError, match="does not say what the model answered"):
        medcnn.import_model(folder, output=tmp_path / "back")
    with pytest.raises(DataError, match="a description is needed"):
        medcnn.import_model(folder / "README.txt", output=tmp_path / "back")
