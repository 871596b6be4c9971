"""The bundle before anything was measured: the network, and what is known of it."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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
from medcnn.gate import FeatureModel
from medcnn.networks import Classifier, export_graph
from medcnn.planning.recipe import Recipe
from medcnn.training.material import Material

__all__ = ["Draft", "environment_of", "first_spec", "today", "tree_commit"]

_PACKAGES = ("medcnn-imaging", "torch", "lightning", "monai", "numpy", "openvino")


@dataclass(frozen=True, eq=False)
class Draft:
    """The parts of a bundle that stay the same while the rest is found out."""

    network: Classifier
    material: Material

    def write(
        self,
        path: Path,
        spec: BundleSpec,
        files: Mapping[str, bytes],
        gate: FeatureModel | None,
    ) -> Bundle:
        """Write the bundle with what is known by now, and open it."""
        shape = (spec.input.channels, *spec.input.shape)
        weights = {
            name: value.detach().contiguous().numpy()
            for name, value in self.network.state_dict().items()
        }
        return write_bundle(
            path,
            spec,
            weights=weights,
            graph=lambda file: export_graph(self.network, shape, file),
            files=files,
            feature_model=gate,
        )


def first_spec(material: Material, data: str, members: int) -> BundleSpec:
    """Return what is known before anything was measured.

    Args:
        material: What was trained on.
        data: Checksum of the data.
        members: How many networks were trained.
    """
    recipe, table = material.recipe, material.table
    shown = recipe.model_dump(mode="json")
    for section, key in (("network", "pretrained"), (None, "selftest")):
        holder = shown if section is None else shown[section]
        holder[key] = Path(holder[key]).name if holder[key] else None
    return BundleSpec(
        name=recipe.model.name,
        version=recipe.model.version,
        summary=recipe.model.summary,
        network=_network(recipe, members),
        head=HeadNames(weight="head.weight", bias="head.bias"),
        input=InputSpec(
            dims=recipe.input.dims,
            channels=recipe.input.channels,
            shape=recipe.input.shape,
        ),
        preprocessing=recipe.input.preprocessing(),
        labels=table.labels,
        activation=table.activation,
        operating_points=tuple(_no_point(label) for label in table.labels),
        gate=recipe.gate,
        training=TrainingFacts(
            date=today(),
            commit=tree_commit(),
            data_sha256=data,
            seed=recipe.seed,
            recipe=shown,
            environment=_environment(material),
        ),
        files={},
    )


def _no_point(label: str) -> OperatingPoint:
    return OperatingPoint(label=label, flag=0.5, review=0.5, rule="", chosen_on="")


def _network(recipe: Recipe, members: int) -> NetworkSpec:
    """Name the network, or the several that stand side by side."""
    name, arguments = recipe.network.name, recipe.network.arguments
    if members == 1:
        return NetworkSpec(name=name, arguments=arguments)
    several = {"of": name, "members": members, **arguments}
    return NetworkSpec(name="ensemble", arguments=several)


def today() -> str:
    """Return the date, ISO 8601, UTC."""
    return datetime.now(UTC).date().isoformat()


def environment_of(device: str) -> dict[str, str]:
    """Return the versions of what matters, and on what device it ran."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    threads = str(torch.get_num_threads())
    return {**found, "device": device, "threads": threads}


def _environment(material: Material) -> dict[str, str]:
    fabric = material.fabric
    return environment_of(material.device) | {
        "processes": str(fabric.world_size),
        "precision": str(fabric.strategy.precision.precision),
    }


def tree_commit() -> str:
    """Return the commit of the source tree, "" if this is no source tree."""
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        return (git / head.removeprefix("ref: ")).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
