"""What the filters of a layer respond to, as a grid of small pictures."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.outputs import write_whole

__all__ = ["feature_grid", "write_features"]

_MOST = 64
_SIDE = 112
_GAP = 4
_HEAD = 44
_WHITE = (235, 235, 235)


def write_features(path: Path, features: npt.NDArray[np.float32], words: str) -> None:
    """Write a layer's feature maps as PNG.

    Args:
        path: The file.
        features: (F, rows, columns) or (F, slices, rows, columns).
        words: Which model and layer.

    Raises:
        OutputError: If it cannot be written.
    """
    write_whole(path, cv2.imencode(".png", feature_grid(features, words))[1].tobytes())


def feature_grid(
    features: npt.NDArray[np.float32], words: str
) -> npt.NDArray[np.uint8]:
    """Return a grid of grey pictures, one a filter, with its number, (rows, columns).

    The 64 filters that respond most are shown, in their own order. Black is the lowest
    response of all that are shown, white the highest: filters can be compared. Of a
    volume it is the slice where the layer responds most.
    """
    total = np.abs(features).reshape(len(features), -1).sum(axis=1)
    kept = np.sort(np.argsort(-total, kind="stable")[:_MOST])
    maps = features[kept]
    slices = ""
    if maps.ndim == 4:
        k = int(np.abs(maps).sum(axis=(0, 2, 3)).argmax())
        slices = f", slice {k + 1} of {maps.shape[1]}"
        maps = maps[:, k]
    low, high = float(maps.min()), float(maps.max())
    grey = (maps - low) / (high - low if high > low else 1.0) * 255
    rows, columns = maps.shape[1:]
    factor = max(1, _SIDE // max(rows, columns))
    across = int(np.ceil(np.sqrt(len(kept))))
    cell = max(rows, columns) * factor + _GAP + 14
    down = -(-len(kept) // across)
    width = max(across * cell + _GAP, 620)
    sheet = np.full((_HEAD + down * cell + _GAP, width), 40, np.uint8)
    for n, (number, one) in enumerate(zip(kept, grey, strict=True)):
        top, left = _HEAD + n // across * cell + 14, _GAP + n % across * cell
        big = np.rint(one).astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
        sheet[top : top + rows * factor, left : left + columns * factor] = big
        _write(sheet, str(number), (left, top - 3), 0.35)
    head = f"{words}: {len(kept)} of {len(features)} filters{slices}"
    _write(sheet, head, (_GAP, 16), 0.45)
    scale = f"black {low:.3g}, white {high:.3g}, the same for all; {columns} x {rows}"
    _write(sheet, scale, (_GAP, 34), 0.42)
    return sheet


def _write(
    sheet: npt.NDArray[np.uint8], words: str, at: tuple[int, int], size: float
) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(sheet, words, at, font, size, _WHITE, 1, cv2.LINE_AA)
