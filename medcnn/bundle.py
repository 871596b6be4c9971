"""The model directory: data, never code.

    chest-xray/
      bundle.json           what the model is: `BundleSpec`
      weights.safetensors   the only copy of the weights
      graph.onnx            the inference graph; its weights lie in weights.safetensors
      gate.safetensors      the input gate's statistics of the training features
      detector.safetensors  what a normal-only detector compares with
      reference.json        scores and acquisition of held-out cases, for drift
      int8.xml, int8.bin    the 8-bit network, if `medcnn export` made one
      CARD.md               intended use, population, known failures, licences
      selftest/             one input and the expected probabilities

Nothing in it is executed. Unknown keys, unknown networks and files whose checksum
differs are refused by name.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from medcnn.bundle_places import SPEC, find_bundle, own_bundles, shipped_bundles
from medcnn.bundle_spec import (
    AreaChange,
    BundleSpec,
    Calibration,
    HeadNames,
    InputSpec,
    Int8Facts,
    NetworkSpec,
    OperatingPoint,
    Score,
    SiteFacts,
    Temperature,
    TrainingFacts,
)
from medcnn.detectors import DETECTOR, Detector, detector_of
from medcnn.drift import REFERENCE, Sample, read_sample
from medcnn.errors import BundleError, DataError, EngineError
from medcnn.gate import FeatureModel

__all__ = [
    "CARD",
    "FOREIGN",
    "GATE",
    "GRAPH",
    "INT8",
    "INT8_SECTION",
    "INT8_WEIGHTS",
    "SPEC",
    "WEIGHTS",
    "AreaChange",
    "Bundle",
    "BundleSpec",
    "Calibration",
    "HeadNames",
    "InputSpec",
    "Int8Facts",
    "NetworkSpec",
    "OperatingPoint",
    "Precision",
    "Score",
    "SiteFacts",
    "Temperature",
    "TrainingFacts",
    "file_sha256",
    "open_bundle",
    "own_bundles",
    "shipped_bundles",
]

WEIGHTS = "weights.safetensors"
GRAPH = "graph.onnx"
GATE = "gate.safetensors"
CARD = "CARD.md"
INT8 = "int8.xml"
INT8_WEIGHTS = "int8.bin"
INT8_SECTION = "## At 8 bits"
"""How the part of CARD.md begins that is about that network."""

FOREIGN = "onnx-graph"
"""The network's name in a bundle that was imported as a graph."""

Precision = Literal["fp32", "int8"]
"""How exact the numbers inside a network are."""

_DAMAGED = "The file was altered or damaged: copy it again."
_FOREIGN = "Another version of medcnn wrote it, or somebody by hand: copy it again."


