"""napari's world, and the patient's: left is right, as radiologists expect.

Layers hold (k, j, i). Their world has axes (z, y, x) in DICOM's LPS millimetres: of an
axial slice, rows run to posterior and columns to the patient's left, so that a viewer
that draws rows downwards and columns to the right shows the patient from the feet.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
from MedCNNLib.client import Heatmap, Image
from MedCNNLib.colours import COLOURS
from napari.utils.colormaps import Colormap

__all__ = [
    "HEAT_COLOURS",
    "Turn",
    "heat_layer",
    "image_layer",
    "image_of",
    "matrix_of",
    "point_of",
]

Matrix = npt.NDArray[np.float64]

_BACKWARDS = np.eye(4)[[2, 1, 0, 3]]
"""(x, y, z, 1) to (z, y, x, 1), and (i, j, k, 1) to (k, j, i, 1)."""

HEAT_COLOURS = "medcnn heat"
"""The name of a heatmap's colours."""

_OPAQUE_FROM = 0.5
"""Share of the scale from which the layer's opacity alone says what is seen below."""

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS to LPS, and back."""


@dataclass(frozen=True)
class Turn:
    """How the axes of a volume were laid along the world's, and the way back.

    A model sees the voxels in the order of the file, so what is classified is turned
    back: a network that was never taught to orient would answer otherwise.

    Attributes:
        order: For each axis, which one of the file it is.
        flips: For each axis, whether it runs backwards along that one.
    """

    order: tuple[int, ...] = (0, 1, 2)
    flips: tuple[bool, ...] = (False, False, False)

    @classmethod
    def of(cls, matrix: Matrix) -> "Turn":
        """Return the turn that brings axes closest to the world's."""
        cosines = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
        order = max(
            permutations(range(3)),
            key=lambda axes: sum(abs(cosines[w, a]) for w, a in enumerate(axes)),
        )
        return cls(order, tuple(bool(cosines[w, a] < 0) for w, a in enumerate(order)))

    def array(self, array: Any) -> Any:
        """Turn an array; no copy is made."""
        turned = array.transpose([*self.order, *range(3, array.ndim)])
        return np.flip(turned, self._flipped)

    def back_array(self, array: Any) -> Any:
        """Turn an array back; no copy is made."""
        back = np.argsort(self.order).tolist()
        return np.flip(array, self._flipped).transpose([*back, *range(3, array.ndim)])

    def matrix(self, matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
        """Return the turned array's way to the world; `shape` is the file's."""
        return np.asarray(matrix @ self._steps(shape))

    def back_matrix(self, matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
        """Return the file's way to the world; `shape` is the turned array's."""
        sizes = [shape[axis] for axis in np.argsort(self.order)]
        return np.asarray(matrix @ np.linalg.inv(self._steps(tuple(sizes))))

    @property
    def _flipped(self) -> tuple[int, ...]:
        return tuple(axis for axis, flip in enumerate(self.flips) if flip)

    def _steps(self, shape: tuple[int, ...]) -> Matrix:
        """Return the way from voxels of the turned array to those of the file."""
        steps = np.zeros((4, 4))
        steps[3, 3] = 1
        for axis, (source, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            steps[source, axis] = -1 if flip else 1
            steps[source, 3] = shape[source] - 1 if flip else 0
        return steps


def image_layer(image: Image) -> tuple[Any, dict[str, Any], str]:
    """Return an image as napari's layer data: array, arguments, kind.

    The axes of a volume are laid along the world's, which is no resampling: napari cuts
    slices along the axes of the array.
    """
    array = image.kji()
    facts = {"unit": image.unit, "modality": image.modality, "facts": image.facts}
    given: dict[str, Any] = {"name": image.name or "image", "metadata": facts}
    if image.shape[2] == 1:
        facts["affine"] = image.affine
        sides = _sides(image)
        return array[0], given | {"rgb": array.ndim == 4, "scale": sides}, "image"
    if image.affine is None:
        return array, given | {"rgb": array.ndim == 4}, "image"
    matrix = _BACKWARDS @ _LPS @ image.affine @ _BACKWARDS
    turn = Turn.of(matrix)
    facts["turn"] = turn
    given |= {"affine": turn.matrix(matrix, array.shape), "rgb": array.ndim == 4}
    return turn.array(array), given, "image"


def image_of(layer: Any) -> Image:
    """Return what a layer shows, as the worker takes it.

    Raises:
        ValueError: If it is neither a picture nor a volume.
    """
    is_colour, array = bool(getattr(layer, "rgb", False)), layer.data
    if getattr(layer, "multiscale", False):
        array = array[0]  # the layer's matrix is that of its finest level
    axes = np.ndim(array) - is_colour
    if axes not in {2, 3} or not hasattr(array, "shape"):
        msg = f"The layer {layer.name} has {axes} axes; one image or volume is needed."
        raise ValueError(msg)
    if min(np.shape(array)) < 1:
        msg = f"The layer {layer.name} is empty."
        raise ValueError(msg)
    told = layer.metadata
    given = {name: told.get(name) for name in ("unit", "modality", "facts")}
    voxels = np.asarray(array)
    if axes == 2:
        affine = told.get("affine")
        return Image(voxels[None], affine, axes="kjic" if is_colour else "kji", **given)
    turn, matrix = told.get("turn", Turn()), matrix_of(layer)
    affine = _LPS @ _BACKWARDS @ turn.back_matrix(matrix, voxels.shape) @ _BACKWARDS
    given["axes"] = "kjic" if is_colour else "kji"
    return Image(turn.back_array(voxels), affine, **given)


def heat_layer(heat: Heatmap, layer: Any) -> tuple[Any, dict[str, Any], str]:
    """Return a heatmap of a layer's image as layer data that lies on that layer."""
    array = layer.metadata.get("turn", Turn()).array(heat.kji())
    facts = {"meaning": heat.meaning, "limits": heat.limits, "peak": heat.peak}
    given = {
        "name": f"{layer.name}: {heat.label}",
        "affine": matrix_of(layer),
        "colormap": _heat_colours(),
        "contrast_limits": heat.window,
        "blending": "translucent_no_depth",
        "opacity": 0.7,
        "metadata": facts | {"words": heat.window_words, "is_heatmap": True},
    }
    return (array[0] if layer.ndim == 2 else array), given, "image"


def _heat_colours() -> Colormap:
    """Return the heat colours of medcnn's reports, clear at the low end.

    Where nothing speaks for the label the image stays as grey as it is; what is hot
    covers it, so that it is seen on bright anatomy as on dark.
    """
    shares = np.linspace(0, 1, len(COLOURS))
    opaque = np.clip(shares / _OPAQUE_FROM, 0, 1)
    return Colormap(np.column_stack([COLOURS, opaque]), name=HEAT_COLOURS)


def point_of(heat: Heatmap, layer: Any) -> Matrix:
    """Return where in the world a heatmap of a layer is highest."""
    i, j, k = heat.peak
    if layer.ndim == 2:
        return np.asarray((matrix_of(layer) @ [j, i, 1.0])[:2])
    ras = np.asarray(heat.affine) @ [i, j, k, 1.0]
    return np.asarray((_BACKWARDS @ _LPS @ ras)[:3])


def matrix_of(layer: Any) -> Matrix:
    """Return a layer's way from voxels to the world, homogeneous."""
    n = layer.ndim
    origin = np.asarray(layer.data_to_world(np.zeros(n)), np.float64)
    matrix = np.eye(n + 1)
    matrix[:n, n] = origin
    for axis in range(n):
        unit = np.eye(n)[axis]
        matrix[:n, axis] = np.asarray(layer.data_to_world(unit)) - origin
    return matrix


def _sides(image: Image) -> tuple[float, float]:
    """Return a picture's sides of a pixel, rows first, in mm; 1 where nothing says."""
    if image.affine is None:
        return 1.0, 1.0
    lengths = np.linalg.norm(image.affine[:3, :3], axis=0)
    return float(lengths[1]), float(lengths[0])
