"""The stored values of a data set: decoded, not yet interpreted."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medcnn.errors import DecodeError, NoPixelsError
from medcnn.io.dicom.codecs import frame_decoder
from medcnn.io.dicom.codestream import declared_size
from medcnn.io.dicom.tags import NOT_CONFORMANT, broken_as_decode_error, number, text
from medcnn.io.source import check_samples

__all__ = ["PIXEL_KEYWORDS", "Layout", "container", "layout_of"]

PIXEL_KEYWORDS = {
    "PixelData": 0x7FE00010,
    "FloatPixelData": 0x7FE00008,
    "DoubleFloatPixelData": 0x7FE00009,
}
"""The attributes that carry pixels, and their tags."""

_CUT_OFF = "The file is cut off; copy it again from where it came from."
_INTEGER_ALLOCATIONS = {1, 8, 16, 32}


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

    @property
    def is_float(self) -> bool:
        """Whether the values are floating point numbers."""
        return self.keyword != "PixelData"

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
        DecodeError: If what it says contradicts itself or the standard.
    """
    if not keyword:
        _refuse_without_pixels(dataset, path)
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    frames = _whole(dataset, "NumberOfFrames", 1)
    samples = _whole(dataset, "SamplesPerPixel", 1)
    check_samples(path, columns, rows, max(frames, 1), samples)
    allocated = _whole(dataset, "BitsAllocated")
    stored = _whole(dataset, "BitsStored", allocated)
    layout = Layout(
        rows=rows,
        columns=columns,
        frames=max(frames, 1),
        samples=samples,
        photometric=text(dataset, "PhotometricInterpretation"),
        allocated=allocated,
        stored=stored,
        is_signed=_whole(dataset, "PixelRepresentation") == 1,
        keyword=keyword,
        syntax=_syntax(dataset),
    )
    _check_bits(layout, _whole(dataset, "HighBit", stored - 1), path)
    return layout


def container(dataset: Dataset, layout: Layout, path: Path | None) -> npt.NDArray[Any]:
    """Decode all frames to their containers; unused bits are left as they are.

    Returns:
        Grey and palette: (frames, rows, columns), unsigned 8, 16 or 32 bit, or float.
        Colour: (frames, rows, columns, 3), unsigned, as RGB.

    Raises:
        DecodeError: If the pixels are broken, cut off, or no decoder knows them.
    """
    if not layout.syntax.is_transfer_syntax:
        msg = f"its transfer syntax {layout.syntax} is none of DICOM's."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if layout.syntax.is_encapsulated:
        frames = _encapsulated(dataset, layout, path)
        pixels = _decode_frames(frames, layout, path)
    else:
        _check_length(dataset, layout, path)
        pixels = None
    if pixels is None:
        pixels = _decode_by_pydicom(dataset, layout, path)
    shape: tuple[int, ...] = (layout.frames, layout.rows, layout.columns)
    if layout.samples > 1:
        shape = (*shape, layout.samples)
    if pixels.size != np.prod(shape):
        msg = f"its pixels decode to {pixels.size} numbers, not {int(np.prod(shape))}."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    pixels = pixels.reshape(shape)
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if layout.is_float:
        return np.asarray(pixels)
    return np.asarray(pixels.view(f"u{pixels.dtype.itemsize}"))


def _encapsulated(dataset: Dataset, layout: Layout, path: Path | None) -> list[bytes]:
    """Split encapsulated pixel data into frames and check what they declare.

    Raises:
        DecodeError: If frames are lacking, or are of another size than the header says.
    """
    with broken_as_decode_error(path, "its pixel data cannot be split into frames"):
        every = generate_frames(dataset.PixelData, number_of_frames=layout.frames)
        frames = list(islice(every, layout.frames))
    if len(frames) < layout.frames:
        msg = f"it holds {len(frames)} of {layout.frames} frames."
        raise DecodeError(msg, path=path, hint=_CUT_OFF)
    for frame in frames:
        size = declared_size(frame)
        if size is not None and size != (layout.rows, layout.columns):
            msg = (
                f"its codestream is {size[0]} rows x {size[1]} columns, but the header "
                f"says {layout.rows} x {layout.columns}."
            )
            raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return frames


def _decode_frames(
    frames: list[bytes], layout: Layout, path: Path | None
) -> npt.NDArray[Any] | None:
    """Decode frames by our own table of codecs; None if it leaves them to pydicom."""
    decode = frame_decoder(layout.syntax, is_grey=layout.samples == 1)
    if decode is None:
        return None
    kind = np.dtype(f"u{max(layout.allocated // 8, 1)}")
    with broken_as_decode_error(path, "its pixels cannot be decoded"):
        pixels = np.stack([decode(frame, kind) for frame in frames])
        if layout.samples > 1 and layout.photometric.startswith("YBR_FULL"):
            return np.asarray(convert_color_space(pixels, "YBR_FULL", "RGB"))
        return pixels


