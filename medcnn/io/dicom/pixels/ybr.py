"""Luminance and colour differences to RGB.

References:
    [1] DICOM PS3.3 C.7.6.3.1.2: YBR_FULL, YBR_PARTIAL_422 (ITU-R BT.601).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ybr_to_rgb"]

_RED_CR = 1.402
_GREEN_CB, _GREEN_CR = 0.344136, 0.714136
_BLUE_CB = 1.772
_BLOCK = 1 << 18


def ybr_to_rgb(
    pixels: npt.NDArray[Any], bits: int, photometric: str
) -> npt.NDArray[Any]:
    """Return RGB of luminance and colour differences.

    Args:
        pixels: (..., 3), unsigned.
        bits: Bits that carry the value, of each.
        photometric: YBR_FULL, YBR_FULL_422 or YBR_PARTIAL_422; what is subsampled has
            been spread before.

    Returns:
        The same shape and type, rounded and clipped to the range of the bits.
    """
    is_partial = photometric.startswith("YBR_PARTIAL")
    # The 8 bit levels of partial range are shifted left where there are more bits.
    unit = 2.0 ** (bits - 8)
    top, middle = float(2**bits - 1), 128 * unit
    out = np.empty_like(pixels)
    flat, target = pixels.reshape(-1, 3), out.reshape(-1, 3)
    for start in range(0, len(flat), _BLOCK):
        part = flat[start : start + _BLOCK] & np.array(2**bits - 1, pixels.dtype)
        y, blue, red = part.T.astype(np.float32 if bits <= 16 else np.float64)
        blue, red = blue - middle, red - middle
        if is_partial:
            y = (y - 16 * unit) * (top / (219 * unit))
            blue, red = (c * (top / (224 * unit)) for c in (blue, red))
        rgb = (
            y + _RED_CR * red,
            y - _GREEN_CB * blue - _GREEN_CR * red,
            y + _BLUE_CB * blue,
        )
        for channel, values in enumerate(rgb):
            np.clip(np.rint(values), 0, top, out=values)
            target[start : start + _BLOCK, channel] = values
    return out
