"""The answer as a structured report: for each label its probability, and where.

A Comprehensive 3D SR with the template of imaging measurements, as IHE AI Results asks.
Each label is a measurement group with a region, because viewers show a group by it.

References:
    [1] DICOM PS3.16 TID 1500, 1410, 1501, 4019. [2] IHE RAD AI Results (AIR).
"""

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageRegion,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as known

from medcnn.dicom_out.case import Case, Mapped
from medcnn.dicom_out.codes import Code, private
from medcnn.dicom_out.common import ARTIFICIAL_INTELLIGENCE, concept, equipment
from medcnn.dicom_out.own import MANUFACTURER
from medcnn.dicom_out.region import HOT_SHARE, Region, hottest_region, whole_slice
from medcnn.dicom_out.uids import derived_uid
from medcnn.results import LIMITS_OF_A_MAP, Band

__all__ = ["structured_report"]

_PRESENT = Code(value="52101004", scheme="SCT", meaning="Present")
_ABSENT = Code(value="272519000", scheme="SCT", meaning="Absent")
_INDETERMINATE = Code(value="82334004", scheme="SCT", meaning="Indeterminate")
_RESULTS = {
    Band.FLAG: _PRESENT,
    Band.REVIEW: _INDETERMINATE,
    Band.NO_FLAG: _ABSENT,
    None: _INDETERMINATE,
}
_RESULT = private("result", "Result at the model's operating points")
_SALIENCY = Code(value="130404", scheme="DCM", meaning="Saliency")
_NOT_TO_BE_USED = private("out-of-scope", "Out of scope: no result, do not use")
_ANOMALY_SCORE = private("anomaly-score", "Anomaly score (no probability)")
_SCOPE = private("scope", "Scope of the model")
_DECIMALS = 6


def structured_report(case: Case, series_uid: str, sop_uid: str) -> Dataset:
    """Return the report of a case.

    Out of the model's scope there is no probability and no region of a map: the report
    says so, and why.
    """
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", case.model.weights_sha256),
        name=case.model.name[:64],
        manufacturer_name=MANUFACTURER,
        model_name=case.model.name[:64],
        serial_number=case.model.weights_sha256[:16],
    )
    content = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(known.DCM.Device, device)
        ),
        procedure_reported=concept(case.codes.procedure),
        imaging_measurements=_groups(case),
    )
    return Comprehensive3DSR(
        evidence=list(case.source.headers),
        content=content,
        series_instance_uid=series_uid,
        sop_instance_uid=sop_uid,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **equipment(case, "findings", series_number=9901),
    )


def _groups(case: Case) -> list[PlanarROIMeasurementsAndQualitativeEvaluations]:
    """Return each label's measurement group: those with a place, then the others.

    The others go from the most probable to the least, because a viewer may show but the
    first few of one region.
    """
    probabilities = case.prediction.probabilities
    regions = {label: _region(case, case.map_of(label)) for label in probabilities}
    placed = [label for label, region in regions.items() if region.is_hot]
    others = [label for label in regions if label not in placed]
    if not case.prediction.out_of_scope:
        others.sort(key=lambda label: -probabilities[label])
    return [_group(case, label, regions[label]) for label in (*placed, *others)]


def _group(
    case: Case, label: str, region: Region
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Return a label's measurement group."""
    mapped = case.map_of(label)
    band = case.band(label)
    finding = case.codes.finding(label)
    site = case.codes.site(label)
    evaluations = [QualitativeEvaluation(concept(_RESULT), concept(_RESULTS[band]))]
    measurements = []
    if band is None:
        scope = QualitativeEvaluation(concept(_SCOPE), concept(_NOT_TO_BE_USED))
        evaluations.append(scope)
    else:
        probability = round(case.prediction.probabilities[label], _DECIMALS)
        is_score = case.prediction.kind == "anomaly score"
        code = _ANOMALY_SCORE if is_score else case.codes.probability
        # viewers show a number's meaning and not its group's finding
        meaning = f"{code.meaning} of {finding.meaning}"[:64]
        name = concept(code.model_copy(update={"meaning": meaning}))
        measurements.append(Measurement(name, probability, known.UCUM.Ratio))
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracked(case, label, region),
        referenced_region=_image_region(case, region),
        finding_type=concept(finding),
        finding_sites=None if site is None else [FindingSite(concept(site))],
        algorithm_id=_algorithm(case, label, mapped, region),
        measurements=measurements or None,
        qualitative_evaluations=evaluations,
        geometric_purpose=concept(_SALIENCY) if region.is_hot else None,
    )


def _tracked(case: Case, label: str, region: Region) -> TrackingIdentifier:
    """Return what a group is about: a place, or the image as a whole.

    Viewers draw the groups of one identifier as one region with all their numbers.
    """
    if not region.is_hot:
        uid = derived_uid(case.seed, "tracking", "", "whole")
        return TrackingIdentifier(uid=uid, identifier="Image as a whole")
    uid = derived_uid(case.seed, "tracking", label)
    return TrackingIdentifier(uid, case.codes.finding(label).meaning)


def _region(case: Case, mapped: Mapped | None) -> Region:
    """Return where the map is hottest, or the whole of the middle slice."""
    if mapped is not None and not case.prediction.out_of_scope:
        region = hottest_region(mapped.levels, mapped.heatmap.peak)
        if region is not None and case.source.plane(region.k) is not None:
            return region
    return whole_slice(case.image.shape, case.image.shape[2] // 2)


def _image_region(case: Case, region: Region) -> ImageRegion:
    """Return a region on the object that its slice is kept in."""
    source = case.source
    plane = source.plane(region.k)
    outline = region.outline
    if plane is None:  # resampled, or a mosaic's tile: all of an object it was made of
        plane = source.planes[min(region.k, len(source.planes) - 1)]
        header = next(h for h in source.headers if h.SOPInstanceUID == plane.sop_uid)
        size = (int(header.Columns), int(header.Rows), 1)
        outline = whole_slice(size, 0).outline
    frames = None if plane.frame is None else [plane.frame]
    image = SourceImageForRegion(plane.sop_class, plane.sop_uid, frames)
    return ImageRegion("POLYLINE", outline, image)


def _algorithm(
    case: Case, label: str, mapped: Mapped | None, region: Region
) -> AlgorithmIdentification:
    """Return who answered, and with which settings."""
    flag, review = case.prediction.thresholds[label], case.model.review[label]
    parameters = [
        "Research use only, no diagnosis",
        f"weights sha256 {case.model.weights_sha256}",
        f"settings sha256 {case.model.settings_sha256}",
        f"medcnn {case.model.software}",
        f"present from {flag:.6g}, indeterminate from {review:.6g}",
    ]
    if case.prediction.out_of_scope:
        parameters.append(f"out of scope: {case.prediction.out_of_scope}")
    if mapped is not None and region.is_hot:
        parameters.append(
            f"region: {mapped.heatmap.method}, at least {HOT_SHARE:.0%} of"
        )
        parameters[-1] += f" its highest value; it {LIMITS_OF_A_MAP}"
    else:
        parameters.append("region: the whole slice, no place stands out")
    return AlgorithmIdentification(
        name=case.model.name,
        version=case.model.version,
        parameters=parameters,
        family=CodedConcept(*ARTIFICIAL_INTELLIGENCE),
        manufacturer=MANUFACTURER,
    )
