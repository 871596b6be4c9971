"""Integrated gradients and SmoothGrad, by Captum."""

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from torch import nn

from medcnn.gradients.passes import centred, finite
from medcnn.gradients.state import dtype_of, logits_of, to_batch

__all__ = ["Score", "integrated_gradients", "smoothgrad"]

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Score:
    """One score of a module.

    Attributes:
        module: In evaluation mode, see `undisturbed`.
        label: Which of its scores.
        centre: Whether to take from each score the mean of all scores.
        batch: Images that are held at once.
    """

    module: nn.Module
    label: int
    centre: bool = False
    batch: int = 8

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores of all labels, (B, L)."""
        seen = batch.to(dtype_of(self.module, batch))  # noise is float32 in any case
        logits = logits_of(self.module(seen), len(batch))
        return centred(logits) if self.centre else logits


def integrated_gradients(
    score: Score, tensor: F32, *, fill: F32, steps: int = 32
) -> F32:
    """Return how much each value moved a score on the way from `fill` to the image.

    Args:
        score: Which.
        tensor: (C, ...).
        fill: Where the way begins, of the tensor's shape.
        steps: Points on the way, at Gauss and Legendre's places.

    Returns:
        (C, ...), of both signs; they add up to the score less that of `fill`.

    References:
        [1] Sundararajan, Taly & Yan, Axiomatic attribution for deep networks, ICML
            2017.
    """
    image, start = (to_batch(score.module, part[None]) for part in (tensor, fill))
    found = IntegratedGradients(score).attribute(
        image,
        start,
        target=score.label,
        n_steps=steps,
        internal_batch_size=score.batch,
    )
    return finite(found[0], "integrated gradients")


def smoothgrad(
    score: Score, tensor: F32, *, samples: int = 16, noise: float = 0.15
) -> F32:
    """Return a score's gradient by each value, averaged over noisy copies.

    Args:
        score: Which; `undisturbed` seeds the noise.
        tensor: (C, ...).
        samples: Copies.
        noise: Standard deviation of the noise, as a share of the image's range.

    Returns:
        (C, ...), of both signs.

    References:
        [1] Smilkov et al., SmoothGrad: removing noise by adding noise, 2017.
    """
    image = to_batch(score.module, tensor[None])
    deviation = max(noise * float(tensor.max() - tensor.min()), 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the input now takes gradients
        found = NoiseTunnel(Saliency(score)).attribute(
            image,
            nt_samples=samples,
            nt_samples_batch_size=min(score.batch, samples),
            stdevs=deviation,
            target=score.label,
            abs=False,
        )
    return finite(found[0], "gradients")
