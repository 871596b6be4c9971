"""Means of images with intervals over patients, as evaluation.json holds them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medcnn.errors import UndefinedMetricError
from medcnn.evaluation.measures import Estimate
from medcnn.metrics.patient_mean import patient_mean, resampled_mean

__all__ = ["Group"]

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Mean = Callable[..., tuple[float, float, float, str]]


@dataclass(frozen=True)
class Group:
    """How means and their intervals are made.

    Attributes:
        samples: Resampled sets of patients.
        seed: Of resampling; the same for every number, so that none depends on which
            were made before it.
    """

    samples: int = 2000
    seed: int = 0

    @staticmethod
    def codes(patients: Sequence[str]) -> tuple[Codes, bool]:
        """Number the patients; an image of nobody known counts alone.

        Returns:
            The number of each image's patient, and whether all are known.
        """
        named = [name or f"\0{n}" for n, name in enumerate(patients)]
        number = {name: code for code, name in enumerate(dict.fromkeys(named))}
        return np.array([number[name] for name in named], np.intp), all(patients)

    def mean(self, values: Values, codes: Codes) -> Estimate:
        """Return the mean over images with its interval, if there is one."""
        return self._estimate(patient_mean, values, codes)

    def difference(self, first: Values, second: Values, codes: Codes) -> Estimate:
        """Return the mean of the differences, image by image, with its interval."""
        values = np.asarray(first - second, np.float64)
        return self._estimate(resampled_mean, values, codes)

    def _estimate(self, mean: Mean, values: Values, codes: Codes) -> Estimate:
        rng = np.random.default_rng(self.seed)
        try:
            value, low, high, method = mean(
                values, codes, samples=max(self.samples, 1), rng=rng
            )
        except UndefinedMetricError as error:
            return _alone(values, error)
        return Estimate(value=value, ci95=(low, high), method=method)


def _alone(values: Values, error: UndefinedMetricError) -> Estimate:
    """Return a mean that has no interval, and say why."""
    method = f"no interval: {error.message}"
    return Estimate(value=float(values.mean()), ci95=None, method=method)
