"""medcnn.training: data is read once, planned, looked through; leaks end it early."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from dicoms import picture, save
from trainings import write_blobs
from typer.testing import CliRunner

from medcnn.bundle import open_bundle
from medcnn.cli import app
from medcnn.dataset import LEFT_OUT, read_cases
from medcnn.errors import LeakageError, RecipeError
from medcnn.planning import Recipe
from medcnn.training import train
from medcnn.training.planned import estimate, plan_training
from medcnn.training.start import bundle_of, start_settings

pytestmark = pytest.mark.slow

QUICK = {
    "network.name": "basic_cnn",
    "network.arguments": {"width": 4, "depth": 2},
    "optimiser.epochs": 1,
    "labels": ["blob"],
    "report.baselines": False,
}


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp("blobs"), count=80)


@pytest.fixture(scope="module")
def made(blobs, tmp_path_factory):
    output = tmp_path_factory.mktemp("made") / "model"
    return train(blobs, output=output, settings=QUICK, device="cpu", progress=False)


def test_the_plan_goes_into_the_bundle_and_names_no_place(made, blobs):
    plan = json.loads((made / "plan.json").read_text())
    assert "plan.json" in open_bundle(made).spec.files
    assert str(blobs.parent) not in (made / "plan.json").read_text()
    assert plan["recipe"]["input"]["shape"] == [40, 36]
    assert plan["notes"][0].startswith("Patients of images: 80 from the column")


def test_the_splits_are_kept_beside_the_training(made, blobs):
    with (made.parent / "model.work" / "splits.csv").open(newline="") as file:
        kept = [(row["path"], row["split"]) for row in csv.DictReader(file)]
    assert kept == [(str(c.path), c.split) for c in read_cases(blobs).cases]


def test_the_recipe_that_the_bundle_keeps_is_that_of_the_plan(made):
    plan = json.loads((made / "plan.json").read_text())
    kept = open_bundle(made).spec.training.recipe
    assert Recipe.model_validate(kept) == Recipe.model_validate(plan["recipe"])
    assert kept["optimiser"]["epochs"] == 1


def near_copy(folder, source, name):
    seen = cv2.imread(str(folder / source), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / name), np.clip(seen.astype(int) + 2, 0, 255))


def leaking(tmp_path, name):
    """Write 20 pictures; the last, in val, is nearly the first, which is in train."""
    table = write_blobs(tmp_path, count=20)
    rows = [row.split(",") for row in table.read_text().splitlines()]
    rows = [[row[0], row[2], row[5]] for row in rows]
    near_copy(tmp_path, rows[1][0], "copy.png")
    rows.append(["copy.png", "val", rows[1][2]])
    text = "\n".join(",".join(row) for row in rows)
    (tmp_path / name).write_text(text + "\n")
    return tmp_path / name


def test_a_nearly_identical_image_in_two_splits_is_an_error_that_names_both(tmp_path):
    table = leaking(tmp_path, "cases.csv")
    words = r"nearly the same image .*0\.png \(train\) and .*copy\.png \(val\)"
    with pytest.raises(LeakageError, match=words):
        train(table, output=tmp_path / "m", settings=QUICK, progress=False)
    assert not (tmp_path / "m").exists()


def test_an_allowed_leak_stands_in_the_card_and_in_the_plan(tmp_path):
    table = leaking(tmp_path, "cases.csv")
    model = train(
        table,
        output=tmp_path / "m",
        settings=QUICK,
        device="cpu",
        allow_leak=True,
        progress=False,
    )
    words = "1 pairs of nearly identical images do"
    assert f"Leaks were allowed: {words}" in (model / "CARD.md").read_text()
    assert any(
        words in note for note in json.loads((model / "plan.json").read_text())["notes"]
    )


def test_the_same_pixels_as_png_and_dicom_in_two_splits_are_refused(tmp_path):
    table = write_blobs(tmp_path, count=20)
    rows = [row.split(",") for row in table.read_text().splitlines()]
    seen = cv2.imread(str(tmp_path / rows[1][0]), cv2.IMREAD_GRAYSCALE)
    save(picture(seen), tmp_path / "film.dcm")
    text = "\n".join(",".join([row[0], row[2], row[5]]) for row in rows)
    (tmp_path / "cases.csv").write_text(f"{text}\nfilm.dcm,test,{rows[1][5]}\n")
    with pytest.raises(LeakageError, match=r"the same image .*0\.png .*film\.dcm"):
        train(
            tmp_path / "cases.csv",
            output=tmp_path / "m",
            settings=QUICK,
            progress=False,
        )


def test_patients_are_read_from_headers_and_refused_in_two_splits(tmp_path):
    rng = np.random.default_rng(2)
    rows = ["path,blob,split"]
    for n in range(12):
        film = rng.integers(0, 4096, (48, 48)).astype(np.uint16)
        save(picture(film, PatientID=f"p{n % 6}"), tmp_path / f"{n}.dcm")
        rows.append(f"{n}.dcm,{n % 2},{'train' if n < 8 else 'val'}")
    table = tmp_path / "cases.csv"
    table.write_text("\n".join(rows) + "\n")
    words = r"4 patients are in several splits: patient of 2\.dcm, patient of 3\.dcm"
    with pytest.raises(LeakageError, match=words):
        train(table, output=tmp_path / "m", settings=QUICK, progress=False)


def test_of_a_data_set_copies_are_left_out_of_training_and_that_is_said(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 40), ("val", 16), ("test", 16)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count)[:, None] % 2
    arrays["train_images"][3] = arrays["test_images"][5]
    np.savez(tmp_path / "set.npz", **arrays)
    quick = {k: v for k, v in QUICK.items() if k != "labels"}
    model = train(
        tmp_path / "set.npz",
        output=tmp_path / "m",
        settings=quick,
        device="cpu",
        progress=False,
    )
    notes = " ".join(json.loads((model / "plan.json").read_text())["notes"])
    assert "1 images are left out" in notes
    assert "train/3 is the same as test/5" in notes
    kept = (tmp_path / "m.work" / "splits.csv").read_text()
    assert kept.count(LEFT_OUT) == 1


def test_an_estimate_is_measured_and_grows_with_the_epochs(blobs):
    one, ten = (
        estimate(
            plan_training(
                blobs, settings={**QUICK, "optimiser.epochs": n}, device="cpu"
            )
        )
        for n in (1, 10)
    )
    assert one.step_seconds > 0
    assert one.seconds == pytest.approx(one.reading_seconds + one.epoch_seconds)
    assert ten.seconds == pytest.approx(ten.reading_seconds + 10 * ten.epoch_seconds)
    assert "measured" in one.words()


def test_an_estimate_never_times_more_images_than_there_are(blobs, monkeypatch):
    asked = []

    def step(_network, images, *, half):
        asked.append(len(images))
        return 2.0

    monkeypatch.setattr("medcnn.training.planned._step", step)
    said = {**QUICK, "optimiser.batch_size": 100_000}
    planned = plan_training(blobs, settings=said, device="cpu")
    found = estimate(planned)
    assert set(asked) == {planned.plan.fingerprint.to_learn} == {48}
    assert (found.steps, found.step_seconds) == (1, 2.0)
    more = planned.plan.fingerprint.model_copy(update={"cases": 1000, "splits": {}})
    plan = planned.plan.model_copy(update={"fingerprint": more})
    asked.clear()
    found = estimate(replace(planned, plan=plan))
    assert set(asked) == {64}
    assert found.step_seconds == pytest.approx(2.0 * 850 / 64)


def test_a_dry_run_prints_plan_and_time_and_writes_nothing(blobs, tmp_path):
    before = sorted(p.name for p in blobs.parent.iterdir())
    done = CliRunner().invoke(
        app, ["train", str(blobs), "--dry-run", "--set", "labels=['blob']"]
    )
    assert done.exit_code == 0, done.output
    assert "input.shape = 40 x 36: no image is longer" in done.output
    assert "About " in done.output
    assert sorted(p.name for p in blobs.parent.iterdir()) == before
    told = CliRunner().invoke(app, ["train", str(blobs), "--dry-run", "--json"])
    facts = json.loads(told.stdout)
    assert facts["estimate"]["steps"] >= 1
    assert facts["decisions"]


def test_no_output_is_wrong_usage_and_a_wrong_key_is_refused(blobs):
    runner = CliRunner()
    assert runner.invoke(app, ["train", str(blobs)]).exit_code == 2
    wrong = runner.invoke(app, ["train", str(blobs), "--dry-run", "--set", "epoch=3"])
    assert wrong.exit_code != 0
    with pytest.raises(RecipeError, match="both say what to start from"):
        start_settings(init="chest-xray", weights=blobs)


def test_a_training_may_start_from_a_model(made, blobs, tmp_path):
    said = start_settings(init=str(made), weights=None)
    assert said["network.name"] == "basic_cnn"
    assert bundle_of(said["network.pretrained"]).path == made
    assert bundle_of(tmp_path / "model.safetensors") is None
    more = {"optimiser.epochs": 1, "labels": ["blob"], "report.baselines": False}
    again = train(
        blobs,
        output=tmp_path / "m",
        settings={**said, **more},
        device="cpu",
        progress=False,
    )
    assert open_bundle(again).spec.network == open_bundle(made).spec.network


def test_contradicting_labels_are_told_with_names_but_not_in_the_bundle(
    tmp_path, capfd
):
    table = write_blobs(tmp_path, count=20)
    rows = [row.split(",") for row in table.read_text().splitlines()]
    (tmp_path / "again.png").write_bytes((tmp_path / rows[1][0]).read_bytes())
    other = "1" if rows[1][5] == "0" else "0"
    lines = [",".join([row[0], row[2], row[5]]) for row in rows]
    text = "\n".join([*lines, f"again.png,{rows[1][2]},{other}"])
    (tmp_path / "cases.csv").write_text(text + "\n")
    model = train(
        tmp_path / "cases.csv", output=tmp_path / "m", settings=QUICK, device="cpu"
    )
    told = " ".join(capfd.readouterr().err.split())
    assert "again.png (train) differ in blob" in told
    kept = (model / "plan.json").read_text()
    assert "1 pairs of identical images have different labels" in kept
    assert "again.png" not in kept
