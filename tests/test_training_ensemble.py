"""Folds and seeds: several networks in one bundle, and cases that none of them saw."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from trainings import RECIPE, write_blobs

from medcnn.bundle import open_bundle
from medcnn.dataset.seen import SEEN, read_seen
from medcnn.evaluation.table import read_predictions
from medcnn.io import load
from medcnn.model import Model
from medcnn.networks import build
from medcnn.training import Recipe, train
from medcnn.training.loop import BEST, Loop

pytestmark = pytest.mark.slow


def recipe(**more) -> Recipe:
    raw = json.loads(json.dumps(RECIPE))
    raw["optimiser"] |= {"epochs": 3}
    raw["report"]["baselines"] = True
    return Recipe.model_validate(raw | {"progressive": []} | more)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory) -> Path:
    return write_blobs(tmp_path_factory.mktemp("blobs"), count=200)


@pytest.fixture(scope="module")
def folded(blobs, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("folded") / "model"
    wanted = recipe(folds=3)
    return train(blobs, output=output, recipe=wanted, device="cpu", progress=False)


def rows_of(table: Path):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def single(folder: Path):
    network = build(
        "basic_cnn", dims=2, in_channels=1, labels=2, **RECIPE["network"]["arguments"]
    )
    network.load_state_dict(load_file(folder / BEST))
    return network.eval()


def test_every_case_is_judged_once_by_a_network_that_never_saw_it(blobs, folded):
    rows = {row["path"]: row for row in rows_of(blobs)}
    told = read_predictions(folded.with_name("model.work") / "predictions.csv")
    out = [n for n, split in enumerate(told.splits) if split == "val"]
    pool = {path for path, row in rows.items() if row["split"] != "test"}
    assert {told.cases[n] for n in out} == pool
    assert len(out) == len(pool)
    with (folded / SEEN).open(newline="") as file:
        folds = {row["case"]: row["fold"] for row in csv.DictReader(file)}
    model, patients = Model.open(folded, engine="torch", device="cpu"), {}
    networks = [
        single(folded.with_name("model.work") / f"fold{k}-seed3") for k in (1, 2, 3)
    ]
    calibration = model.spec.calibration[0]
    for n in out[::17]:
        path = told.cases[n]
        fold = int(folds[hashlib.sha256(path.encode()).hexdigest()[:16]])
        tensor = model.answer(load(blobs.parent / path))[1].tensor
        logit = float(networks[fold - 1](tensor_of(tensor)).detach()[0, 0])
        value = 1 / (1 + np.exp(-calibration.slope * logit - calibration.intercept))
        assert told.score[n, 0] == pytest.approx(value, abs=1e-4)
    for path in pool:
        fold = folds[hashlib.sha256(path.encode()).hexdigest()[:16]]
        assert patients.setdefault(rows[path]["patient_id"], fold) == fold
    assert {*patients.values()} == {"1", "2", "3"}


def tensor_of(array):
    import torch

    return torch.from_numpy(array)[None]


def test_the_bundle_is_measured_on_what_nobody_saw(blobs, folded):
    spec = open_bundle(folded).spec
    assert spec.network.name == "ensemble"
    assert spec.network.arguments["members"] == 3
    assert {score.data for score in spec.evaluation} == {"out-of-fold", "test"}
    assert spec.operating_points[0].chosen_on == "out-of-fold"
    test = [row for row in rows_of(blobs) if row["split"] == "test"]
    model = Model.open(folded)
    told = [model.predict(load(blobs.parent / row["path"])) for row in test]
    area = roc_auc_score(
        [int(row["blob"]) for row in test], [answer.probability for answer in told]
    )
    (score,) = (
        s
        for s in spec.evaluation
        if (s.data, s.label, s.subgroup) == ("test", "blob", "all")
    )
    assert score.auroc == pytest.approx(area)
    assert area > 0.85


def test_the_engines_agree_on_the_ensemble_and_its_heatmap(blobs, folded):
    image = load(blobs.parent / "1.png")
    answers = [
        Model.open(folded, engine=engine, device="cpu").answer(image)[0]
        for engine in ("openvino", "onnxruntime", "torch")
    ]
    for answer in answers[1:]:
        assert answer.prediction.probability == pytest.approx(
            answers[0].prediction.probability, abs=1e-4
        )
        np.testing.assert_allclose(answer.features, answers[0].features, atol=1e-3)


def test_baselines_stand_in_the_bundle_and_its_card(folded):
    facts = json.loads((folded / "baselines.json").read_text())
    rows = {
        row["model"]: row
        for row in facts["rows"]
        if (row["split"], row["label"]) == ("test", "blob")
    }
    assert rows["Prevalence only"]["auroc"] == 0.5
    assert rows["Simple image features, gradient boosting"]["auroc"] > 0.5
    single = [rows[f"fold {k}, seed 3"]["auroc"] for k in (1, 2, 3)]
    spec = open_bundle(folded).spec
    (score,) = (
        s
        for s in spec.evaluation
        if (s.data, s.label, s.subgroup) == ("test", "blob", "all")
    )
    assert rows["This model"]["auroc"] == pytest.approx(score.auroc)
    card = (folded / "CARD.md").read_text()
    assert facts["verdict"] in card
    assert (
        f"mean {np.mean(single):.4f}, standard deviation {np.std(single, ddof=1):.4f}"
        in card
    )
    assert "Table columns, logistic regression" in card
    assert "{{" not in card
    assert len(facts["networks"]) == 3


def test_the_bundle_knows_which_images_it_was_made_with(blobs, folded):
    seen = read_seen((folded / SEEN).read_bytes())
    for row in rows_of(blobs)[:12]:
        content = (blobs.parent / row["path"]).read_bytes()
        split = seen.split_of(hashlib.sha256(content).hexdigest())
        assert split == ("test" if row["split"] == "test" else "train")
    assert seen.split_of("0" * 64) == ""
    text = (folded / SEEN).read_text()
    assert "p0-0" not in text
    assert ".png" not in text


def test_a_finished_member_is_not_trained_again(blobs, folded, monkeypatch):
    monkeypatch.setattr(Loop, "_step", lambda *_: pytest.fail("it trains again"))
    before = open_bundle(folded).sha256
    wanted = recipe(folds=3)
    train(blobs, output=folded, recipe=wanted, device="cpu", progress=False)
    assert open_bundle(folded).sha256 == before


def test_seeds_share_their_splits_and_differ_in_their_weights(blobs, tmp_path):
    path = train(
        blobs,
        output=tmp_path / "m",
        recipe=recipe(seeds=2),
        device="cpu",
        progress=False,
    )
    first, second = (single(tmp_path / "m.work" / f"seed{k}") for k in (3, 4))
    assert (first.head.weight != second.head.weight).any()
    spec = open_bundle(path).spec
    assert {score.data for score in spec.evaluation} == {"val", "test"}
    facts = json.loads((path / "baselines.json").read_text())
    names = {row["model"] for row in facts["rows"] if row["split"] == "val"}
    assert {"This model", "seed 3", "seed 4"} <= names
