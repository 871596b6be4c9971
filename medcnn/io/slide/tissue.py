"""Tissue and bare glass: a simple rule on a small picture of the whole slide.

Stains have a colour and glass has none, so the rule looks at saturation alone. It is
lenient: a tile is glass only if no pixel of it on the small picture says otherwise.
"""

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.io.slide.contract import Bytes

__all__ = ["RULE", "share_in_boxes", "tissue_mask"]

LEAST, MOST = 12, 40
"""Between which the threshold must lie, of 255: without tissue Otsu's threshold would
split the noise of bare glass, and without glass it would split the tissue."""

RULE = (
    "tissue: saturation of the thumbnail above Otsu's threshold, kept between "
    f"{LEAST} and {MOST} of 255"
)

Mask = npt.NDArray[np.bool_]


def tissue_mask(picture: Bytes, missing: Mask) -> Mask:
    """Say where tissue lies on a small picture of a slide.

    Args:
        picture: RGB, (rows, columns, 3).
        missing: Where nothing was acquired, (rows, columns).

    Returns:
        (rows, columns).

    References:
        [1] Otsu, A threshold selection method from gray-level histograms, IEEE Trans.
            Syst. Man Cybern. 9 (1979) 62-66.
    """
    saturation = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2HSV)[..., 1]
    saturation = np.ascontiguousarray(saturation)
    known = saturation[~missing]
    if not known.size:
        return np.zeros_like(missing)
    otsu, _ = cv2.threshold(known[None], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    threshold = float(np.clip(otsu, LEAST, MOST))
    return np.asarray((saturation > threshold) & ~missing)


def share_in_boxes(
    mask: Mask,
    starts: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    size: tuple[float, float],
) -> npt.NDArray[np.float64]:
    """Return the share of a mask in each box of a grid.

    Args:
        mask: (rows, columns).
        starts: Left edges (N,) and upper edges (M,) of the boxes, in the mask's pixels.
        size: Width and height of a box, likewise.

    Returns:
        0 to 1, (M, N); a pixel that a box touches counts whole.
    """
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    sums[1:, 1:] = mask.cumsum(axis=0).cumsum(axis=1)
    left, right = _edges(starts[0], size[0], mask.shape[1])
    top, bottom = _edges(starts[1], size[1], mask.shape[0])
    inside = (
        sums[np.ix_(bottom, right)]
        - sums[np.ix_(top, right)]
        - sums[np.ix_(bottom, left)]
        + sums[np.ix_(top, left)]
    )
    area = (bottom - top)[:, None] * (right - left)[None]
    return np.asarray(inside / np.maximum(area, 1))


def _edges(
    starts: npt.NDArray[np.float64], size: float, length: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the whole pixels that boxes touch along one axis."""
    first = np.clip(np.floor(starts + 1e-9), 0, length).astype(np.intp)
    last = np.clip(np.ceil(starts + size - 1e-9), 0, length).astype(np.intp)
    return first, last
