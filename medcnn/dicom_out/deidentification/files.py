"""One file of an image to one without whose it is."""

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medcnn.dicom_out.deidentification.clean import cleaned
from medcnn.dicom_out.deidentification.codestream_text import without_comments
from medcnn.dicom_out.deidentification.hidden import without_hidden_bytes
from medcnn.dicom_out.deidentification.options import Retain
from medcnn.errors import DecodeError, NoPixelsError, OutputError, UnknownFormatError
from medcnn.io.dicom.parse import parse, quiet
from medcnn.io.dicom.tags import (
    NOT_CONFORMANT,
    broken_as_decode_error,
    is_big_endian,
    is_implicit,
    text,
)
from medcnn.io.kinds import Kind
from medcnn.io.source import identify
from medcnn.io.unpacked import unpacked
from medcnn.outputs import make_folder, write_whole
from medcnn.pseudonyms import Pseudonyms

__all__ = ["Deidentified", "deidentify_file"]

BurnedIn = Literal["no", "may", "yes"]

_SHOWS_WORDS = frozenset({"ES", "GM", "OT", "RF", "SC", "US", "XA", "XC"})
"""Modalities whose pictures often carry words, or show a person."""

_SHOWN_AGAIN = frozenset({"LABEL", "OVERVIEW", "SCREEN SAVE", "SECONDARY"})
"""Image types of what was shown before, with words on it."""


@dataclass(frozen=True)
class Deidentified:
    """What was written.

    Attributes:
        path: The new file.
        is_new: Whether it was not there before, with the very same bytes.
        burned_in: Whether words may be part of the pixels: "yes" if the header says so,
            "no" if it says so and nothing speaks against it, "may" otherwise.
    """

    path: Path
    is_new: bool
    burned_in: BurnedIn


def deidentify_file(
    path: Path, folder: Path, pseudonyms: Pseudonyms, retain: Collection[Retain] = ()
) -> Deidentified:
    """Write an image without whose it is as STUDY/SERIES/OBJECT.dcm, by its new UIDs.

    The pixels stay as they are, decoded by nobody; see `Deidentified.burned_in`. Bytes
    around them that no viewer shows go.

    Args:
        path: Of an image.
        folder: Where it is written.
        pseudonyms: Give UIDs and the patient's number.
        retain: What stays beyond the Basic Profile.

    Raises:
        NoPixelsError: If it is a report, a plan or the like: free text, which nobody
            can clean, is all there is to it.
        OutputError: If another file has that name, or it cannot be written.
        DecodeError: If it cannot be parsed, or has no UIDs.
        ReadError: If it is no regular file.
        UnknownFormatError: If it is of another format.
    """
    with quiet(), unpacked() as files:
        real = files.real(path)
        if identify(real) is not Kind.DICOM:
            msg = "it is no DICOM image; only these are de-identified."
            raise UnknownFormatError(msg, path=path)
        dataset, keyword = parse(real)
        if not keyword:
            msg = "it carries no pixels; reports and plans are not de-identified."
            raise NoPixelsError(msg, path=path)
        what = "it cannot be written anew"
        with broken_as_decode_error(path, what):
            clean = cleaned(dataset, pseudonyms, retain)
            if keyword in clean:
                _clear(clean[keyword], dataset)
            target = _place(clean, folder, path)
            content = _as_file(clean, _syntax(dataset))
    return Deidentified(target, _keep(target, content), _burned_in(dataset))


def _clear(pixels: DataElement, dataset: Dataset) -> None:
    """Take what no viewer shows out of a copy's pixels."""
    if _syntax(dataset).is_encapsulated:
        pixels.value = without_comments(pixels.value)
    else:
        pixels.value = without_hidden_bytes(pixels.value, dataset)


def _syntax(dataset: Dataset) -> UID:
    """Return how a parsed file is coded; one without header shows it."""
    stated = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID")
    if stated:
        return UID(str(stated))
    if is_implicit(dataset):
        return UID(ImplicitVRLittleEndian)
    return UID(
        ExplicitVRBigEndian if is_big_endian(dataset) else ExplicitVRLittleEndian
    )


def _as_file(clean: Dataset, syntax: UID) -> bytes:
    """Return a file with a zero preamble and a header of its own."""
    clean.file_meta = FileMetaDataset()
    clean.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dcmwrite(file, clean, enforce_file_format=True)
    return file.getvalue()


def _place(clean: Dataset, folder: Path, path: Path) -> Path:
    """Return where an image is written: nothing in it comes from the old names.

    Raises:
        DecodeError: If it lacks a UID.
    """
    levels = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    study, series, image = (text(clean, keyword) for keyword in levels)
    if not (study and series and image and text(clean, "SOPClassUID")):
        msg = "it lacks its class or the UID of its study, its series or itself."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return folder / study / series / f"{image}.dcm"


def _keep(target: Path, content: bytes) -> bool:
    """Write a file unless it is there already.

    Returns:
        Whether it is new.

    Raises:
        OutputError: If another content has that name, or it cannot be written.
    """
    if target.exists():
        if target.read_bytes() == content:
            return False
        msg = f"{target} is there already, and differs."
        hint = "Two files have the same SOP Instance UID, or the folder is not empty."
        raise OutputError(msg, hint=hint)
    make_folder(target.parent)
    write_whole(target, content)
    return True


def _burned_in(dataset: Dataset) -> BurnedIn:
    """Say whether words may be part of the pixels.

    References:
        [1] DICOM PS3.3 C.7.6.1: Burned In Annotation, Recognizable Visual Features.
    """
    stated = text(dataset, "BurnedInAnnotation").upper()
    others = ("RecognizableVisualFeatures", "SpecimenLabelInImage")
    if "YES" in {stated, *(text(dataset, other).upper() for other in others)}:
        return "yes"
    kind = set(text(dataset, "ImageType").upper().split("\\"))
    modality = text(dataset, "Modality").upper()
    is_risky = modality in _SHOWS_WORDS or bool(kind & _SHOWN_AGAIN)
    tags = list(dataset.keys())  # going through the set itself would parse it
    has_overlay = any(0x6000 <= tag.group < 0x6100 for tag in tags)
    return "no" if stated == "NO" and not is_risky and not has_overlay else "may"
