"""How the pixels of a data set are stored, as its header says, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medcnn.errors import DecodeError, NoPixelsError
from medcnn.io.dicom.pixels.syntaxes import check_syntax
from medcnn.io.dicom.tags import (
    NOT_CONFORMANT,
    code,
    is_big_endian,
    is_implicit,
    is_there,
    stated,
)
from medcnn.io.source import check_frames, check_samples

__all__ = ["CUT_OFF", "PIXEL_KEYWORDS", "Layout", "layout_of"]

PIXEL_KEYWORDS = {
    "PixelData": 0x7FE00010,
    "FloatPixelData": 0x7FE00008,
    "DoubleFloatPixelData": 0x7FE00009,
}
"""The attributes that carry pixels, and their tags."""

CUT_OFF = "The file is cut off; copy it again from where it came from."
_INTEGER_ALLOCATIONS = {1, 8, 16, 32}
_FLOAT_ALLOCATIONS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True)
class Layout:
    """How the pixels of a data set are stored.

    Attributes:
        rows: Number of rows.
        columns: Number of columns.
        frames: Number of frames, >= 1.
        samples: 1 for grey and palette, 3 for colour.
        photometric: (0028,0004) Photometric Interpretation.
        allocated: Bits of one sample's container.
        stored: Bits of them that carry the value.
        is_signed: Two's complement.
        keyword: Which attribute carries the pixels.
        syntax: Transfer syntax.
        is_planar: (0028,0006) Planar Configuration 1: all red, all green, all blue.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    is_signed: bool
    keyword: str
    syntax: UID
    is_planar: bool = False

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point numbers."""
        return self.keyword != "PixelData"

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, columns), and 3 for colour."""
        grid = (self.frames, self.rows, self.columns)
        return grid if self.samples == 1 else (*grid, self.samples)

    @property
    def words(self) -> str:
        """Return the layout as the first line of a provenance."""
        if self.is_float:
            return f"stored values: {self.allocated} bit floats, {self.syntax.name}"
        sign = "signed" if self.is_signed else "unsigned"
        bits = f"{self.stored} of {self.allocated} bits"
        return f"stored values: {bits}, {sign}, {self.syntax.name}"


def layout_of(dataset: Dataset, keyword: str, path: Path | None) -> Layout:
    """Read and check how the pixels are stored, without touching them.

    Args:
        dataset: The data set, which may have been read without its pixels.
        keyword: Which attribute carries the pixels; "" if none does.
        path: The file, for errors.

    Raises:
        NoPixelsError: If the data set carries no pixels.
        DecodeError: If what it says contradicts itself or the standard, or its
            transfer syntax is not read.
    """
    if not keyword:
        _refuse_without_pixels(dataset, path)
    rows, columns = _whole(dataset, "Rows", path), _whole(dataset, "Columns", path)
    if rows < 1 or columns < 1:
        msg = f"(0028,0010) Rows is {rows} and (0028,0011) Columns is {columns}"
        msg = f"{msg} (0 where absent), which is no picture."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    frames = _whole(dataset, "NumberOfFrames", path, 1)
    samples = _whole(dataset, "SamplesPerPixel", path, 1)
    check_frames(path, frames)
    check_samples(path, columns, rows, max(frames, 1), samples)
    usual = _FLOAT_ALLOCATIONS.get(keyword, 0)
    allocated = _whole(dataset, "BitsAllocated", path, usual)
    stored = _whole(dataset, "BitsStored", path, allocated)
    layout = Layout(
        rows=rows,
        columns=columns,
        frames=max(frames, 1),
        samples=samples,
        photometric=code(dataset, "PhotometricInterpretation").upper(),
        allocated=allocated,
        stored=stored,
        is_signed=_choice(dataset, "PixelRepresentation", "(0028,0103)", path),
        keyword=keyword,
        syntax=_syntax(dataset),
        is_planar=samples > 1
        and _choice(dataset, "PlanarConfiguration", "(0028,0006)", path),
    )
    if keyword == "PixelData" and samples == 1 and allocated > 1:
        _check_sign(dataset, path)
    check_syntax(layout.syntax, path)
    _check_bits(layout, _whole(dataset, "HighBit", path, stored - 1), path)
    return layout


