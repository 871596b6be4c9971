"""Has a site moved? Two samples compared by tests that hold their false alarm rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency, kstwo

from medcnn.drift.comparison import ALPHA, FEWEST, LEAST_SHIFT, Comparison, Move
from medcnn.drift.sample import Numbers, Sample

__all__ = ["compare"]

_FEWEST_EXPECTED = 5
_BINS = 10


def compare(reference: Sample, sample: Sample) -> Comparison:
    """Compare a sample with a reference, thing by thing.

    Numbers by the two-sample test of Kolmogorov and Smirnov, words by chi-squared with
    rare ones as one; Holm's correction holds the chance of any false alarm of the
    comparison at `ALPHA`; what moved must also differ by `LEAST_SHIFT`. Values that
    tie make the first test err on the side of silence.

    Args:
        reference: What was.
        sample: What is.

    References:
        [1] Smirnov, Ann. Math. Statist. 19 (1948) 279-281.
        [2] Holm, Scand. J. Statist. 6 (1979) 65-70.
        [3] Yurdakul, Statistical properties of population stability index, 2018.
    """
    found: list[dict[str, Any]] = []
    untested: dict[str, str] = {}
    for name in dict.fromkeys((*reference.numbers, *sample.numbers)):
        one, other = reference.numbers.get(name), sample.numbers.get(name)
        if _enough(_count(one), _count(other), name, untested):
            found.append({"name": name, **_numbers(one, other)})
    for name in dict.fromkeys((*reference.words, *sample.words)):
        mine, theirs = reference.words.get(name, {}), sample.words.get(name, {})
        sums = sum(mine.values()), sum(theirs.values())
        if _enough(*sums, name, untested):
            found.append({"name": name, **_words(mine, theirs)})
    moves = _corrected(found)
    verdict = "moved" if any(move.moved for move in moves) else "no sign of a move"
    return Comparison.model_validate(
        {
            "against": reference.source,
            "verdict": verdict if moves else "too few to tell",
            "moves": moves,
            "untested": untested,
            "notes": _notes(reference, sample),
        }
    )


def _count(numbers: Numbers | None) -> int:
    return 0 if numbers is None else numbers.count


def _enough(before: int, now: int, name: str, untested: dict[str, str]) -> bool:
    """Say whether both sides have enough; note why not."""
    if min(before, now) >= FEWEST:
        return True
    untested[name] = f"known of {before} before and {now} now, {FEWEST} needed"
    return False


def _corrected(found: list[dict[str, Any]]) -> tuple[Move, ...]:
    """Correct the tests for their number, and put what moved first."""
    order = sorted(range(len(found)), key=lambda n: found[n]["p"])
    highest, moves = 0.0, []
    for place, n in enumerate(order):
        one = found[n]
        highest = max(highest, min(1.0, one["p"] * (len(found) - place)))
        moved = highest < ALPHA and one["shift"] >= LEAST_SHIFT
        moves.append(Move(**one, p_all=highest, moved=moved))
    moves.sort(key=lambda move: (not move.moved, -move.shift))
    return tuple(moves)


def _numbers(before: Numbers | None, now: Numbers | None) -> dict[str, Any]:
    """Compare two distributions of a number; both are there."""
    if before is None or now is None:  # for the type checker: `_enough` saw to it
        return {}
    one, other = np.array(before.values), np.array(now.values)
    every = np.unique(np.concatenate([one, other]))
    gap = float(np.abs(_below(one, every) - _below(other, every)).max())
    weight = before.count * now.count / (before.count + now.count)
    tenths = np.unique(np.quantile(one, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = (
        np.bincount(np.searchsorted(tenths, x, side="left"), minlength=len(tenths) + 1)
        / len(x)
        for x in (one, other)
    )
    marks = [f"{np.median(one):.4g}", f"{np.median(other):.4g}"]
    return {
        "test": "KS",
        "before": before.count,
        "now": now.count,
        "shift": gap,
        "psi": _psi(*shares),
        "p": float(kstwo.sf(gap, round(weight))),
        "words": f"median {marks[0]} before, {marks[1]} now",
    }


def _below(values: npt.NDArray[Any], at: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the empirical distribution function of rising values."""
    return np.searchsorted(values, at, side="right") / len(values)


def _words(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, Any]:
    """Compare how often words occur."""
    names = sorted({*before, *now})
    table = np.array([[x.get(name, 0) for name in names] for x in (before, now)], float)
    shares = table / table.sum(axis=1, keepdims=True)
    return {
        "test": "chi-squared",
        "before": int(table[0].sum()),
        "now": int(table[1].sum()),
        "shift": float(np.abs(shares[0] - shares[1]).sum() / 2),
        "psi": _psi(*shares),
        "p": _chi_squared(table),
        "words": _in_words(names, shares),
    }


def _chi_squared(table: npt.NDArray[Any]) -> float:
    """Return p with rare words as one; 1 where only one is left.

    Rare is a word that fewer than five are expected of on either side, a rule that
    looks at both sides together and so at nothing that the test asks.
    """
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    rare = expected.min(axis=0) < _FEWEST_EXPECTED
    pooled = table[:, ~rare]
    if rare.any():
        pooled = np.column_stack([pooled, table[:, rare].sum(axis=1)])
    if pooled.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(pooled, correction=False).pvalue)


def _in_words(names: list[str], shares: npt.NDArray[Any]) -> str:
    """Name the word whose share changed most."""
    n = int(np.abs(shares[0] - shares[1]).argmax())
    before, now = (f"{100 * part[n]:.0f} %" for part in shares)
    return f"{names[n]}: {before} before, {now} now"


def _psi(before: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """Return the population stability index; empty bins count as 1 in 10,000."""
    one, other = np.maximum(before, 1e-4), np.maximum(now, 1e-4)
    return float(((other - one) * np.log(other / one)).sum())


def _notes(reference: Sample, sample: Sample) -> tuple[str, ...]:
    """Say what the numbers rest on."""
    notes = []
    for side, words in ((reference, "the reference"), (sample, "the run")):
        if side.without_patient:
            notes.append(
                f"{side.without_patient} of {side.units} of {words} say no patient: "
                "each counts as one; several of one patient would raise false alarms."
            )
    return tuple(notes)
