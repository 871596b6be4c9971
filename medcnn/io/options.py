"""What a caller chooses about reading; every reader is given the same choices."""

from dataclasses import dataclass

__all__ = ["ReadOptions"]


@dataclass(frozen=True)
class ReadOptions:
    """The choices of one reading; the defaults never guess.

    Attributes:
        series: Series Instance UID of the wanted series of a folder.
        part: Which image of a file or series that holds several (time points, echoes,
            pages, volumes), counted from 1; None refuses several.
        size: (rows, columns) that the caller needs at least; a picture may then come
            reduced to a half, quarter or eighth, never a smaller one.
        values: True keeps measured values, False gives what a screen shows (window
            or VOI LUT, polarity), None decides by modality.
        resample_tilt: Resample slices that a tilted gantry sheared to a rectangular
            grid instead of refusing them.
        allow_gaps: Resample slices with gaps or uneven distances to an even grid
            instead of refusing them; what lies in a gap is masked as padding.

    Raises:
        ValueError: If `part` or a number of `size` is below 1.
    """

    series: str | None = None
    part: int | None = None
    size: tuple[int, int] | None = None
    values: bool | None = None
    resample_tilt: bool = False
    allow_gaps: bool = False

    def __post_init__(self) -> None:
        if self.part is not None and self.part < 1:
            msg = f"part counts from 1, got {self.part}"
            raise ValueError(msg)
        if self.size is not None and min(self.size) < 1:
            msg = f"size must be (rows, columns) of at least 1, got {self.size}"
            raise ValueError(msg)
