"""One image through one open model: probabilities, bands, heatmaps, what to note."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from medcnn.bundle import BundleSpec
from medcnn.errors import DataError
from medcnn.explanation import Explained, Explainer, display_window
from medcnn.image import Image
from medcnn.model import Model
from medcnn.results import Band, Prediction
from medcnn.service.records import HeatmapFacts, Result
from medcnn.service.watch import Watch

__all__ = ["Wish", "classify"]


@dataclass(frozen=True)
class Wish:
    """What is wanted of an image.

    Attributes:
        labels: Whose heatmaps; None is the main label's, ("all",) every one's.
        heatmap: Whether any.
        method: "auto", or a name of `medcnn.explanation.METHODS`.
        layer: Whose feature map; None finds the last one.
    """

    labels: Sequence[str] | None = None
    heatmap: bool = True
    method: str = "auto"
    layer: str | None = None


def classify(
    name: str, model: Model, image: Image, wish: Wish, watch: Watch, *, opening: float
) -> Result:
    """Classify an image.

    Args:
        name: The model's id.
        model: It, open.
        image: As loaded.
        wish: What is wanted.
        watch: Told how far it is; may stop it.
        opening: Seconds that it took to open the model.

    Raises:
        DataError: If the image or what is wanted does not fit the model.
        GeometryError: If the image has another number of dimensions.
        MissingDependencyError: If the method needs torch, which is not installed.
        StoppedError: If it was cancelled.
    """
    started = time.perf_counter()
    watch.tell(0, 1, f"Classifying with {model.spec.name}")
    explained, notes = _explained(model, image, wish, watch)
    watch.check()
    prediction, spec = explained.answered, model.spec
    spent = time.perf_counter() - started
    return Result(
        model=name,
        version=spec.version,
        sha256=model.bundle.sha256,
        number_kind=spec.number_kind,
        probabilities=dict(prediction.probabilities),
        thresholds={
            p.label: {"review": p.review, "flag": p.flag} for p in spec.operating_points
        },
        bands=_bands(spec, prediction),
        out_of_scope=prediction.out_of_scope,
        ood_score=prediction.ood_score,
        ood_limit=prediction.ood_limit,
        heatmaps=_heatmaps(model, explained),
        seconds={"open": opening, "classify": spent, "total": opening + spent},
        device=model.engine.device,
        engine=model.engine.name,
        warnings=(*image.warnings, *notes),
    )


def _explained(
    model: Model, image: Image, wish: Wish, watch: Watch
) -> tuple[Explained, tuple[str, ...]]:
    """Return prediction and heatmaps, and what must be noted about them.

    Raises:
        DataError: If what is wanted does not fit the model.
    """
    if not wish.heatmap:
        return Explained((), model.predict(image)), ()

    def progress(done: int, total: int | None) -> None:
        watch.tell(done, total, f"Heatmap by {wish.method}")

    made = Explainer(model, method=wish.method, layer=wish.layer, progress=progress)
    try:
        return made.explain(image, wish.labels), ()
    except DataError as error:
        answer, _ = model.answer(image)
        if wish.method != "auto" or answer.has_places or wish.layer is not None:
            raise
        words = f"no heatmap: {error.message}. {error.hint}".strip()
        return Explained((), answer.prediction), (words,)


def _bands(spec: BundleSpec, prediction: Prediction) -> dict[str, str]:
    """Place each label's probability between its two thresholds."""
    if prediction.out_of_scope:
        return {}
    found = {}
    for point in spec.operating_points:
        value = prediction.probabilities[point.label]
        low = Band.REVIEW if value >= point.review else Band.NO_FLAG
        found[point.label] = str(Band.FLAG if value >= point.flag else low)
    return found


def _heatmaps(model: Model, explained: Explained) -> tuple[HeatmapFacts, ...]:
    hottest: Sequence[float | None] = explained.hottest
    if not hottest:
        hottest = [None] * len(explained.heatmaps)
    return tuple(
        HeatmapFacts(heatmap, display_window(model, heatmap, most))
        for heatmap, most in zip(explained.heatmaps, hottest, strict=True)
    )
