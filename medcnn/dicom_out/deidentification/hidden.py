"""Bytes of native pixels that no viewer shows: a tail, and planes of an overlay."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.utils import get_expected_length

from medcnn.io.dicom.tags import FOREIGN_ERRORS

__all__ = ["without_hidden_bytes"]


def without_hidden_bytes(pixels: bytes, dataset: Dataset) -> bytes:
    """Return native pixels cut to the image, and without overlays in unused bits.

    What lies behind the last row of the last frame is cut; a byte that makes the length
    even becomes 0. A plane of bits that an overlay says is its own becomes 0.

    Args:
        pixels: The value of Pixel Data, not encapsulated.
        dataset: As it was read, with its overlays.

    Returns:
        The same bytes if the data set does not say how long they must be.

    References:
        [1] DICOM PS3.5 8.1.1 and 8.2, native format; PS3.3 C.9.2, Overlay Bit Position.
    """
    wanted = _length(dataset)
    if wanted is None or len(pixels) < wanted:
        return pixels
    return _without_planes(pixels[:wanted], dataset) + bytes(wanted % 2)


def _length(dataset: Dataset) -> int | None:
    """Return the bytes of all frames, or None if they cannot be told."""
    try:
        return int(get_expected_length(dataset, unit="bytes")) or None
    except FOREIGN_ERRORS:
        return None


def _without_planes(pixels: bytes, dataset: Dataset) -> bytes:
    """Return pixels with 0 in bits that overlays use."""
    allocated = int(dataset.get("BitsAllocated") or 0)
    planes = _planes(dataset)
    if not planes or allocated not in {8, 16}:
        return pixels
    mask = (1 << allocated) - 1 - sum(1 << plane for plane in planes)
    if allocated == 8:
        return (np.frombuffer(pixels, np.uint8) & np.uint8(mask)).tobytes()
    order = "<" if dataset.original_encoding[1] in {True, None} else ">"
    values = np.frombuffer(pixels, f"{order}u2").astype(np.uint16) & np.uint16(mask)
    return values.astype(f"{order}u2").tobytes()


def _planes(dataset: Dataset) -> list[int]:
    """Return the bits that overlays say are theirs, outside those of the image."""
    high = int(dataset.get("HighBit") or 0)
    low = high - int(dataset.get("BitsStored") or 0) + 1
    groups = range(0x6000, 0x6020, 2)
    # retired: an overlay without data of its own lies in the pixels
    inside = [group for group in groups if (group, 0x3000) not in dataset]
    said = [dataset[group, 0x0102].value for group in inside
            if (group, 0x0102) in dataset]  # fmt: skip
    found = {value for value in said if isinstance(value, int)}
    allocated = int(dataset.get("BitsAllocated") or 0)
    return [n for n in sorted(found) if 0 <= n < allocated and not low <= n <= high]
