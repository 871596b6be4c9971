"""What a training leaves behind to be read: card, plan, baselines, predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medcnn.baselines import Comparison
from medcnn.bundle import CARD, BundleSpec
from medcnn.dataset.seen import SEEN, seen_csv
from medcnn.evaluation.predictions import Predictions
from medcnn.evaluation.table import PREDICTIONS, write_predictions
from medcnn.planning import PLAN, Plan
from medcnn.training.beside import NETWORK, Part
from medcnn.training.card import Findings, write_card
from medcnn.training.material import Material
from medcnn.training.prepare import Prepared
from medcnn.training.team import Team

__all__ = ["BASELINES_FILE", "Data", "keep_predictions", "papers"]

BASELINES_FILE = "baselines.json"


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


def papers(
    team: Team,
    spec: BundleSpec,
    findings: Findings,
    beside: Comparison,
    data: Data,
) -> dict[str, bytes]:
    """Return the files of a bundle that tell of its training.

    Args:
        team: The networks.
        spec: The bundle, measured.
        findings: What was measured besides.
        beside: The model beside its baselines.
        data: What it was of.
    """
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
    seen = seen_csv(table, data.hashes, data.prepared.checksums, team.folds)
    return {
        CARD: card,
        BASELINES_FILE: (json.dumps(facts, indent=1) + "\n").encode(),
        SEEN: seen,
        PLAN: data.plan.to_json().encode(),
    }


def keep_predictions(material: Material, asked: Mapping[str, Part]) -> None:
    """Keep what was said of every held-out case, for `medcnn evaluate`.

    Args:
        material: What was trained on.
        asked: For each split, its cases and what was said of them.
    """
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
