"""Palette colour: indices to RGB through three tables, plain or segmented.

References:
    [1] DICOM PS3.3 C.7.6.3.1.5 (descriptor), C.7.6.3.1.6 (data), C.7.9.2 (segments).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.tags import NOT_CONFORMANT, bytes_in_order, is_big_endian, numbers

__all__ = ["Palette", "read_palette"]

Pixels = npt.NDArray[Any]

_COLOURS = ("Red", "Green", "Blue")
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_BLOCK = 1 << 14


class Palette:
    """Three tables of one length.

    Attributes:
        first: Index of the first entry; lower ones take it too.
        entries: (N, 3), uint8 or uint16.
    """

    def __init__(self, first: int, entries: Pixels) -> None:
        self.first = first
        self.entries = entries

    def __call__(self, indices: Pixels) -> Pixels:
        """Return (..., 3) of stored values of at most 16 bits, past an end the end's.

        References:
            [1] DICOM PS3.3 C.7.6.3.1.5.
        """
        out = np.empty((indices.size, 3), self.entries.dtype)
        flat = indices.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            where = np.clip(flat[part].astype(np.int64) - self.first, 0, None)
            np.take(self.entries, where, axis=0, out=out[part], mode="clip")
        return out.reshape(*indices.shape, 3)


def read_palette(dataset: Dataset, path: Path | None, *, is_signed: bool) -> Palette:
    """Read the palette of a data set.

    Args:
        dataset: Holds it.
        path: The file, for errors.
        is_signed: Whether indices can be negative.

    Raises:
        DecodeError: If tables are lacking, or are not what their descriptors say.
    """
    descriptors = {
        numbers(dataset, f"{colour}PaletteColorLookupTableDescriptor")
        for colour in _COLOURS
    }
    parts = next(iter(descriptors))
    if len(descriptors) > 1 or len(parts) != 3:
        found = "lacks a palette" if parts == () else "has palettes of several kinds"
        msg = f"it is palette colour but {found}: (0028,1101) to (0028,1103)."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    count, first, bits = (int(part) for part in parts)
    count = count % 65536 or 65536
    first = (first + 32768) % 65536 - 32768 if is_signed else first % 65536
    order = ">" if is_big_endian(dataset) else "<"
    columns = [_column(dataset, colour, (count, bits), order) for colour in _COLOURS]
    if bits not in {8, 16} or any(column is None for column in columns):
        msg = (
            f"its palette does not hold three tables of {count} entries of {bits} bits."
        )
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    entries = np.stack([np.asarray(column) for column in columns], axis=-1)
    return Palette(first, _narrowed(entries, bits))


def _narrowed(entries: npt.NDArray[np.int64], bits: int) -> Pixels:
    """Return entries of 8 bits as bytes, also where each came in two.

    Some writers put the byte into the upper half, or into both.
    """
    if bits == 16:
        return entries.astype(np.uint16)
    if entries.max() > 255:
        entries = entries >> 8
    return entries.astype(np.uint8)


def _column(
    dataset: Dataset, colour: str, size: tuple[int, int], order: str
) -> npt.NDArray[np.int64] | None:
    """Return the entries of one colour, or None if they are not what is declared."""
    count, bits = size
    plain = _bytes(dataset, f"{colour}PaletteColorLookupTableData", order)
    if plain is not None:
        if len(plain) in {count, count + 1} and bits == 8:
            plain = _in_order(dataset, f"{colour}PaletteColorLookupTableData", plain)
            return np.frombuffer(plain, np.uint8, count).astype(np.int64)
        if len(plain) != 2 * count:
            return None
        return np.frombuffer(plain, f"{order}u2").astype(np.int64)
    packed = _bytes(dataset, f"Segmented{colour}PaletteColorLookupTableData", order)
    if packed is None or bits not in {8, 16}:
        return None
    kind = "u1" if bits == 8 else f"{order}u2"
    if bits == 8:
        keyword = f"Segmented{colour}PaletteColorLookupTableData"
        packed = _in_order(dataset, keyword, packed)
    codes = np.frombuffer(packed[: len(packed) // (bits // 8) * (bits // 8)], kind)
    found = _expand(codes.astype(np.int64).tolist(), count, bits)
    return None if found is None else np.array(found, np.int64)


def _in_order(dataset: Dataset, keyword: str, found: bytes) -> bytes:
    """Return the bytes of a table one after the other; words were parsed as numbers."""
    if isinstance(dataset[keyword].value, bytes):
        return bytes_in_order(dataset, keyword)
    order = ">" if is_big_endian(dataset) else "<"
    return np.frombuffer(found, f"{order}u2").astype("<u2").tobytes()


def _bytes(dataset: Dataset, keyword: str, order: str) -> bytes | None:
    """Return a table's bytes; its words where it was parsed as numbers."""
    value = dataset.get(keyword)
    if value is None or isinstance(value, bytes):
        return value or None
    return np.atleast_1d(np.asarray(value, np.int64)).astype(f"{order}u2").tobytes()


def _expand(codes: list[int], count: int, bits: int) -> list[int] | None:
    """Expand segments to `count` entries; None if they make another number.

    References:
        [1] DICOM PS3.3 C.7.9.2: discrete, linear and indirect segments.
    """
    is_bytes = bits == 8
    offset_parts = 4 if is_bytes else 2
    out: list[int] = []
    at = 0
    while at + 1 < len(codes) and len(out) < count:
        kind, length = codes[at], codes[at + 1]
        if kind != _INDIRECT:
            step = _segment(codes, at, out)
        else:
            words = codes[at + 2 : at + 2 + offset_parts]
            base = 256 if is_bytes else 65536
            where = sum(word * base**n for n, word in enumerate(words))
            where //= 1 if is_bytes else 2
            for _ in range(min(length, count)):
                step = _segment(codes, where, out)
                where += step
            step = 2 + offset_parts
        if not step:
            return None
        at += step
    return out if len(out) == count else None


def _segment(codes: list[int], at: int, out: list[int]) -> int:
    """Append one discrete or linear segment; return its length, 0 if it is none."""
    if at + 2 >= len(codes):
        return 0
    kind, length = codes[at], codes[at + 1]
    if kind == _DISCRETE:
        values = codes[at + 2 : at + 2 + length]
        out.extend(values)
        return 2 + length if len(values) == length else 0
    if kind == _LINEAR and out and length:
        start, end = out[-1], codes[at + 2]
        points = np.arange(1, length + 1) / length
        out.extend(np.rint(start + (end - start) * points).astype(int).tolist())
        return 3
    return 0
