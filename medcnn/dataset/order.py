"""Which class is the main one: what is looked for comes first, the healthy last."""

from collections.abc import Iterable

__all__ = ["in_order"]

_HEALTHY = {
    *("0", "benign", "healthy", "negative", "no finding", "no_finding", "none"),
    *("normal", "normal, benign"),
}


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return classes with the healthy ones last, else in the order given.

    Examples:
        >>> in_order(["Normal", "pneumonia"])
        ('pneumonia', 'Normal')
    """
    return tuple(sorted(names, key=lambda name: name.lower() in _HEALTHY))
