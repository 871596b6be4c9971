"""A bundle that is ready to answer: the only inference code."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from medcnn.bundle import Bundle, BundleSpec, Precision, open_bundle
from medcnn.calibration import probabilities_of
from medcnn.engines import Engine, EngineName, Outputs, open_engine
from medcnn.engines.torch import TorchEngine, network_of
from medcnn.errors import BundleError, DataError, EngineError, GeometryError
from medcnn.gate import look_at_facts, look_at_features, look_at_pattern
from medcnn.image import Image
from medcnn.preprocessing import Prepared
from medcnn.results import Band, Prediction

__all__ = ["Answer", "Model", "prepare"]


@dataclass(frozen=True, eq=False)
class Answer:
    """A prediction, and the feature map that a class activation map is made of.

    Attributes:
        prediction: Probabilities, thresholds, scope.
        features: The network's last feature map, (F, h, w) or (F, d, h, w); (F,) from
            a fully connected network, which keeps no places.
        logits: What the network said before any calibration, (labels,).
    """

    prediction: Prediction
    features: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]

    @property
    def has_places(self) -> bool:
        """Whether the features say where they lie, so that a heatmap can be made."""
        return self.features.ndim > 1


def prepare(spec: BundleSpec, image: Image) -> Prepared | str:
    """Look at an image's facts and turn it into what the network sees.

    It needs no engine, so it can run in another process than the network.

    Returns:
        The tensor and the way back; or, in words, why the image is out of scope.

    Raises:
        DataError: If the image holds values that are not finite numbers.
        GeometryError: If a preprocessing step does not fit the image.
    """
    _refuse_nan(image)
    reason = look_at_facts(spec.gate, image, dims=spec.input.dims)
    if reason:
        return reason
    prepared = _tensor_of(spec, image)
    return look_at_pattern(spec.gate, prepared.tensor) or prepared


def _tensor_of(spec: BundleSpec, image: Image) -> Prepared:
    """Turn an image into what the network sees, whatever its facts say.

    Raises:
        BundleError: If the preprocessing makes something else of it than the network
            takes.
        GeometryError: If a preprocessing step does not fit the image.
    """
    prepared = spec.preprocessing.apply(image)
    expected = (spec.input.channels, *spec.input.shape)
    if prepared.tensor.shape != expected:
        msg = f"{spec.name} prepares images of {prepared.tensor.shape}"
        msg += f", its network takes {expected}"
        raise BundleError(
            msg, hint="Its bundle.json contradicts itself; do not use it."
        )
    return prepared


def _refuse_nan(image: Image) -> None:
    """Refuse values that no network can weigh.

    Raises:
        DataError: If there are any.
    """
    if image.array.dtype.kind != "f":
        return
    bad = int(image.array.size - np.isfinite(image.array).sum())
    if bad:
        where = image.source or "the image"
        msg = f"{where}: {bad} of {image.array.size} values are not finite numbers"
        raise DataError(msg, hint="Mend or mask the NaN or infinite values first.")


class Model:
    """A bundle opened in an engine.

    Args:
        bundle: A checked bundle.
        engine: What runs its network.

    Attributes:
        bundle: That bundle.
        spec: What it says of itself.
        engine: That engine.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle = bundle
        self.spec = bundle.spec
        self.engine = engine
        self._head = _centred(bundle)
        self._network: Any = None
        self._feature_model = bundle.feature_model()
        self._detector = bundle.detector()
        self._check_features()

    @classmethod
    def open(
        cls,
        name_or_path: str | Path = "chest-xray",
        *,
        engine: EngineName = "auto",
        device: str = "auto",
        threads: int | None = None,
        precision: Precision = "fp32",
    ) -> Self:
        """Open a shipped model by name, or any bundle by its directory.

        Args:
            name_or_path: Which.
            engine: What runs its network.
            device: Where.
            threads: Most CPU threads; None takes them all.
            precision: "int8" for the 8-bit network that `medcnn export` added.

        Raises:
            BundleError: If the bundle is not there or not as it should be.
            EngineError: If the engine or device cannot be had.
            MissingDependencyError: If the engine is not installed.
        """
        bundle = open_bundle(name_or_path).at(precision)
        opened = open_engine(
            bundle, engine=engine, device=device, threads=threads, precision=precision
        )
        return cls(bundle, opened)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model tells apart, the main label first."""
        return self.spec.labels

    def predict(self, image: Image) -> Prediction:
        """Return the probability of every label, or a detector's anomaly score.

        An image outside the model's world still gets its numbers where the network
        can be run at all, and `out_of_scope` says why they must not be believed.

        Raises:
            DataError: If the image holds values that are not finite numbers.
            GeometryError: If the image has another number of dimensions.
        """
        return self.answer(image)[0].prediction

    def answer(self, image: Image) -> tuple[Answer, Prepared]:
        """Return prediction, feature map and the way back to the image's grid.

        Raises:
            DataError: If the image holds values that are not finite numbers.
            GeometryError: If the image has another number of dimensions.
        """
        _refuse_nan(image)
        facts = look_at_facts(self.spec.gate, image, dims=self.spec.input.dims)
        if image.dims != self.spec.input.dims:
            raise GeometryError(facts, hint="Name an image that the model is for.")
        prepared = _tensor_of(self.spec, image)
        reason = facts or look_at_pattern(self.spec.gate, prepared.tensor)
        answer = next(self.stream([prepared.tensor], reasons=[reason]))
        return answer, prepared

    def stream(
        self,
        tensors: Iterable[npt.NDArray[np.float32]],
        *,
        reasons: Sequence[str] = (),
    ) -> Iterator[Answer]:
        """Yield an answer for each prepared tensor, in order.

        Args:
            tensors: float32, (C, rows, columns) or (C, slices, rows, columns).
            reasons: Why the n-th image is out of scope already; missing means "".

        Raises:
            EngineError: If the network's answer is not what the bundle says.
        """
        for index, said in enumerate(self.engine.stream(tensors)):
            reason = reasons[index] if index < len(reasons) else ""
            outputs = self._judged(said)
            prediction = self._conclude(outputs, reason)
            yield Answer(prediction, outputs.features, outputs.logits)

    @property
    def map_method(self) -> str:
        """How heatmaps are made: "cam", or a detector's "padim" or "patchcore"."""
        return "cam" if self.spec.detector is None else self.spec.detector.kind

    def band(self, prediction: Prediction) -> Band:
        """Place the main label's number between its two thresholds."""
        point = self.spec.operating_points[0]
        if prediction.probability >= point.flag:
            return Band.FLAG
        return Band.REVIEW if prediction.probability >= point.review else Band.NO_FLAG

    def relevance(
        self, features: npt.NDArray[np.float32], label: str
    ) -> npt.NDArray[np.float32]:
        """Return the class activation map of one label on the feature map's grid.

        For global average pooling and a linear head, the map weighted by the head is
        what Grad-CAM computes, up to the factor 1 / (number of cells), which is kept:
        the cells then add up to the logit less its bias. No gradient is needed.
        A detector's map is how unusual each place is, by the same factor.

        Args:
            features: (F, h, w) or (F, d, h, w).
            label: One of `labels`.

        Returns:
            Relevance >= 0, (h, w) or (d, h, w). For softmax models it explains the
            logit less the mean of all logits: softmax is blind to that mean, and so the
            map of a logit alone would be arbitrary.

        Raises:
            DataError: If the model has no such label, or keeps no places.

        References:
            [1] Zhou et al., Learning deep features for discriminative localization,
                CVPR 2016. [2] Selvaraju et al., Grad-CAM, ICCV 2017, section 3.1.
        """
        if label not in self.labels:
            msg = f"{self.spec.name} has no label {label!r}; it has {self.labels}"
            raise DataError(msg)
        self.refuse_no_places(features)
        if self._detector is not None:
            unusual = self._detector.cells(features)
            return np.asarray(unusual / unusual.size, dtype=np.float32)
        row = self._head[0][self.labels.index(label)]
        cells = features[0].size
        weighted: npt.NDArray[Any] = np.tensordot(row, features, axes=1) / cells
        return np.asarray(np.maximum(weighted, 0), dtype=np.float32)

    def refuse_no_places(self, features: npt.NDArray[np.float32]) -> None:
        """Refuse features that do not say where they lie.

        Raises:
            DataError: If they are a fully connected network's.
        """
        if features.ndim > 1:
            return
        name, kind = self.spec.name, self.spec.network.name
        msg = f"{name} is a fully connected network ({kind}): it has no heatmap"
        msg += " of this method, since it keeps no map of places"
        hint = "Methods that need none: occlusion, integrated-gradients, smoothgrad."
        raise DataError(msg, hint=hint)

    def network(self) -> Any:
        """Return the torch network in evaluation mode, made when first asked for.

        Raises:
            EngineError: If the weights do not fit the network.
            MissingDependencyError: If torch or MONAI is not installed.
        """
        if isinstance(self.engine, TorchEngine):
            return self.engine.network
        if self._network is None:
            self._network = network_of(self.bundle)
        return self._network

    def _check_features(self) -> None:
        """Refuse a gate for another number of features than the head takes.

        Raises:
            BundleError: If it is one. Likewise a detector.
        """
        detector, features = self._detector, self._head[0].shape[1]
        if detector is not None and detector.features != features:
            msg = f"the detector of {self.bundle.path} is for {detector.features} "
            msg += f"features, the network has {features}"
            raise BundleError(msg, hint="Copy the bundle again.")
        gate = self._feature_model
        if gate is not None and gate.mean.size != features:
            msg = f"the gate of {self.bundle.path} is for {gate.mean.size} features"
            msg += f", the network has {features}"
            raise BundleError(msg, hint="Copy the bundle again.")

    def _judged(self, outputs: Outputs) -> Outputs:
        """Put a detector's score in place of the network's logit."""
        if self._detector is None:
            return outputs
        score = self._detector.score(outputs.features)
        return Outputs(np.array([score], np.float32), outputs.features)

    def _check_outputs(self, outputs: Outputs) -> None:
        """Refuse an answer of other shapes, or of no numbers.

        Raises:
            EngineError: If it is one. NaN would pass for a low score.
        """
        got = len(outputs.logits), len(outputs.features)
        expected = len(self.labels), self._head[0].shape[1]
        msg = ""
        if got != expected:
            msg = f"its network answers with {got} labels and features, not {expected}"
        elif not np.isfinite(outputs.logits).all():
            msg = "its network answers with no finite number"
        if msg:
            msg = f"{self.spec.name}: {msg}"
            hint = "Graph or weights are damaged or another model's: do not use it."
            raise EngineError(msg, hint=hint)

    def _conclude(self, outputs: Outputs, reason: str) -> Prediction:
        """Turn logits into probabilities, and weigh the feature vector.

        Raises:
            EngineError: If the network's answer is not what the bundle says.
        """
        self._check_outputs(outputs)
        distance = None
        if self._feature_model is not None:
            pooled = outputs.features.reshape(len(outputs.features), -1).mean(axis=1)
            distance = float(self._feature_model.distance(pooled[None])[0])
        probabilities = probabilities_of(self.spec, outputs.logits)
        return Prediction(
            probabilities=dict(zip(self.labels, probabilities, strict=True)),
            thresholds={p.label: p.flag for p in self.spec.operating_points},
            model=self.spec.name,
            model_sha256=self.bundle.sha256,
            ood_score=distance,
            ood_limit=self.spec.gate.ood_limit,
            out_of_scope=reason or look_at_features(self.spec.gate, distance),
            kind=self.spec.number_kind,
        )


def _centred(
    bundle: Bundle,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the head; that of a softmax model with a mean of 0 over the labels."""
    weight, bias = bundle.head()
    if bundle.spec.activation == "softmax":
        return weight - weight.mean(axis=0), bias - bias.mean()
    return weight, bias
