"""Look-up tables and windows of DICOM's grey scale, as functions of values.

References:
    [1] DICOM PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medcnn.errors import DecodeError
from medcnn.io.dicom.tags import (
    NOT_CONFORMANT,
    bytes_in_order,
    is_big_endian,
    is_implicit,
    numbers,
    text,
)

__all__ = ["DISPLAY_MAX", "Lut", "Window", "read_lut", "read_window"]

FloatArray = npt.NDArray[np.float64]

DISPLAY_MAX = 65535.0
"""White of a display value after a VOI transformation."""

_FUNCTIONS = {"LINEAR", "LINEAR_EXACT", "SIGMOID"}


@dataclass(frozen=True, eq=False)
class Lut:
    """A look-up table over a run of consecutive input values.

    Attributes:
        first: Input value of the first entry; lower inputs take it too.
        entries: Output values.
        bits: Bits of one output value.
    """

    first: int
    entries: FloatArray
    bits: int

    @property
    def key(self) -> tuple[object, ...]:
        """Return what two equal tables share."""
        return self.first, self.bits, self.entries.tobytes()

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return the entry of each value; inputs past an end take the end's entry."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index.astype(np.int64)])

    def to_display(self, values: FloatArray) -> FloatArray:
        """Return the entries scaled so that the largest possible is DISPLAY_MAX."""
        return np.asarray(self(values) * (DISPLAY_MAX / (2**self.bits - 1)))


@dataclass(frozen=True)
class Window:
    """A window: (0028,1050) center, (0028,1051) width and its function.

    Attributes:
        center: In the units of the modality values.
        width: In the same units; >= 1 for LINEAR, > 0 otherwise.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
        count: How many windows the file offers; this is the first.
    """

    center: float
    width: float
    function: str
    count: int = 1

    @property
    def words(self) -> str:
        """Return the window as a line of a provenance."""
        of_several = f", the first of {self.count}" if self.count > 1 else ""
        return (
            f"VOI window {self.function}: center {self.center:g}, width "
            f"{self.width:g}{of_several}, to 0..{DISPLAY_MAX:g}"
        )

    def __call__(self, values: FloatArray) -> FloatArray:
        """Return display values from 0 to DISPLAY_MAX.

        References:
            [1] DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID),
                C.11.2.1.3.2 (LINEAR_EXACT).
        """
        if self.function == "SIGMOID":
            exponent = -4 * (values - self.center) / self.width
            return np.asarray(DISPLAY_MAX / (1 + np.exp(np.clip(exponent, -700, 700))))
        center, width = self.center, self.width
        if self.function == "LINEAR":
            center, width = center - 0.5, width - 1
        if width == 0:
            return np.where(values > center, DISPLAY_MAX, 0.0)
        share = (values - center) / width + 0.5
        return np.asarray(np.clip(share, 0, 1) * DISPLAY_MAX)


def read_lut(item: Dataset, path: Path | None, span: tuple[float, float]) -> Lut:
    """Read one item of a Modality or VOI LUT Sequence.

    Args:
        item: The item, with (0028,3002) LUT Descriptor and (0028,3006) LUT Data.
        path: The file, for errors.
        span: Smallest and largest input value that can occur.

    Raises:
        DecodeError: If descriptor and data contradict each other.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        msg = f"(0028,3002) LUT Descriptor has {len(descriptor)} values, not 3."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    count, first, bits = (int(part) for part in descriptor)
    # PS3.3 C.11.1.1: 0 entries mean 65536, which does not fit the field.
    count = count % 65536 or 65536
    # Its VR is US or SS, and the wrong one is often taken, so the inputs decide.
    if first >= 32768 and first > span[1] and span[0] < 0:
        first -= 65536
    elif first < 0 <= span[0] and is_implicit(item):
        first += 65536
    entries = _entries(item, count, bits)
    if entries is None or not 1 <= bits <= 16:
        msg = f"its look-up table does not hold {count} entries of {bits} bits."
        raise DecodeError(msg, path=path, hint=NOT_CONFORMANT)
    # Some writers state fewer bits than the entries use.
    bits = max(bits, int(entries.max()).bit_length())
    return Lut(first, entries.astype(np.float64), bits)


def read_window(dataset: Dataset) -> Window | None:
    """Return the first window of a data set, or None where there is no valid one."""
    centers, center = _parts(dataset, "WindowCenter")
    widths, width = _parts(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    function = text(dataset, "VOILUTFunction").upper() or "LINEAR"
    least = 1.0 if function == "LINEAR" else np.finfo(np.float64).tiny
    if function not in _FUNCTIONS or width < least:
        return None
    return Window(center, width, function, min(centers, widths))


def _parts(dataset: Dataset, keyword: str) -> tuple[int, float | None]:
    """Return how many values an attribute has, and the first if it is a number."""
    parts = text(dataset, keyword).split("\\")
    try:
        first = float(parts[0])
    except ValueError:
        return 0, None
    is_number = math.isfinite(first) and "_" not in parts[0]
    return sum(map(bool, parts)), first if is_number else None


def _entries(item: Dataset, count: int, bits: int) -> npt.NDArray[np.integer] | None:
    """Return LUT Data as `count` unsigned integers, or None if it is of another size.

    Entries of up to 8 bits come one or two bytes apart; the data's length tells.
    """
    value = item.get("LUTData")
    if isinstance(value, bytes):
        if bits <= 8 and len(value) in {count, count + 1}:
            return np.frombuffer(bytes_in_order(item, "LUTData"), np.uint8)[:count]
        order = ">" if is_big_endian(item) else "<"
        found = np.frombuffer(value[: len(value) // 2 * 2], f"{order}u2")
    else:
        found = np.atleast_1d(np.asarray(value if value is not None else []))
        if found.dtype.kind not in "iu":
            return None
        found = found.astype(np.int64) & 0xFFFF
        if bits <= 8 and len(found) == (count + 1) // 2 < count:
            return found.astype("<u2").view(np.uint8)[:count]
    return found if len(found) == count else None
