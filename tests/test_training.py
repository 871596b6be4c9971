"""medcnn.training.train from a table to a bundle, also when it is killed on its way."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from trainings import RECIPE, write_blobs

from medcnn.bundle import WEIGHTS, open_bundle
from medcnn.errors import (
    BundleError,
    EngineError,
    LeakageError,
    OutputError,
    RecipeError,
)
from medcnn.io import load
from medcnn.model import Model
from medcnn.training import Recipe, train
from medcnn.training.loop import BEST, LAST, Loop
from medcnn.training.state import read_state

pytestmark = pytest.mark.slow


def recipe(**changes) -> Recipe:
    """Return the test recipe with keys of some sections changed."""
    raw = json.loads(json.dumps(RECIPE))
    for section, values in changes.items():
        raw[section] = raw.get(section, {}) | values
    return Recipe.model_validate(raw)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def made(blobs, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("made") / "model"
    return train(blobs, output=output, recipe=recipe(), device="cpu", progress=False)


@pytest.fixture(scope="module")
def held_out(blobs, made) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probability of the test split, by reading the table once more."""
    with blobs.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    model = Model.open(made)
    told = [model.predict(load(blobs.parent / row["path"])) for row in rows]
    truth = [int(row["blob"]) for row in rows]
    return np.array(truth), np.array([answer.probability for answer in told])


def score_of(made: Path, data: str, subgroup: str, label: str = "blob"):
    found = [
        score
        for score in open_bundle(made).spec.evaluation
        if (score.data, score.subgroup, score.label) == (data, subgroup, label)
    ]
    assert len(found) == 1
    return found[0]


def test_it_learns_what_is_to_be_learnt(held_out):
    assert roc_auc_score(*held_out) > 0.95


def test_the_recorded_test_score_is_that_of_the_finished_model(made, held_out):
    score = score_of(made, "test", "all")
    assert score.auroc == pytest.approx(roc_auc_score(*held_out))
    assert (score.n_positive, score.n_negative) == (30, 30)
    assert score.ci95[0] < score.auroc <= score.ci95[1]


def test_subgroups_and_other_readers_are_scored(made):
    north, south = (score_of(made, "val", f"site = {s}") for s in ("north", "south"))
    assert north.n_positive + south.n_positive == 30
    reader = score_of(made, "val", "second reader")
    assert 0 < reader.n_positive + reader.n_negative < 60
    late = score_of(made, "val", "all", "late")
    assert late.n_positive + late.n_negative == 40  # a third is unknown


def test_the_review_threshold_finds_95_percent_on_val(blobs, made):
    model = Model.open(made)
    with blobs.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    ill = [row["path"] for row in rows if row["blob"] == "1"]
    told = [model.predict(load(blobs.parent / path)).probability for path in ill]
    point = model.spec.operating_points[0]
    assert np.mean(np.array(told) >= point.review) >= 0.95
    assert point.chosen_on == "val"
    assert model.spec.calibration[0].label == "blob"


def test_what_both_thresholds_achieve_is_kept_with_the_model(made, held_out):
    truth, told = held_out
    bands = [band for band in Model.open(made).spec.bands if band.data == "test"]
    flag, review = (band for band in bands if band.subgroup == "all")
    for band in (flag, review):
        called = told >= band.threshold
        assert band.tp == (called & (truth == 1)).sum()
        assert band.tn == (~called & (truth == 0)).sum()


def test_the_held_out_cases_are_what_runs_are_compared_with(made):
    sample = open_bundle(made).reference()
    assert sample.source.startswith("the val cases of")
    scores = sample.numbers["score"]
    assert scores.count == sample.units > 20
    assert min(scores.values) >= 0
    assert max(scores.values) <= 1
    assert sample.words["scope"]["in scope"] >= 0.9 * sample.units


def test_the_gate_accepts_what_it_was_trained_on_and_knows_its_limit(blobs, made):
    model = Model.open(made)
    assert model.spec.gate.min_side == 36  # the training images' own shortest side
    told = [model.predict(load(blobs.parent / f"{n}.png")) for n in range(100)]
    refused = [answer.out_of_scope for answer in told if answer.out_of_scope]
    assert len(refused) <= 5
    assert all("feature distance" in reason for reason in refused)


def test_the_bundle_says_where_it_comes_from(made):
    facts = open_bundle(made).spec.training
    assert facts.seed == 3
    assert len(facts.data_sha256) == 64
    assert facts.recipe["optimiser"]["epochs"] == 6
    assert facts.environment["device"] == "cpu"
    assert "torch" in facts.environment


def test_the_bundle_passes_its_own_selftest(made):
    expected = json.loads((made / "selftest" / "expected.json").read_text())
    answer = Model.open(made).predict(load(made / "selftest" / expected["input"]))
    assert dict(answer.probabilities) == pytest.approx(
        expected["probabilities"], abs=expected["tolerance"]
    )


