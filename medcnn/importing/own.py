"""A MONAI bundle that `medcnn export` wrote, back to the model that it was."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from medcnn.bundle import CARD, SPEC, BundleSpec
from medcnn.engines.contract import need
from medcnn.errors import BundleError, EngineError
from medcnn.exporting import AGREEMENT
from medcnn.exporting.monai_bundle import LOADER, PROGRAM
from medcnn.exporting.verifying import probes
from medcnn.importing.sources import Draft

__all__ = ["OwnExport", "is_own_export", "read_own_export"]

_TRAIN = "medcnn-imaging[train]"
_CONFIG = "configs/inference.json"
_APART = 1e-3
_HINT = "It was altered, or another version of medcnn wrote it: export it again."

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OwnExport:
    """What such a bundle says of itself.

    Attributes:
        draft: Its weights and network.
        spec: bundle.json of the model, without files.
        card: CARD.md.
    """

    draft: Draft
    spec: BundleSpec
    card: str


def is_own_export(path: Path) -> bool:
    """Say whether a folder is a MONAI bundle that medcnn exported."""
    try:
        config = json.loads((path / _CONFIG).read_text(encoding="utf-8"))
        target = config["network_def"]["_target_"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False
    return bool(target == LOADER) and (path / SPEC).is_file()


def read_own_export(path: Path) -> OwnExport:
    """Read such a bundle; its program and its scripts are not run.

    Raises:
        BundleError: If a part is missing or altered.
        EngineError: If its weights answer otherwise than the model did.
        MissingDependencyError: If torch is not installed.
    """
    networks: Any = need("medcnn.networks", package="torch", install=_TRAIN)
    reader: Any = need(
        "medcnn.networks.foreign_weights", package="torch", install=_TRAIN
    )
    weights: Any = need(
        "medcnn.networks.program_weights", package="torch", install=_TRAIN
    )
    spec, card, probe = _said(path)
    network = networks.build(
        spec.network.name,
        dims=spec.input.dims,
        in_channels=spec.input.channels,
        labels=len(spec.labels),
        shape=spec.input.shape,
        **spec.network.arguments,
    )
    arrays = weights.read_program_weights(path / PROGRAM)
    reader.fill(network, arrays, path / PROGRAM)
    got = reader.run_network(network, probes(spec, len(probe)))
    apart = float(np.abs(got - np.array(probe)).max())
    if not apart <= _APART * max(1.0, float(np.abs(probe).max())):
        msg = f"{path} answers up to {apart:.2g} beside the model that it was made of"
        raise EngineError(msg, hint=_HINT)
    shape = (spec.input.channels, *spec.input.shape)

    def run(tensors: Sequence[Tensor]) -> Tensor:
        return np.asarray(reader.run_network(network, tensors))

    draft = Draft(
        file=path / PROGRAM,
        weights=arrays,
        graph=lambda file: bytes(networks.export_graph(network, shape, file)),
        network=spec.network,
        head=spec.head,
        run=run,
        words="a MONAI bundle of medcnn",
    )
    return OwnExport(draft, spec, card)


def _said(path: Path) -> tuple[BundleSpec, str, Any]:
    """Return bundle.json, CARD.md and what the model answered to known numbers.

    Raises:
        BundleError: If one of them is missing or altered.
    """
    try:
        facts = json.loads((path / SPEC).read_text(encoding="utf-8"))
        spec = BundleSpec.model_validate({**facts, "files": {}, "int8": None})
        card = (path / CARD).read_text(encoding="utf-8")
        probe = json.loads((path / AGREEMENT).read_text(encoding="utf-8"))["probe"]
        numbers = np.array(probe, np.float64)
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        words = " ".join(str(error).split())[:200]
        msg = f"{path} is no whole MONAI bundle of medcnn: {words}"
        raise BundleError(msg, hint=_HINT) from error
    if numbers.ndim != 2 or not len(numbers) or numbers.shape[1] != len(spec.labels):
        msg = f"{path / AGREEMENT} does not say what the model answered"
        raise BundleError(msg, hint=_HINT)
    return spec, card, probe
