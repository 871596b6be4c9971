"""Colour layers of heatmaps for a screen; only here is relevance scaled.

Hot is high: the colour runs from clear (0) over violet and orange to pale yellow (the
top of the scale), and so does the opacity, so that anatomy shows where nothing counted.
"""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["colour_scale", "heat_layer", "lay_over"]

Bytes = npt.NDArray[np.uint8]


def heat_layer(relevance: npt.NDArray[np.float32], *, top: float) -> Bytes:
    """Return relevance as a transparent colour layer, RGBA, (rows, columns, 4).

    Args:
        relevance: Raw relevance >= 0 as a screen shows it, (rows, columns).
        top: The relevance that gets the hottest colour; 0 makes all of it clear.
    """
    shares = np.clip(relevance / top, 0, 1) if top > 0 else np.zeros_like(relevance)
    levels = np.rint(shares * 255).astype(np.uint8)
    layer = np.empty((*levels.shape, 4), np.uint8)
    layer[..., :3] = colour_scale()[levels]
    layer[..., 3] = levels
    return layer


def lay_over(picture: Bytes, layer: Bytes, *, opacity: float = 0.6) -> Bytes:
    """Blend a colour layer into a picture, (rows, columns, 3).

    Args:
        picture: (rows, columns, 3).
        layer: RGBA of the same rows and columns.
        opacity: 0 to 1, the opacity of the hottest colour.
    """
    share = layer[..., 3:].astype(np.float32) * (opacity / 255)
    mixed = picture * (1 - share) + layer[..., :3] * share
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def colour_scale() -> Bytes:
    """Return the 256 colours from no relevance to the top, RGB, (256, 3)."""
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    bgr = cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(bgr[:, 0, ::-1])
