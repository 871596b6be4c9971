"""Numbers with their intervals, as a page or a card says them."""

import math

from markupsafe import Markup, escape

from medcnn.evaluation.records import Estimate

__all__ = [
    "NONE",
    "count",
    "estimate_words",
    "interval_words",
    "percent",
    "plain",
    "ratio_words",
    "share_with",
    "share_words",
    "signed_words",
    "stacked",
    "with_interval",
]

NONE = "not defined"
"""What stands where a number does not exist."""


_NEAR = 0.001
"""Nearer to 0 or 1 a share gets more digits."""

_MOST_DIGITS = 6


def count(number: int) -> str:
    """Return a count with its thousands apart."""
    return f"{number:,}"


def plain(value: float | None) -> str:
    """Return a number without an interval."""
    return NONE if value is None else f"{value:.3f}"


def estimate_words(value: Estimate | None) -> str:
    """Return a number with its interval."""
    return NONE if value is None else with_interval(value.value, value.ci95)


def with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """Return a number and its interval, if there is one."""
    if value is None:
        return NONE
    if interval is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def signed_words(value: Estimate | None) -> str:
    """Return a difference with its sign and its interval."""
    if value is None:
        return NONE
    if value.ci95 is None:
        return f"{value.value:+.3f}"
    return f"{value.value:+.3f} ({value.ci95[0]:+.3f} to {value.ci95[1]:+.3f})"


def interval_words(value: Estimate, *, in_percent: bool = False) -> str:
    """Return the interval of a number in words."""
    if value.ci95 is None:
        return "no interval"
    low, high = value.ci95
    if in_percent:
        return f"95 % interval {_hundredths(low)} to {_hundredths(high)}"
    return f"95 % interval {low:.3f} to {high:.3f}"


def percent(value: float | None) -> str:
    """Return a share in per cent, with digits that tell it from 0 and from 100.

    Examples:
        >>> percent(0.25), percent(0.00002), percent(0.99999), percent(1.0)
        ('25.0 %', '0.002 %', '99.999 %', '100.0 %')
    """
    return NONE if value is None else f"{_hundredths(value)} %"


def share_words(value: Estimate | None) -> str:
    """Return a share in per cent with its interval."""
    if value is None:
        return NONE
    return share_with(value.value, value.ci95)


def share_with(value: float | None, interval: tuple[float, float] | None) -> str:
    """Return a share in per cent and its interval, if there is one."""
    if value is None or interval is None:
        return percent(value)
    low, high = (_hundredths(bound) for bound in interval)
    return f"{percent(value)} ({low} to {high})"


def ratio_words(value: Estimate | None) -> str:
    """Return a likelihood ratio with its interval."""
    if value is None or value.ci95 is None:
        return NONE
    low, high = (_ratio(bound) for bound in value.ci95)
    return f"{_ratio(value.value)} ({low} to {high})"


def stacked(words: str) -> Markup:
    """Return a number with its interval on the next line."""
    number, bracket, interval = words.partition(" (")
    if not bracket:
        return escape(words)
    return Markup("{}<br><small>{}</small>").format(number, interval.rstrip(")"))


def _hundredths(share: float) -> str:
    near = min(share, 1 - share)
    digits = 1
    if 0 < near < _NEAR:
        digits = min(_MOST_DIGITS, 1 + math.ceil(math.log10(_NEAR / near) - 1e-6))
    return f"{100 * share:.{digits}f}"


def _ratio(value: float) -> str:
    return f"{value:.{3 if value < 0.1 else 2 if value < 100 else 0}f}"