def test_the_card_tells_the_numbers_and_the_words(made):
    card = (made / "CARD.md").read_text()
    assert "Blobs drawn for a test." in card
    score = score_of(made, "test", "all")
    assert f"| blob | all | 30 / 30 | {score.auroc:.3f} |" in card
    assert "| train | 180 |" in card
    assert "| late | 30 / 90 / 60 |" in card or "/ 60 |" in card
    assert "{{" not in card


def test_history_and_curves_show_every_epoch(made):
    work = made.with_name("model.work")
    with (work / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(row["side"]) for row in rows] == [24, 32, 32, 32, 32, 32]
    assert {"train_loss", "val_loss", "train_auc", "val_auc"} < set(rows[0])
    assert (work / "curves.png").stat().st_size > 5000


def test_the_best_epoch_by_validation_is_what_is_shipped(made):
    _, record = read_state(made.with_name("model.work") / LAST)
    areas = [row["val_auc"] for row in record.history]
    assert record.best_score == max(areas)
    assert areas[record.best_epoch] == max(areas)
    best = load_file(made.with_name("model.work") / BEST)
    shipped = load_file(made / WEIGHTS)
    assert all((best[name] == shipped[name]).all() for name in best)


KILLED = """
import os, signal, sys
from pathlib import Path
from trainings import RECIPE
from medcnn.training import Recipe, train
from medcnn.training.loop import Loop

step, taken, last = Loop._step, 0, int(sys.argv[3])

def fatal(self, *batch):
    global taken
    if taken == last:
        os.kill(os.getpid(), signal.SIGKILL)
    taken += 1
    step(self, *batch)

Loop._step = fatal
recipe = Recipe.model_validate(RECIPE | {"run": {"checkpoint_seconds": 0}})
train(Path(sys.argv[1]), output=sys.argv[2], recipe=recipe, device="cpu")
"""


def test_a_killed_and_resumed_run_ends_with_the_very_same_weights(
    blobs, made, tmp_path, monkeypatch
):
    output = tmp_path / "model"
    # 11 steps an epoch: in the middle of the third
    command = [sys.executable, "-c", KILLED, str(blobs), str(output), "27"]
    monkeypatch.setenv("PYTHONPATH", f"{Path.cwd()}:{Path(__file__).parent}")
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not output.exists()
    _, record = read_state(tmp_path / "model.work" / LAST)
    assert (record.epoch, record.step) == (2, 5)
    taken = []
    step = Loop._step
    monkeypatch.setattr(
        Loop, "_step", lambda self, *a: (taken.append(1), step(self, *a))
    )
    train(blobs, output=output, recipe=recipe(), device="cpu", progress=False)
    assert len(taken) == 6 * 11 - 27
    work, unbroken = tmp_path / "model.work", made.with_name("model.work")
    for name in (BEST, LAST):
        ours, theirs = load_file(work / name), load_file(unbroken / name)
        assert ours.keys() == theirs.keys()
        assert all((ours[key] == theirs[key]).all() for key in ours)


def test_a_finished_run_is_not_trained_again(blobs, made, monkeypatch):
    monkeypatch.setattr(Loop, "_step", lambda *_: pytest.fail("it trains again"))
    before = load_file(made / WEIGHTS)
    card = {"intended_use": "Written later."}
    train(blobs, output=made, recipe=recipe(card=card), device="cpu", progress=False)
    after = load_file(made / WEIGHTS)
    assert all((before[name] == after[name]).all() for name in before)
    assert "Written later." in (made / "CARD.md").read_text()


def test_the_output_of_another_recipe_is_not_touched(blobs, made):
    other = recipe(optimiser={"epochs": 9})
    with pytest.raises(OutputError, match="another recipe or other data"):
        train(blobs, output=made, recipe=other, device="cpu", progress=False)
    (made.parent / "taken").mkdir(exist_ok=True)
    with pytest.raises(OutputError, match="exists and holds something else"):
        train(blobs, output=made.parent / "taken", recipe=recipe(), progress=False)


def test_early_stop_ends_a_run_that_no_longer_improves(blobs, tmp_path):
    impatient = recipe(
        optimiser={"epochs": 30, "patience": 1, "lr_head": 1e-6, "lr_body": 1e-6}
    )
    train(blobs, output=tmp_path / "m", recipe=impatient, device="cpu", progress=False)
    _, record = read_state(tmp_path / "m.work" / LAST)
    assert record.finished
    assert len(record.history) == record.best_epoch + 2 < 30


