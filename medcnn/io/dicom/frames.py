"""Enhanced multi-frame objects: what each frame says, as if it were a file of its own.

References:
    [1] DICOM PS3.3 C.7.6.16, Multi-frame Functional Groups; A.70, Legacy Converted.
"""

from pydicom.dataset import Dataset

from medcnn.io.dicom.tags import sequence

__all__ = ["frame_headers"]

_MACROS = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "FrameContentSequence",
    "MRImageFrameTypeSequence",
    "CTImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "ParametricMapFrameTypeSequence",
    "TemporalPositionSequence",
    "CardiacSynchronizationSequence",
    "MREchoSequence",
    "MRDiffusionSequence",
    "MRTimingAndRelatedParametersSequence",
    "MRModifierSequence",
    "MRMetaboliteMapSequence",
    "MRVelocityEncodingSequence",
    "CTReconstructionSequence",
    "SegmentIdentificationSequence",
)
"""Later ones win where two carry the same attribute."""

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
    per_frame = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if not per_frame or len(per_frame) != count:
        return None
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    base = Dataset()
    for keyword in _SHARED:
        if keyword in dataset:
            base[keyword] = dataset[keyword]
    if shared:
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
