"""Which items of the reporting checklists each block of an evaluation answers.

CLAIM 2024: Tejani et al., Radiology: Artificial Intelligence 2024. STARD-AI:
Sounderajah et al., Nature Medicine 2025. TRIPOD+AI: Collins et al., BMJ 385 (2024)
e078378.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["BLOCKS", "TITLES", "Item", "Listed", "answers", "index"]


@dataclass(frozen=True)
class Item:
    """An item of a checklist.

    Attributes:
        guideline: Its name.
        number: As printed there.
        words: What it asks for.
        is_checked: Whether the number is known for certain; else the page asks its
            reader to hold it against the published list.
    """

    guideline: str
    number: str
    words: str
    is_checked: bool = True

    @property
    def mark(self) -> str:
        """The number, with a star where it is not certain."""
        return self.number if self.is_checked else f"{self.number}*"


@dataclass(frozen=True)
class Listed:
    """An item and where it is answered: titles of blocks."""

    item: Item
    blocks: tuple[str, ...]


_CLAIM, _STARD, _TRIPOD = "CLAIM 2024", "STARD-AI", "TRIPOD+AI"

_ITEMS = {
    "claim 12": Item(_CLAIM, "12", "how missing data were handled"),
    "claim 19": Item(_CLAIM, "19", "how data were split"),
    "claim 20": Item(_CLAIM, "20", "at which level the splits are disjoint"),
    "claim 28": Item(_CLAIM, "28", "measures of performance"),
    "claim 29": Item(_CLAIM, "29", "measures of uncertainty"),
    "claim 30": Item(_CLAIM, "30", "robustness or sensitivity analysis"),
    "claim 31": Item(_CLAIM, "31", "methods of explanation"),
    "claim 32": Item(_CLAIM, "32", "testing on internal data"),
    "claim 33": Item(_CLAIM, "33", "testing on external data"),
    "claim 37": Item(_CLAIM, "37", "performance, also in subgroups"),
    "claim 38": Item(_CLAIM, "38", "diagnostic accuracy with its precision"),
    "claim 39": Item(_CLAIM, "39", "failure analysis of wrong results"),
    "stard 15c": Item(_STARD, "15c", "cut-offs fixed beforehand"),
    "stard 19": Item(_STARD, "19", "how indeterminate results were handled"),
    "stard 23": Item(_STARD, "23", "analysis of errors and bias"),
    "stard 31": Item(_STARD, "31", "estimates with 95 % intervals"),
    "tripod 12e": Item(
        _TRIPOD, "12e", "discrimination, calibration and clinical utility"
    ),
    "tripod 12f": Item(_TRIPOD, "12f", "updating of the model, recalibration"),
    "tripod 13": Item(_TRIPOD, "13", "imbalance of classes"),
    "tripod 14": Item(_TRIPOD, "14", "fairness"),
    "tripod 15": Item(_TRIPOD, "15", "output of the model and its thresholds"),
    "tripod 20a": Item(_TRIPOD, "20a", "flow of participants", is_checked=False),
    "tripod 21": Item(
        _TRIPOD, "21", "participants and events in each analysis", is_checked=False
    ),
    "tripod 23a": Item(
        _TRIPOD,
        "23a",
        "performance with intervals, also in subgroups",
        is_checked=False,
    ),
}

TITLES = {
    "whom": "What was tested on whom",
    "all labels": "All labels",
    "classes": "Which class is taken for which",
    "discrimination": "Telling diseased from healthy",
    "operating points": "Operating points",
    "calls": "Right and wrong calls",
    "scores": "How the scores lie",
    "calibration": "How the scores lie, and what they mean",
    "usefulness": "What using it would bring",
    "subgroups": "Subgroups",
    "indeterminate": "With the cases that have no usable answer",
    "errors": "The worst errors",
    "pictured errors": "The worst errors",
    "heatmaps": "Can the heatmaps be trusted?",
    "limits": "Limits and methods",
}
"""What the page calls each block."""

BLOCKS = {
    "whom": ("claim 12", "claim 19", "claim 20", "stard 19", "tripod 20a", "tripod 21"),
    "all labels": ("claim 38", "stard 31", "tripod 12e", "tripod 23a"),
    "classes": ("claim 38", "claim 39", "stard 23"),
    "discrimination": (
        *("claim 28", "claim 29", "claim 38", "stard 31"),
        *("tripod 12e", "tripod 13", "tripod 23a"),
    ),
    "operating points": ("claim 38", "stard 15c", "stard 31", "tripod 15"),
    "calls": ("claim 39", "stard 23"),
    "scores": ("claim 28",),
    "calibration": ("claim 28", "tripod 12e", "tripod 12f"),
    "usefulness": ("tripod 12e",),
    "subgroups": ("claim 37", "stard 23", "tripod 14", "tripod 23a"),
    "indeterminate": ("claim 12", "claim 30", "stard 19"),
    "errors": ("claim 39", "stard 23"),
    "pictured errors": ("claim 31", "claim 39", "stard 23"),
    "heatmaps": ("claim 31",),
    "limits": ("claim 28", "claim 29", "claim 30", "claim 32", "claim 33"),
}
"""The items that each block answers, at least in part."""


def answers(block: str) -> str:
    """Return what a block answers, in words.

    Examples:
        >>> answers("calls")
        'CLAIM 2024 item 39; STARD-AI item 23'
        >>> answers("whom")
        'CLAIM 2024 items 12, 19, 20; STARD-AI item 19; TRIPOD+AI items 20a*, 21*'
    """
    items = [_ITEMS[key] for key in BLOCKS[block]]
    parts = []
    for name in dict.fromkeys(item.guideline for item in items):
        marks = [item.mark for item in items if item.guideline == name]
        parts.append(f"{name} item{'s' if len(marks) > 1 else ''} {', '.join(marks)}")
    return "; ".join(parts)


def index(shown: Collection[str]) -> Iterator[Listed]:
    """Yield each item with the blocks that answer it.

    Args:
        shown: The blocks that the page has; those of items are among them.
    """
    for key, item in _ITEMS.items():
        where = tuple(
            TITLES[x] for x, keys in BLOCKS.items() if key in keys and x in shown
        )
        if where:
            yield Listed(item, where)
