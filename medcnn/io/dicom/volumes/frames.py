"""Enhanced multi-frame objects: what each frame says, as if it were a file of its own.

References:
    [1] DICOM PS3.3 C.7.6.16, Multi-frame Functional Groups; A.70, Legacy Converted.
"""

from pathlib import Path

from pydicom.dataset import Dataset

from medcnn.errors import ReadError
from medcnn.io.dicom.tags import NOT_CONFORMANT, sequence

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

_VALUES = (
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
)
_DISPLAY = (
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
)
_REPLACED = {
    "PixelValueTransformationSequence": _VALUES,
    "FrameVOILUTSequence": _DISPLAY,
}
"""What a macro says instead of the object, so that the two are never mixed."""

_MAPPING = "RealWorldValueMappingSequence"

_SHARED = (
    *("Modality", "PresentationLUTShape", "PixelRepresentation", "Units"),
    *(
        f"{kind}PixelPadding{what}"
        for kind in ("", "Float", "DoubleFloat")
        for what in ("Value", "RangeLimit")
    ),
    *(*_VALUES, *_DISPLAY, _MAPPING, "RedPaletteColorLookupTableDescriptor"),
    *("SegmentationType", "SegmentationFractionalType", "MaximumFractionalValue"),
)
"""What holds for every frame unless its macros say otherwise."""


def frame_headers(
    dataset: Dataset, count: int, path: Path | None
) -> list[Dataset] | None:
    """Return one flat header for each frame, or None if the object is not enhanced.

    Args:
        dataset: The enhanced object.
        count: How many frames it holds.
        path: The file, for errors.

    Raises:
        ReadError: If it describes more or fewer frames than it holds, or says of some
            frames only what their values mean.
    """
    per_frame = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    if not per_frame and not shared:
        return None
    if per_frame and len(per_frame) != count:
        msg = (
            f"it holds {count} frames, but (5200,9230) Per-frame Functional Groups "
            f"describe {len(per_frame)}."
        )
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)
    _check_values(per_frame, shared, path)
    base = Dataset()
    for keyword in _SHARED:
        if keyword in dataset:
            base[keyword] = dataset[keyword]
    if shared:
        _add_macros(base, shared[0])
    headers = []
    for group in per_frame or [Dataset()] * count:
        header = Dataset()
        header.update(base)
        _add_macros(header, group)
        headers.append(header)
    return headers


def _check_values(
    per_frame: list[Dataset], shared: list[Dataset], path: Path | None
) -> None:
    """Refuse frames of which some say what their values mean and others do not.

    Raises:
        ReadError: If there are such.

    References:
        [1] DICOM PS3.3 C.7.6.16.1: a macro is shared, or there for every frame.
    """
    keyword = "PixelValueTransformationSequence"
    if shared and sequence(shared[0], keyword):
        return
    lacking = sum(not sequence(group, keyword) for group in per_frame)
    if 0 < lacking < len(per_frame):
        msg = (
            f"(0028,9145) Pixel Value Transformation is missing in {lacking} of its "
            f"{len(per_frame)} frames."
        )
        raise ReadError(msg, path=path, hint=NOT_CONFORMANT)


def _add_macros(header: Dataset, group: Dataset) -> None:
    """Copy the attributes of a group's macros into a flat header."""
    for keyword in _MACROS:
        macro = sequence(group, keyword)
        if macro:
            for replaced in _REPLACED.get(keyword, ()):
                header.pop(replaced, None)
            header.update(macro[0])
    if _MAPPING in group:
        header[_MAPPING] = group[_MAPPING]
