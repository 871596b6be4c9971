"""Small real bundles for tests: a tiny network, exported and written as any other."""

from pathlib import Path

import torch

from medcnn.bundle import (
    Bundle,
    BundleSpec,
    HeadNames,
    InputSpec,
    NetworkSpec,
    OperatingPoint,
    TrainingFacts,
)
from medcnn.bundle_writing import write_bundle
from medcnn.gate import GateRules
from medcnn.networks import build, export_graph
from medcnn.preprocessing import Normalise, Orient, Percentiles, Preprocessing, Resize

__all__ = ["draft_spec", "make_bundle"]


def draft_spec(
    *,
    network="basic_cnn",
    arguments=None,
    dims=2,
    shape=(32, 32),
    labels=("abnormal", "mass"),
):
    """Describe a small model whose weights are random."""
    steps = (Resize(shape=shape), Percentiles(), Normalise(mean=0.5, std=0.25))
    if arguments is None:
        arguments = {"width": 4, "depth": 3} if network == "basic_cnn" else {}
    return BundleSpec(
        name="tiny",
        version="1",
        summary="A random network for tests.",
        network=NetworkSpec(name=network, arguments=arguments),
        head=HeadNames(weight="head.weight", bias="head.bias"),
        input=InputSpec(dims=dims, channels=1, shape=shape),
        preprocessing=Preprocessing(steps=steps if dims == 2 else (Orient(), *steps)),
        labels=labels,
        operating_points=tuple(
            OperatingPoint(
                label=label, flag=0.55, review=0.45, rule="fixed", chosen_on="nothing"
            )
            for label in labels
        ),
        gate=GateRules(modalities=("CR", "DX"), min_side=16)
        if dims == 2
        else GateRules(),
        training=TrainingFacts(
            date="2026-01-01",
            commit="0" * 7,
            data_sha256="0" * 64,
            seed=0,
            recipe={},
            environment={},
        ),
        files={},
    )


def make_bundle(
    path: Path, *, seed=0, spread=8.0, feature_model=None, **options
) -> Bundle:
    """Write a bundle with seeded random weights below `path` and open it.

    Args:
        path: The bundle's directory.
        seed: Of the weights.
        spread: Factor on the head's weights, so that probabilities differ.
        feature_model: For the gate.
        options: Those of `draft_spec`.
    """
    spec = draft_spec(**options)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - a test bundle is seeded whole
        network = build(
            spec.network.name,
            dims=spec.input.dims,
            in_channels=1,
            labels=len(spec.labels),
            shape=spec.input.shape,
            **spec.network.arguments,
        )
    with torch.no_grad():
        network.head.weight *= spread
    weights = {k: v.numpy() for k, v in network.state_dict().items()}
    shape = (1, *spec.input.shape)
    return write_bundle(
        path,
        spec,
        weights=weights,
        graph=lambda file: export_graph(network, shape, file),
        files={"CARD.md": b"# Tiny\n\nA random network for tests.\n"},
        feature_model=feature_model,
    )
