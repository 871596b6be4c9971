"""MedMNIST's published table, and what one command without any tuning gets.

    python benchmarks/medmnist.py FILE.npz ... [--seeds 3] [--work FOLDER]

For each file runs `medcnn train FILE --seeds 3`, nothing set by hand, and asks about
the official test split once, by the official definitions of AUC and ACC. Prints the
mean and the standard deviation of the networks alone, all of them as one model, the
baselines that stand beside every model, and the published rows.

Each network alone is calibrated on val, as a model of its own would be. A run that was
stopped goes on where it stood.
"""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file

import medcnn
from medcnn.bundle import open_bundle
from medcnn.calibration import probabilities_of
from medcnn.dataset import CaseTable, read_cases
from medcnn.dataset.known import known_set
from medcnn.evaluation.fitting import fit_calibration
from medcnn.metrics.medmnist import Task, official_acc, official_auc
from medcnn.training.answers import Answers, ask
from medcnn.training.loop import BEST
from medcnn.training.papers import BASELINES_FILE
from medcnn.training.reporter import Reporter

PUBLISHED = Path(__file__).with_name("medmnist_published.csv")
"""Yang et al., Scientific Data 10 (2023) 41, as the project's site prints it."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    auc: str
    acc: str


def main(words: Sequence[str]) -> None:
    """Train and measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("medmnist-models"))
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(words)
    given.work.mkdir(parents=True, exist_ok=True)
    for file in given.files:
        model = given.work / file.stem
        medcnn.train(
            file, output=model, settings={"seeds": given.seeds}, device=given.device
        )
        print_rows(file.stem, rows_of(file, model))


def rows_of(file: Path, model: Path) -> list[Row]:
    """Measure a finished model and its networks, beside what is known of the set."""
    table = read_cases(file)
    order = class_order(file, table)
    task: Task = "multi-class" if len(order) > 2 else "binary-class"
    if table.activation == "sigmoid":
        task = "multi-label, binary-class"
    answers = {part: asked(model, table.part(part)) for part in ("val", "test")}
    truth = answers["test"].table.truth()[:, order]
    given = truth if task.startswith("multi-label") else truth.argmax(axis=1)

    def measured(told: FloatArray) -> tuple[float, float]:
        scores = told[:, order]
        return official_auc(given, scores, task), official_acc(given, scores, task)

    bundle = open_bundle(model)
    whole = measured(answers["test"].probabilities(bundle.spec, bundle))
    alone = [measured(told) for told in each_alone(model, answers)]
    many = f"{len(alone)} seeds"
    rows = [
        Row(
            f"medcnn train, mean of {many} (sd)", *map(spread, zip(*alone, strict=True))
        )
    ]
    if len(alone) > 1:
        rows.append(Row(f"medcnn train, {many} as one model", *map(plain, whole)))
    return [*rows, *baselines(model), *published(file.stem)]


def class_order(file: Path, table: CaseTable) -> list[int]:
    """Return the labels' places in the order of the file's own numbers."""
    known = known_set(file.stem)
    names = {name: n for n, name in known.classes.items()} if known else {}
    told = [names[x] if x in names else int(x) for x in table.labels]
    return np.argsort(told).tolist()


def asked(model: Path, table: CaseTable) -> Answers:
    """Ask a model about cases, from their files on."""
    bundle = open_bundle(model)
    words = Reporter(visible=False)
    return ask(bundle, table, bundle.spec.gate, words, what="cases")


def each_alone(model: Path, answers: dict[str, Answers]) -> list[FloatArray]:
    """Return what each network alone says of test, calibrated on val, (N, L) each."""
    work = model.with_name(f"{model.name}.work")
    files = sorted(work.glob(f"seed*/{BEST}")) or [work / BEST]
    spec = open_bundle(model).spec.model_copy(
        update={"calibration": (), "temperature": None}
    )
    found = []
    for n, file in enumerate(files):
        state = load_file(file)
        weight, bias = (state[f"head.{x}"].numpy() for x in ("weight", "bias"))
        logits = {
            part: np.split(one.features, len(files), axis=1)[n] @ weight.T + bias
            for part, one in answers.items()
        }
        truth = answers["val"].table.truth().astype(np.float64)
        fitted = fit_calibration(spec, truth, logits["val"], fitted_on="val")
        told = [probabilities_of(fitted, row) for row in logits["test"]]
        found.append(np.array(told))
    return found


def baselines(model: Path) -> list[Row]:
    """Return the baselines' areas on test; of several labels their mean."""
    facts = json.loads((model / BASELINES_FILE).read_text(encoding="utf-8"))
    areas: dict[str, list[float]] = {}
    for row in facts["rows"]:
        if row["split"] == "test" and not row["trained"]:
            areas.setdefault(row["model"], []).append(row["auroc"])
    return [Row(name, plain(mean(found)), "") for name, found in areas.items()]


def published(name: str) -> list[Row]:
    """Return the published rows of a set."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return [
            Row(f"published: {row['method']}", row["auc"], row["acc"])
            for row in csv.DictReader(file)
            if row["set"] == name.lower()
        ]


def spread(values: Sequence[float]) -> str:
    """Return the mean, and the standard deviation where there are several."""
    more = f" ({stdev(values):.3f})" if len(values) > 1 else ""
    return f"{mean(values):.3f}{more}"


def plain(value: float) -> str:
    """Return a number as the published table has it."""
    return f"{value:.3f}"


def print_rows(name: str, rows: Sequence[Row]) -> None:
    """Print a set's table as Markdown."""
    print(f"\n| {name}, official test split | AUC | ACC |\n|---|---|---|")
    for row in rows:
        print(f"| {row.method} | {row.auc} | {row.acc} |")


if __name__ == "__main__":
    main(sys.argv[1:])
