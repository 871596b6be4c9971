"""From the best weights to a bundle that knows what it is worth."""

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file

from medcnn.bundle import (
    Bundle,
    BundleSpec,
    HeadNames,
    InputSpec,
    NetworkSpec,
    OperatingPoint,
    Score,
    TrainingFacts,
    write_bundle,
)
from medcnn.dataset import CaseTable
from medcnn.engines import open_engine
from medcnn.errors import DataError
from medcnn.explanation.scale import measured_span
from medcnn.gate import FeatureModel, GateRules
from medcnn.io import load
from medcnn.model import Model
from medcnn.networks import Classifier, export_graph
from medcnn.planning.recipe import Recipe
from medcnn.training.answers import Answers, ask
from medcnn.training.card import Findings, write_card
from medcnn.training.loop import BEST, Material
from medcnn.training.measure import (
    Achieved,
    achieved,
    calibrations,
    operating_points,
    scores,
)
from medcnn.training.state import Progress

__all__ = ["finish"]

_DRAFT = "draft"
_MOST_FEATURES = 4000
_OOD_QUANTILE = 0.99
_TOLERANCE = 1e-3
_PACKAGES = ("medcnn-imaging", "torch", "lightning", "monai", "numpy", "openvino")


def finish(
    network: Classifier,
    material: Material,
    record: Progress,
    *,
    output: Path,
    data: str,
) -> Path:
    """Export the best weights, measure them as a bundle, and write the bundle whole.

    Calibration, operating points and the gate's limit come from val; a test split is
    measured once, at the end, and decides nothing.

    Args:
        network: As built; it gets the best weights.
        material: What was trained on.
        record: How the training went.
        output: The bundle's directory.
        data: Checksum of the data.

    Raises:
        OutputError: If the bundle cannot be written.
    """
    network.load_state_dict(load_file(material.work / BEST))
    network.float().cpu().eval()
    recipe, reporter, table = material.recipe, material.reporter, material.table
    draft = _Draft(network, material)
    spec = _first_spec(material, data)
    bundle = draft.write(material.work / _DRAFT, spec, {}, None)
    train = ask(
        bundle, _some_of_train(material), spec.gate, reporter, what="training features"
    )
    gate = _feature_model(train.features)
    spec = spec.model_copy(update={"gate": _rules(recipe, train)})
    val = ask(bundle, table.part("val"), spec.gate, reporter, what="validation")
    spec = _decide(spec, bundle, recipe, val, gate)
    parts = {"val": val}
    if "test" in table.column("split"):
        test = table.part("test")
        parts["test"] = ask(bundle, test, spec.gate, reporter, what="test")
    spec, findings = _measure(spec, bundle, recipe, parts)
    files = {"CARD.md": write_card(spec, recipe, table, record, findings)}
    again = draft.write(material.work / _DRAFT, spec, files, gate)
    files |= _selftest(again, recipe.selftest)
    draft.write(output, spec, files, gate)
    return output


@dataclass(frozen=True, eq=False)
class _Draft:
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


def _first_spec(material: Material, data: str) -> BundleSpec:
    """Return what is known before anything was measured."""
    recipe, table = material.recipe, material.table
    shown = recipe.model_dump(mode="json")
    for section, key in (("network", "pretrained"), (None, "selftest")):
        holder = shown if section is None else shown[section]
        holder[key] = Path(holder[key]).name if holder[key] else None
    return BundleSpec(
        name=recipe.model.name,
        version=recipe.model.version,
        summary=recipe.model.summary,
        network=NetworkSpec(
            name=recipe.network.name, arguments=recipe.network.arguments
        ),
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
            date=datetime.now(UTC).date().isoformat(),
            commit=_commit(),
            data_sha256=data,
            seed=recipe.seed,
            recipe=shown,
            environment=_environment(material.device),
        ),
        files={},
    )


def _no_point(label: str) -> OperatingPoint:
    return OperatingPoint(label=label, flag=0.5, review=0.5, rule="", chosen_on="")


def _rules(recipe: Recipe, train: Answers) -> GateRules:
    """Return the recipe's rules; what it leaves open fits the training images."""
    rules, stated = recipe.gate, recipe.gate.model_fields_set
    changes: dict[str, object] = {}
    if "min_side" not in stated:
        changes["min_side"] = min(rules.min_side, train.smallest)
    if "colour" not in stated:
        changes["colour"] = recipe.input.channels > 1
    return rules.model_copy(update=changes)