def test_leakage_is_refused_before_anything_is_written(blobs, tmp_path):
    text = blobs.read_text().replace("p0-8", "p0-0")
    leaking = blobs.with_name("leaking.csv")
    leaking.write_text(text)
    with pytest.raises(LeakageError, match="p0-0"):
        train(leaking, output=tmp_path / "m", recipe=recipe(), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_device_and_an_unknown_network_are_refused(blobs, tmp_path):
    with pytest.raises(EngineError, match="'cuda:99' is not there"):
        train(blobs, output=tmp_path / "m", recipe=recipe(), device="cuda:99")
    unknown = recipe(network={"name": "resnet99", "arguments": {}})
    with pytest.raises(BundleError, match="resnet99"):
        train(blobs, output=tmp_path / "n", recipe=unknown, progress=False)


def test_a_diverging_run_says_so(blobs, tmp_path):
    wild = recipe(optimiser={"lr_head": 1e30, "lr_body": 1e30, "clip": 0, "ema": 0})
    with pytest.raises(RecipeError, match="training diverged in epoch 1"):
        train(blobs, output=tmp_path / "m", recipe=wild, device="cpu", progress=False)


def test_classes_in_folders_make_a_softmax_model(tmp_path):
    rng = np.random.default_rng(0)
    for name, at in (("left", 6), ("normal", None), ("right", 26)):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(40):
            picture = rng.normal(80, 15, (32, 32))
            if at is not None:
                picture[10:22, at - 4 : at + 4] += 90
            file = folder / f"{number}.png"
            cv2.imwrite(str(file), picture.clip(0, 255).astype(np.uint8))
    wanted = recipe(
        select={"label": None}, report={"subgroups": [], "extra_truth": {}}
    ).model_copy(update={"labels": ()})
    path = train(
        tmp_path / "data", output=tmp_path / "m", recipe=wanted, progress=False
    )
    model = Model.open(path)
    assert model.labels == ("left", "right", "normal")
    assert model.spec.activation == "softmax"
    answer = model.predict(load(tmp_path / "data" / "right" / "0.png"))
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert max(answer.probabilities, key=answer.probabilities.get) == "right"
    assert model.spec.temperature.fitted_on == "val"
    weight, bias = open_bundle(path).head()  # of a class alone only if it is centred
    assert weight.sum(0) == pytest.approx(0, abs=1e-5)
    assert bias.sum() == pytest.approx(0, abs=1e-5)


def test_volumes_train_by_the_same_recipe(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["path,bright"]
    for number in range(60):
        volume = rng.normal(0, 20, (14, 12, 10)).astype(np.float32)
        volume[4:10, 4:9, 3:8] += 60 * (number % 2)
        image = nibabel.Nifti1Image(volume, np.diag([2.0, 2.0, 3.0, 1.0]))
        nibabel.save(image, tmp_path / f"{number}.nii.gz")
        rows.append(f"{number}.nii.gz,{number % 2}")
    table = tmp_path / "volumes.csv"
    table.write_text("\n".join(rows))
    raw = {
        "network": {"name": "basic_cnn", "arguments": {"width": 4, "depth": 2}},
        "input": {"shape": [8, 12, 12], "orient": "LPS", "window": [30.0, 160.0]},
        "optimiser": {"epochs": 3, "batch_size": 8, "lr_head": 0.02, "lr_body": 0.02},
        "val_share": 0.3,
    }
    path = train(
        table,
        output=tmp_path / "m",
        recipe=Recipe.model_validate(raw),
        progress=False,
    )
    spec = open_bundle(path).spec
    assert (spec.input.dims, spec.input.shape) == (3, (8, 12, 12))
    assert spec.evaluation[0].auroc > 0.95
    model = Model.open(path)
    dark, bright = (
        model.predict(load(tmp_path / f"{n}.nii.gz")).probability for n in (0, 1)
    )
    assert dark < bright


def test_the_last_epoch_is_kept_where_the_recipe_says_so(blobs, tmp_path):
    short = recipe(optimiser={"epochs": 2}, select={"epoch": "last"})
    train(blobs, output=tmp_path / "m", recipe=short, device="cpu", progress=False)
    tensors, record = read_state(tmp_path / "m.work" / LAST)
    assert record.best_epoch == 1
    best = load_file(tmp_path / "m.work" / BEST)
    last = {k: v for k, v in tensors.items() if k.startswith("average.")}
    assert all((best[k.removeprefix("average.")] == last[k]).all() for k in last)


def test_the_same_seed_gives_the_same_weights_whatever_the_workers(blobs, tmp_path):
    sums = []
    for name, workers in (("none", 0), ("two", 2)):
        short = recipe(optimiser={"epochs": 2}, run={"workers": workers})
        path = train(
            blobs, output=tmp_path / name, recipe=short, device="cpu", progress=False
        )
        sums.append(open_bundle(path).sha256)
    assert sums[0] == sums[1]


def test_images_varied_on_the_device_teach_as_well(blobs, tmp_path):
    changed = recipe(run={"augment": "device"})
    path = train(
        blobs, output=tmp_path / "m", recipe=changed, device="cpu", progress=False
    )
    assert score_of(path, "test", "all").auroc > 0.9
