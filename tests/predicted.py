"""Predictions for tests: known truths, scores that are right to a known degree."""

import csv
from pathlib import Path

import numpy as np

from medcnn.evaluation import Predictions

__all__ = ["make_predictions", "write_rows"]


def make_predictions(
    *,
    patients=60,
    each=2,
    labels=("abnormal",),
    seed=0,
    shift=1.5,
    splits=("test",),
    columns=None,
    **changes,
):
    """Make probabilities of patients whose images are alike.

    Args:
        patients: How many.
        each: Images of each.
        labels: Their labels, independent of each other.
        seed: Of everything.
        shift: How far the diseased lie above the healthy, in log-odds.
        splits: Dealt out to the patients in turn.
        columns: Name to a function of the patient's number.
        changes: Other values of the record.
    """
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(patients), each)
    truth = (np.arange(patients)[:, None] % 3 == 0)[of] * np.ones((1, len(labels)))
    own = rng.normal(0, 0.7, (patients, len(labels)))[of]
    logit = shift * (truth - 0.5) + own + rng.normal(0, 0.5, truth.shape)
    return Predictions(
        **{
            "source": "made.csv",
            "labels": tuple(labels),
            "cases": tuple(f"p{p}-{n % each}" for n, p in enumerate(of)),
            "truth": truth,
            "score": 1 / (1 + np.exp(-logit)),
            "patients": tuple(f"p{p}" for p in of),
            "splits": tuple(splits[p % len(splits)] for p in of),
            "columns": {
                name: tuple(str(value(int(p))) for p in of)
                for name, value in (columns or {}).items()
            },
        }
        | changes
    )


def write_rows(path: Path, rows) -> Path:
    """Write dictionaries as a CSV table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
