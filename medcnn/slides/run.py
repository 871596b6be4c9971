"""Every tile of a slide through a model, as a stream; and one answer from them all."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError
from medcnn.gate import look_at_facts
from medcnn.image import Image
from medcnn.io.slide import Slide, Tile, Tiles
from medcnn.model import Answer, Model, prepare
from medcnn.preprocessing import Prepared
from medcnn.results import TILE_METHODS, Heatmap, Prediction
from medcnn.slides.grid import cells_of, geometry_of, parts_of
from medcnn.slides.result import Cells, SlideResult, TileScores

__all__ = ["Rule", "screen_slide"]

Rule = Literal["max", "top-mean"]

Progress = Callable[[int, int], None]


def screen_slide(  # noqa: PLR0913 - each is one choice
    model: Model,
    slide: Slide,
    *,
    size: tuple[int, int] | None = None,
    spacing_mm: float | None = None,
    overlap: int = 0,
    tissue: bool = True,
    rule: Rule = "max",
    top: int = 10,
    cam: Sequence[str] = (),
    progress: Progress | None = None,
) -> SlideResult:
    """Give every tile of a slide its probabilities, and the slide one answer.

    Tiles are read and answered as a stream, each alone: memory does not grow with the
    slide, and a tile's numbers do not depend on its neighbours.

    Args:
        model: A 2-D model that takes colour.
        slide: An open slide.
        size: (rows, columns) of a tile; None is what the network takes.
        spacing_mm: Of a tile's pixels; None keeps the slide's finest.
        overlap: Pixels that neighbouring tiles share.
        tissue: Leave out tiles that show only glass.
        rule: The slide's probability is the highest of all tiles ("max"), or the mean
            of the `top` highest ("top-mean").
        top: Of how many tiles "top-mean" is the mean.
        cam: Labels whose class activation map is wanted too.
        progress: Called with (done, total) after each tile.

    Raises:
        DataError: If no tile shows tissue, or the model has no such label.
        GeometryError: If the spacing cannot be had.
        DecodeError: If pixels of the slide are broken.
        ValueError: If `top` is below 1.

    Examples:
        >>> import medcnn
        >>> model = medcnn.Model.open("my-stain-model")  # doctest: +SKIP
        >>> with medcnn.open_slide("slide.svs") as slide:  # doctest: +SKIP
        ...     result = medcnn.screen_slide(model, slide, spacing_mm=0.0005)
    """
    if top < 1:
        msg = f"top must be at least 1, got {top}"
        raise ValueError(msg)
    _check_labels(model, cam)
    shape = model.spec.input.shape
    tile_size = size or (shape[-2], shape[-1])
    probe = _probe(slide, tile_size)
    reason = look_at_facts(model.spec.gate, probe, dims=model.spec.input.dims)
    is_refused = bool(reason)
    tiles = slide.tiles(
        tile_size,
        spacing_mm=spacing_mm,
        overlap=overlap,
        tissue=tissue and not is_refused,
    )
    run = _Run(model, slide, tiles, tuple(cam))
    if is_refused:
        return run.refused(reason)
    if not len(tiles):
        msg = f"none of the {tiles.total} tiles of {slide.path.name} shows tissue"
        raise DataError(msg, hint="Screen every tile: tissue=False, or --all-tiles.")
    for done in run.steps():
        if progress is not None:
            progress(done, len(tiles))
    return run.result(rule, top)


@dataclass(frozen=True)
class _Place:
    """Where a tile lies."""

    across: int
    down: int
    column: float
    row: float
    tissue: float

    @classmethod
    def of(cls, tile: Tile) -> "_Place":
        """Keep the place of a tile, not its pixels."""
        share = float("nan") if tile.tissue is None else tile.tissue
        return cls(tile.across, tile.down, tile.column, tile.row, share)


class _Run:
    """One slide on its way through one model."""

    def __init__(
        self, model: Model, slide: Slide, tiles: Tiles, cam: tuple[str, ...]
    ) -> None:
        self.model, self.slide, self.tiles, self.cam = model, slide, tiles, cam
        self.places: list[_Place] = []
        self.reasons: list[str] = []
        self.probabilities: list[list[float]] = []
        self.waiting: list[tuple[int, Prepared]] = []
        self.maps: dict[str, npt.NDArray[np.float32]] = {}
        self.parts = 1, 1

    def steps(self) -> Iterator[int]:
        """Run every tile; yield how many are done."""
        done = 0
        for answer in self.model.stream(self._tensors()):
            number, prepared = self.waiting.pop(0)
            found = answer.prediction
            self.probabilities[number] = list(found.probabilities.values())
            self.reasons[number] = found.out_of_scope
            if self.cam and not found.out_of_scope:
                self._add_cam(self.places[number], prepared, answer)
            done = number + 1
            yield done
        if done < len(self.places):
            yield len(self.places)

    def _tensors(self) -> Iterator[npt.NDArray[np.float32]]:
        """Prepare tile after tile; note those that are out of scope by their pixels."""
        nothing = [float("nan")] * len(self.model.labels)
        for number, tile in enumerate(self.tiles):
            # what lies beyond the slide is white like glass, and is shown as that
            prepared = prepare(self.model.spec, replace(tile.image, padding=None))
            self.places.append(_Place.of(tile))
            self.probabilities.append(nothing)
            if isinstance(prepared, str):
                self.reasons.append(prepared)
                continue
            self.reasons.append("")
            self.waiting.append((number, prepared))
            yield prepared.tensor

    def _add_cam(self, place: _Place, prepared: Prepared, answer: Answer) -> None:
        """Put a tile's class activation maps into those of the slide."""
        cams = {name: self.model.relevance(answer.features, name) for name in self.cam}
        if not self.maps:
            rows, columns = answer.features.shape[-2:]
            self.parts = parts_of(self.tiles, (rows, columns))
            shape = [n * p for n, p in zip(self.tiles.grid, self.parts, strict=True)]
            self.maps = {name: np.zeros((*shape, 1), np.float32) for name in self.cam}
        margin = self.tiles.overlap // 2
        wide, high = self.tiles.step
        i, j = place.across * self.parts[0], place.down * self.parts[1]
        for label, whole in self.maps.items():
            restored = prepared.restore(cams[label])[..., 0].T  # rows, columns
            middle = restored[margin : margin + high, margin : margin + wide]
            # OpenCV's sizes are (columns, rows)
            small = cv2.resize(
                np.ascontiguousarray(middle), self.parts, interpolation=cv2.INTER_AREA
            )
            whole[i : i + self.parts[0], j : j + self.parts[1], 0] = small.T

    def refused(self, reason: str) -> SlideResult:
        """Return why no tile was run."""
        return self._result(_prediction(self.model, {}, reason), "", {})

    def result(self, rule: Rule, top: int) -> SlideResult:
        """Turn what the tiles said into the slide's answer."""
        scores, reason = self._scores(), ""
        usable: npt.NDArray[np.bool_] = scores.is_in_scope
        if not usable.any():
            commonest = Counter(scores.reason).most_common(1)[0][0]
            reason = f"every tile is out of scope, most of them: {commonest}"
            usable = np.asarray(np.isfinite(scores.probability).all(axis=1))
        summaries = _summaries(self.model.labels, scores.probability[usable], top)
        words = list(summaries)[0 if rule == "max" else 1] if summaries else ""
        prediction = _prediction(self.model, summaries.get(words, {}), reason)
        return self._result(prediction, words, summaries)

    def _result(
        self, prediction: Prediction, words: str, summaries: dict[str, dict[str, float]]
    ) -> SlideResult:
        """Bring everything together."""
        tiles, scores = self.tiles, self._scores()
        maps, cells = self._heatmaps(scores) if summaries else ((), ())
        base = self.slide.spacing_mm
        spacing = base and (base[0] * tiles.scale[0], base[1] * tiles.scale[1])
        return SlideResult(
            path=self.slide.path,
            prediction=prediction,
            rule=words,
            summaries=summaries,
            tiles=scores,
            total=tiles.total,
            skipped=tiles.skipped,
            size=tiles.size,
            spacing_mm=spacing,
            overlap=tiles.overlap,
            heatmaps=maps,
            cells=cells,
            warnings=(*self.slide.warnings, *_cautions(scores)),
        )

    def _scores(self) -> TileScores:
        """Return the table of tiles."""
        count, labels = len(self.places), self.model.labels
        at = [(p.across, p.down) for p in self.places]
        corner = np.array([(p.column, p.row) for p in self.places]).reshape(count, 2)
        centre = None
        if self.slide.geometry is not None:
            half = [
                self.tiles.size[1 - axis] * self.tiles.scale[axis] / 2
                for axis in range(2)
            ]
            middle = np.zeros((count, 3))
            middle[:, :2] = corner + half - 0.5
            centre = self.slide.geometry.to_world(middle)
        return TileScores(
            labels=labels,
            grid=np.array(at, np.int64).reshape(count, 2),
            corner=corner,
            centre_mm=centre,
            tissue=np.array([p.tissue for p in self.places], np.float64),
            probability=np.array(self.probabilities).reshape(count, len(labels)),
            reason=tuple(self.reasons),
        )

    def _heatmaps(
        self, scores: TileScores
    ) -> tuple[tuple[Heatmap, ...], tuple[Cells, ...]]:
        """Make the maps of tile probability, and those of class activation."""
        name, usable = self.model.spec.name, scores.is_in_scope
        tile_method = TILE_METHODS[self.model.spec.number_kind]
        across, down = scores.grid[usable].T
        maps, cells = [], []
        for n, label in enumerate(self.model.labels):
            array = np.zeros((*self.tiles.grid, 1), np.float32)
            array[across, down, 0] = scores.probability[usable, n]
            cells.append(cells_of(self.tiles, (1, 1)))
            grid = geometry_of(self.slide, cells[-1], array.shape)
            maps.append(Heatmap(array, grid, label, tile_method, name))
        for label, array in self.maps.items():
            cells.append(cells_of(self.tiles, self.parts))
            i, j, k = array.shape
            grid = geometry_of(self.slide, cells[-1], (i, j, k))
            maps.append(Heatmap(array, grid, label, self.model.map_method, name))
        return tuple(maps), tuple(cells)


