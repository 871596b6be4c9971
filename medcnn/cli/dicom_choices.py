"""How DICOM results are made; here alone, so that --help loads nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DicomChoices"]


@dataclass(frozen=True)
class DicomChoices:
    """How DICOM results are made.

    Attributes:
        path: What was loaded.
        part: Which of several images was.
        resample_tilt: Whether slices that a tilted gantry sheared were resampled.
        allow_gaps: Whether slices with gaps were.
        with_region: Whether a segmentation of the hot region is wanted.
        identify: Whether the patient's name, number and dates are copied.
        codes: A file with a site's codes; None takes the usual.
    """

    path: Path
    part: int | None
    resample_tilt: bool
    allow_gaps: bool
    with_region: bool
    identify: bool
    codes: Path | None
