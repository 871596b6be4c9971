"""What a caller chooses about reading; every reader is given the same choices."""

from dataclasses import dataclass

__all__ = ["Cells", "ReadOptions"]


@dataclass(frozen=True)
class Cells:
    """Cells that a picture is wanted in, each the mean of the samples that it covers.

    What is averaged to `shape` afterwards comes out as if the whole picture had been.

    Attributes:
        shape: (rows, columns) that the picture is brought to in the end.
        times: Cells along each side of one of those.
        keeps_aspect: Whether it keeps its aspect in them; otherwise it fills them.

    Raises:
        ValueError: If a number is below 1.
    """

    shape: tuple[int, int]
    times: int = 1
    keeps_aspect: bool = False

    def __post_init__(self) -> None:
        if min(*self.shape, self.times) < 1:
            msg = f"cells must be at least 1, got {self.shape}, {self.times} times"
            raise ValueError(msg)

    def over(self, picture: tuple[int, int]) -> tuple[int, int]:
        """Return how many (rows, columns) of cells a picture of such a size has."""
        rows, columns = self.shape
        if self.keeps_aspect:
            scale = min(n / o for n, o in zip(self.shape, picture, strict=True))
            rows, columns = (max(1, round(n * scale)) for n in picture)
        return rows * self.times, columns * self.times


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
        cells: A grey DICOM picture that is at least so large comes as the means of
            these cells, whatever `size` says.

    Raises:
        ValueError: If `part` or a number of `size` is below 1.
    """

    series: str | None = None
    part: int | None = None
    size: tuple[int, int] | None = None
    values: bool | None = None
    resample_tilt: bool = False
    allow_gaps: bool = False
    cells: Cells | None = None

    def __post_init__(self) -> None:
        if self.part is not None and self.part < 1:
            msg = f"part counts from 1, got {self.part}"
            raise ValueError(msg)
        if self.size is not None and min(self.size) < 1:
            msg = f"size must be (rows, columns) of at least 1, got {self.size}"
            raise ValueError(msg)
