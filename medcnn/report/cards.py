"""What the report shows of one image."""

from dataclasses import dataclass
from pathlib import PurePath

from medcnn.report.pictures import Embedder
from medcnn.results import Status
from medcnn.worklist import RunRecord, WorklistRow

__all__ = ["Bar", "Card", "card_of", "state_of"]

_WORDS = {
    "flag": "Flag",
    "review": "Review",
    "no-flag": "No flag",
    "out_of_scope": "Out of scope",
    "error": "Not read",
}


@dataclass(frozen=True)
class Bar:
    """A number and its two thresholds, all 0 to 1."""

    label: str
    value: float
    review: float
    flag: float

    @property
    def state(self) -> str:
        """Where the value lies: "flag", "review" or "no-flag"."""
        if self.value >= self.flag:
            return "flag"
        return "review" if self.value >= self.review else "no-flag"


@dataclass(frozen=True)
class Card:
    """One image of the worklist.

    Attributes:
        index: Its place in the worklist, from 0.
        row: Its line of the worklist.
        name: The last part of its path.
        folder: The rest of it.
        state: A band, "out_of_scope" or "error".
        words: The same for a reader.
        picture: src of the thumbnail, or "".
        heatmap: src of the overlay, or "".
        bars: One for each label, the main one first; empty if it was not run.
    """

    index: int
    row: WorklistRow
    name: str
    folder: str
    state: str
    words: str
    picture: str
    heatmap: str
    bars: tuple[Bar, ...]


def state_of(row: WorklistRow) -> str:
    """Return a row's band, or why it has none: "out_of_scope" or "error"."""
    return row.band.value if row.band is not None else row.status.value


def card_of(
    index: int, row: WorklistRow, record: RunRecord, embedder: Embedder
) -> Card:
    """Return what is shown of the row at a place in the worklist."""
    path = PurePath(row.path)
    state = state_of(row)
    model = record.model
    bars = tuple(
        Bar(label, value, model.reviews[label], model.thresholds[label])
        for label, value in (row.probabilities or {}).items()
    )
    is_read = row.status is not Status.ERROR
    return Card(
        index=index,
        row=row,
        name=path.name,
        folder="" if str(path.parent) == "." else f"{path.parent}/",
        state=state,
        words=_WORDS[state],
        picture=embedder.source(row.thumbnail) if is_read else "",
        heatmap=embedder.source(row.heatmap) if is_read else "",
        bars=bars,
    )
