"""A model of medcnn without medcnn: MONAI bundles carry a copy of this file.

It needs NumPy, torch and MONAI alone. The bundle's bundle.json says what is done to an
image and what logits mean; configs/inference.json puts the parts below together.
"""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = [
    "Prepare",
    "classify",
    "list_images",
    "load_network",
    "plain",
    "probabilities_of",
]

Values = npt.NDArray[Any]

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}
_VOLUMES = {".nii", ".gz"}


def load_network(path: str | Path) -> Any:
    """Load a network that torch.export wrote, on the CPU.

    Args:
        path: model.pt2.
    """
    return torch.export.load(str(path)).module()


def list_images(images: str | Sequence[str] | None) -> list[dict[str, str]]:
    """Return the images of a path, of a folder or of several paths, in order.

    Raises:
        ValueError: If none is named, or a file is not there or of another kind.
    """
    named = [images] if isinstance(images, str) else list(images or ())
    found: list[Path] = []
    for path in map(Path, named):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [p for p in inside if not path.is_dir() or _is_image(p)]
    wrong = [str(path) for path in found if not (_is_image(path) and path.is_file())]
    if wrong or not found:
        msg = f"expected --input IMAGE, PNG, JPEG, BMP or NIfTI; got {wrong or named}"
        raise ValueError(msg)
    return [{"image": str(path), "path": str(path)} for path in found]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _PICTURES | _VOLUMES


def plain(picture: Any) -> Any:
    """Return a picture of Pillow as it is, if its numbers are its brightness.

    Raises:
        ValueError: If it has a palette or transparency, or is turned by its header.
    """
    plain_modes = {"L", "RGB", "I", "F", "I;16", "I;16B", "I;16L"}
    if picture.mode not in plain_modes or picture.getexif().get(274, 1) != 1:
        msg = f"a picture of mode {picture.mode}, perhaps turned by EXIF: expected "
        msg += "upright grey or RGB without transparency; save it as such first"
        raise ValueError(msg)
    return picture


class Prepare:
    """Turn an image as MONAI loads it into what the network sees.

    Args:
        facts: Path of bundle.json.
    """

    def __init__(self, facts: str | Path) -> None:
        said = json.loads(Path(facts).read_text(encoding="utf-8"))
        self.channels = said["preprocessing"]["channels"]
        self.steps = said["preprocessing"]["steps"]

    def __call__(self, image: Any) -> Any:
        """Prepare (C, I, J) or (C, I, J, K).

        Returns:
            float32, (C, rows, columns) or (C, slices, rows, columns).

        Raises:
            ValueError: If it has other channels, or holds values that are no numbers.
        """
        values = np.asarray(image)
        affine = np.asarray(getattr(image, "affine", np.eye(4)), float)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)[: values.ndim - 1][::-1]
        values = values.transpose(0, *range(values.ndim - 1, 0, -1))
        if not np.isfinite(values).all():
            msg = "the image holds values that are not finite numbers"
            raise ValueError(msg)
        work: tuple[Values, Values | None] = _to_channels(values, self.channels), None
        for step in self.steps:
            if step["step"] == "resize":
                work = _resize(step, *work, spacing)
            else:
                values = _VALUE_STEPS[step["step"]](step, *work)
                work = values, work[1]
        return torch.from_numpy(np.ascontiguousarray(work[0], np.float32))


def _to_channels(values: Values, channels: int) -> Values:
    """Turn colour into grey (ITU-R BT.601), or repeat grey.

    Raises:
        ValueError: If there is no rule from one number to the other.
    """
    have = len(values)
    if have == channels:
        return values
    if (have, channels) == (3, 1):
        grey = np.array([0.299, 0.587, 0.114], np.float32)
        return np.tensordot(grey, values.astype(np.float32), axes=1)[None]
    if have != 1:
        msg = f"the image has {have} channels, expected {channels}"
        raise ValueError(msg)
    return np.repeat(values, channels, axis=0)


