"""What does the input gate refuse, and how well does each of its looks tell?

    python benchmarks/gate.py TABLE --cache DIR [--data ../shared/data] \
        [--write docs/gate.md] [--picture docs/images/gate.jpg]

TABLE is what recipes/chest_xray_table.py writes. In scope are the films of its split
val; out of scope are the kinds of `gate_images.py`: from the public DICOM files under
--data and in pydicom-data, pictures in installed packages, and computed ones. Every
image goes through the gate twice, as it is and without its header, and its feature
vector is held against those of train: Mahalanobis' distance as the bundle keeps it, and
the k nearest neighbours beside it. Intervals take images of one source together.
--cache keeps feature vectors, so that a run that was broken off goes on.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import gate_images as images
import numpy as np
import numpy.typing as npt
from pages import write_between

import medcnn
from medcnn.dataset import Case, read_cases
from medcnn.errors import UndefinedMetricError
from medcnn.gate import look_at_facts, look_at_features, look_at_pattern
from medcnn.gate.pattern import cells_of
from medcnn.image import Image
from medcnn.metrics.cluster import clustered_ci
from medcnn.model import Model

MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
NEIGHBOURS = 10
"""Stated beforehand, and not varied."""
KNOWN = 2000
"""Films of train that neighbours are looked for among, drawn at random."""
ADULTS, CHILDREN = "adults' films of val (NIH)", "children's films of val"
FloatArray = npt.NDArray[Any]
Found = images.Found


@dataclass(frozen=True, eq=False)
class Kind:
    """Images of one kind, and what the gate says of each.

    Attributes:
        name: In words.
        sources: What each shares with others like it, (N,).
        headers: Reasons by header and pixels, as the file is.
        pixels: Reasons by pixels alone, without a header and in grey.
        features: (N, F).
        tile: One of them, small.
    """

    name: str
    sources: tuple[str, ...]
    headers: tuple[str, ...]
    pixels: tuple[str, ...]
    features: FloatArray
    tile: FloatArray


def main() -> None:
    """Measure every kind and print, or write, the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    gate = Gate(Model.open(given.model), given.cache)
    cases = read_cases(given.table, labels=gate.model.labels[:1])
    gate.learn(cases.part("train").cases)
    kinds = [gate.look(*one) for one in every_kind(cases.part("val").cases, given.data)]
    adults = [x for x in cases.part("val").cases if x.attributes["site"] == "nih"]
    share = 100 * gate.mirrored(loaded(adults))
    told = (
        f"{share:.0f} % of the adults' films are more like the pattern's mirror image."
    )
    text = "\n".join([*report(gate, kinds), "", told])
    print(text)
    if given.write is not None:
        write_between(given.write, text, MARKS)
    if given.picture is not None:
        cv2.imwrite(str(given.picture), sheet(kinds), (cv2.IMWRITE_JPEG_QUALITY, 80))


def every_kind(
    val: Sequence[Case], data: Path
) -> Iterator[tuple[str, Callable[[], Iterable[Found]]]]:
    """Yield the name of each kind and what makes its images, in scope first."""
    sides = {ADULTS: "nih", CHILDREN: "kermany"}
    films = {
        name: [case for case in val if case.attributes["site"] == site]
        for name, site in sides.items()
    }
    for name, some in films.items():
        yield name, lambda some=some: loaded(some)
    one_each = [*firsts(films[ADULTS]), *firsts(films[CHILDREN])[: images.DRAWN]]
    changes = ("inverted", "turned by 90°", "turned by 180°", "mirrored")
    drawn = ("turned by 30°", "in a black frame", "two side by side")
    for how in (
        *changes, "upper left quarter", *drawn, "photographed askew (computed)"
    ):  # fmt: skip
        yield (
            f"val's films, {how}",
            lambda how=how: images.changed(list(loaded(one_each)), how),
        )
    folders = [data / "dicom-torture", data / "dicom-series", *packaged()]
    for name, wanted in DICOM.items():
        yield name, lambda wanted=wanted: images.radiographs(folders, wanted)
    mnist = data / "medmnist"
    yield (
        "MR angiography, 28 voxels, projected, enlarged",
        lambda: images.volumes(mnist / "vesselmnist3d.npz", images.DRAWN),
    )
    yield (
        "children's films of 28 pixels, enlarged",
        lambda: images.small_films(mnist / "pneumoniamnist.npz", images.DRAWN),
    )
    yield "photographs and other pictures", images.photographs
    yield "noise", lambda: images.noise(np.random.default_rng(0))
    yield "blank, some with letters", lambda: images.blanks(np.random.default_rng(1))


