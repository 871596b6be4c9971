"""Which places count for a detector's score? Asked of train alone, never of val.

    python benchmarks/detector_choices.py TABLE --bundle DIR/padim-imagenet --cache DIR
        [--site nih] [--write docs/detectors.md]

TABLE is what recipes/chest_xray_table.py writes; the bundle is one that
benchmarks/detectors.py made of a network which no film had taught. The patients of
train are put into four parts; detectors of the normal films of three are asked about
all films of the fourth. The table holds the mean AUC of the four, for the mean over a
share of the places, the most unusual ones. --cache keeps feature maps.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pages import write_between

import medcnn
from medcnn.dataset import Case, read_cases
from medcnn.detectors import PadimFit, PatchCoreFit, places_for
from medcnn.detectors.cells import top_mean
from medcnn.gate import FeatureModel
from medcnn.metrics.roc import roc_auc

MARKS = "<!-- choices: begin -->", "<!-- choices: end -->"
LABEL, PARTS = "abnormal", 4
SHARES = (0.02, 0.1, 0.25, 0.5, 1.0)
FloatArray = npt.NDArray[Any]
Score = Callable[[FloatArray], FloatArray]


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--site", default="nih")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    train = read_cases(given.table, labels=[LABEL]).part("train").cases
    cases = [
        x for x in train
        if x.attributes["site"] == given.site and x.truth[LABEL] is not None
    ]  # fmt: skip
    given.cache.mkdir(parents=True, exist_ok=True)
    maps = kept(given.cache / "places.npy", given.bundle, cases)
    truth = np.array([x.truth[LABEL] for x in cases])
    parts = parts_of(cases)
    lines = [
        "| mean of the most unusual | " + " | ".join(f"{100 * x:g} %" for x in SHARES),
        "|---|" + "---|" * len(SHARES),
    ]
    lines[0] += " |"
    for name, fit in (("PaDiM", padim), ("PatchCore", patchcore)):
        areas = [row(maps, truth, parts == n, fit) for n in range(PARTS)]
        cells = " | ".join(f"{x:.3f}" for x in np.mean(areas, axis=0))
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], file=sys.stderr, flush=True)
    pooled = np.stack([one.mean(axis=0) for one in maps]).astype(float)
    found = [alone(pooled, truth, parts == n) for n in range(PARTS)]
    mean = f"{np.mean(found):.3f}"
    lines.append(f"| no places: distance of the mean feature vector | | | | | {mean} |")
    text = "\n".join(lines)
    print(text)
    if given.write is not None:
        write_between(given.write, text, MARKS)


def kept(file: Path, bundle: Path, cases: Sequence[Case]) -> FloatArray:
    """Return each film's places, (N, P, F), computed once."""
    if not file.is_file():
        partial = file.with_suffix(".partial")
        every = None
        for n, places in enumerate(seen(bundle, cases)):
            if every is None:
                shape = (len(cases), *places.shape)
                every = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
            every[n] = places
            if not n % 200:
                print(f"{n} of {len(cases)}", file=sys.stderr, flush=True)
        partial.rename(file)
    return np.asarray(np.load(file, mmap_mode="r"))


def seen(bundle: Path, cases: Sequence[Case]) -> Iterator[FloatArray]:
    """Yield the places of each film's feature map, (P, F)."""
    model = medcnn.Model.open(bundle)
    prepare = model.spec.preprocessing.apply
    tensors = (prepare(medcnn.load(case.path)).tensor for case in cases)
    for outputs in model.engine.stream(tensors):
        yield places_for(outputs.features).of(outputs.features)


def parts_of(cases: Sequence[Case]) -> npt.NDArray[np.intp]:
    """Put patients into parts at random; return each film's."""
    names, of = np.unique([str(x.patient_id) for x in cases], return_inverse=True)
    drawn = np.random.default_rng(0).permutation(len(names)) % PARTS
    return np.asarray(drawn[of])


def padim(maps: FloatArray, normal: FloatArray) -> Score:
    """Fit PaDiM to some films; return what says how unusual places are."""
    rng = np.random.default_rng(1)
    fit = PadimFit(maps.shape[2], maps.shape[1], rng)
    for n in normal:
        fit.add(maps[n].astype(np.float32))
    return fit.fitted().unusual


def patchcore(maps: FloatArray, normal: FloatArray) -> Score:
    """Fit PatchCore likewise."""
    fit = PatchCoreFit(maps.shape[2], len(normal), np.random.default_rng(1))
    for n in normal:
        fit.add(maps[n].astype(np.float32))
    return fit.fitted().unusual


def row(
    maps: FloatArray,
    truth: FloatArray,
    asked: npt.NDArray[np.bool_],
    fit: Callable[[FloatArray, FloatArray], Score],
) -> list[float]:
    """Return the AUC of one part for each share of places."""
    unusual = fit(maps, np.flatnonzero(~asked & (truth == 0)))
    cells = [unusual(maps[n].astype(np.float32)) for n in np.flatnonzero(asked)]
    return [
        float(roc_auc(truth[asked], [top_mean(one, share) for one in cells]))
        for share in SHARES
    ]


def alone(pooled: FloatArray, truth: FloatArray, asked: npt.NDArray[np.bool_]) -> float:
    """Return the AUC of the mean feature vector's distance, as of the gate."""
    model = FeatureModel.fit(pooled[~asked & (truth == 0)])
    return float(roc_auc(truth[asked], model.distance(pooled[asked])))


if __name__ == "__main__":
    main()
