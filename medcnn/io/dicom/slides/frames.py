"""Single frames of a large DICOM file, found and decoded when they are asked for."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, parse_basic_offsets, parse_fragments

from medcnn.errors import DecodeError
from medcnn.io.dicom.pixels.layout import Layout
from medcnn.io.dicom.pixels.stored import container
from medcnn.io.dicom.tags import NOT_CONFORMANT, broken_as_decode_error
from medcnn.io.regular import open_regular

__all__ = ["FrameFile"]

_ITEM = 0xFFFEE000
_COPIED = (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip


class FrameFile:
    """The frames of one open file.

    Args:
        path: The file.
        dataset: Its header.
        layout: How its pixels are stored.
        start: Where the Pixel Data element begins, in bytes.
    """

    def __init__(
        self, path: Path, dataset: Dataset, layout: Layout, start: int
    ) -> None:
        self.path, self.layout = path, replace(layout, frames=1)
        self._header = _header_of_one(dataset, layout)
        self._file: BinaryIO = open_regular(path)
        self._size = path.stat().st_size
        try:
            with broken_as_decode_error(path, "its frames cannot be found"):
                if layout.syntax.is_encapsulated:
                    self._begins, self._ends = self._encapsulated(
                        dataset, layout.frames, start
                    )
                else:
                    self._begins, self._ends = self._native(layout, start)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def frame(self, number: int) -> npt.NDArray[np.uint8]:
        """Decode one frame, RGB, (rows, columns, 3).

        Args:
            number: From 0.

        Raises:
            DecodeError: If it is broken or declares another size.
        """
        begin, end = int(self._begins[number]), int(self._ends[number])
        with broken_as_decode_error(self.path, f"frame {number + 1} cannot be read"):
            self._file.seek(begin)
            raw = self._file.read(end - begin)
            if self.layout.syntax.is_encapsulated:
                raw = encapsulate([_joined(raw)], has_bot=False)
        self._header.PixelData = raw
        pixels = container(self._header, self.layout, self.path)
        return np.asarray(pixels[0], np.uint8)

    def _native(
        self, layout: Layout, start: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where uncompressed frames begin and end.

        Raises:
            DecodeError: If the file ends before they do.
        """
        samples = layout.rows * layout.columns * layout.samples
        if layout.photometric == "YBR_FULL_422":
            samples = samples // 3 * 2
        length = samples * layout.allocated // 8
        begins = start + self._value_offset(start) + length * np.arange(layout.frames)
        if begins[-1] + length > self._size:
            msg = f"it is cut off: {self._size} bytes, but its {layout.frames} frames "
            msg += f"end at {int(begins[-1]) + length}."
            raise DecodeError(msg, path=self.path, hint="Copy it again.")
        return begins.astype(np.int64), (begins + length).astype(np.int64)

    def _value_offset(self, start: int) -> int:
        """Return how many bytes the tag and length of Pixel Data take."""
        self._file.seek(start + 4)
        is_explicit = self._file.read(2) in {b"OB", b"OW"}
        return 12 if is_explicit else 8

    def _encapsulated(
        self, dataset: Dataset, frames: int, start: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return where the items of each frame begin and end.

        The extended offset table is used if there is one, else the basic one, else
        the items are walked.

        Raises:
            DecodeError: If the tables are for another number of frames, or several
                items make a frame and no table says which.
        """
        self._file.seek(start + 12)
        basic = parse_basic_offsets(self._file)
        first = self._file.tell()
        extended = dataset.get("ExtendedOffsetTable")
        if extended:
            begins = first + np.frombuffer(extended, "<u8").astype(np.int64)
            lengths = np.frombuffer(dataset.ExtendedOffsetTableLengths, "<u8")
            ends = begins + 8 + lengths.astype(np.int64)
        elif basic:
            begins = first + np.array(basic, np.int64)
            ends = np.append(begins[1:], self._size)
        else:
            _, items = parse_fragments(self._file)
            begins = np.array(items, np.int64)
            ends = np.append(begins[1:], self._size)
        self._check_table(begins, ends, frames)
        return begins, ends

    def _check_table(
        self,
        begins: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        frames: int,
    ) -> None:
        """Refuse offsets that are not one run of bytes in the file for each frame.

        Raises:
            DecodeError: If they are not.
        """
        if begins.shape != (frames,) or ends.shape != (frames,):
            msg = f"its pixel data has {begins.size} items or offsets for {frames} "
            msg += "frames."
            raise DecodeError(msg, path=self.path, hint=NOT_CONFORMANT)
        if (begins < 0).any() or (ends <= begins).any() or (ends > self._size).any():
            msg = "its offsets of frames lie outside the file."
            raise DecodeError(msg, path=self.path, hint="Copy it again.")
        most = 8 * self.layout.rows * self.layout.columns + 2**16
        longest = int((ends[:-1] - begins[:-1]).max(initial=0))
        if longest > most:
            msg = f"a frame of it takes {longest} bytes for {self.layout.columns} x "
            msg += f"{self.layout.rows} pixels."
            raise DecodeError(msg, path=self.path, hint=NOT_CONFORMANT)


def _joined(raw: bytes) -> bytes:
    """Join the items of one frame; what follows the last of them is left out.

    Raises:
        ValueError: If it holds none, or one is cut off.
    """
    parts, at = [], 0
    while at + 8 <= len(raw):
        group, element, length = struct.unpack("<HHI", raw[at : at + 8])
        if group << 16 | element != _ITEM:
            break
        if at + 8 + length > len(raw):
            msg = "an item is cut off"
            raise ValueError(msg)
        parts.append(raw[at + 8 : at + 8 + length])
        at += 8 + length
    if not parts:
        msg = "no item is there"
        raise ValueError(msg)
    return b"".join(parts)


def _header_of_one(dataset: Dataset, layout: Layout) -> Dataset:
    """Return the header of a data set with one of its frames."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = layout.syntax
    for keyword in _COPIED:
        if keyword in dataset:
            setattr(header, keyword, dataset[keyword].value)
    header.NumberOfFrames = 1
    header.set_original_encoding(
        layout.syntax.is_implicit_VR, layout.syntax.is_little_endian, "utf-8"
    )
    return header
