"""Cross-entropy over what is known: an unknown label gives no gradient."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from medcnn.errors import RecipeError
from medcnn.planning.sections import Loss

__all__ = ["MaskedCrossEntropy", "positive_weights"]

_HEAVIEST = 10.0


def positive_weights(
    recipe: Loss,
    labels: tuple[str, ...],
    truth: npt.NDArray[np.float32],
    *,
    softmax: bool,
) -> npt.NDArray[np.float32]:
    """Return how much a positive of each label counts, (L,).

    Balanced labels that may occur together count negatives / positives; of classes each
    counts as if all were equally frequent.

    Args:
        recipe: The recipe's part.
        labels: The main label first.
        truth: The training cases' truths, (N, L), NaN where unknown.
        softmax: Whether exactly one label is true.

    Raises:
        RecipeError: If a label is named that there is none of.
    """
    weights = np.ones(len(labels), dtype=np.float32)
    if recipe.pos_weight == "none":
        return weights
    if recipe.pos_weight == "balanced":
        positive, negative = (truth == 1).sum(0), (truth == 0).sum(0)
        # a negative of one class is a positive of another, and weighed as such
        other = positive.mean() if softmax else negative
        ratio = other / np.maximum(positive, 1)
        return np.asarray(np.clip(ratio, 1 / _HEAVIEST, _HEAVIEST), np.float32)
    return _by_name(recipe.pos_weight, labels, "loss.pos_weight")


class MaskedCrossEntropy(nn.Module):
    """Cross-entropy of known labels, weighted, averaged over a batch.

    Args:
        recipe: The recipe's part.
        labels: The main label first.
        softmax: Whether exactly one label is true, or any may be.
        positive: What `positive_weights` returns.
    """

    positive: torch.Tensor
    weights: torch.Tensor

    def __init__(
        self,
        recipe: Loss,
        labels: tuple[str, ...],
        *,
        softmax: bool,
        positive: npt.NDArray[np.float32],
    ) -> None:
        super().__init__()
        weights = _by_name(recipe.label_weights, labels, "loss.label_weights")
        self.softmax = softmax
        self.smoothing = recipe.label_smoothing
        self.placed = recipe.places
        self.register_buffer("positive", torch.from_numpy(positive))
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the mean loss.

        Args:
            logits: (B, L).
            truth: (B, L), 0 to 1, NaN where unknown.
        """
        return self.total(logits, truth) / self.weight(truth)

    def weight(self, truth: torch.Tensor) -> torch.Tensor:
        """Return how much the known truths of a batch count together, above 0."""
        return self._shares(truth).sum().clamp_min(1e-6)

    def total(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of losses; totals of parts add up to the whole's.

        Args:
            logits: (B, L).
            truth: (B, L), 0 to 1, NaN where unknown.
        """
        wanted = truth.nan_to_num(0.0)  # (B, L)
        share = self._shares(truth)
        if self.softmax:
            smooth = wanted * (1 - self.smoothing) + self.smoothing / wanted.shape[1]
            each = -(smooth * logits.float().log_softmax(1)).sum(1)
            return (each * share).sum()
        wanted = wanted * (1 - self.smoothing) + self.smoothing / 2
        each = functional.binary_cross_entropy_with_logits(
            logits.float(), wanted, pos_weight=self.positive, reduction="none"
        )
        return (each * share).sum()

    def places(self, maps: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of how far labels' maps are from where labels are.

        Of the map z of a label that is in the picture, and the share s of each cell
        inside its place (the cell that holds most of it is 1), the loss is

            log sum(exp z) - log sum(s exp z) >= 0,

        less than that of no map by as much as it is hotter inside: the cross-entropy of
        a softmax over cells, of which any inside will do. It is blind to a constant
        that is added to all cells, so it does not move the label's logit by itself,
        and it is 0 once all that is hot is inside; how hot is left to the cross-entropy
        of the label. A place counts `loss.places` times as much as a truth of its
        label. A class's map counts as far as it differs from the mean of all classes,
        since only that moves its probability.

        Args:
            maps: What each cell adds to each logit, (B, L, ...).
            cells: s, (B, L, ...), NaN where a label's place is not known.
        """
        if self.softmax:
            maps = maps - maps.mean(1, keepdim=True)
        z, inside = maps.float().flatten(2), cells.flatten(2)  # (B, L, cells)
        known = ~inside.isnan().any(2)  # (B, L)
        z, inside = z[known], inside[known]  # (K, cells)
        each = z.logsumexp(1) - (z + inside.log()).logsumexp(1)
        counted = self.weights.expand_as(known)[known]
        return self.placed * (each * counted).sum()

    def _shares(self, truth: torch.Tensor) -> torch.Tensor:
        """Return how much each truth counts, (B, L); of classes, each case, (B,)."""
        known = ~truth.isnan()
        if not self.softmax:
            return known * self.weights
        wanted = truth.nan_to_num(0.0) * self.positive * self.weights
        return wanted.sum(1) * known.all(1)


def _by_name(
    values: dict[str, float], labels: tuple[str, ...], key: str
) -> npt.NDArray[np.float32]:
    """Return a number for each label, 1 for those not named.

    Raises:
        RecipeError: If a label is named that there is none of.
    """
    unknown = [name for name in values if name not in labels]
    if unknown:
        msg = f"{key} names {unknown[0]!r}, the labels are {', '.join(labels)}"
        raise RecipeError(msg)
    return np.array([values.get(label, 1.0) for label in labels], dtype=np.float32)
