"""Heatmaps of volumes on the grid of their source: as values, and as a hot region."""

from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.color import CIELabColor
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as known

from medcnn.dicom_out.case import Case, Mapped
from medcnn.dicom_out.codes import Code, plain_text
from medcnn.dicom_out.common import ARTIFICIAL_INTELLIGENCE, concept, equipment
from medcnn.dicom_out.region import hot
from medcnn.dicom_out.uids import derived_uid
from medcnn.geometry import LPS_TO_RAS, Frame

__all__ = ["hot_region", "is_mappable", "parametric_map"]

_SALIENCY = Code(value="130404", scheme="DCM", meaning="Saliency")
_CLASS = Code(value="130402", scheme="DCM", meaning="Class activation")
_GRADIENT = Code(
    value="130403", scheme="DCM", meaning="Gradient-weighted class activation"
)
_QUANTITIES = {
    "cam": _CLASS,
    "score-cam": _CLASS,
    "grad-cam": _GRADIENT,
    "grad-cam++": _GRADIENT,
    "hirescam": _GRADIENT,
    "layercam": _GRADIENT,
}
"""PS3.16 CID 7180: what the values of a method are; the others are Saliency."""

_CATEGORY = Code(
    value="309825002", scheme="SCT", meaning="Spatial and Relational Concept"
)
"""PS3.16 CID 7150: nothing anatomical, nothing ill."""

_MAPS, _REGIONS = 9_903_000, 9_904_000
"""Series numbers of the labels' maps and regions begin behind these."""

_ORANGE = (70.0, 35.0, 70.0)
"""CIELab L*, a*, b* of a region; without one, viewers take what comes."""


def is_mappable(case: Case) -> bool:
    """Say whether a case has the space that maps on its grid need."""
    grid = case.image.geometry
    return (
        grid is not None
        and grid.frame is Frame.PATIENT
        and bool(case.source.frame_of_reference)
        and all(
            "ImagePositionPatient" in h or "NumberOfFrames" in h
            for h in case.source.headers
        )
    )


def parametric_map(
    case: Case, mapped: Mapped, series_uid: str, sop_uid: str, number: int
) -> Dataset:
    """Return a label's raw relevance as 32-bit floats on the image's own grid."""
    label = mapped.heatmap.label
    values = _frames(mapped.heatmap.array.astype(np.float32, copy=False))
    top = float(values.max()) or 1.0
    quantity = _QUANTITIES.get(mapped.heatmap.method, _SALIENCY)
    mapping = RealWorldValueMapping(
        lut_label=mapped.heatmap.method[:16],
        lut_explanation=plain_text(f"{label}: {mapped.heatmap.unit}"),
        unit=known.UCUM.NoUnits,
        value_range=(0.0, top),
        slope=1.0,
        intercept=0.0,
        quantity_definition=concept(quantity),
    )
    dataset: Dataset = ParametricMap(
        list(case.source.headers),
        values,
        series_instance_uid=series_uid,
        sop_instance_uid=sop_uid,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(top / 2, top, voi_lut_function="LINEAR_EXACT")
        ],
        content_label="SALIENCY",
        content_description=plain_text(f"Heatmap of {label}"),
        content_creator_name="medcnn^",
        **_places(case),
        **equipment(case, f"{label} map", series_number=_MAPS + number),
    )
    _sort_frames(dataset)
    return dataset


def hot_region(
    case: Case, mapped: Mapped, series_uid: str, sop_uid: str, number: int
) -> Dataset | None:
    """Return where a label's map is hot, typed as saliency; None if nowhere."""
    mask = hot(mapped.levels)
    if not mask.any():
        return None
    name = mapped.heatmap.label
    label = plain_text(f"{name}: saliency, no outline of a lesion")
    segment = SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=concept(_CATEGORY),
        segmented_property_type=concept(_SALIENCY),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=case.model.name,
            family=CodedConcept(*ARTIFICIAL_INTELLIGENCE),
            version=case.model.version,
        ),
        tracking_uid=derived_uid(case.seed, "segment", name),
        tracking_id=case.codes.finding(name).meaning,
        display_color=CIELabColor(*_ORANGE),
    )
    dataset: Dataset = Segmentation(
        list(case.source.headers),
        _frames(mask),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=series_uid,
        sop_instance_uid=sop_uid,
        content_label="SALIENCY",
        content_description=label,
        content_creator_name="medcnn^",
        **_places(case),
        **equipment(case, f"{name} hot region", series_number=_REGIONS + number),
    )
    return dataset


def _sort_frames(dataset: Dataset) -> None:
    """Store a map's frames in the order of their places along the slices' normal.

    Each frame says where it lies, and the standard allows any order. OHIF lays frames
    over the slices in stored order, whatever they say, and sorts slices this way.

    References:
        [1] DICOM PS3.3 C.7.6.17: frames have no order but that of their indices.
    """
    shared = dataset.SharedFunctionalGroupsSequence[0]
    cosines = np.array(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, float
    )
    normal = np.cross(cosines[:3], cosines[3:])
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    places = [
        np.dot(normal, np.array(g.PlanePositionSequence[0].ImagePositionPatient, float))
        for g in groups
    ]
    order = np.argsort(places)
    dataset.PerFrameFunctionalGroupsSequence = [groups[n] for n in order]
    stored = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(len(groups), -1)
    dataset.FloatPixelData = stored[order].tobytes()


def _frames(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn (I, J, K) into frames, (K, rows, columns)."""
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def _places(case: Case) -> dict[str, Any]:
    """Return where the frames lie, from the image's geometry."""
    grid = case.image.geometry
    assert grid is not None  # noqa: S101 - is_mappable was asked
    lps = LPS_TO_RAS @ grid.affine
    spacing = grid.spacing_mm
    axes = lps[:3, :3] / np.array(spacing)
    positions = (lps @ [0, 0, k, 1] for k in range(grid.shape[2]))
    return {
        "pixel_measures": PixelMeasuresSequence(
            pixel_spacing=(spacing[1], spacing[0]),
            slice_thickness=spacing[2],
            spacing_between_slices=spacing[2],
        ),
        "plane_orientation": PlaneOrientationSequence(
            "PATIENT", (*axes[:, 0], *axes[:, 1])
        ),
        "plane_positions": [
            PlanePositionSequence("PATIENT", position[:3].tolist())
            for position in positions
        ],
    }
