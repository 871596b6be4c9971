"""Data sets of all published kinds: planned as they are, trained by one call."""

import csv
import runpy

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medcnn.dataset import read_cases
from medcnn.planning import Machine, fingerprint, make_plan
from medcnn.training import train

SIZES = {"train": 80, "val": 30, "test": 30}


def write_set(folder, name, *, dims=2, classes=2, colour=False, several=False):
    """Write noise in which each class brightens a place of its own."""
    rng = np.random.default_rng(0)
    places = rng.integers(2, 20, (classes, dims))
    arrays = {}
    for part, count in SIZES.items():
        truth = np.arange(count)[:, None] % classes
        if several:
            truth = (rng.random((count, classes)) < 0.2).astype(int)
        images = rng.normal(90, 20, (count, *(28,) * dims, *(3,) * colour))
        for number, told in enumerate(truth):
            for label in np.flatnonzero(told) if several else told:
                block = tuple(slice(at, at + 6) for at in places[label])
                images[number][block] += 80
        arrays[f"{part}_images"] = images.clip(0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = truth.astype(np.uint8)
    np.savez(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"


@pytest.mark.parametrize(
    ("name", "kind", "task", "flip"),
    [
        ("bloodmnist", {"classes": 8, "colour": True}, "multi-class", True),
        ("organamnist", {"classes": 11}, "multi-class", False),
        ("chestmnist", {"classes": 14, "several": True}, "multi-label", False),
        ("retinamnist", {"classes": 5, "colour": True}, "multi-class", None),
        ("organmnist3d", {"classes": 11, "dims": 3}, "multi-class", False),
        ("fracturemnist3d", {"classes": 3, "dims": 3}, "multi-class", False),
        ("unheard-of", {"classes": 7, "colour": True}, "multi-class", True),
    ],
)
def test_a_set_of_any_kind_is_planned_as_what_it_is(tmp_path, name, kind, task, flip):
    table = read_cases(write_set(tmp_path, name, **kind))
    found = fingerprint(table)
    plan = make_plan(found, Machine(device="cpu", memory_gb=16)).recipe
    assert (found.task, len(table.labels)) == (task, kind["classes"])
    assert found.dims == kind.get("dims", 2)
    assert plan.input.channels == (3 if kind.get("colour") else 1)
    assert plan.input.shape == (28,) * found.dims
    stem = {2: "small", 3: "half"}[found.dims]
    assert plan.network.arguments["stem"] == stem
    assert plan.optimiser.batch_size == 8  # ten steps of 80 images
    assert plan.optimiser.epochs >= 15
    assert flip is None or plan.augmentation.flip is flip


@pytest.mark.slow
def test_the_benchmark_tells_what_the_model_is_worth_by_the_official_rules(tmp_path):
    file = write_set(tmp_path, "retinamnist", classes=5, colour=True)
    said = {
        "seeds": 2,
        "network.name": "basic_cnn",
        "network.arguments": {"width": 4, "depth": 2},
        "optimiser.epochs": 2,
    }
    model = train(
        file, output=tmp_path / "m", settings=said, device="cpu", progress=False
    )
    rows = runpy.run_path("benchmarks/medmnist.py")["rows_of"](file, model)
    with (tmp_path / "m.work" / "predictions.csv").open(newline="") as kept:
        test = [row for row in csv.DictReader(kept) if row["split"] == "test"]
    truth, told = (
        np.array([[float(row[f"{what}:{n}"]) for n in range(5)] for row in test])
        for what in ("truth", "probability")
    )
    one = next(row for row in rows if row.method.endswith("as one model"))
    assert float(one.auc) == pytest.approx(roc_auc_score(truth, told), abs=6e-4)
    right = (truth.argmax(1) == told.argmax(1)).mean()
    assert float(one.acc) == pytest.approx(right, abs=6e-4)
    assert rows[0].method == "medcnn train, mean of 2 seeds (sd)"
    assert rows[0].auc.endswith(")")
    names = [row.method for row in rows]
    assert any("gradient boosting" in name for name in names)
    assert sum(name.startswith("published: ") for name in names) == 7
