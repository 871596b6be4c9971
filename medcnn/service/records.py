"""What comes of a classification: a record for viewers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from medcnn.explanation.shown import Window
from medcnn.results import Heatmap

__all__ = ["HeatmapFacts", "Result"]


@dataclass(frozen=True, eq=False)
class HeatmapFacts:
    """A heatmap, and how to draw it.

    Attributes:
        heatmap: On the grid of the image that was given.
        window: Where colour begins and where it is hottest.
    """

    heatmap: Heatmap
    window: Window

    @cached_property
    def facts(self) -> dict[str, Any]:
        """All of it as JSON values, without the voxels."""
        of, peak = self.heatmap, self.heatmap.peak
        grid = of.geometry
        return {
            "label": of.label,
            "method": of.method,
            "layer": of.layer,
            "unit": of.unit,
            "meaning": of.meaning,
            "limits": of.limits,
            "shape": list(of.array.shape),
            "peak": list(peak),
            "peak_ras": None if grid is None else grid.to_world(peak).tolist(),
            "window": [self.window.low, self.window.high],
            "window_words": self.window.words,
        }


@dataclass(frozen=True, eq=False)
class Result:
    """What a model said of an image.

    Attributes:
        model: Its id.
        version: Of the model.
        sha256: Of its weights.
        number_kind: "probability", or "anomaly score" of a detector.
        probabilities: 0 to 1 for each label, the main label first.
        thresholds: For each label {"review": ..., "flag": ...}.
        bands: "flag", "review" or "no-flag" of each label; empty if out of scope.
        out_of_scope: Why the model must not be believed here; "" if it may.
        ood_score: Distance from the training images; None without a gate.
        ood_limit: Its limit.
        heatmaps: In the order of the labels asked for.
        seconds: "open", "classify" (with heatmaps) and "total".
        device: What ran the network.
        engine: By which engine.
        warnings: What a careful reader would want to be told.
    """

    model: str
    version: str
    sha256: str
    number_kind: str
    probabilities: Mapping[str, float]
    thresholds: Mapping[str, Mapping[str, float]]
    bands: Mapping[str, str]
    out_of_scope: str
    ood_score: float | None
    ood_limit: float | None
    heatmaps: tuple[HeatmapFacts, ...]
    seconds: Mapping[str, float]
    device: str
    engine: str
    warnings: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model tells apart, the main label first."""
        return tuple(self.probabilities)

    @property
    def label(self) -> str:
        """The main label."""
        return self.labels[0]

    @property
    def top(self) -> tuple[str, float]:
        """The label with the highest probability, and that."""
        return max(self.probabilities.items(), key=lambda pair: pair[1])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the voxels of heatmaps."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        facts["heatmaps"] = [one.facts for one in self.heatmaps]
        facts["warnings"] = list(self.warnings)
        head = {"kind": "classify", "labels": list(self.labels), "label": self.label}
        return head | facts
