"""Which cases are seen when: pure functions of (seed, epoch)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import RecipeError
from medcnn.planning.sections import Sampling

__all__ = ["EpochPlan", "Item"]

Item = tuple[int, int, int]
"""(epoch, side, index): all that a worker needs to make one training image."""


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """The order of the training cases in every epoch.

    Each group of cases is gone through in one shuffled round after another; an epoch
    takes the next so many of each group, and mixes them.

    Attributes:
        groups: Indices of each group's cases.
        counts: How many of each group an epoch takes.
        batch_size: Cases in a step.
        seed: Decides the order.
    """

    groups: tuple[npt.NDArray[np.intp], ...]
    counts: tuple[int, ...]
    batch_size: int
    seed: int

    @classmethod
    def make(
        cls,
        sampling: Sampling,
        column: Sequence[str],
        indices: npt.NDArray[np.intp],
        *,
        batch_size: int,
        seed: int,
    ) -> "EpochPlan":
        """Plan epochs over the training cases.

        Args:
            sampling: The recipe's part.
            column: The sampling column's value of each training case; all "" if none.
            indices: Their indices in the cache.
            batch_size: Cases in a step.
            seed: Decides the order.

        Raises:
            RecipeError: If `samples` names a value that no training case has.
        """
        values = np.array(column, dtype=object)
        names = sorted(set(column))
        unknown = [name for name in sampling.samples if name not in names]
        if unknown:
            msg = f"sampling.samples names {unknown[0]!r}, but column "
            msg += f"{sampling.column!r} has only {', '.join(names)}"
            raise RecipeError(msg)
        groups = tuple(indices[values == name] for name in names)
        counts = tuple(
            sampling.samples.get(name, len(group))
            for name, group in zip(names, groups, strict=True)
        )
        return cls(groups, counts, batch_size, seed)

    @property
    def steps(self) -> int:
        """Steps of an epoch; an incomplete last batch is left out if there are more."""
        return max(1, sum(self.counts) // self.batch_size)

    def order(self, epoch: int) -> npt.NDArray[np.intp]:
        """Return the indices of one epoch's cases in order."""
        parts = [self._slice(n, epoch) for n in range(len(self.groups))]
        rng = np.random.default_rng((self.seed, 1, epoch))
        return rng.permutation(np.concatenate(parts))

    def batches(self, epoch: int, *, side: int, start: int) -> Iterator[list[Item]]:
        """Yield one epoch's batches from step `start` on."""
        order = self.order(epoch)
        for step in range(start, self.steps):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield [(epoch, side, int(index)) for index in chosen]

    def _slice(self, number: int, epoch: int) -> npt.NDArray[np.intp]:
        """Return the next so many of a group, round after shuffled round."""
        group, count = self.groups[number], self.counts[number]
        if not count:
            return group[:0]
        first, last = epoch * count, (epoch + 1) * count
        rounds = range(first // len(group), (last - 1) // len(group) + 1)
        shuffled = np.concatenate(
            [
                np.random.default_rng((self.seed, 2, number, r)).permutation(group)
                for r in rounds
            ]
        )
        offset = rounds.start * len(group)
        return shuffled[first - offset : last - offset]