def _decode_by_pydicom(
    dataset: Dataset, layout: Layout, path: Path | None
) -> npt.NDArray[Any]:
    """Decode by pydicom; grey stays as it is stored, colour becomes RGB."""
    decoder, plugin = _decoder(layout.syntax, path)
    options: dict[str, Any] = {}
    if layout.syntax.is_encapsulated:
        options |= {"decoding_plugin": plugin, "allow_excess_frames": False}
    else:
        options["view_only"] = True
    if layout.samples == 1:
        options |= {"raw": True, "correct_unused_bits": False}
    with broken_as_decode_error(path, "its pixels cannot be decoded"):
        return np.asarray(decoder.as_array(dataset, **options)[0])


def _check_length(dataset: Dataset, layout: Layout, path: Path | None) -> None:
    """Refuse uncompressed pixels that end before the picture does.

    Raises:
        DecodeError: With the number of bytes that are there and that should be.
    """
    samples = layout.frames * layout.rows * layout.columns * layout.samples
    if layout.photometric == "YBR_FULL_422":
        samples = samples // 3 * 2
    expected = (samples * layout.allocated + 7) // 8
    with broken_as_decode_error(path, "its pixels cannot be read"):
        found = len(dataset[layout.keyword].value or b"")
    if found < expected:
        msg = f"its pixels are cut off: {found} of {expected} bytes are there."
        raise DecodeError(msg, path=path, hint=_CUT_OFF)


def _refuse_without_pixels(dataset: Dataset, path: Path | None) -> NoReturn:
    """Say what the data set is instead of an image.

    Raises:
        NoPixelsError: Always.
    """
    meta = getattr(dataset, "file_meta", None) or Dataset()
    uid = text(dataset, "SOPClassUID") or text(meta, "MediaStorageSOPClassUID")
    if not uid:
        msg = "it holds no DICOM image: neither pixels nor a SOP class."
        raise NoPixelsError(msg, path=path, hint=_CUT_OFF)
    modality = text(dataset, "Modality")
    msg = (
        f"it is a {UID(uid).name}{f' ({modality})' if modality else ''} without pixels."
    )
    hint = "Reports, presentation states and directories are not images."
    if "Rows" in dataset or "Image Storage" in UID(uid).name:
        hint = "It is cut off before its pixels, or they were taken out."
    raise NoPixelsError(msg, path=path, hint=hint)


def _whole(dataset: Dataset, keyword: str, default: int = 0) -> int:
    """Return an attribute as a whole number, or the default where it is absent."""
    value = number(dataset, keyword)
    return default if value is None else int(value)


def _syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax; by how it was parsed where nothing says."""
    meta = getattr(dataset, "file_meta", None)
    declared = text(meta, "TransferSyntaxUID") if meta is not None else ""
    if declared:
        return UID(declared)
    is_implicit, _ = getattr(dataset, "original_encoding", (None, None))
    return ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian


def _check_bits(layout: Layout, high_bit: int, path: Path | None) -> None:
    """Refuse containers and bits that contradict themselves.

    Raises:
        DecodeError: If they do.
    """
    if layout.is_float:
        return
    if layout.allocated not in _INTEGER_ALLOCATIONS:
        msg = f"(0028,0100) Bits Allocated is {layout.allocated}, not 1, 8, 16 or 32."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    if not 1 <= layout.stored <= layout.allocated:
        msg = (
            f"(0028,0101) Bits Stored is {layout.stored}, but (0028,0100) Bits "
            f"Allocated is {layout.allocated}."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    # PS3.5 8.1.1: High Bit shall be one less than Bits Stored. Readers disagree on
    # files where it is not, so nobody can say what their values are.
    if high_bit != layout.stored - 1:
        msg = (
            f"(0028,0102) High Bit is {high_bit}, but must be {layout.stored - 1} for "
            f"{layout.stored} bits stored."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)


def _decoder(syntax: UID, path: Path | None) -> tuple[Decoder, str]:
    """Return pydicom's decoder of a transfer syntax and the plugin to use.

    Never gdcm: its library ends the whole process on some broken files.

    Raises:
        DecodeError: If the syntax is unknown, or nothing that decodes it is installed.
    """
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        msg = f"its transfer syntax {syntax.name} is not read."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT) from error
    if decoder.is_native:
        return decoder, ""
    plugins = [name for name in decoder.available_plugins if name != "gdcm"]
    if not plugins:
        wanted = [n for n in decoder.missing_dependencies if not n.startswith("gdcm")]
        msg = f"no decoder for {syntax.name} is installed."
        hint = f"pydicom can use: {'; '.join(wanted)}." if wanted else ""
        raise DecodeError(msg, path=path, hint=hint)
    return decoder, plugins[0]
