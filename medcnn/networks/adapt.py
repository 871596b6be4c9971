"""Fit learnt weights to another kind of image: colour to grey, pictures to volumes.

Both changes keep what the network computes where the new images allow it: a grey
picture gives what it gave in colour, and a volume whose slices are all alike gives what
each slice gave (away from the borders).

References:
    [1] Carreira & Zisserman, Quo vadis, action recognition?, CVPR 2017: inflation.
"""

from dataclasses import dataclass

import torch

from medcnn.networks.classifier import Classifier

__all__ = ["GREY_MEAN", "GREY_STD", "IMAGENET", "ColourScale", "Weights", "adapt"]

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ColourScale:
    """How the three channels of a colour picture in 0..1 were normalised.

    Attributes:
        means: Of red, green and blue.
        deviations: Of red, green and blue.
    """

    means: tuple[float, float, float]
    deviations: tuple[float, float, float]


IMAGENET = ColourScale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""torchvision's statistics, which most published weights were learnt with."""

GREY_MEAN = 0.449
GREY_STD = 0.226
"""What a grey input in 0..1 is normalised with: the means over the three channels."""


def adapt(
    network: Classifier, body: Weights, *, scale: ColourScale | None
) -> tuple[Weights, tuple[str, ...]]:
    """Return weights that fit the network's channels and dimensions, if that can be.

    Args:
        network: Whose shapes are wanted.
        body: Weights by our names; what does not fit otherwise is left as it is.
        scale: How colour was normalised; None: all channels alike.

    Returns:
        The weights, and what was changed, in words.
    """
    own = network.state_dict()
    first = next((k for k, v in own.items() if v.ndim > 3), "")
    changed, words = dict(body), []
    if first in body:
        have, want = body[first].shape[1], own[first].shape[1]
        if (have, want) == (3, 1):
            words.append(_fold_colour(changed, first, scale))
        if (have, want) == (1, 3):
            changed[first] = body[first].repeat_interleave(3, 1) / 3
            words.append("the first kernels' one channel repeated to 3, each a third")
    depths = set()
    for name, weight in changed.items():
        if name in own and _lacks_depth(weight, own[name]):
            depth = own[name].shape[2]
            depths.add(depth)
            changed[name] = torch.stack([weight] * depth, 2) / depth
    if depths:
        told = ", ".join(str(depth) for depth in sorted(depths))
        words.append(
            f"2-D kernels inflated to 3-D: repeated over {told} slices, divided by that"
        )
    return changed, tuple(words)


def _lacks_depth(have: torch.Tensor, want: torch.Tensor) -> bool:
    """Whether a 2-D kernel would fit if it were repeated along the slices."""
    places = (*have.shape[:2], *have.shape[2:])
    return (
        have.ndim == 4
        and want.ndim == 5
        and places == (*want.shape[:2], *want.shape[3:])
    )


def _fold_colour(body: Weights, first: str, scale: ColourScale | None) -> str:
    """Fold the first kernels over three channels into kernels over one grey channel.

    With grey g in 0..1 and z = (g - GREY_MEAN) / GREY_STD: the sum over channels of
    w_c (g - m_c) / s_c is (sum of w_c GREY_STD / s_c) z plus a constant, which is taken
    off the mean of the batch normalisation that follows. Exact away from the border.
    """
    weight = body[first]
    running = next((k for k in body if k.endswith("running_mean")), "")
    if scale is None or not running:
        body[first] = weight.sum(1, keepdim=True)
        return "the first kernels' 3 channels summed into 1"
    shape = (1, 3) + (1,) * (weight.ndim - 2)
    mean = torch.tensor(scale.means).view(shape)
    std = torch.tensor(scale.deviations).view(shape)
    constant = (weight * (GREY_MEAN - mean) / std).flatten(1).sum(1)
    body[first] = (weight * GREY_STD / std).sum(1, keepdim=True)
    body[running] = body[running] - constant
    return (
        "the first kernels' 3 channels summed into 1, for grey normalised with mean "
        f"{GREY_MEAN} and deviation {GREY_STD}"
    )
