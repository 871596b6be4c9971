"""From the best weights to a bundle that knows what it is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medcnn.bands import BandScore
from medcnn.bundle import Bundle, BundleSpec, Score
from medcnn.drift import REFERENCE
from medcnn.planning import Recipe
from medcnn.training.answers import Answers, ask
from medcnn.training.beside import stand_beside
from medcnn.training.card import Findings
from medcnn.training.decide import decide, feature_model, gate_rules, some_of_train
from medcnn.training.draft import Draft, first_spec
from medcnn.training.heatmaps import trust_of
from medcnn.training.material import Material
from medcnn.training.measure import Achieved, achieved, bands, scores
from medcnn.training.members import Folds, Trained
from medcnn.training.papers import Data, keep_predictions, papers
from medcnn.training.reference import reference_json
from medcnn.training.selftest import selftest_files
from medcnn.training.team import ask_about, team_of

__all__ = ["finish"]

_DRAFT = "draft"


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
    team = team_of(trained, material, folds)
    recipe, reporter = material.recipe, material.reporter
    reporter.say("Measuring the model.")
    draft = Draft(team.joined().cpu().eval(), material)
    spec = first_spec(material, data.checksum, len(trained))
    bundle = draft.write(material.work / _DRAFT, spec, {}, None)
    train = ask(
        bundle, some_of_train(team.material), spec.gate, reporter, what="features"
    )
    gate = feature_model(train.features)
    spec = spec.model_copy(update={"gate": gate_rules(recipe, train)})
    parts, indices = ask_about(team, bundle, spec)
    spec = decide(spec, bundle, recipe, (team.held, parts[team.held]), gate)
    spec, findings = _measure(spec, bundle, recipe, parts)
    asked = {
        name: (indices[name], answers, answers.probabilities(spec, bundle))
        for name, answers in parts.items()
    }
    alone = {name: team.alone(answers, name) for name, answers in parts.items()}
    beside = stand_beside(team.material, folds, asked, alone)
    reporter.say(beside.verdict)
    keep_predictions(team.material, asked)
    again = draft.write(material.work / _DRAFT, spec, {}, gate)
    findings = replace(findings, trust=trust_of(team, again, indices))
    files = papers(team, spec, findings, beside, data)
    _, answers, told = asked[team.held]
    files[REFERENCE] = reference_json(spec, answers, told, gate, team.held)
    files |= selftest_files(again, recipe.selftest)
    draft.write(output, spec, files, gate)
    return output


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
