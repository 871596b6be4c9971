"""Carry out preprocessing steps, and carry heatmaps back through them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from medcnn.errors import DataError, GeometryError
from medcnn.image import Image
from medcnn.preprocessing.hanging import turn_to_hanging
from medcnn.preprocessing.resample import resample_onto, resize
from medcnn.preprocessing.steps import (
    Hang,
    Normalise,
    Orient,
    Percentiles,
    Resize,
    Step,
    Window,
    ZScore,
)

__all__ = ["Prepared", "Preprocessing"]

FloatArray = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a network sees of an image, and the way back.

    Attributes:
        tensor: float32, (C, rows, columns) or (C, slices, rows, columns).
        to_voxel: From tensor (column, row, slice, 1) to image voxel (i, j, k, 1).
        image_shape: (I, J, K) of the image.
    """

    tensor: npt.NDArray[np.float32]
    to_voxel: FloatArray
    image_shape: tuple[int, int, int]

    def restore(self, relevance: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Carry a map on a network's coarser grid back to the image's own grid.

        Args:
            relevance: (h, w) or (d, h, w), spanning the same field as the tensor.

        Returns:
            (I, J, K), linearly interpolated; 0 where the network saw nothing.
        """
        grid = relevance[None] if relevance.ndim == 2 else relevance
        size = self.tensor.shape[1:]
        full = (1, *size) if len(size) == 2 else size
        up = np.eye(4)
        for axis in range(3):  # column, row, slice
            ratio = full[2 - axis] / grid.shape[2 - axis]
            up[axis, axis], up[axis, 3] = ratio, (ratio - 1) / 2
        to_map = np.linalg.inv(self.to_voxel @ up)
        values = np.ascontiguousarray(grid.transpose(2, 1, 0), dtype=np.float32)
        return resample_onto(values, self.image_shape, to_map)


@dataclass(frozen=True, eq=False)
class _Work:
    """An image on its way: values as the network sees them, and the way back."""

    values: npt.NDArray[Any]
    padding: npt.NDArray[np.bool_] | None
    to_voxel: FloatArray
    image: Image


class Preprocessing(BaseModel):
    """The ordered steps of one model; data, not code.

    Attributes:
        channels: 1 turns colour into grey (ITU-R BT.601); 3 repeats grey.
        steps: Carried out in this order.

    Examples:
        >>> import numpy as np
        >>> recipe = Preprocessing(steps=(Resize(shape=(4, 4)), Percentiles()))
        >>> picture = np.arange(64, dtype=np.uint16).reshape(8, 8)
        >>> recipe.apply(Image.from_picture(picture)).tensor.shape
        (1, 4, 4)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: int = Field(default=1, ge=1)
    steps: tuple[Step, ...]

    def apply(self, image: Image) -> Prepared:
        """Turn an image into what the network sees.

        Raises:
            DataError: If the image holds values that are not finite numbers.
            GeometryError: If a step needs a grid that the image does not know, or
                another number of dimensions.
        """
        work = _begin(image)
        work = replace(work, values=_to_channels(work.values, self.channels))
        for step in self.steps:
            work = _ACTIONS[type(step)](step, work)
        tensor = np.ascontiguousarray(work.values, dtype=np.float32)
        bad = int(tensor.size - np.isfinite(tensor).sum())
        if bad:
            msg = f"{bad} of {tensor.size} prepared values are not finite numbers"
            raise DataError(
                msg, hint="The image holds NaN or infinity: mend its source."
            )
        return Prepared(tensor, work.to_voxel, image.shape)

    def geometric(self) -> "Preprocessing":
        """Return the steps that decide what lies where, without those of values."""
        kept = tuple(s for s in self.steps if isinstance(s, Orient | Hang | Resize))
        return Preprocessing(channels=self.channels, steps=kept)

    def carry(
        self, inside: npt.NDArray[np.bool_], image: Image
    ) -> npt.NDArray[np.float32]:
        """Carry marked voxels of an image to where the network sees them.

        Args:
            inside: (I, J, K).
            image: The image that they are marked on.

        Returns:
            How much of each pixel or voxel is marked, 0 to 1, (rows, columns) or
            (slices, rows, columns); 0 where the network sees a margin.

        Raises:
            GeometryError: If a step needs a grid that the image does not know, or
                another number of dimensions.
        """
        # a margin takes the lowest value of all channels: the empty one makes it 0
        both = np.stack([inside, np.zeros_like(inside)]).astype(np.float32)
        work = _begin(replace(image, array=both, padding=None))
        for step in self.geometric().steps:
            work = _ACTIONS[type(step)](step, work)
        return np.ascontiguousarray(work.values[0], dtype=np.float32)


def _begin(image: Image) -> _Work:
    """Lay the array out as a person sees it: rows, columns, and slices if any."""
    to_voxel = np.eye(4)
    if image.dims == 2:
        values = image.array[..., 0].transpose(0, 2, 1)
        padding = None if image.padding is None else image.padding[..., 0].T
    else:
        values = image.array.transpose(0, 3, 2, 1)
        padding = None if image.padding is None else image.padding.transpose(2, 1, 0)
    if padding is not None and padding.any() and not padding.all():
        # what was not acquired must not leak into averages: it becomes the lowest value
        values = np.where(padding, values[:, ~padding].min(), values)
    return _Work(values, padding, to_voxel, image)


def _to_channels(values: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """Turn colour into grey or grey into three equal channels.

    Raises:
        GeometryError: If there is no rule from one number to the other.
    """
    have = values.shape[0]
    if have == channels:
        return values
    if have == 3 and channels == 1:
        weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
        return np.tensordot(weights, values.astype(np.float32), axes=1)[None]
    if have == 1:
        return np.repeat(values, channels, axis=0)
    msg = f"the model takes {channels} channels, the image has {have}"
    raise GeometryError(msg)


def _orient(step: Orient, work: _Work) -> _Work:
    geometry = work.image.geometry
    if geometry is None or work.values.ndim != 4:
        msg = f"to turn an image to {step.codes}, it must be a volume with a geometry"
        raise GeometryError(msg)
    turn = geometry.reorientation_to(step.codes)
    # values are (C, k, j, i): axis a of (i, j, k) is array axis 3 - a
    values = work.values.transpose(0, *[3 - turn.axes[2 - n] for n in range(3)])
    padding = work.padding
    if padding is not None:
        padding = padding.transpose(*[2 - turn.axes[2 - n] for n in range(3)])
    for new, flip in enumerate(turn.flips):
        if flip:
            values = np.flip(values, 3 - new)
            padding = None if padding is None else np.flip(padding, 2 - new)
    to_voxel = work.to_voxel @ turn.to_old(geometry.shape)
    return replace(work, values=values, padding=padding, to_voxel=to_voxel)


def _hang(step: Hang, work: _Work) -> _Work:  # noqa: ARG001 - it has no options
    if work.values.ndim != 3:
        msg = f"only pictures are hung, got shape {work.values.shape[1:]}"
        raise GeometryError(msg)
    turn = turn_to_hanging(work.image.facts.get("patient_orientation", ""))
    values, padding = work.values, work.padding
    back = np.eye(4)
    if turn.is_swapped:
        values = values.swapaxes(1, 2)
        padding = None if padding is None else padding.T
        back = back[[1, 0, 2, 3]]
    for axis, is_turned in ((0, turn.is_mirrored), (1, turn.is_flipped)):
        if is_turned:
            values = np.flip(values, 2 - axis)
            padding = None if padding is None else np.flip(padding, 1 - axis)
            mirror = np.eye(4)
            mirror[axis, axis], mirror[axis, 3] = -1, values.shape[2 - axis] - 1
            back = back @ mirror
    return replace(work, values=values, padding=padding, to_voxel=work.to_voxel @ back)


def _resize(step: Resize, work: _Work) -> _Work:
    old = work.values.shape[1:]
    if len(old) != len(step.shape):
        msg = f"the model takes {len(step.shape)}-D images, got shape {old}"
        raise GeometryError(msg)
    new, box = step.shape, _box(step, work, old)
    before = [(n - b) // 2 for n, b in zip(new, box, strict=True)]
    after = [n - b - f for n, b, f in zip(new, box, before, strict=True)]
    around = [(max(f, 0), max(a, 0)) for f, a in zip(before, after, strict=True)]
    kept = tuple(
        slice(max(-f, 0), b - max(-a, 0))
        for f, b, a in zip(before, box, after, strict=True)
    )
    values: npt.NDArray[Any] = resize(work.values, box)
    padding = work.padding
    if padding is not None:
        share = resize(padding[None].astype(np.float32), box)[0][kept]
        padding = np.pad(share.astype(np.float32) > 0.5, around, constant_values=True)
    elif np.any(around):
        inside = np.zeros(values[0][kept].shape, bool)
        padding = np.pad(inside, around, constant_values=True)
    lowest = values.min()
    values = values[(slice(None), *kept)]
    if np.any(around):
        values = np.pad(values, [(0, 0), *around], constant_values=lowest)
    back = np.eye(4)
    for axis in range(len(new)):
        ratio = old[-1 - axis] / box[-1 - axis]
        back[axis, axis] = ratio
        back[axis, 3] = (ratio - 1) / 2 - ratio * before[-1 - axis]
    return replace(work, values=values, padding=padding, to_voxel=work.to_voxel @ back)


def _box(step: Resize, work: _Work, old: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size that the picture is resized to, before its margin.

    Raises:
        GeometryError: If millimetres are asked for and the image has no grid.
    """
    if step.fit == "stretch":
        return step.shape
    if step.spacing_mm is None:
        scale = min(n / o for n, o in zip(step.shape, old, strict=True))
        return tuple(max(1, round(o * scale)) for o in old)
    if work.image.geometry is None:
        msg = f"the model takes {step.spacing_mm} mm, and the image knows no millimetre"
        raise GeometryError(msg)
    affine = work.image.geometry.affine @ work.to_voxel
    have = np.linalg.norm(affine[:3, :3], axis=0)[: len(old)][::-1]
    lengths = zip(old, have, step.spacing_mm, strict=True)
    return tuple(max(1, round(n * mm / wanted)) for n, mm, wanted in lengths)


def _percentiles(step: Percentiles, work: _Work) -> _Work:
    values = work.values.astype(np.float32)
    padding = work.padding
    usable = padding is not None and not padding.all()
    acquired = values[:, ~padding] if usable and padding is not None else values
    low, high = np.percentile(acquired, [step.low, step.high])
    if not high > low:  # a flat image carries nothing: 0, not a division by zero
        scaled = np.where(np.isfinite(values), np.float32(0), values)
        return replace(work, values=scaled)
    return replace(work, values=np.clip((values - low) / (high - low), 0, 1))


def _window(step: Window, work: _Work) -> _Work:
    low = step.center - step.width / 2
    scaled = (work.values.astype(np.float32) - low) / step.width
    return replace(work, values=np.clip(scaled, 0, 1))


def _zscore(step: ZScore, work: _Work) -> _Work:
    values = work.values.astype(np.float32)
    shown = values != 0
    if work.padding is not None:
        shown &= ~work.padding
    inside = values[shown] if shown.any() else values.ravel()
    deviation = float(inside.std())
    if not deviation > 0:  # a flat image carries nothing, as in _percentiles
        scaled = np.where(np.isfinite(values), np.float32(0), values)
        return replace(work, values=scaled)
    counted = (values - float(inside.mean())) / deviation
    unit = np.clip(counted / (2 * step.limit) + 0.5, 0, 1)
    return replace(work, values=np.where(shown, unit, np.float32(0)))


def _normalise(step: Normalise, work: _Work) -> _Work:
    return replace(work, values=(work.values - step.mean) / step.std)


_ACTIONS: dict[type, Callable[[Any, _Work], _Work]] = {
    Orient: _orient,
    Hang: _hang,
    Resize: _resize,
    Percentiles: _percentiles,
    Window: _window,
    ZScore: _zscore,
    Normalise: _normalise,
}
