"""Attributes of a data set as plain Python values, whatever state the file is in."""

import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from medcnn.errors import DecodeError, MedcnnError

__all__ = [
    "FOREIGN_ERRORS",
    "NOT_CONFORMANT",
    "broken_as_decode_error",
    "bytes_in_order",
    "code",
    "is_big_endian",
    "is_implicit",
    "is_there",
    "number",
    "numbers",
    "sequence",
    "stated",
    "text",
]

NOT_CONFORMANT = "Ask the sender for a conformant file."
"""What to do about attributes that contradict the standard or each other."""

FOREIGN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on broken files, found by mutating files."""

_CODE = re.compile(r"[A-Za-z0-9 _]{0,16}|[0-9.]{1,64}")
_BAD_VALUE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)


def text(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as stripped text, several values joined by a backslash.

    An absent, empty or unreadable attribute is "".
    """
    value = _value(dataset, keyword)
    if value is None:
        return ""
    if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue":
        return "\\".join(str(part).strip() for part in value)
    return str(value).strip().strip("\0")


def code(dataset: Dataset, keyword: str) -> str:
    """Return an attribute that is a code or a UID, fit to be quoted.

    In a damaged file it may hold anything, such as the patient's name.

    Returns:
        "" if it is absent, "?" if it is neither.

    References:
        [1] DICOM PS3.5 6.2, CS and UI.
    """
    value = text(dataset, keyword)
    return value if _CODE.fullmatch(value) else "?"


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return an attribute's finite numbers; () if absent, empty or not all numbers."""
    value = _value(dataset, keyword)
    if value is None or isinstance(value, bytes):
        return ()
    parts = [value] if isinstance(value, str | int | float) else value
    try:
        found = tuple(float(part) for part in parts)
    except _BAD_VALUE:
        return ()
    return found if all(math.isfinite(part) for part in found) else ()


def sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; [] if absent, empty or unreadable."""
    value = _value(dataset, keyword)
    return list(value) if isinstance(value, Sequence) else []


def is_big_endian(dataset: Dataset) -> bool:
    """Say whether a data set or item was read from a big-endian file."""
    _, is_little = getattr(dataset, "original_encoding", (None, None))
    return is_little is False


def is_implicit(dataset: Dataset) -> bool:
    """Say whether a data set or item was read without value representations."""
    return bool(getattr(dataset, "original_encoding", (None, None))[0])


def bytes_in_order(dataset: Dataset, keyword: str) -> bytes:
    """Return an attribute's bytes as they follow each other, whatever their order.

    References:
        [1] DICOM PS3.5 7.3: OW of big-endian files has the bytes of each word swapped.
    """
    element = dataset[keyword]
    raw = bytes(element.value)
    if not is_big_endian(dataset) or element.VR != "OW":
        return raw
    swapped = bytearray(raw)
    even = len(raw) // 2 * 2
    swapped[0:even:2], swapped[1:even:2] = raw[1:even:2], raw[0:even:2]
    return bytes(swapped)


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an attribute's first finite number, or None."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def is_there(dataset: Dataset, keyword: str) -> bool:
    """Say whether an attribute says anything, whether it can be read or not."""
    try:
        tag = _tag(keyword)
        value = dataset[tag].value if tag in dataset else None
    except FOREIGN_ERRORS:
        return True
    if isinstance(value, str | bytes):
        return bool(value.strip())
    return value is not None and (not hasattr(value, "__len__") or len(value) > 0)


def stated(dataset: Dataset, keyword: str, path: Path | None) -> float | None:
    """Return the number on which the meaning of pixels depends.

    What is there and cannot be read ("2,5") is not the same as absent.

    Returns:
        None only if the attribute is absent or empty.

    Raises:
        DecodeError: If it is there and no finite number, or several.
    """
    if not is_there(dataset, keyword):
        return None
    found = set(numbers(dataset, keyword))
    # Python reads 2_5 as 25
    if len(found) != 1 or "_" in text(dataset, keyword):
        tag = _tag(keyword)
        where = f"({tag.group:04X},{tag.element:04X}) {dictionary_description(tag)}"
        msg = f"{where} cannot be read: it is not one number."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    return found.pop()


@contextmanager
def broken_as_decode_error(path: Path | None, what: str) -> Iterator[None]:
    """Turn whatever a library raises on a broken file into one DecodeError.

    Its text is not passed on: it may quote values, and those are personal.

    Args:
        path: The file, for the error.
        what: What could not be done, such as "its header cannot be parsed".

    Raises:
        DecodeError: In place of any of FOREIGN_ERRORS.
        MedcnnError: As it came.
    """
    try:
        yield
    except MedcnnError:
        raise
    except FOREIGN_ERRORS as error:
        msg = f"{what} ({type(error).__name__})."
        hint = "The file is broken, cut off or uses a coding without a decoder."
        raise DecodeError(msg, path=path, hint=hint) from error


@cache
def _tag(keyword: str) -> BaseTag:
    """Return the tag of a keyword; pydicom looks for it anew each time."""
    return Tag(keyword)


def _value(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value; None where it is absent, empty or unreadable."""
    try:
        tag = _tag(keyword)
        value = dataset[tag].value if tag in dataset else None
    except FOREIGN_ERRORS:
        return None
    return None if value is None or value == "" else value
