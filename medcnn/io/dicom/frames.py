"""Enhanced multi-frame objects: what each frame says, as if it were a file of its own.

References:
    [1] DICOM PS3.3 C.7.6.16, Multi-frame Functional Groups.
"""

from pydicom.dataset import Dataset

__all__ = ["frame_headers"]

_MACROS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)
_SHARED = (
    "Modality",
    "PresentationLUTShape",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PixelRepresentation",
    "Units",
)


def frame_headers(dataset: Dataset, count: int) -> list[Dataset] | None:
    """Return one flat header for each frame, or None if the object is not enhanced.

    Args:
        dataset: The enhanced object.
        count: How many frames it holds.
    """
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame is None or len(per_frame) != count:
        return None
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    base = Dataset()
    for keyword in _SHARED:
        if keyword in dataset:
            base[keyword] = dataset[keyword]
    _add_macros(base, shared[0])
    headers = []
    for group in per_frame:
        header = Dataset()
        header.update(base)
        _add_macros(header, group)
        headers.append(header)
    return headers


def _add_macros(header: Dataset, group: Dataset) -> None:
    """Copy the attributes of a group's macros into a flat header."""
    for keyword in _MACROS:
        macro = group.get(keyword)
        if macro:
            header.update(macro[0])