def _decide(
    spec: BundleSpec,
    bundle: Bundle,
    recipe: Recipe,
    val: Answers,
    gate: FeatureModel | None,
) -> BundleSpec:
    """Fit calibration, operating points and the gate's limit on val."""
    rule = recipe.operating_point
    where = recipe.select.where if rule.where is None else rule.where
    chosen = val.table.matching(where)
    on = ", ".join(["val", *(f"{k} = {v}" for k, v in where.items())])
    if rule.calibrate and spec.activation == "sigmoid":
        fitted = calibrations(val, chosen, on)
        spec = spec.model_copy(update={"calibration": fitted})
    told = val.probabilities(spec, bundle)
    points = operating_points(val.table, told, chosen, rule, on)
    spec = spec.model_copy(update={"operating_points": points})
    flagged = told[:, 0] >= points[0].flag
    bias = float(bundle.head()[1][0])
    span = measured_span(spec, bias, val.peaks[flagged])
    changes: dict[str, object] = {"heatmap_span": span}
    if gate is not None:
        limit = float(np.quantile(gate.distance(val.features), _OOD_QUANTILE))
        frozen = {"ood_limit": limit, "ood_quantile": _OOD_QUANTILE}
        changes["gate"] = spec.gate.model_copy(update=frozen)
    return spec.model_copy(update=changes)


def _measure(
    spec: BundleSpec, bundle: Bundle, recipe: Recipe, parts: Mapping[str, Answers]
) -> tuple[BundleSpec, Findings]:
    """Measure val and test; nothing is decided here."""
    found: list[Score] = []
    calls: list[Achieved] = []
    refused = {}
    for name, answers in parts.items():
        told = answers.probabilities(spec, bundle)
        found += scores(answers, told, recipe, name)
        calls += achieved(answers, told, recipe, spec.operating_points[0], name)
        reasons = [reason for reason in answers.reasons if reason]
        refused[name] = (len(reasons), len(answers.reasons), sorted(set(reasons))[:3])
    findings = Findings(tuple(calls), refused)
    return spec.model_copy(update={"evaluation": tuple(found)}), findings


def _some_of_train(material: Material) -> CaseTable:
    """Return training cases for the gate's statistics, not too many."""
    train = material.table.part("train")
    rng = np.random.default_rng((material.recipe.seed, 3))
    order = rng.permutation(len(train.cases))[:_MOST_FEATURES]
    return train.take(sorted(order.tolist()))


def _feature_model(features: npt.NDArray[np.float32]) -> FeatureModel | None:
    """Fit the gate's statistics; None where the images are too few."""
    count, size = features.shape
    directions = min(64, count // 4, size // 2)
    try:
        return FeatureModel.fit(features, directions=max(directions, 1))
    except DataError:
        return None


def _selftest(bundle: Bundle, source: Path | None) -> dict[str, bytes]:
    """Return one input and what this bundle says of it; nothing for plain volumes.

    Without an image from the recipe it is a synthetic pattern, which says whether the
    bundle computes what it computed here, not whether it is right.
    """
    if source is not None:
        name, content = f"input{source.suffix}", source.read_bytes()
    elif bundle.spec.input.dims == 2:
        name, content = "input.png", _pattern()
    else:
        return {}
    path = bundle.path / name
    path.write_bytes(content)
    told = Model(bundle, open_engine(bundle)).predict(load(path))
    expected = {
        "input": name,
        "probabilities": dict(told.probabilities),
        "tolerance": _TOLERANCE,
    }
    text = json.dumps(expected, indent=2) + "\n"
    return {f"selftest/{name}": content, "selftest/expected.json": text.encode()}


def _pattern() -> bytes:
    """Return a 16-bit PNG: two dark fields and a bright middle, with a gradient."""
    y, x = np.mgrid[0:256, 0:256] / 255.0
    fields = sum(
        np.exp(-(((x - at) / 0.16) ** 2) - ((y - 0.45) / 0.3) ** 2)
        for at in (0.28, 0.72)
    )
    values = np.clip(0.8 - 0.6 * fields + 0.1 * y, 0, 1) * 65535
    _, coded = cv2.imencode(".png", values.astype(np.uint16))
    return coded.tobytes()


def _environment(device: str) -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"device": device, "threads": str(torch.get_num_threads())}


def _commit() -> str:
    """Return the commit of the source tree, "" if this is no source tree."""
    git = Path(__file__).parents[2] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        return (git / head.removeprefix("ref: ")).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