@dataclass(frozen=True)
class Bundle:
    """A model directory whose files have been checked.

    Attributes:
        path: The directory.
        spec: What bundle.json says.
    """

    path: Path
    spec: BundleSpec

    @property
    def sha256(self) -> str:
        """Checksum of the weights: the model's identity in every result."""
        return self.spec.files[WEIGHTS]

    def at(self, precision: Precision) -> "Bundle":
        """Return this bundle with the thresholds of a precision.

        Raises:
            EngineError: If it has no 8-bit network, and that is asked for.
        """
        if precision == "fp32":
            return self
        facts = self.spec.int8
        if facts is None or INT8 not in self.spec.files:
            msg = f"{self.spec.name} has no 8-bit network"
            hint = (
                "Make one: medcnn export --model M --format openvino-int8 "
                "--data DATA --output NEW."
            )
            raise EngineError(msg, hint=hint)
        points = {"operating_points": facts.operating_points, "bands": ()}
        return replace(self, spec=self.spec.model_copy(update=points))

    def weights(self) -> Mapping[str, npt.NDArray[Any]]:
        """Read all weights by name."""
        return _tensors(self.path / WEIGHTS)

    def head(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the linear head: weight (labels, F) and bias (labels,).

        Raises:
            BundleError: If the names of bundle.json are not among the weights, or
                their shapes are not those of a linear head.
        """
        names = self.spec.head
        weights = _tensors(self.path / WEIGHTS, only=(names.weight, names.bias))
        missing = [n for n in (names.weight, names.bias) if n not in weights]
        if missing:
            msg = f"{self.path / WEIGHTS} lacks the head's weights {missing}"
            raise BundleError(msg, hint=_FOREIGN)
        weight, bias = weights[names.weight], weights[names.bias]
        labels = len(self.spec.labels)
        if weight.ndim != 2 or len(weight) != labels or bias.shape != (labels,):
            msg = (
                f"{self.path / WEIGHTS}: the head has shapes {weight.shape} and "
                f"{bias.shape}, expected ({labels}, features) and ({labels},)"
            )
            raise BundleError(msg, hint=_FOREIGN)
        return weight.astype(np.float32), bias.astype(np.float32)

    def card(self) -> str:
        """Return the text of CARD.md; empty if there is none."""
        if CARD not in self.spec.files:
            return ""
        return (self.path / CARD).read_text(encoding="utf-8", errors="replace")

    def reference(self) -> Sample | None:
        """Return the sample of held-out cases that runs are compared with, if any.

        Raises:
            BundleError: If it is not as it should be.
        """
        if REFERENCE not in self.spec.files:
            return None
        try:
            return read_sample(self.path / REFERENCE)
        except DataError as error:
            raise BundleError(error.message, hint=_FOREIGN) from error

    def detector(self) -> Detector | None:
        """Return the normal-only detector, or None if the bundle is a classifier.

        Raises:
            BundleError: If it is not what a detector needs.
        """
        if self.spec.detector is None:
            return None
        if DETECTOR not in self.spec.files:
            msg = f"{self.path} is a detector and lacks {DETECTOR}"
            raise BundleError(msg, hint=_FOREIGN)
        try:
            return detector_of(self.spec.detector, _tensors(self.path / DETECTOR))
        except DataError as error:
            msg = f"{self.path / DETECTOR}: {error.message}"
            raise BundleError(msg, hint=_FOREIGN) from error

    def feature_model(self) -> FeatureModel | None:
        """Return the gate's statistics, or None if the bundle carries none.

        Raises:
            BundleError: If they are not what a gate needs.
        """
        if GATE not in self.spec.files:
            return None
        try:
            return FeatureModel.from_arrays(_tensors(self.path / GATE))
        except DataError as error:
            msg = f"{self.path / GATE}: {error.message}"
            raise BundleError(msg, hint=_FOREIGN) from error


def open_bundle(name_or_path: str | Path) -> Bundle:
    """Open a model by its name or its directory, and check it.

    Args:
        name_or_path: A shipped model's name, "own/NAME" of one in the folder of one's
            own models, or any bundle's directory.

    Raises:
        BundleError: If it is not there, or bundle.json is not as it should be, or a
            file is missing or has another checksum.
    """
    path = find_bundle(name_or_path)
    try:
        text = (path / SPEC).read_text(encoding="utf-8")
        spec = BundleSpec.model_validate(json.loads(text))
    except ValidationError as error:
        msg = f"{path / SPEC} is not a bundle of format 1: {_in_words(error)}"
        raise BundleError(msg, hint=_FOREIGN) from error
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path / SPEC} cannot be read: {error}"
        raise BundleError(msg, hint=_DAMAGED) from error
    for required in (WEIGHTS, GRAPH):
        if required not in spec.files:
            msg = f"{path / SPEC} lists no checksum for {required}"
            raise BundleError(msg, hint=_FOREIGN)
    for name, expected in spec.files.items():
        _check_file(path, name, expected)
    return Bundle(path, spec)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(root: Path, name: str, expected: str) -> None:
    """Refuse a file that is outside the bundle, missing or altered.

    Raises:
        BundleError: If it is one of these.
    """
    path = root / name
    if "\0" in name or not path.resolve().is_relative_to(root.resolve()):
        msg = f"{root / SPEC} names a file outside the bundle: {name}"
        raise BundleError(msg, hint="Do not use it: whoever made it meant harm.")
    if not path.is_file():
        msg = f"{root} lacks {name}"
        raise BundleError(msg, hint="Copy the bundle again.")
    try:
        found = file_sha256(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise BundleError(msg, hint="Make it readable for this user.") from error
    if found != expected:
        msg = f"{path} has checksum {found[:12]}..., expected {expected[:12]}..."
        raise BundleError(msg, hint=_DAMAGED)


def _tensors(
    path: Path, *, only: Collection[str] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a file by name; of those wanted, the ones that are there.

    Raises:
        BundleError: If it is not of that format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            wanted = [n for n in file.keys() if only is None or n in only]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in wanted}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        msg = f"{path} cannot be read: {error}"
        raise BundleError(msg, hint=_DAMAGED) from error


def _in_words(error: ValidationError) -> str:
    """Name each wrong key and what is wrong with it."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "the whole"
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{where}: {'unknown key' if unknown else problem['msg']}")
    return "; ".join(lines)
