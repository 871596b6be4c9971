"""What a file holds, found out from its header alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Description"]


@dataclass(frozen=True)
class Description:
    """One image as its header describes it; no pixel was decoded.

    Attributes:
        source: The file, or the folder or archive of a series.
        kind: Such as "dicom", "nifti", "raster" or "tiff slide".
        shape: Number of voxels along i, j, k.
        channels: 1 for grey, 3 for colour.
        modality: DICOM code such as "DX"; None where nothing says.
        spacing_mm: Along i, j, k; None where nothing says.
        orientation: Where i, j, k point to, such as "LPS"; None where nothing says.
        frame: "patient", "detector" or "slide"; None without a spacing.
        unit: What the values mean, such as "HU"; None where nothing says.
        steps: What `load` would do to the stored values, in order, in words.
        warnings: What a careful reader would want to be told.
        facts: What the file says that an input gate wants to know.
        series_uid: Which series it belongs to; None outside DICOM.
        files: How many files make it up.
        part: Which of the images of its file or series it is, counted from 1.
        parts: How many images its file or series holds.
        title: What tells it from the other parts, such as "echo time 4.9 ms".
    """

    source: Path
    kind: str
    shape: tuple[int, int, int]
    channels: int = 1
    modality: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    orientation: str | None = None
    frame: str | None = None
    unit: str | None = None
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    series_uid: str | None = None
    files: int = 1
    part: int = 1
    parts: int = 1
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"source": str(self.source), "facts": dict(self.facts)}