def _is(*modalities: str) -> Callable[[Image], bool]:
    return lambda image: image.modality in modalities and min(image.shape[:2]) >= 64


def _radiograph(image: Image, *, chest: bool) -> bool:
    is_chest = "CHEST" in image.facts.get("body_part", "").upper()
    return _is("CR", "DX", "DR", "RG")(image) and is_chest is chest


DICOM: dict[str, Callable[[Image], bool]] = {
    "chest film of neither site": lambda image: _radiograph(image, chest=True),
    "radiograph of another part (a leg)": lambda i: _radiograph(i, chest=False),
    "CT, slices": _is("CT"),
    "MR, slices": _is("MR"),
    "ultrasound": _is("US"),
    "PET and scintigraphy": _is("PT", "NM"),
}


def packaged() -> list[Path]:
    """Return the folders of test files that pydicom and pydicom-data carry."""
    from pydicom.data.data_manager import DATA_ROOT

    own = Path(DATA_ROOT) / "test_files"
    return [own, *Path(DATA_ROOT).parents[1].glob("data_store/data")]


def firsts(cases: Sequence[Case]) -> list[Case]:
    """Return the first film of each patient."""
    return list({case.patient_id: case for case in reversed(cases)}.values())[::-1]


def loaded(cases: Iterable[Case]) -> Iterator[Found]:
    """Read films; the source of each is its patient."""
    return ((medcnn.load(case.path), str(case.patient_id)) for case in cases)


class Gate:
    """A model's gate, look by look, and neighbours beside its distance.

    Args:
        model: The open model.
        cache: Folder of feature vectors.
    """

    def __init__(self, model: Model, cache: Path) -> None:
        self.model = model
        self.rules = model.spec.gate
        self._cache = cache
        self._known = np.zeros((0, 0))
        cache.mkdir(parents=True, exist_ok=True)

    def learn(self, cases: Sequence[Case]) -> None:
        """Take in the feature vectors of train, for the neighbours."""
        order = np.random.default_rng(0).permutation(len(cases))[:KNOWN]
        parts = []
        for at in range(0, len(order), 400):
            some = [cases[n] for n in order[at : at + 400]]
            name = f"drawn of train, {at}"
            parts.append(self._features(name, lambda some=some: loaded(some))[-1])
        self._known = _unit(np.concatenate(parts))

    def look(self, name: str, make: Callable[[], Iterable[Found]]) -> Kind:
        """Return what the gate says of a kind's images."""
        sources, headers, pixels, tile, features = self._features(name, make)
        print(f"{name}: {len(features)}", file=sys.stderr, flush=True)
        return Kind(name, tuple(sources), tuple(headers), tuple(pixels), features, tile)

    def mahalanobis(self, features: FloatArray) -> FloatArray:
        """Return the distance that the bundle's gate measures, (N,).

        Raises:
            SystemExit: If it measures none.
        """
        model = self.model.bundle.feature_model()
        if model is None:
            msg = f"{self.model.spec.name} has no feature distance"
            raise SystemExit(msg)
        return model.distance(features)

    def neighbours(self, features: FloatArray) -> FloatArray:
        """Return the distance to the k-th nearest vector of train, at unit length.

        References:
            [1] Sun et al., Out-of-distribution detection with deep nearest neighbors,
                ICML 2022.
        """
        near = _unit(features) @ self._known.T
        kth = np.partition(near, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
        return np.asarray(np.sqrt(np.maximum(2 - 2 * kth, 0)))

    def mirrored(self, found: Iterable[Found]) -> float:
        """Return the share of films more like the mirrored pattern than like it."""
        rows = np.array(self.rules.pattern).reshape(8, 8)
        difference = (rows - rows[:, ::-1]).ravel()
        prepare = self.model.spec.preprocessing.apply
        cells = [cells_of(prepare(image).tensor) for image, _ in found]
        return float(np.mean([x @ difference < 0 for x in cells if x is not None]))

    def _features(self, name: str, make: Callable[[], Iterable[Found]]) -> Any:
        """Run the gate's looks and the network over a kind, or remember it."""
        key = hashlib.sha256(f"{name} {self.model.bundle.sha256}".encode()).hexdigest()
        file = self._cache / f"{key[:16]}.npz"
        if not file.is_file():
            rows: list[tuple[str, str, str]] = []
            tiles: list[FloatArray] = []
            tensors = self._prepared(make(), rows, tiles)
            pooled = [
                outputs.features.reshape(len(outputs.features), -1).mean(axis=1)
                for outputs in self.model.engine.stream(tensors)
            ]
            columns = np.array(rows, dtype=str).reshape(-1, 3).T
            tile = tiles[min(1, len(tiles) - 1)] if tiles else np.zeros((0, 0))
            np.savez(file, *columns, tile, np.array(pooled))
        with np.load(file) as data:
            return [data[name] for name in data.files]

    def _prepared(
        self,
        found: Iterable[Found],
        rows: list[tuple[str, str, str]],
        tiles: list[FloatArray],
    ) -> Iterator[npt.NDArray[np.float32]]:
        dims = self.model.spec.input.dims
        for image, source in found:
            header = look_at_facts(self.rules, image, dims=dims)
            plain = images.bare(image)
            tensor = self.model.spec.preprocessing.apply(plain).tensor
            pattern = look_at_pattern(self.rules, tensor)
            alone = look_at_facts(self.rules, plain, dims=dims) or pattern
            rows.append((source, header or pattern, alone))
            if len(tiles) < 2:
                tiles.append(np.asarray(tensor[0]))
            yield tensor


def _unit(features: FloatArray) -> FloatArray:
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True))


