"""Classifiers as other people save them, and what must be said of them."""

import json
import warnings

import numpy as np
import torch
from torch import nn

__all__ = [
    "LABELS",
    "SAID",
    "WEIGHTS",
    "Canary",
    "Foreign",
    "images",
    "monai_folder",
    "seeded",
    "written",
]

LABELS = ["effusion", "mass", "nodule"]
SAID = {
    "name": "foreign",
    "summary": "A network of somebody else.",
    "labels": LABELS,
    "activation": "sigmoid",
    "gives": "logits",
    "input": {"dims": 2, "channels": 1, "shape": [32, 40]},
    "preprocessing": {
        "channels": 1,
        "steps": [{"step": "resize", "shape": [32, 40]}, {"step": "percentiles"}],
    },
}


class Foreign(nn.Module):
    """A small network whose head is laid on a mean over all places, or is not."""

    def __init__(self, *, channels=1, pools=True, last=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 24, 3, 2, 1),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(1) if pools else nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(24, 3)
        self.last = last or nn.Identity()

    def forward(self, x):
        pooled = torch.flatten(self.pool(self.body(x)), 1)
        return self.last(self.head(pooled))


def written(folder, *, network=None, said=None, channels=1, dynamic=False, **options):
    """Write a network as ONNX and its description; return both and the network."""
    torch_rng = torch.random.fork_rng()
    with torch_rng:
        torch.manual_seed(2)  # noqa: TID251 - a test's network is seeded whole
        network = network or Foreign(channels=channels, **options)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_()
    network.eval()
    path, description = folder / "their.onnx", folder / "their.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        torch.onnx.export(
            network,
            (torch.zeros(1, channels, 32, 40),),
            path,
            dynamo=False,
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "n"}} if dynamic else None,
        )
    description.write_text(json.dumps({**SAID, **(said or {})}))
    return path, description, network


def images(channels=1):
    rng = np.random.default_rng(7)
    return list(rng.normal(size=(5, channels, 32, 40)).astype(np.float32))


WEIGHTS = {
    **SAID,
    "network": {"name": "densenet121"},
    "input": {"dims": 2, "channels": 1, "shape": [64, 64]},
    "preprocessing": {
        "channels": 1,
        "steps": [
            {"step": "resize", "shape": [64, 64]},
            {"step": "window", "center": 127.5, "width": 255},
            {"step": "normalise", "mean": 0.5, "std": 0.00048828125},
        ],
    },
}


class Canary:
    """Writes a file if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def monai_folder(folder, network, **changes):
    """Write a MONAI bundle as the model zoo does."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    config = {
        "imports": ["$import os"],
        "device": "$torch.device('cpu')",
        "channels": 1,
        "network_def": {
            "_target_": "DenseNet121",
            "spatial_dims": 2,
            "in_channels": "@channels",
            "out_channels": 3,
            **changes,
        },
        "network": "$@network_def.to(@device)",
    }
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    torch.save({"model": network.state_dict()}, folder / "models" / "model.pt")
    (folder.parent / "their.json").write_text(
        json.dumps(WEIGHTS | {"network": None, "axes": "kji"})
    )
    return {"description": folder.parent / "their.json", "output": folder.parent / "o"}


def seeded(network, seed=4):
    """Give a network weights and running statistics of a seed, and return it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - a test's network is seeded whole
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.8, 1.2)
    return network.eval()
