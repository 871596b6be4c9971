"""How medcnn's own objects are told from images that are to be looked at."""

from pydicom.dataset import Dataset

from medcnn.io.dicom.tags import text

__all__ = ["MANUFACTURER", "RESEARCH_USE", "is_own_result"]

MANUFACTURER = "medcnn"
"""(0008,0070) Manufacturer of every result."""

RESEARCH_USE = "Research use"
"""How every series description begins."""


def is_own_result(dataset: Dataset) -> bool:
    """Say whether a data set is a result that medcnn made, which is never screened."""
    return text(dataset, "Manufacturer") == MANUFACTURER and text(
        dataset, "SeriesDescription"
    ).startswith(RESEARCH_USE)