def _refuse_without_pixels(dataset: Dataset, path: Path | None) -> NoReturn:
    """Say what the data set is instead of an image.

    Raises:
        NoPixelsError: Always.
    """
    meta = getattr(dataset, "file_meta", None) or Dataset()
    uid = code(dataset, "SOPClassUID") or code(meta, "MediaStorageSOPClassUID")
    if not uid:
        msg = "it holds no DICOM image: neither pixels nor a SOP class."
        raise NoPixelsError(msg, is_lost=True, path=path, hint=CUT_OFF)
    modality = code(dataset, "Modality")
    msg = (
        f"it is a {UID(uid).name}{f' ({modality})' if modality else ''} without pixels."
    )
    hint, is_lost = "Reports, presentation states and directories are not images.", True
    if "PixelDataProviderURL" in dataset:
        hint = "Its pixels stayed on a server (JPIP); fetch the image with them."
    elif "Rows" in dataset or "Image Storage" in UID(uid).name:
        hint = "It is cut off before its pixels, or they were taken out."
    else:
        is_lost = False
    raise NoPixelsError(msg, is_lost=is_lost, path=path, hint=hint)


def _whole(dataset: Dataset, keyword: str, path: Path | None, default: int = 0) -> int:
    """Return an attribute as a whole number, or the default where it is absent.

    Raises:
        DecodeError: If it is there and no whole number.
    """
    value = stated(dataset, keyword, path)
    if value is not None and value != int(value):
        msg = f"{keyword} is {value:g}, which is not a whole number."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return default if value is None else int(value)


def _choice(dataset: Dataset, keyword: str, tag: str, path: Path | None) -> bool:
    """Return an attribute that is 0 (or absent) or 1.

    Raises:
        DecodeError: If it is neither.
    """
    value = _whole(dataset, keyword, path)
    if value not in {0, 1}:
        msg = f"{tag} {keyword} is {value}, not 0 or 1."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return value == 1


def _check_sign(dataset: Dataset, path: Path | None) -> None:
    """Refuse grey values of which nothing says whether they are signed.

    Raises:
        DecodeError: If (0028,0103) Pixel Representation is missing.
    """
    if not is_there(dataset, "PixelRepresentation"):
        msg = "(0028,0103) Pixel Representation is missing: are its values signed?"
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def _syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax; by how it was parsed where nothing says."""
    meta = getattr(dataset, "file_meta", None)
    declared = code(meta, "TransferSyntaxUID") if meta is not None else ""
    if declared:
        return UID(declared)
    if is_big_endian(dataset):
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if is_implicit(dataset) else ExplicitVRLittleEndian


def _check_bits(layout: Layout, high_bit: int, path: Path | None) -> None:
    """Refuse containers and bits that contradict themselves.

    Raises:
        DecodeError: If they do.
    """
    msg = _wrong_floats(layout) if layout.is_float else _wrong_bits(layout, high_bit)
    if msg:
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def _wrong_floats(layout: Layout) -> str:
    """Return what is wrong with a layout of floats; "" if nothing is."""
    wanted = _FLOAT_ALLOCATIONS[layout.keyword]
    if layout.allocated != wanted:
        return (
            f"(0028,0100) Bits Allocated is {layout.allocated}, not {wanted} for "
            "floats."
        )
    if layout.syntax.is_encapsulated:
        return f"its floats are said to be in {layout.syntax.name}, which has none."
    return ""


def _wrong_bits(layout: Layout, high_bit: int) -> str:
    """Return what is wrong with a layout of whole numbers; "" if nothing is."""
    allocated, stored = layout.allocated, layout.stored
    if allocated not in _INTEGER_ALLOCATIONS:
        return f"(0028,0100) Bits Allocated is {allocated}, not 1, 8, 16 or 32."
    if not 1 <= stored <= allocated:
        return (
            f"(0028,0101) Bits Stored is {stored}, but (0028,0100) Bits "
            f"Allocated is {allocated}."
        )
    if allocated == 32 and layout.syntax == ExplicitVRBigEndian:
        # PS3.5 7.3 swaps 16 bit words, many writers swapped all four bytes.
        return f"its 32 bit values in {layout.syntax.name} can be read in two orders."
    # PS3.5 8.1.1: High Bit shall be one less than Bits Stored. Readers disagree on
    # files where it is not, so nobody can say what their values are.
    if high_bit != stored - 1:
        return (
            f"(0028,0102) High Bit is {high_bit}, but must be {stored - 1} for "
            f"{stored} bits stored."
        )
    return ""
