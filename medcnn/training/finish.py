"""From the best weights to a bundle that knows what it is worth."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file

from medcnn.bands import BandScore
from medcnn.baselines import Comparison
from medcnn.bundle import CARD, Bundle, BundleSpec, Score
from medcnn.dataset import CaseTable, fold_table
from medcnn.dataset.seen import SEEN, seen_csv
from medcnn.errors import DataError
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.table import PREDICTIONS, write_predictions
from medcnn.explanation.scale import measured_span
from medcnn.gate import FeatureModel, GateRules
from medcnn.networks import Classifier, build, ensemble_of
from medcnn.planning import PLAN, Plan, Recipe
from medcnn.training.answers import Answers, ask
from medcnn.training.beside import NETWORK, Part, stand_beside
from medcnn.training.card import Findings, write_card
from medcnn.training.draft import Draft, first_spec
from medcnn.training.loop import BEST
from medcnn.training.material import Material
from medcnn.training.measure import (
    Achieved,
    achieved,
    bands,
    calibrations,
    operating_points,
    scores,
)
from medcnn.training.members import Folds, Trained
from medcnn.training.prepare import Prepared
from medcnn.training.selftest import selftest_files

__all__ = ["BASELINES_FILE", "Data", "finish"]

BASELINES_FILE = "baselines.json"

_DRAFT = "draft"
_MOST_FEATURES = 4000
_OOD_QUANTILE = 0.99


@dataclass(frozen=True, eq=False)
class Data:
    """What a training is of.

    Attributes:
        checksum: Of all of the data.
        hashes: The cases' `content_hashes`.
        prepared: Their splits and what was found out about them.
        plan: What was done, and why.
    """

    checksum: str
    hashes: Sequence[str]
    prepared: Prepared
    plan: Plan


@dataclass(frozen=True, eq=False)
class _Team:
    """All networks of a training.

    Attributes:
        trained: What was trained.
        networks: The networks with their best weights.
        material: What the whole training works on; with folds all but test is train.
        folds: The fold of each case, if there are folds.
    """

    trained: Sequence[Trained]
    networks: Sequence[Classifier]
    material: Material
    folds: Folds | None

    @property
    def has_folds(self) -> bool:
        """Whether each case was held out once."""
        return self.folds is not None

    @property
    def held(self) -> str:
        """What is held out of training to decide by: val, or each fold in turn."""
        return "val" if self.folds is None else "out-of-fold"

    def joined(self) -> Classifier:
        """Return the network of the bundle."""
        if len(self.networks) == 1:
            return self.networks[0]
        return ensemble_of(self.networks)

    def each(self, answers: Answers) -> npt.NDArray[np.float32]:
        """Return what each network alone said, (M, N, L)."""
        if len(self.networks) == 1:
            return answers.logits[None]
        features = np.split(answers.features, len(self.networks), axis=1)
        told = []
        for network, own in zip(self.networks, features, strict=True):
            weight = network.head.weight.detach().numpy()
            told.append(own @ weight.T + network.head.bias.detach().numpy())
        return np.stack(told)

    def alone(self, answers: Answers, name: str) -> dict[str, npt.NDArray[np.float32]]:
        """Return what each network said of cases that none of them saw."""
        if len(self.networks) == 1 or (self.has_folds and name != "test"):
            return {}
        names = [one.member.name for one in self.trained]
        return dict(zip(names, self.each(answers), strict=True))

    def held_out(self, answers: Answers, chosen: npt.NDArray[np.intp]) -> Answers:
        """Return answers in which only networks speak that did not see the case.

        Args:
            answers: Of the bundle, about these cases.
            chosen: Their indices in the table.
        """
        if self.folds is None:
            return answers
        each = self.each(answers)  # (M, N, L)
        own = np.array([one.member.fold for one in self.trained])
        unseen = (own[:, None] == self.folds[chosen])[..., None]  # (M, N, 1)
        logits = (each * unseen).sum(0) / unseen.sum(0)
        return replace(answers, logits=logits.astype(np.float32))


def finish(
    trained: Sequence[Trained],
    material: Material,
    folds: Folds | None,
    *,
    output: Path,
    data: Data,
) -> Path:
    """Export the best weights, measure them as a bundle, and write the bundle whole.

    Calibration, operating points and the gate's limit come from val; with folds, from
    every case judged by the networks that did not see it. A test split is measured
    once, at the end, and decides nothing.

    Args:
        trained: The networks' trainings.
        material: What was trained on.
        folds: The fold of each case, if there are folds.
        output: The bundle's directory.
        data: What it was of.

    Raises:
        OutputError: If the bundle cannot be written.
    """
    team = _team(trained, material, folds)
    recipe, reporter = material.recipe, material.reporter
    reporter.say("Measuring the model.")
    draft = Draft(team.joined().cpu().eval(), material)
    spec = first_spec(material, data.checksum, len(trained))
    bundle = draft.write(material.work / _DRAFT, spec, {}, None)
    train = ask(
        bundle, _some_of_train(team.material), spec.gate, reporter, what="features"
    )
    gate = _feature_model(train.features)
    spec = spec.model_copy(update={"gate": _rules(recipe, train)})
    parts, indices = _parts(team, bundle, spec)
    spec = _decide(spec, bundle, recipe, (team.held, parts[team.held]), gate)
    spec, findings = _measure(spec, bundle, recipe, parts)
    asked = {
        name: (indices[name], answers, answers.probabilities(spec, bundle))
        for name, answers in parts.items()
    }
    alone = {name: team.alone(answers, name) for name, answers in parts.items()}
    beside = stand_beside(team.material, folds, asked, alone)
    reporter.say(beside.verdict)
    _write_predictions(team.material, asked)
    files = _papers(team, spec, findings, beside, data)
    again = draft.write(material.work / _DRAFT, spec, files, gate)
    files |= selftest_files(again, recipe.selftest)
    draft.write(output, spec, files, gate)
    return output


def _team(trained: Sequence[Trained], material: Material, folds: Folds | None) -> _Team:
    """Build the networks anew, with their best weights."""
    recipe, networks = material.recipe, []
    for one in trained:
        network = build(
            recipe.network.name,
            dims=recipe.input.dims,
            in_channels=recipe.input.channels,
            labels=len(material.table.labels),
            shape=recipe.input.shape,
            **recipe.network.arguments,
        )
        network.load_state_dict(load_file(one.member.material.work / BEST))
        networks.append(network.eval())
    if folds is not None:
        table = fold_table(material.table, folds, None)
        material = replace(material, table=table)
    return _Team(trained, networks, material, folds)


def _parts(
    team: _Team, bundle: Bundle, spec: BundleSpec
) -> tuple[dict[str, Answers], dict[str, npt.NDArray[np.intp]]]:
    """Ask about what was held out, and about test if there is one."""
    material = team.material
    table, reporter = material.table, material.reporter
    indices = {team.held: material.indices("train" if team.has_folds else "val")}
    if "test" in table.column("split"):
        indices["test"] = material.indices("test")
    parts = {}
    for name, chosen in indices.items():
        asked = table.take(chosen.tolist())
        answers = ask(bundle, asked, spec.gate, reporter, what=name)
        parts[name] = answers if name == "test" else team.held_out(answers, chosen)
    return parts, indices


def _write_predictions(material: Material, asked: Mapping[str, Part]) -> None:
    """Keep what was said of every held-out case, for `medcnn evaluate`."""
    chosen = np.concatenate([indices for indices, _, _ in asked.values()])
    table = material.table.take(chosen.tolist())
    root = table.source if table.source.is_dir() else table.source.parent
    paths = [case.path for case in table.cases]
    names = [p.relative_to(root) if p.is_relative_to(root) else p for p in paths]
    columns = sorted({name for case in table.cases for name in case.attributes})
    found = Predictions(
        source=str(material.work / PREDICTIONS),
        labels=table.labels,
        cases=tuple(name.as_posix() for name in names),
        truth=table.truth().astype(np.float64),
        score=np.concatenate([told for _, _, told in asked.values()]),
        patients=tuple(case.patient_id or "" for case in table.cases),
        splits=tuple(
            "test" if name == "test" else "val"
            for name, (indices, _, _) in asked.items()
            for _ in indices
        ),
        columns={name: table.column(name) for name in columns},
    )
    write_predictions(found, material.work / PREDICTIONS)


def _papers(
    team: _Team,
    spec: BundleSpec,
    findings: Findings,
    beside: Comparison,
    data: Data,
) -> dict[str, bytes]:
    """Return the files that tell of the training."""
    material = team.material
    table = material.table
    leaks = data.prepared.leaks.counted()
    findings = replace(findings, beside=beside, leaks=leaks)
    records = [(one.member.name, one.record) for one in team.trained]
    card = write_card(spec, material.recipe, table, records, findings)
    facts = beside.as_json() | {
        "networks": [
            {
                "name": name or NETWORK,
                "epochs": len(record.history),
                "best_epoch": record.best_epoch + 1,
                "val_auc": record.best_score,
            }
            for name, record in records
        ]
    }
    seen = seen_csv(
        table, data.hashes, data.prepared.checksums, team.folds, salt=data.checksum
    )
    return {
        CARD: card,
        BASELINES_FILE: (json.dumps(facts, indent=1) + "\n").encode(),
        SEEN: seen,
        PLAN: data.plan.to_json().encode(),
    }


def _rules(recipe: Recipe, train: Answers) -> GateRules:
    """Return the recipe's rules; what it leaves open fits the training images."""
    rules, stated = recipe.gate, recipe.gate.model_fields_set
    changes: dict[str, object] = {}
    if "min_side" not in stated:
        changes["min_side"] = min(rules.min_side, train.smallest)
    if "colour" not in stated:
        changes["colour"] = recipe.input.channels > 1
    if "pattern" not in stated and train.pattern is not None:
        changes["pattern"] = train.pattern.cells
        changes["pattern_limit"] = train.pattern.limit
    return rules.model_copy(update=changes)


def _decide(
    spec: BundleSpec,
    bundle: Bundle,
    recipe: Recipe,
    held: tuple[str, Answers],
    gate: FeatureModel | None,
) -> BundleSpec:
    """Fit calibration, operating points and the gate's limit on what was held out."""
    name, val = held
    rule = recipe.operating_point
    where = recipe.select.where if rule.where is None else rule.where
    chosen = val.table.matching(where)
    on = ", ".join([name, *(f"{k} = {v}" for k, v in where.items())])
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
    counted: list[BandScore] = []
    refused = {}
    for name, answers in parts.items():
        told = answers.probabilities(spec, bundle)
        found += scores(answers, told, recipe, name)
        calls += achieved(answers, told, recipe, spec.operating_points[0], name)
        counted += bands(answers, told, recipe, spec.operating_points[0], name)
        reasons = [reason for reason in answers.reasons if reason]
        refused[name] = (len(reasons), len(answers.reasons), sorted(set(reasons))[:3])
    findings = Findings(tuple(calls), refused, None)
    measured = {"evaluation": tuple(found), "bands": tuple(counted)}
    return spec.model_copy(update=measured), findings


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
