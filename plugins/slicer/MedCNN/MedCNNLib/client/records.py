"""What is sent to a worker and what it answers: images, heatmaps, results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from MedCNNLib.client.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from MedCNNLib.client.aliases import Facts

__all__ = ["Heatmap", "Image", "Result"]

_AXES = ("ijk", "cijk", "kji", "kjic")


class Image:
    """An image or volume as viewers hold it.

    Args:
        array: (I, J, K), or another order that `axes` names.
        affine: (4, 4), voxel centres (i, j, k) to RAS+ mm, whatever the axes; None
            where nothing says.
        axes: "ijk", "cijk", "kji" (VTK, ITK, napari) or "kjic".
        name: What to call it; never a patient's name.
        unit: Such as "HU".
        modality: DICOM code such as "CT".
        facts: What a model's gate asks for: body_part, view, laterality, ...
        warnings: What a careful reader would want to be told.
        id: Of the image that a worker keeps.
    """

    def __init__(  # noqa: PLR0913 - a record
        self,
        array: Any,
        affine: Any = None,
        *,
        axes: str = "ijk",
        name: str = "",
        unit: str | None = None,
        modality: str | None = None,
        facts: Mapping[str, str] | None = None,
        warnings: Sequence[str] = (),
        id: str | None = None,  # noqa: A002 - what the worker calls it
    ) -> None:
        self.array = np.asarray(array)
        if axes not in _AXES or self.array.ndim != len(axes):
            message = f"An image of axes {axes!r} cannot have {self.array.ndim} axes."
            raise WorkerError(message, "Name one of ijk, cijk, kji, kjic.", "request")
        self.axes = axes
        self.affine = None if affine is None else np.asarray(affine, np.float64)
        self.name, self.unit, self.modality, self.id = name, unit, modality, id
        self.facts = dict(facts or {})
        self.warnings = tuple(warnings)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        sizes = dict(zip(self.axes, self.array.shape))
        return sizes["i"], sizes["j"], sizes["k"]

    def ijk(self) -> Any:
        """Return the array as (I, J, K), or (C, I, J, K) of several channels."""
        return self._turned("ijk", "cijk")

    def kji(self) -> Any:
        """Return the array as (K, J, I), or (K, J, I, C) of several channels."""
        return self._turned("kji", "kjic")

    def _turned(self, plain: str, coloured: str) -> Any:
        array, axes = self.array, self.axes
        if "c" in axes and array.shape[axes.index("c")] == 1:
            array = np.moveaxis(array, axes.index("c"), 0)[0]
            axes = axes.replace("c", "")
        wanted = coloured if "c" in axes else plain
        return array.transpose([axes.index(axis) for axis in wanted])


class Heatmap(Image):
    """Relevance of each voxel of an image for one label; hot is high.

    Attributes:
        label: What is explained.
        method: How.
        layer: Of the network; may be empty.
        unit: Of the values.
        meaning: What a value says, in a sentence.
        limits: What must be read beside it.
        peak: (i, j, k) of the highest relevance.
        peak_ras: The same in RAS+ mm; None where nothing says.
        window: (low, high): colour begins above low, and is hottest at high.
        window_words: What these two mean.
    """

    def __init__(self, array: Any, affine: Any, facts: Mapping[str, Any]) -> None:
        super().__init__(array, affine, name=f"{facts['label']} by {facts['method']}")
        self.label: str = facts["label"]
        self.method: str = facts["method"]
        self.layer: str = facts["layer"]
        self.unit: str = facts["unit"]
        self.meaning: str = facts["meaning"]
        self.limits: str = facts["limits"]
        i, j, k = facts["peak"]
        self.peak: tuple[int, int, int] = (i, j, k)
        ras = facts["peak_ras"]
        self.peak_ras: tuple[float, ...] | None = None if ras is None else tuple(ras)
        self.window: tuple[float, ...] = tuple(facts["window"])
        self.window_words: str = facts["window_words"]


class Result:
    """What a model said of an image.

    Attributes:
        facts: As the worker sent it; see docs/worker.md.
        heatmaps: By label.
    """

    def __init__(self, facts: Facts, heatmaps: Mapping[str, Heatmap]) -> None:
        self.facts = facts
        self.heatmaps = dict(heatmaps)
        self.model: str = facts["model"]
        self.version: str = facts["version"]
        self.sha256: str = facts["sha256"]
        self.labels: tuple[str, ...] = tuple(facts["labels"])
        self.label: str = facts["label"]
        self.number_kind: str = facts["number_kind"]
        self.probabilities: dict[str, float] = facts["probabilities"]
        self.thresholds: dict[str, dict[str, float]] = facts["thresholds"]
        self.bands: dict[str, str] = facts["bands"]
        self.out_of_scope: str = facts["out_of_scope"]
        self.seconds: dict[str, float] = facts["seconds"]
        self.device: str = facts["device"]
        self.engine: str = facts["engine"]
        self.warnings: tuple[str, ...] = tuple(facts["warnings"])
        self.image_id: str = facts["image"]["id"]

    @property
    def top(self) -> tuple[str, float]:
        """The label with the highest probability, and that."""
        return max(self.probabilities.items(), key=lambda pair: pair[1])
