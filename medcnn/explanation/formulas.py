"""From a feature map and its gradient to relevance: the formulas, and nothing else.

`features` is A, (F, places...); `gradient` is G, the derivative of the label's score by
each value of A, of the same shape. Each function returns relevance >= 0, (places...).
No map is stretched to its own highest value, and zeros stay zeros.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BY_GRADIENT", "class_activation", "eigen_cam"]

F32 = npt.NDArray[np.float32]


def class_activation(features: F32, weights: F32) -> F32:
    """Weigh a feature map by a linear head, and keep what speaks for the label.

    Args:
        features: (F, places...).
        weights: The label's row of the head, (F,).

    Returns:
        max(0, sum over f of w_f A_f / number of cells): with global average pooling
        the cells add up to the logit less its bias, if none is negative.

    References:
        [1] Zhou et al., Learning deep features for discriminative localization, CVPR
            2016.
    """
    flat = features.reshape(len(features), -1)
    shares = (weights.astype(np.float32) @ flat) / np.float32(flat.shape[1])
    return _positive(shares).reshape(features.shape[1:])


def _grad_cam(features: F32, gradient: F32) -> F32:
    """max(0, sum over f of mean(G_f) A_f).

    References:
        [1] Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    return _weighed(gradient.reshape(len(gradient), -1).mean(1), features)


def _grad_cam_plus_plus(features: F32, gradient: F32) -> F32:
    """max(0, sum over f of w_f A_f), w_f = sum of alpha max(0, G_f).

    With the exponential of the score, whose derivatives are G, G^2 and G^3 times
    itself, alpha = G^2 / (2 G^2 + sum(A) G^3) = 1 / (2 + sum(A) G). Written so, nothing
    overflows and no small number is needed against a division by zero. The
    exponential itself is one factor for the whole map and is left out.

    References:
        [1] Chattopadhay et al., Grad-CAM++, WACV 2018, equations 10 and 19.
    """
    cells = tuple(range(1, features.ndim))
    total = features.sum(axis=cells, keepdims=True)
    below = 2 + total * gradient
    usable = (gradient > 0) & (below > 0)  # elsewhere max(0, G) or alpha is nothing
    alpha = np.divide(1, below, out=np.zeros_like(gradient), where=usable)
    return _weighed((alpha * _positive(gradient)).sum(axis=cells), features)


def _hirescam(features: F32, gradient: F32) -> F32:
    """max(0, sum over f of G_f A_f), cell by cell.

    References:
        [1] Draelos & Carin, Use HiResCAM instead of Grad-CAM for faithful
            explanations, 2020.
    """
    return _positive((gradient * features).sum(axis=0))


def _layercam(features: F32, gradient: F32) -> F32:
    """max(0, sum over f of max(0, G_f) A_f), cell by cell.

    References:
        [1] Jiang et al., LayerCAM, IEEE Transactions on Image Processing 2021.
    """
    return _positive((_positive(gradient) * features).sum(axis=0))


BY_GRADIENT: dict[str, Callable[[F32, F32], F32]] = {
    "grad-cam": _grad_cam,
    "grad-cam++": _grad_cam_plus_plus,
    "hirescam": _hirescam,
    "layercam": _layercam,
}
"""The methods that need one layer's map and its gradient."""


def eigen_cam(features: F32) -> F32:
    """Return max(0, A v): the map on the first principal direction of its features.

    As published, A is not centred. The sign of a principal direction is nobody's; here
    the direction is the one in which the map is positive on the whole, so that hot is
    high.

    Args:
        features: (F, places...).

    References:
        [1] Muhammad & Yeasin, Eigen-CAM, IJCNN 2020.
    """
    flat = features.reshape(len(features), -1).astype(np.float64)
    _, directions = np.linalg.eigh(flat @ flat.T)  # (F, F): small, whatever the map
    projected = directions[:, -1] @ flat
    sign = 1.0 if projected.sum() >= 0 else -1.0
    return _positive(sign * projected).reshape(features.shape[1:])


def _weighed(weights: F32, features: F32) -> F32:
    flat = weights.astype(np.float32) @ features.reshape(len(features), -1)
    return _positive(flat).reshape(features.shape[1:])


def _positive(values: npt.NDArray[Any]) -> F32:
    return np.asarray(np.maximum(values, 0), dtype=np.float32)