def _resize(
    step: Mapping[str, Any], values: Values, margin: Values | None, spacing: Values
) -> tuple[Values, Values | None]:
    """Resize, and fill around or cut off; return the values and what is margin.

    Raises:
        ValueError: If the image has other dimensions.
    """
    old, new = values.shape[1:], tuple(step["shape"])
    if len(old) != len(new):
        msg = f"the model takes {len(new)}-D images, got {len(old)}-D"
        raise ValueError(msg)
    box = _box(step, old, new, spacing)
    before = [(n - b) // 2 for n, b in zip(new, box, strict=True)]
    after = [n - b - f for n, b, f in zip(new, box, before, strict=True)]
    around = [(max(f, 0), max(a, 0)) for f, a in zip(before, after, strict=True)]
    kept = tuple(
        slice(max(-f, 0), b - max(-a, 0))
        for f, b, a in zip(before, box, after, strict=True)
    )
    values = _to_size(values, box)
    inside = np.zeros(box, bool)
    if margin is not None:
        inside = _to_size(margin[None].astype(np.float32), box)[0] > 0.5
    lowest = values.min()
    values = np.pad(
        values[(slice(None), *kept)], [(0, 0), *around], constant_values=lowest
    )
    marked = np.pad(inside[kept], around, constant_values=True)
    return values, marked if marked.any() else None


def _box(
    step: Mapping[str, Any], old: Sequence[int], new: Sequence[int], spacing: Values
) -> tuple[int, ...]:
    """Return the size that the picture is resized to, before its margin."""
    if step["fit"] == "stretch":
        return tuple(new)
    if step["fit"] == "letterbox":
        scale = min(n / o for n, o in zip(new, old, strict=True))
        return tuple(max(1, round(o * scale)) for o in old)
    lengths = zip(old, spacing, step["spacing_mm"], strict=True)
    return tuple(max(1, round(n * mm / wanted)) for n, mm, wanted in lengths)


def _to_size(values: Values, shape: Sequence[int]) -> Values:
    """Resize the last axes; what shrinks is averaged, what grows is interpolated."""
    is_whole = values.dtype.kind in "iub"
    resized = values.astype(np.float64)
    for axis in sorted(range(1, values.ndim), key=lambda n: n < values.ndim - 2):
        size = shape[axis - 1]
        if resized.shape[axis] == size:
            continue
        weights = _axis_weights(resized.shape[axis], size)
        resized = np.moveaxis(np.tensordot(weights, resized, axes=(1, axis)), 0, axis)
    return np.rint(resized) if is_whole else resized.astype(np.float32)


def _axis_weights(old: int, new: int) -> Values:
    """Return how much of each old pixel is in each new one, (new, old)."""
    ratio = old / new
    place = np.arange(new)[:, None]
    pixel = np.arange(old)[None]
    if new < old:
        first, last = place * ratio, (place + 1) * ratio
        shared = np.minimum(last, pixel + 1) - np.maximum(first, pixel)
        return np.asarray(np.maximum(shared, 0) / ratio)
    middle = np.clip((place + 0.5) * ratio - 0.5, 0, old - 1)
    return np.asarray(np.maximum(1 - np.abs(middle - pixel), 0))


def _percentiles(
    step: Mapping[str, Any], values: Values, margin: Values | None
) -> Values:
    values = values.astype(np.float32)
    acquired = values if margin is None or margin.all() else values[:, ~margin]
    low, high = np.percentile(acquired, [step["low"], step["high"]])
    if not high > low:
        return np.zeros_like(values)
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def _window(step: Mapping[str, Any], values: Values, _margin: Values | None) -> Values:
    low = step["center"] - step["width"] / 2
    return np.asarray(np.clip((values.astype(np.float32) - low) / step["width"], 0, 1))


def _zscore(step: Mapping[str, Any], values: Values, margin: Values | None) -> Values:
    values = values.astype(np.float32)
    shown = values != 0
    if margin is not None:
        shown &= ~margin
    inside = values[shown] if shown.any() else values.ravel()
    deviation = float(inside.std())
    if not deviation > 0:
        return np.zeros_like(values)
    unit = (values - float(inside.mean())) / deviation / (2 * step["limit"]) + 0.5
    return np.where(shown, np.clip(unit, 0, 1), np.float32(0))


def _normalise(
    step: Mapping[str, Any], values: Values, _margin: Values | None
) -> Values:
    return np.asarray((values - step["mean"]) / step["std"])


def _as_it_is(
    _step: Mapping[str, Any], values: Values, _margin: Values | None
) -> Values:
    return values


_VALUE_STEPS = {
    "hang": _as_it_is,  # a picture does not say how the patient lies
    "orient": _as_it_is,  # MONAI's Orientationd stands before
    "percentiles": _percentiles,
    "window": _window,
    "zscore": _zscore,
    "normalise": _normalise,
}


def probabilities_of(facts: Mapping[str, Any], logits: Values) -> dict[str, float]:
    """Return each label's probability, with the model's calibration.

    Args:
        facts: What bundle.json says.
        logits: (labels,).
    """
    values, labels = np.asarray(logits, np.float64), facts["labels"]
    platts = {one["label"]: one for one in facts["calibration"]}
    if facts["activation"] == "sigmoid":
        odds = [
            platts[label]["slope"] * value + platts[label]["intercept"]
            if label in platts
            else value
            for label, value in zip(labels, values, strict=True)
        ]
        return {n: _share(v) for n, v in zip(labels, odds, strict=True)}
    if platts:
        one = platts[labels[0]]
        odd = one["slope"] * (values[0] - values[1]) + one["intercept"]
        return {labels[0]: _share(odd), labels[1]: _share(-odd)}
    values /= (facts["temperature"] or {"value": 1.0})["value"]
    raised = np.exp(values - values.max())
    return dict(zip(labels, (raised / raised.sum()).tolist(), strict=True))


def _share(log_odds: float) -> float:
    return float(np.exp(-np.logaddexp(0.0, -log_odds)))


def classify(
    network: Any, data: Iterable[Mapping[str, Any]], facts: str | Path, output: str
) -> list[dict[str, Any]]:
    """Write each image's probabilities to a table, and show them.

    Args:
        network: From tensors (1, C, ...) to logits (1, labels).
        data: Prepared images, one at a time, under "image".
        facts: Path of bundle.json.
        output: The table, CSV.

    Returns:
        The rows.
    """
    said = json.loads(Path(facts).read_text(encoding="utf-8"))
    target = Path(output)
    target.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    with target.open("w", newline="", encoding="utf-8") as file, torch.inference_mode():
        table = csv.DictWriter(file, ["path", *said["labels"]])
        table.writeheader()
        for one in data:
            logits = network(torch.from_numpy(np.array(one["image"])))[0].cpu().numpy()
            row = {"path": one["path"][0], **probabilities_of(said, logits)}
            table.writerow(row)
            sys.stdout.write(json.dumps(row) + "\n")
            rows.append(row)
    return rows