def report(gate: Gate, kinds: Sequence[Kind]) -> list[str]:
    """Return the tables as Markdown."""
    inside = [kind for kind in kinds if kind.name in (ADULTS, CHILDREN)]
    own = np.concatenate([gate.neighbours(kind.features) for kind in inside])
    limit = float(np.quantile(own, gate.rules.ood_quantile or 0.99))
    lines = [
        "| images | n (sources) | refused as they are | without a header "
        "| by distance alone | by neighbours alone | AUC of the distance "
        "| AUC of neighbours | AUC of the whole gate |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        far = gate.mahalanobis(kind.features)
        away = np.array([bool(look_at_features(gate.rules, float(x))) for x in far])
        near = gate.neighbours(kind.features) > limit
        header = np.array([bool(x) for x in kind.headers]) | away
        pixels = np.array([bool(x) for x in kind.pixels]) | away
        shares = " | ".join(f"{100 * x.mean():.0f} %" for x in (header, pixels, away))
        cells = [shares, f"{100 * near.mean():.0f} %"]
        if kind not in inside:
            scores = (gate.mahalanobis, gate.neighbours)
            cells += [area(inside, kind, lambda k, s=s: s(k.features)) for s in scores]
            cells.append(area(inside, kind, lambda k: whole(gate, k)))
        else:
            cells += ["-"] * 3
        count = f"{len(far)} ({len(set(kind.sources))})"
        lines.append(f"| {kind.name} | {count} | {' | '.join(cells)} |")
    return lines


def whole(gate: Gate, kind: Kind) -> FloatArray:
    """Return the distance, beyond all others where pixels alone are refused."""
    far = gate.mahalanobis(kind.features)
    return np.where([bool(x) for x in kind.pixels], 1e6, far)


def area(
    inside: Sequence[Kind], kind: Kind, score: Callable[[Kind], FloatArray]
) -> str:
    """Return the AUC of a kind against the films in scope, with its interval."""
    every = [*inside, kind]
    values = np.concatenate([score(one) for one in every])
    truth = np.concatenate([np.full(len(x.sources), x is kind) for x in every])
    codes = [f"{x is kind} {source}" for x in every for source in x.sources]
    clusters = np.unique(codes, return_inverse=True)[1]
    try:
        value, low, high = clustered_ci(truth.astype(float), values, clusters)
    except UndefinedMetricError:
        return "one source"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def sheet(kinds: Sequence[Kind]) -> npt.NDArray[np.uint8]:
    """Return an image of each kind as the network sees it, six in a row."""
    cells = []
    for kind in kinds:
        low, high = float(kind.tile.min()), float(kind.tile.max())
        grey = (kind.tile - low) / max(high - low, 1e-6) * 255
        small = cv2.resize(grey.astype(np.uint8), (150, 150))
        cell = np.full((184, 160), 255, np.uint8)
        cell[:150, 5:155] = small
        for n, words in enumerate(_two_lines(kind.name)):
            cv2.putText(cell, words, (5, 164 + 14 * n), 0, 0.36, 0, 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % 6)
    rows = iter(cells)
    return np.vstack([np.hstack(list(islice(rows, 6))) for _ in range(len(cells) // 6)])


def _two_lines(name: str) -> list[str]:
    words = name.replace("°", " degrees")
    at = words.rfind(" ", 0, 25) if len(words) > 25 else len(words)
    return [words[:at], words[at:].strip()[:25]]


if __name__ == "__main__":
    main()
