"""Many DICOM files: which belong together, and the images they make."""

import os
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medcnn.errors import ReadError
from medcnn.image import Image
from medcnn.io.description import Description
from medcnn.io.dicom.parse import record_of_file
from medcnn.io.dicom.volumes.reading import Volumes
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.options import ReadOptions

__all__ = [
    "Group",
    "describe_all_of_group",
    "group_files",
    "group_records",
    "read_all_of_group",
    "read_group",
]


@dataclass(frozen=True)
class Group:
    """Files that belong together.

    Attributes:
        records: One for a picture, all files of a series of slices.
        series_uid: Series Instance UID.
        words: The series in words, for a person to choose by.
    """

    records: tuple[FileRecord, ...]
    series_uid: str
    words: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(Path(record.path) for record in self.records)


def group_files(
    files: Iterable[Path], options: ReadOptions
) -> tuple[list[Group], list[tuple[Path, ReadError]]]:
    """Read the header of each file once, and put those of one series together.

    Args:
        files: DICOM files.
        options: What the caller chose; reading the groups takes the same.

    Returns:
        The groups in the order of their first file, and (file, error) of those that
        hold no picture.
    """
    records = []
    problems = []
    for file in files:
        try:
            records.append(record_of_file(file, options))
        except ReadError as error:
            problems.append((file, error))
    return group_records(records), problems


def group_records(records: Iterable[FileRecord]) -> list[Group]:
    """Put the files of one series together that say where they lie.

    A picture that does not say where it lies stays on its own. Patients, studies and
    modalities are never mixed, also where somebody gave them one series UID.
    """
    groups: dict[Hashable, list[FileRecord]] = {}
    for record in records:
        key: Hashable = record.path
        if record.series_uid and record.is_placed:
            whose = record.identity
            modality = record.modality
            key = record.series_uid, whose.study_uid, whose.patient_id, modality
        groups.setdefault(key, []).append(record)
    return [
        Group(tuple(members), members[0].series_uid, _label(members))
        for members in groups.values()
    ]


def read_group(group: Group, source: Path, options: ReadOptions) -> Image:
    """Read the only image that a group of files makes, or the part that is named.

    Args:
        group: The files.
        source: The folder, noted on the image.
        options: What the caller chose.

    Raises:
        ReadError: If a file is broken, the slices make no regular volume, or there
            are several and none is named.
    """
    return _volumes(group, source, options).read()


def read_all_of_group(
    group: Group, source: Path, options: ReadOptions
) -> Iterator[Image]:
    """Read every image that a group of files makes.

    Raises:
        ReadError: If a file is broken, or after the others, if slices make no regular
            volume.
    """
    volumes = _volumes(group, source, options)
    yield from volumes.read_all()
    volumes.raise_problems()


def describe_all_of_group(
    group: Group, source: Path, options: ReadOptions
) -> Iterator[Description]:
    """Describe every image that a group of files makes, from headers alone.

    Raises:
        ReadError: After the others, if slices make no regular volume.
    """
    volumes = _volumes(group, source, options)
    yield from volumes.describe_all()
    volumes.raise_problems()


def _volumes(group: Group, source: Path, options: ReadOptions) -> Volumes:
    """Return the images of a group; their source is where all its files lie."""
    files = group.files
    if len(files) == 1:
        return Volumes(group.records, files[0], options)
    shared = Path(os.path.commonpath([file.parent for file in files]))
    # members of an archive lie in a temporary folder, which nobody should see
    where = shared if shared.is_relative_to(source) else source
    return Volumes(group.records, where, options)


def _label(members: list[FileRecord]) -> str:
    """Describe a series by its modality and size; its free text may be personal."""
    first = members[0]
    columns, rows, _ = first.planes[0].size
    number = [f"series {first.series_number}"] if first.series_number else []
    parts = [first.modality or "no modality", *number, f"{columns} x {rows}"]
    return ", ".join([*parts, f"{len(members)} file{'s' * (len(members) > 1)}"])
