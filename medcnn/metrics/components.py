"""DeLong's placements, and the spread of anything that is a sum over patients."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm, rankdata
from scipy.stats import t as student

from medcnn.errors import UndefinedMetricError
from medcnn.metrics.classes import FloatArray, IntArray, checked_level

__all__ = [
    "Sample",
    "count_patients",
    "exact_area",
    "influence",
    "logit_interval",
    "placements",
    "quantile",
    "spread",
    "two_sided",
]

_MANY = 20
"""From so many patients of each class on, the normal quantile is used."""


@dataclass(frozen=True)
class Sample:
    """How many cases and patients of each class there are.

    Attributes:
        diseased: Diseased cases.
        healthy: Healthy cases.
        diseased_patients: Patients with a diseased case.
        healthy_patients: Patients with a healthy case.
        effective: Of the class with fewer: as how many patients of equal size they
            count, (sum of sizes)^2 / sum of squared sizes.
    """

    diseased: int
    healthy: int
    diseased_patients: int
    healthy_patients: int
    effective: float

    def check(self) -> None:
        """Refuse what no interval can be made from.

        Raises:
            UndefinedMetricError: If a class has fewer than two patients.
        """
        if min(self.diseased_patients, self.healthy_patients) >= 2:
            return
        msg = (
            f"{self.diseased} diseased and {self.healthy} healthy, of "
            f"{self.diseased_patients} and {self.healthy_patients} patients: "
            "an interval needs two of each"
        )
        raise UndefinedMetricError(msg)


def placements(
    diseased: FloatArray, healthy: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return DeLong's structural components, in O(N log N) by midranks.

    Args:
        diseased: Scores, shape (m,).
        healthy: Scores, shape (n,).

    Returns:
        V10 (m,): the share of the healthy that each diseased case outscores. V01 (n,):
        the share of the diseased that outscore each healthy case. Ties count half.

    References:
        [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837-845.
        [2] Sun & Xu, IEEE Signal Process. Lett. 21 (2014) 1389-1393.
    """
    m, n = len(diseased), len(healthy)
    pooled = rankdata(np.concatenate([diseased, healthy]))
    of_diseased = (pooled[:m] - rankdata(diseased)) / n
    of_healthy = 1 - (pooled[m:] - rankdata(healthy)) / m
    return of_diseased, of_healthy


def influence(
    is_diseased: "np.typing.NDArray[np.bool_]", score: FloatArray
) -> tuple[float, FloatArray]:
    """Return the area under the ROC curve and what each case adds to its error.

    Args:
        is_diseased: Both classes are present, shape (N,).
        score: Higher means more likely diseased, shape (N,).

    Returns:
        The area, and (V10 - area) / m for the diseased and (V01 - area) / n for the
        healthy, shape (N,); each class sums to 0.
    """
    of_diseased, of_healthy = placements(score[is_diseased], score[~is_diseased])
    area = exact_area(of_diseased, len(of_healthy))
    added = np.empty(len(score))
    added[is_diseased] = (of_diseased - area) / len(of_diseased)
    added[~is_diseased] = (of_healthy - area) / len(of_healthy)
    return area, added


def spread(added: FloatArray, part: IntArray, codes: IntArray) -> float:
    """Return the variance of a sum over cases that are correlated within patients.

    What a patient adds is summed first, so that only patients need be independent.
    With each case its own patient and the parts the two classes this is DeLong's
    variance; with several cases a patient it is Obuchowski's.

    Args:
        added: What each case adds; each part sums to 0, shape (N,).
        part: Which part of the sum (a class, a group) a case is of, shape (N,). Each
            has at least two patients.
        codes: Number of each case's patient, shape (N,).

    Returns:
        Never negative.

    References:
        [1] Obuchowski, Biometrics 53 (1997) 567-578, equations 3 to 6.
    """
    patients = int(codes.max()) + 1
    whole, own, variance = np.zeros(patients), 0.0, 0.0
    for number in np.unique(part):
        of_part = codes[part == number]
        sums = np.bincount(of_part, weights=added[part == number], minlength=patients)
        present = np.count_nonzero(np.bincount(of_part, minlength=patients))
        squares = float(sums @ sums)
        variance += present / (present - 1) * squares
        own += squares
        whole += sums
    between = float(whole @ whole) - own  # twice the products of different parts
    return max(0.0, variance + patients / (patients - 1) * between)


def count_patients(
    is_diseased: "np.typing.NDArray[np.bool_]", codes: IntArray
) -> Sample:
    """Count the cases and patients of each class.

    Args:
        is_diseased: Shape (N,).
        codes: Number of each case's patient, shape (N,).
    """
    sizes = [np.bincount(codes[side]) for side in (is_diseased, ~is_diseased)]
    diseased, healthy = (counts[counts > 0].astype(np.float64) for counts in sizes)
    effective = [
        float(s.sum() ** 2 / (s @ s)) if len(s) else 0.0 for s in (diseased, healthy)
    ]
    return Sample(
        diseased=int(diseased.sum()),
        healthy=int(healthy.sum()),
        diseased_patients=len(diseased),
        healthy_patients=len(healthy),
        effective=min(effective),
    )


def quantile(level: float, effective: float) -> float:
    """Return how many standard errors an interval goes to each side.

    That is the normal quantile; where a class has fewer than 20 (equally large)
    patients its variance is itself uncertain, and Student's with one less degree of
    freedom than patients is taken, which is wider.

    Args:
        level: Coverage, between 0 and 1.
        effective: `Sample.effective`.
    """
    tail = (1 + checked_level(level)) / 2
    if effective >= _MANY:
        return float(norm.ppf(tail))
    return float(student.ppf(tail, max(1.0, effective - 1)))


def two_sided(ratio: float, effective: float) -> float:
    """Return the chance of a ratio so far from 0, by the rule of `quantile`.

    Args:
        ratio: An estimate over its standard error.
        effective: `Sample.effective`.
    """
    if effective >= _MANY:
        return float(2 * norm.sf(abs(ratio)))
    return float(2 * student.sf(abs(ratio), max(1.0, effective - 1)))


def exact_area(of_diseased: FloatArray, healthy: int) -> float:
    """Return the mean of placements without rounding: they are halves of whole numbers.

    Args:
        of_diseased: V10, shape (m,).
        healthy: n.
    """
    halves = np.rint(of_diseased * (2 * healthy)).sum()
    return float(halves / (2 * healthy * len(of_diseased)))


def logit_interval(
    area: float, variance: float, effective: float, level: float
) -> tuple[float, float]:
    """Return an interval of an area, made on the logit scale: within 0 and 1.

    Where the classes are perfectly apart the variance is 0; the bound is then the
    exact binomial one for `effective` trials. Where the variance is 0 otherwise (all
    scores equal) the largest variance that an area can have is taken.

    Args:
        area: 0 to 1.
        variance: Of the area.
        effective: `Sample.effective`.
        level: Coverage, between 0 and 1.

    References:
        [1] Pepe, The Statistical Evaluation of Medical Tests, 2003, section 5.2.
        [2] Birnbaum & Klose, Ann. Math. Statist. 28 (1957) 933-945: the variance is
            at most area (1 - area) / (cases of the smaller class).
    """
    room = area * (1 - area)
    if room <= 0:
        bound = ((1 - checked_level(level)) / 2) ** (1 / effective)
        return (bound, 1.0) if area > 0.5 else (0.0, 1 - bound)
    if variance <= 1e-12 * room:
        variance = room / effective
    half = quantile(level, effective) * math.sqrt(variance) / room
    centre = math.log(area / (1 - area))
    return float(expit(centre - half)), float(expit(centre + half))
