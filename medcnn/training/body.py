"""The pretrained network that a detector sees with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from medcnn.bundle import (
    Bundle,
    BundleSpec,
    HeadNames,
    InputSpec,
    NetworkSpec,
    OperatingPoint,
    TrainingFacts,
    open_bundle,
)
from medcnn.dataset import CaseTable
from medcnn.errors import RecipeError
from medcnn.networks import Classifier, build, load_pretrained
from medcnn.networks.pretrained import load_bundle_weights
from medcnn.planning import Recipe
from medcnn.preprocessing import Preprocessing
from medcnn.training.draft import environment_of, today, tree_commit

__all__ = ["Body", "body_for"]

_NETWORK: dict[str, Any] = {"name": "resnet50", "arguments": {"layers": 3}}
"""Where nothing is said: three stages of four, as the published detectors take."""


@dataclass(frozen=True, eq=False)
class Body:
    """A network whose head says nothing.

    Attributes:
        network: Its head's weights are 0.
        described: Its name and arguments.
        input: What it takes.
        preprocessing: How images become that.
        origin: What it was trained on before, in words.
        bundle: The model that it comes from, if it does.
    """

    network: Classifier
    described: NetworkSpec
    input: InputSpec
    preprocessing: Preprocessing
    origin: str
    bundle: Bundle | None

    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return every tensor by name."""
        state = self.network.state_dict()
        return {n: v.detach().contiguous().numpy() for n, v in state.items()}

    def spec(self, table: CaseTable, checksum: str, recipe: Recipe) -> BundleSpec:
        """Return the bundle's description before anything was fitted."""
        (label,) = table.labels
        shown = recipe.model_dump(mode="json", exclude={"network", "selftest"})
        point = OperatingPoint(label=label, flag=0.5, review=0.5, rule="", chosen_on="")
        return BundleSpec(
            name=recipe.model.name,
            version=recipe.model.version,
            summary=recipe.model.summary or f"Unlike normal images: {label} or not.",
            network=self.described,
            head=HeadNames(weight="head.weight", bias="head.bias"),
            input=self.input,
            preprocessing=self.preprocessing,
            labels=(label,),
            operating_points=(point,),
            gate=recipe.gate if self.bundle is None else self.bundle.spec.gate,
            training=TrainingFacts(
                date=today(),
                commit=tree_commit(),
                data_sha256=checksum,
                seed=recipe.seed,
                recipe=shown,
                environment=environment_of("cpu"),
            ),
            files={},
        )


def body_for(
    recipe: Recipe,
    *,
    init: str | Path | None,
    weights: str | Path | None,
) -> Body:
    """Build the network and fill it with pretrained weights.

    Args:
        recipe: Its `network` and `input` count with `weights`.
        init: A model's name or folder.
        weights: Or a file of weights.

    Raises:
        RecipeError: If not exactly one of both is named.
        BundleError: If they do not fit.
    """
    start = weights or recipe.network.pretrained
    if (init is None) == (start is None):
        msg = "a detector needs a pretrained network, and one only"
        raise RecipeError(msg, hint="Name a model (--init) or a file (--weights).")
    if init is not None:
        return _of_bundle(open_bundle(init))
    return _of_file(recipe, Path(str(start)))


def _of_bundle(bundle: Bundle) -> Body:
    spec = bundle.spec
    network = _build(spec.network, spec.input)
    load_bundle_weights(network, bundle, labels=())
    origin = f"the network of {spec.name} {spec.version}, which labels taught"
    return Body(
        _silent(network), spec.network, spec.input, spec.preprocessing, origin, bundle
    )


def _of_file(recipe: Recipe, file: Path) -> Body:
    section, given = recipe.network, recipe.network.model_fields_set
    if "name" not in given:
        arguments = {**_NETWORK["arguments"], **section.arguments}
        described = NetworkSpec(name=_NETWORK["name"], arguments=arguments)
    else:
        described = NetworkSpec(name=section.name, arguments=section.arguments)
    taken = InputSpec(
        dims=recipe.input.dims, channels=recipe.input.channels, shape=recipe.input.shape
    )
    network = _build(described, taken)
    report = load_pretrained(network, file)
    origin = f"{report.path.name} ({report.key_map} names)"
    return Body(
        _silent(network), described, taken, recipe.input.preprocessing(), origin, None
    )


def _build(described: NetworkSpec, taken: InputSpec) -> Classifier:
    return build(
        described.name,
        dims=taken.dims,
        in_channels=taken.channels,
        labels=1,
        shape=taken.shape,
        **described.arguments,
    )


def _silent(network: Classifier) -> Classifier:
    """Empty the head: a detector does not ask it."""
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    return network.cpu().eval()
