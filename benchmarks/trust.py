"""Do a model's heatmaps find what readers marked? Every method, measured.

    python benchmarks/trust.py TABLE [--slow 10] [--full 0] [--write docs/trust.md]

TABLE has bbox:<label> or mask:<label> columns, such as the one that
recipes/chest_xray_table.py writes. Measured are the images of one split with marks,
val unless --split says another, which the model did not learn from. Methods that ask
the network many times are measured on a random part of them, which the table says.
Intervals are by patient. With --write the tables replace those in a page, between its
two marks.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pages import write_between

from medcnn.dataset import Case, read_cases
from medcnn.evaluation.measures import Estimate
from medcnn.evaluation.trust import Trust
from medcnn.evaluation.trust_words import (
    agreement_sentence,
    faithfulness_sentence,
    markdown_table,
    randomised_sentence,
    verdict_words,
)
from medcnn.model import Model
from medcnn.trust import Group, MethodMaps, TrustDesign, has_mark, measure_trust

MARKS = "<!-- measured: begin -->", "<!-- measured: end -->"
FAST = ("cam", "grad-cam", "hirescam", "grad-cam++", "layercam", "eigen-cam")
SLOW = ("occlusion", "integrated-gradients", "smoothgrad", "score-cam")
SCORES = ("pointing", "energy", "iou", "auprc")


def main() -> None:
    """Measure every method and print, or write, the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--methods", nargs="*", default=[*FAST, *SLOW])
    parser.add_argument("--slow", type=int, default=10, help="images of slow methods")
    parser.add_argument("--full", type=int, default=0, help="images of deletion etc.")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    model = Model.open(given.model)
    cases = split_of(given.table, model.labels, given.split)
    marked = [x for x in cases if any(has_mark(x, label) for label in model.labels)]
    found = {}
    for method in given.methods:
        films = marked if method in FAST else drawn(marked, given.slow)
        found[method] = measured(model, films, method)
        print(f"{method}: {len(films)} images", file=sys.stderr, flush=True)
    text = "\n".join(report(model, found))
    if given.full:
        text += "\n" + "\n".join(without_marks(model, cases, given.full))
    print(text)
    if given.write is not None:
        write_between(given.write, text, MARKS)


def split_of(table: Path, labels: Sequence[str], split: str) -> tuple[Case, ...]:
    """Return the images of one split, with the labels that the table tells."""
    known = [label for label in read_cases(table).labels if label in labels]
    return read_cases(table, labels=known).part(split).cases


def drawn(cases: Sequence[Case], count: int) -> tuple[Case, ...]:
    """Return a random part of the films, the same in every run."""
    order = np.random.default_rng(0).permutation(len(cases))[:count]
    return tuple(cases[n] for n in sorted(order))


def measured(model: Model, cases: Sequence[Case], method: str) -> Trust:
    """Hold one method's maps against the marks.

    Raises:
        SystemExit: If there are none.
    """
    design = TrustDesign(method=method, maps=MethodMaps(method), group=Group(2000))
    trust = measure_trust(model, cases, design)
    if trust is None:
        msg = "no image has a mark"
        raise SystemExit(msg)
    return trust


def report(model: Model, found: dict[str, Trust]) -> Iterator[str]:
    """Yield the tables, line by line."""
    sha = model.bundle.sha256[:12]
    first = next(iter(found))
    yield f"Model `{model.spec.name}` {model.spec.version}, weights `{sha}`."
    yield f"\nMethod `{first}`, every label:\n"
    yield markdown_table(found[first])
    yield "\nPointing game, every method (images of the first label in brackets):\n"
    labels = list(found[first].located)
    yield row(["method", *labels])
    yield row(["---"] * (len(labels) + 1))
    for method, trust in found.items():
        images = next(iter(trust.located.values())).images
        cells = [cell(trust, label, 0) for label in labels]
        yield row([f"{method} ({images})", *cells])
    located = found[first].located
    yield row(["centre", *(f"{located[x].scores[0].centre.value:.2f}" for x in labels)])
    yield row(["random", *(f"{located[x].scores[0].random:.2f}" for x in labels)])
    usual = (located[x].scores[0].usual for x in labels)
    yield row(["others' marks", *("" if x is None else f"{x:.2f}" for x in usual)])
    yield f"\nAll scores of `{labels[0]}`, every method:\n"
    yield row(["method", "images", *SCORES, "pointing less centre", "verdict"])
    yield row(["---"] * 8)
    for method, trust in found.items():
        one = trust.located.get(labels[0])
        if one is None:
            continue
        cells = [number(score.value) for score in one.scores]
        less = number(one.scores[0].less_centre, sign="+")
        yield row([method, one.images, *cells, less, verdict_words(one)])


def without_marks(model: Model, cases: Sequence[Case], films: int) -> Iterator[str]:
    """Yield what needs no marks: deletion, insertion, shuffled weights, agreement."""
    bare = [Case(case.path, case.truth, case.patient_id) for case in cases]
    others = {
        name: MethodMaps(name) for name in ("layercam", "grad-cam++", "eigen-cam")
    }
    trust = measure_trust(
        model, bare, TrustDesign(level="full", images=films, others=others)
    )
    if trust is None or trust.faithfulness is None:
        return
    yield "\nWithout marks, method `cam`, random images with the label:\n"
    yield f"- {faithfulness_sentence(trust.faithfulness)}"
    yield from (f"- {randomised_sentence(one)}" for one in trust.randomised)
    yield from (f"- {agreement_sentence(one)}" for one in trust.agreement)


def cell(trust: Trust, label: str, score: int) -> str:
    """Return one score of one label."""
    if label not in trust.located:
        return ""
    return number(trust.located[label].scores[score].value)


def number(value: Estimate, *, sign: str = "") -> str:
    """Return a number with its interval."""
    form = f"{{:{sign}.2f}}"
    if value.ci95 is None:
        return form.format(value.value)
    low, high = (form.format(end) for end in value.ci95)
    return f"{form.format(value.value)} ({low} to {high})"


def row(cells: Sequence[object]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(str(one) for one in cells)} |"


if __name__ == "__main__":
    main()
