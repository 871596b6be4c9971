"""A case's DICOM results: which there are, their identifiers, and how they are kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from medcnn.dicom_out.capture import capture
from medcnn.dicom_out.case import Case, Mapped
from medcnn.dicom_out.maps import hot_region, is_mappable, parametric_map
from medcnn.dicom_out.structured_report import structured_report
from medcnn.dicom_out.uids import derived_uid, with_derived_uids
from medcnn.io.dicom.parse import quiet
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.outputs import whole_file

__all__ = ["KINDS", "Kind", "Result", "results_of", "save_result"]

Kind = Literal["sr", "sc", "pm", "seg"]
"""Structured report, secondary capture, parametric map, segmentation."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_MAKERS = {"sc": capture, "pm": parametric_map, "seg": hot_region}


@dataclass(frozen=True, eq=False)
class Result:
    """One object to be stored.

    Attributes:
        kind: Which.
        label: Of a picture or map; "" of the report, which has all labels.
        dataset: The object.
    """

    kind: Kind
    label: str
    dataset: Dataset


def results_of(
    case: Case, kinds: Sequence[Kind] = ("sr", "sc", "pm")
) -> Iterator[Result]:
    """Yield a case's results, the report first.

    They are in the study of their source. The pictures are one series; each map and
    each segmentation is one of its own, because viewers open one of each series.
    Identifiers follow from input and model, so that what is made twice is stored once.
    There is a parametric map and a segmentation only of an image that lies in a
    patient's space.

    Args:
        case: The case.
        kinds: Which to make.

    Raises:
        DecodeError: If its source is so odd that no object can be made of it.
    """
    for kind in KINDS:
        if kind not in kinds:
            continue
        if kind == "sr":
            series_uid = derived_uid(case.seed, "series", kind)
            sop_uid = derived_uid(case.seed, "object", kind, *_maps_of(case))
            with _careful():
                report = structured_report(case, series_uid, sop_uid)
            yield _finished(case, kind, "", report)
        elif kind == "sc" or is_mappable(case):
            yield from _of_labels(case, kind)


def save_result(result: Result, path: Path) -> None:
    """Write a result as a DICOM file, whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as file:
        dcmwrite(file, result.dataset, enforce_file_format=True)


def _of_labels(case: Case, kind: Kind) -> Iterator[Result]:
    """Yield one object for each explained label."""
    for number, mapped in enumerate(case.maps, start=1):
        whose = () if kind == "sc" else (mapped.heatmap.label,)
        series_uid = derived_uid(case.seed, "series", kind, *whose)
        dataset = _make(case, kind, mapped, series_uid, number)
        if dataset is not None:
            yield _finished(case, kind, mapped.heatmap.label, dataset)


def _make(
    case: Case, kind: Kind, mapped: Mapped, series_uid: str, number: int
) -> Dataset | None:
    heatmap = mapped.heatmap
    sop_uid = derived_uid(
        case.seed, "object", kind, heatmap.label, heatmap.method, heatmap.layer
    )
    with _careful():
        return _MAKERS[kind](case, mapped, series_uid, sop_uid, number)


def _maps_of(case: Case) -> Iterator[str]:
    """Yield what tells a report with regions of some maps from one with others."""
    for mapped in case.maps:
        yield from (mapped.heatmap.label, mapped.heatmap.method, mapped.heatmap.layer)


@contextmanager
def _careful() -> Iterator[None]:
    """Turn what a library raises about an odd source into an error in words.

    Warnings, such as of names with one component, are not passed on: they quote values.
    """
    with quiet(), broken_as_decode_error(None, "no DICOM result can be made of it"):
        yield


def _finished(case: Case, kind: Kind, label: str, dataset: Dataset) -> Result:
    """Take out of an object what would differ the next time."""
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        dataset.pop(keyword, None)
    for item in dataset.get("ContributingEquipmentSequence", []):
        item.pop("ContributionDateTime", None)
    if kind in {"sc", "pm"} and "Laterality" not in dataset:
        dataset.Laterality = ""  # type 2C where the source says no side
    dataset.preamble = b"\0" * 128
    known = {
        str(header[keyword].value)
        for header in case.source.headers
        for keyword in (
            "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
            "FrameOfReferenceUID",
        )
        if keyword in header
    }  # fmt: skip
    own = {str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID)}
    trackings = {
        derived_uid(case.seed, what, name)
        for what in ("tracking", "segment")
        for name in case.prediction.probabilities
    }
    device = derived_uid("device", case.model.weights_sha256)
    stays = frozenset(known | own | trackings | {device})
    with_derived_uids(dataset, stays, str(dataset.SOPInstanceUID))
    return Result(kind, label, dataset)