def _check_labels(model: Model, labels: Sequence[str]) -> None:
    """Refuse a label that the model does not have.

    Raises:
        DataError: If there is one.
    """
    unknown = [label for label in labels if label not in model.labels]
    if unknown:
        msg = f"{model.spec.name} has no label {unknown[0]!r}; it has {model.labels}"
        raise DataError(msg)


def _probe(slide: Slide, size: tuple[int, int]) -> Image:
    """Return a picture of a tile's size with the slide's facts, for the input gate.

    Its pixels differ and are coloured; what a real tile shows is looked at tile by
    tile.
    """
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[..., 0] = 255
    return Image.from_picture(pixels, modality=slide.modality, facts=slide.facts)


def _summaries(
    labels: tuple[str, ...], probability: npt.NDArray[np.float64], top: int
) -> dict[str, dict[str, float]]:
    """Return the slide's probability of each label by each rule; {} of no tiles."""
    if not len(probability):
        return {}
    ordered = -np.sort(-probability, axis=0)
    used = min(top, len(ordered))
    words = f"mean of the {used} highest of {len(ordered)} tiles"
    return {
        f"highest of {len(ordered)} tiles": _by_label(labels, ordered[0]),
        words: _by_label(labels, ordered[:used].mean(axis=0)),
    }


def _by_label(
    labels: tuple[str, ...], values: npt.NDArray[np.float64]
) -> dict[str, float]:
    return {n: float(v) for n, v in zip(labels, values, strict=True)}


def _prediction(
    model: Model, probabilities: dict[str, float], reason: str
) -> Prediction:
    """Return the slide's answer in the form of any image's."""
    return Prediction(
        probabilities=probabilities,
        thresholds={p.label: p.flag for p in model.spec.operating_points},
        model=model.spec.name,
        model_sha256=model.bundle.sha256,
        ood_limit=model.spec.gate.ood_limit,
        out_of_scope=reason,
        kind=model.spec.number_kind,
    )


def _cautions(scores: TileScores) -> tuple[str, ...]:
    """Return what must be known of the number for a slide."""
    if not len(scores):
        return ()
    return (
        f"the thresholds were chosen on single images, not on the best of {len(scores)}"
        " tiles: choose them anew on slides",
    )
