"""Small trainings for tests: bright blobs on noise, learnt in seconds."""

import csv
from pathlib import Path

import cv2
import numpy as np
import torch

from medcnn.networks import build
from medcnn.planning.recipe import Recipe
from medcnn.planning.sections import Input, Loss, Optimiser
from medcnn.training.loss import MaskedCrossEntropy
from medcnn.training.module import ClassifierModule

__all__ = ["RECIPE", "both_labels", "small_module", "write_blobs"]

torch.set_num_threads(1)  # so little work that threads only wait for each other

RECIPE = {
    "base": "defaults",
    "labels": ["blob", "late"],
    "seed": 3,
    "progressive": [[1, 24]],
    "model": {"name": "blobs", "summary": "Blobs or none."},
    "network": {"name": "basic_cnn", "arguments": {"width": 8, "depth": 3}},
    "input": {"shape": [32, 32], "fit": "stretch"},
    "optimiser": {
        "epochs": 6,
        "batch_size": 16,
        "lr_head": 1e-2,
        "lr_body": 1e-2,
        "ema": 0.9,
    },
    "augmentation": {"noise": 0.0, "gamma": 0.1},
    "select": {"label": "blob"},
    "report": {
        "baselines": False,
        "subgroups": ["site"],
        "extra_truth": {
            "second reader": {
                "column": "reader",
                "positive": ["yes"],
                "negative": ["no"],
            }
        },
    },
    "card": {"data": "Blobs drawn for a test.", "licence": "None needed."},
}


def write_blobs(folder: Path, *, count: int = 300, height: float = 55.0) -> Path:
    """Write pictures of noise, every second with a blob, and their table.

    `late` is known for two thirds of them, and means a blob in the lower half.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :36]
    rows = []
    for number in range(count):
        blob = number % 2
        picture = rng.normal(90, 20, y.shape)
        at = rng.uniform(10, 26, 2)
        near = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 24)
        picture += blob * height * near
        name = f"{number}.png"
        cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
        part = number % 10
        rows.append(
            {
                "path": name,
                "patient_id": f"p{number // 20}-{number % 10}",
                "split": {8: "val", 9: "val", 6: "test", 7: "test"}.get(part, "train"),
                "site": "north" if number % 3 else "south",
                "reader": ("yes" if blob else "no") if number % 4 < 2 else "",
                "blob": blob,
                "late": "" if number % 3 == 0 else int(blob and at[0] > 18),
            }
        )
    table = folder / "blobs.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def both_labels():
    """Return the loss of two labels."""
    ones = np.ones(2, np.float32)
    return MaskedCrossEntropy(Loss(), ("a", "b"), softmax=False, positive=ones)


def small_module(**optimiser):
    """Return the training module of the smallest network."""
    recipe = Recipe(
        input=Input(shape=(16, 16)), optimiser=Optimiser(epochs=9, **optimiser)
    )
    network = build("basic_cnn", dims=2, in_channels=1, labels=2, width=4, depth=3)
    loss = both_labels()
    return ClassifierModule(network, loss, recipe)
