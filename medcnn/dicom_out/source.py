"""The DICOM objects that an image was read from, as clean facts.

A result copies nothing else from them: no preamble, no private element, no free text.
Whose they are is copied only when asked for.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from medcnn.dicom_out.header import clean_header
from medcnn.errors import DataError, ReadError
from medcnn.image import Image
from medcnn.io import ReadOptions, discover, identify
from medcnn.io.dicom.parse import parse, quiet, record_of_file
from medcnn.io.dicom.tags import broken_as_decode_error
from medcnn.io.dicom.volumes.reading import Volumes
from medcnn.io.dicom.volumes.records import FileRecord, Plane
from medcnn.io.dicom.volumes.series import group_records
from medcnn.io.kinds import Kind
from medcnn.io.parts import chosen
from medcnn.io.unpacked import Unpacked, unpacked

__all__ = ["Source", "SourcePlane", "read_source"]

_UID, _LONGEST_UID = re.compile(r"\d+(\.\d+)*", re.ASCII), 64
"""PS3.5 9.1, but for zeros in front of a component: some senders write them, and a
result refers to its source by the very name that the archive has."""

_NOT_DICOM = "Use --format png or nifti for images that are no DICOM."

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


@dataclass(frozen=True)
class SourcePlane:
    """Where one slice of an image is kept.

    Attributes:
        sop_class: SOP Class UID.
        sop_uid: SOP Instance UID.
        frame: Frame number from 1; None of a single-frame object.
        has_pixels_alone: Whether its pixel (0, 0) is the object's or frame's first,
            which a tile of a mosaic's is not.
    """

    sop_class: str
    sop_uid: str
    frame: int | None
    has_pixels_alone: bool


@dataclass(frozen=True)
class Source:
    """The objects that an image was read from.

    Attributes:
        headers: A clean header of each object: UIDs, study, size, and the patient if
            wanted.
        planes: For each slice of the image where it is kept; of a resampled one, every
            slice that went into it.
        is_resampled: Whether slice k of the image is not slice k of the source.
        frame_of_reference: UID of the space it lies in; "" where nothing says.
    """

    headers: tuple[Dataset, ...]
    planes: tuple[SourcePlane, ...]
    is_resampled: bool
    frame_of_reference: str

    def plane(self, k: int) -> SourcePlane | None:
        """Return where slice k's pixels are kept as they are; None if nowhere."""
        if self.is_resampled or not self.planes[k].has_pixels_alone:
            return None
        return self.planes[k]


def read_source(
    path: Path,
    image: Image,
    options: ReadOptions | None = None,
    *,
    identify_patient: bool = False,
) -> Source:
    """Find the objects that an image was read from.

    Args:
        path: What was loaded.
        image: What came of it.
        options: The choices it was loaded with.
        identify_patient: Whether the patient's name, number and dates are kept.

    Raises:
        DataError: If it was no DICOM, or lacks the UIDs that a result must refer to.
        ReadError: If it cannot be read any more.
    """
    series = image.identity.series_uid
    if not series or not image.identity.study_uid:
        msg = f"{path} has no Study and Series Instance UID"
        msg += ": a DICOM result has nothing to refer to"
        raise DataError(msg, hint=_NOT_DICOM)
    options = options or ReadOptions()
    what = "its headers cannot be taken over"
    with unpacked() as files, quiet(), broken_as_decode_error(path, what):
        records = _records_of(path, image, files, options)
        parts = Volumes(records, path, options).parts
        part = chosen(parts, image.part or options.part, path)
        used = sorted({plane.file for plane in part.planes})
        read = {at: parse(Path(records[at].path), header_only=True)[0] for at in used}
        headers = {
            at: clean_header(dataset, records[at], with_patient=identify_patient)
            for at, dataset in read.items()
        }
    for header in headers.values():
        _check_uids(header, path)
    return Source(
        headers=tuple(headers.values()),
        planes=tuple(_plane(p, headers[p.file], records[p.file]) for p in part.planes),
        is_resampled=part.resampling is not None,
        frame_of_reference=next(
            str(header.get("FrameOfReferenceUID", "")) for header in headers.values()
        ),
    )


def _records_of(
    path: Path, image: Image, files: Unpacked, options: ReadOptions
) -> list[FileRecord]:
    """Return the files that were read together for an image.

    Raises:
        ReadError: If they are not there any more.
    """
    for group in group_records(_records(path, image, files, options)):
        if _may_be_of(group.records, image):
            return list(group.records)
    msg = "its DICOM files are not there any more."
    raise ReadError(msg, path=path)


def _may_be_of(records: Sequence[FileRecord], image: Image) -> bool:
    """Say whether files that are read together make an image."""
    sop_uid = image.identity.sop_uid
    if sop_uid:
        return any(record.identity.sop_uid == sop_uid for record in records)
    # it is of several files, or its only one has no name
    is_alone = len(records) == 1 and bool(records[0].identity.sop_uid)
    return not is_alone and records[0].modality == (image.modality or "")


def _records(
    path: Path, image: Image, files: Unpacked, options: ReadOptions
) -> Iterable[FileRecord]:
    """Yield the record of each file of the image's series, copies left out."""
    wanted = image.identity
    seen: set[str | None] = set()
    for found in discover([path]):
        if found.problem:
            continue
        try:
            real = files.real(found.path)
            if identify(real) is not Kind.DICOM:
                continue
            record = record_of_file(real, options)
        except ReadError:  # it is no part of what was read
            continue
        whose = record.identity
        is_same = (whose.study_uid, whose.series_uid, whose.patient_id) == (
            wanted.study_uid, wanted.series_uid, wanted.patient_id,
        )  # fmt: skip
        if is_same and whose.sop_uid not in seen:
            seen.add(whose.sop_uid)
            yield record


def _plane(plane: Plane, header: Dataset, record: FileRecord) -> SourcePlane:
    """Say where a plane is kept."""
    frames = int(header.get("NumberOfFrames") or 1)
    is_multi_frame = "NumberOfFrames" in header
    return SourcePlane(
        sop_class=str(header.SOPClassUID),
        sop_uid=str(header.SOPInstanceUID),
        frame=plane.frame + 1 if is_multi_frame else None,
        has_pixels_alone=len(record.planes) == frames,
    )


def _check_uids(header: Dataset, path: Path) -> None:
    """Refuse objects that nothing can refer to.

    Raises:
        DataError: If a UID is absent or none.
    """
    for keyword in _UIDS:
        value = str(header.get(keyword) or "")
        if len(value) > _LONGEST_UID or not _UID.fullmatch(value):
            msg = f"{path}: its {keyword} is no UID, so that no result can refer to it"
            raise DataError(msg, hint="Ask the sender for a conformant file.")
