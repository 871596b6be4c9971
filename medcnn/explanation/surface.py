"""One way to ask for heatmaps: any method, any model, one image or many."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack, overload

import numpy as np
import numpy.typing as npt

from medcnn.errors import DataError, GeometryError
from medcnn.explanation import relevance
from medcnn.explanation.methods import Method, method_named
from medcnn.explanation.settings import Settings, check_settings, refuse_module_settings
from medcnn.explanation.subject import BundleSubject, ModuleSubject, gradients
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.model import Model
from medcnn.preprocessing import Prepared
from medcnn.results import Heatmap, Prediction

__all__ = ["Explained", "Explainer", "Settings", "explain"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explained:
    """What came of one image.

    Attributes:
        heatmaps: One for each label that was asked for, in that order.
        prediction: What the model said of the image; None for a module.
        hottest: For each label the highest class activation, in log-odds, of an image
            that looked like that cell all over; empty for a module, and of a network
            without a feature map.
    """

    heatmaps: tuple[Heatmap, ...]
    prediction: Prediction | None = None
    hottest: tuple[float, ...] = ()

    @property
    def answered(self) -> Prediction:
        """What the model said of the image.

        Raises:
            DataError: If it is a module, whose scores are not interpreted.
        """
        if self.prediction is None:
            msg = "a torch module gives scores, no prediction"
            raise DataError(msg)
        return self.prediction


class Explainer:
    """A model and a method, ready to explain image after image.

    Args:
        model: An open model, or any torch module that returns one score a label.
        method: A name of `METHODS`; "auto" is cam where the head allows it, and
            hirescam, which says the same where cam does, elsewhere.
        layer: Whose feature map is taken; None finds the last one.
        settings: See `Settings`.

    Raises:
        DataError: If there is no such method, the method takes no layer, or a setting
            has no such value.
        TypeError: If the model is neither, or a setting is unknown.
    """

    def __init__(
        self,
        model: Any,
        *,
        method: str = "auto",
        layer: str | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        check_settings(settings)
        self._settings, self._layer = settings, layer
        self._method = None if method == "auto" else method_named(method)
        if self._method is not None and layer is not None:
            _refuse_layer(self._method, layer)
        self._model = model if isinstance(model, Model) else None
        if self._model is not None:
            refuse_module_settings(settings)
            self._subject: Any = BundleSubject(self._model)
        elif gradients().is_module(model):
            self._subject = ModuleSubject(
                model,
                labels=tuple(settings.get("labels", ())),
                activation=settings.get("activation", "sigmoid"),
                batch=settings.get("batch", 8),
            )
        else:
            kind = type(model).__name__
            msg = f"explain takes a medcnn.Model or a torch module, got {kind}"
            raise TypeError(msg)

    def explain(self, image: Any, labels: Sequence[str] | None = None) -> Explained:
        """Explain one image.

        Args:
            image: An Image; for a module also what it sees, (C, ...) or (1, C, ...).
            labels: Whose heatmaps are wanted; None is a model's main label, and a
                module's highest score. "all" alone is every label.

        Raises:
            DataError: If there is no such label or layer, or the model keeps no map of
                places.
            EngineError: If the model's answers are not finite numbers.
            GeometryError: If the image has another number of dimensions.
            MissingDependencyError: If the method needs torch, which is not installed.
        """
        prediction = None
        if self._model is None:
            prepared, grid = _seen_by_module(image, self._settings, self._subject.dims)
            scores = self._subject.number_labels(prepared.tensor)
            main = self._subject.labels[int(scores.argmax())]
        else:
            answer, prepared = self._model.answer(image)
            self._subject.remember(prepared.tensor, answer.features)
            grid, prediction = image.geometry, answer.prediction
            main = self._model.labels[0]
        named = self._check(labels, main)
        if self._model is not None and self._model.spec.detector is not None:
            one = self._anomalies(self._model, answer.features, prepared, grid)
            return Explained((one,), prediction, self._hottest(prepared.tensor, named))
        method = self._method or self._choose(prepared.tensor)
        made = relevance.of(
            self._subject, prepared.tensor, method, named, self._layer, self._settings
        )
        maps = tuple(
            Heatmap(
                prepared.restore(values),
                grid,
                label,
                method.name,
                self._subject.name,
                layer=made.layer,
                unit=method.unit,
                meaning=method.meaning,
                cells=values.size if made.layer else 0,
            )
            for label, values in zip(named, made.values, strict=True)
        )
        return Explained(maps, prediction, self._hottest(prepared.tensor, named))

    def features(self, image: Any, layer: str | None = None) -> tuple[F32, str]:
        """Return what the filters of a layer respond with, and the layer's name.

        Args:
            image: As for `explain`.
            layer: Which; None is the last one with a feature map.

        Returns:
            (F, rows, columns) or (F, slices, rows, columns), as the network sees the
            image.

        Raises:
            DataError: If there is no such layer, or no map of places.
        """
        found: tuple[F32, str] = self._subject.features(
            self._prepared(image).tensor, layer
        )
        return found

    def _prepared(self, image: Any) -> Prepared:
        if self._model is None:
            return _seen_by_module(image, self._settings, self._subject.dims)[0]
        answer, prepared = self._model.answer(image)
        self._subject.remember(prepared.tensor, answer.features)
        return prepared

    def _anomalies(
        self, model: Model, features: F32, prepared: Prepared, grid: Geometry | None
    ) -> Heatmap:
        """Return a detector's map; other methods would ask a head that says nothing.

        Raises:
            DataError: If another method was asked for.
        """
        if self._method is not None:
            msg = f"{model.spec.name} is a detector: {self._method.name} explains what "
            msg += "labels taught a network"
            raise DataError(msg, hint="Leave the method out: it has a map of its own.")
        (label,) = model.labels
        values = model.relevance(features, label)
        return Heatmap(
            prepared.restore(values),
            grid,
            label,
            model.map_method,
            model.spec.name,
            unit="share of the mean over all places",
            meaning="how unlike normal images a place is",
            cells=values.size,
        )

    def _hottest(self, tensor: F32, labels: tuple[str, ...]) -> tuple[float, ...]:
        if self._model is None or not self._subject.has_places(tensor):
            return ()
        features = self._subject.features(tensor, None)[0]
        cells = features[0].size
        return tuple(
            float(self._model.relevance(features, label).max()) * cells
            for label in labels
        )

    def each(
        self, images: Iterable[Any], labels: Sequence[str] | None = None
    ) -> Iterator[Explained]:
        """Explain image after image with the model that is open already."""
        for image in images:
            yield self.explain(image, labels)

    def _check(self, labels: Sequence[str] | None, main: str) -> tuple[str, ...]:
        """Return the labels that are wanted.

        Raises:
            DataError: If the model has not one of them.
        """
        have = self._subject.labels
        if labels is None:
            return (main,)
        wanted = tuple(str(label) for label in labels)
        if not wanted:
            msg = f"no label is asked for; {self._subject.name} has {have}"
            raise DataError(msg)
        if wanted == ("all",) and "all" not in have:
            return tuple(have)
        for label in wanted:
            if label not in have:
                msg = f"{self._subject.name} has no label {label!r}; it has {have}"
                raise DataError(msg)
        return wanted

    def _choose(self, tensor: F32) -> Method:
        """Return the method that "auto" means for this model and layer."""
        name = self._subject.layer(tensor, self._layer)
        allows = self._subject.allows_cam(tensor, name)
        return method_named("cam" if allows else "hirescam")


@overload
def explain(
    model: Any,
    image: Any,
    *,
    label: str | int | None = None,
    method: str = "auto",
    layer: str | None = None,
    **settings: Unpack[Settings],
) -> Heatmap: ...


@overload
def explain(
    model: Any,
    image: Any,
    *,
    label: list[str] | tuple[str, ...],
    method: str = "auto",
    layer: str | None = None,
    **settings: Unpack[Settings],
) -> tuple[Heatmap, ...]: ...


def explain(
    model: Any,
    image: Any,
    *,
    label: Any = None,
    method: str = "auto",
    layer: str | None = None,
    **settings: Unpack[Settings],
) -> Heatmap | tuple[Heatmap, ...]:
    """Show what moved a label's score, on the image's own grid.

    Args:
        model: An open model, or any torch module that returns one score a label.
        image: An image as loaded. For a module also the tensor that it sees, or an
            Image with `preprocessing` or `tensor` among the settings.
        label: Which label; None is a model's main one, and a module's highest score.
            Several give several heatmaps.
        method: "auto", or a name of `medcnn.explanation.METHODS`.
        layer: Whose feature map is taken, as `named_modules()` has it; None finds the
            last one.
        settings: See `medcnn.explanation.Settings`.

    Returns:
        A heatmap; of several labels, one for each.

    Raises:
        DataError: If there is no such label, method or layer, the image holds NaN, or
            the model keeps no map of places.
        EngineError: If the model's answers or gradients are not finite numbers.
        GeometryError: If the image has another number of dimensions.
        MissingDependencyError: If the method needs torch, which is not installed.

    Examples:
        >>> import medcnn
        >>> model = medcnn.Model.open("chest-xray")  # doctest: +SKIP
        >>> heatmap = medcnn.explain(model, image)  # doctest: +SKIP
        >>> heatmap = medcnn.explain(model, image, method="occlusion")  # doctest: +SKIP
    """
    explainer = Explainer(model, method=method, layer=layer, **settings)
    if isinstance(label, (list, tuple)):
        return explainer.explain(image, label).heatmaps
    wanted = None if label is None else [str(label)]
    (heatmap,) = explainer.explain(image, wanted).heatmaps
    return heatmap


def _refuse_layer(method: Method, layer: str) -> None:
    """Refuse a layer for a method that takes none.

    Raises:
        DataError: If it is one.
    """
    if not method.has_layer:
        msg = f"method {method.name!r} is made of no layer, got layer {layer!r}"
        raise DataError(msg)


def _seen_by_module(
    image: Any, settings: Settings, dims: int | None
) -> tuple[Prepared, Any]:
    """Return what a module sees, the way back, and the grid of the heatmap.

    Raises:
        DataError: If an Image comes without the way to what the module sees.
        GeometryError: If a tensor has another number of axes than an image.
    """
    steps, given = settings.get("preprocessing"), settings.get("tensor")
    if isinstance(image, Image) and steps is not None:
        return steps.apply(image), image.geometry
    if isinstance(image, Image) and given is None:
        msg = "how the module sees the image is not known"
        hint = "Give preprocessing=, or tensor= if it lies on the whole image."
        raise DataError(msg, hint=hint)
    values = _as_tensor(image if given is None else given, dims)
    *above, rows, columns = values.shape[1:]
    size = columns, rows, (above[0] if above else 1)
    shape = image.shape if isinstance(image, Image) else size
    way = np.eye(4)
    for axis in range(3):
        ratio = shape[axis] / size[axis]
        way[axis, axis], way[axis, 3] = ratio, (ratio - 1) / 2
    grid = image.geometry if isinstance(image, Image) else None
    return Prepared(values, way, shape), grid


def _as_tensor(given: Any, dims: int | None) -> F32:
    """Return what a module sees as float32, (C, ...).

    Args:
        given: A tensor or an array; a batch of one is one image.
        dims: What the module's convolutions slide over, 2 or 3; None is not known.

    Raises:
        GeometryError: If it has another number of axes than one image.
    """
    values = given.detach().float().cpu().numpy() if hasattr(given, "detach") else given
    array = np.asarray(values, np.float32)
    if not array.size:
        msg = f"an image of {array.shape} has no pixels"
        raise GeometryError(msg)
    if dims is not None and array.ndim == dims + 2 and len(array) == 1:
        array = array[0]
    if array.ndim not in ({3, 4} if dims is None else {dims + 1}):
        msg = "one image is (C, rows, columns) or (C, slices, rows, columns)"
        msg += f" as the module takes it, got {array.shape}"
        hint = "Explain the images of a batch one by one: Explainer(...).each(images)."
        raise GeometryError(msg, hint=hint)
    return np.ascontiguousarray(array)
