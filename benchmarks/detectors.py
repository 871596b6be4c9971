"""Normal-only detectors beside the supervised model, on the same films.

    python benchmarks/detectors.py TABLE --output DIR [--weights FILE] [--site nih]
        [--write docs/detectors.md]

TABLE is what recipes/chest_xray_table.py writes. Each detector learns from the films
of train that are labelled normal, and is measured on val, against the labels and
against the grades of the RSNA challenge's radiologists. A bundle that is in DIR already
is taken as it is, as are its scores. Intervals take the films of a patient together.
"""

import argparse
import csv
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pages import write_between

import medcnn
from medcnn.bundle import open_bundle
from medcnn.dataset import Case, read_cases
from medcnn.metrics.cluster import clustered_ci
from medcnn.training.detecting import Kind, train_detector

MARKS = "<!-- measured: begin -->", "<!-- measured: end -->"
LABEL = "abnormal"
GRADED = {"Normal": 0.0, "No Lung Opacity / Not Normal": 1.0, "Lung Opacity": 1.0}
KINDS: tuple[Kind, ...] = ("padim", "patchcore")
FloatArray = npt.NDArray[Any]


def main() -> None:
    """Fit what is missing, measure everything, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--supervised", default="chest-xray")
    parser.add_argument("--site", default="nih")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    table = of_site(given.table, given.site, given.output / "cases.csv")
    val = read_cases(table, labels=[LABEL]).part("val").cases
    lines = [head(val), *measured("supervised", given.supervised, val, given.output)]
    starts: list[tuple[str, dict[str, Any]]] = [
        (f"network of {given.supervised}", {"init": given.supervised})
    ]
    if given.weights is not None:
        settings = {"network.name": "resnet50", **INPUT}
        settings["network.arguments"] = {"layers": 3, "stride_in_first": True}
        start = {"weights": given.weights, "settings": settings}
        starts.append(("network of ImageNet", start))
    for words, start in starts:
        for kind in KINDS:
            name = f"{kind}-{words.rpartition(' ')[2].lower()}"
            bundle = given.output / name
            if not bundle.is_dir():
                print(f"fitting {name}", file=sys.stderr, flush=True)
                train_detector(table, output=bundle, kind=kind, **start)
            lines += measured(f"`{kind}`, {words}", bundle, val, given.output)
    text = "\n".join(lines)
    print(text)
    if given.write is not None:
        write_between(given.write, text, MARKS)


INPUT: dict[str, Any] = {
    "input.shape": [224, 224],
    "input.fit": "stretch",
    "input.hang": True,
    "input.percentiles": [0.5, 99.5],
}
"""As the supervised model's."""


def of_site(table: Path, site: str, target: Path) -> Path:
    """Write the films of one site with their label alone, and return the table."""
    names = ("path", "split", "patient_id", "rsna_class", LABEL)
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["site"] == site]
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            path = os.path.relpath(table.parent / row["path"], target.parent)
            writer.writerow(row | {"path": path})
    return target


def head(val: Sequence[Case]) -> str:
    """Return the head of the table, with what it was measured on."""
    labelled, graded = truths(val)
    counts = [
        f"{int((x == 1).sum())} / {int((x == 0).sum())}" for x in (labelled, graded)
    ]
    return (
        "| | AUC by the label "
        f"({counts[0]}) | AUC by RSNA's grades ({counts[1]}) "
        "| flagged of normal | flagged of abnormal |\n|---|---|---|---|---|"
    )


def scores(model: str | Path, val: Sequence[Case], folder: Path) -> FloatArray:
    """Return the main label's number for each film, asked once."""
    facts = (open_bundle(model).path / "bundle.json").read_bytes()
    file = folder / f"scores-{hashlib.sha256(facts).hexdigest()[:12]}.npy"
    if not file.is_file():
        opened = medcnn.Model.open(model)
        said = [opened.predict(medcnn.load(case.path)).probability for case in val]
        np.save(file, np.array(said))
    return np.asarray(np.load(file))


def measured(
    words: str, model: str | Path, val: Sequence[Case], folder: Path
) -> list[str]:
    """Return the line of one model."""
    score = scores(model, val, folder)
    flag = open_bundle(model).spec.operating_points[0].flag
    labelled, graded = truths(val)
    patients = np.unique([str(x.patient_id) for x in val], return_inverse=True)[1]
    cells = []
    for truth in (labelled, graded):
        known = ~np.isnan(truth)
        area, low, high = clustered_ci(truth[known], score[known], patients[known])
        cells.append(f"{area:.3f} ({low:.3f} to {high:.3f})")
    cells += [f"{100 * np.mean(score[labelled == x] >= flag):.0f} %" for x in (0, 1)]
    print(words, *cells, sep=" | ", file=sys.stderr, flush=True)
    return [f"| {words} | {' | '.join(cells)} |"]


def truths(val: Sequence[Case]) -> tuple[FloatArray, FloatArray]:
    """Return the label, and RSNA's grade: 1 for not normal, NaN where there is none."""
    graded = [GRADED.get(x.attributes.get("rsna_class", ""), np.nan) for x in val]
    return np.array([x.truth[LABEL] for x in val], float), np.array(graded)


if __name__ == "__main__":
    main()
