"""What an image looks like, in a few bytes: to find copies of it among 100,000 others.

Three things are kept of every image while it is decoded anyway: a checksum of its
pixel values (a PNG and a DICOM file of the same pixels have the same), a hash of its
coarse pattern, and a small picture. Copies that were compressed again, resized or
windowed have hashes that differ in few bits and small pictures that correlate.

References:
    [1] Zauner, Implementation and benchmarking of perceptual image hash functions,
        2010, section 3.2.1: the low frequencies of the discrete cosine transform.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from medcnn.errors import DataError
from medcnn.image import Image
from medcnn.outputs import whole_file
from medcnn.preprocessing.resample import resize

__all__ = ["Look", "Looks", "look_at", "read_looks", "write_looks"]

Values = npt.NDArray[Any]
_SIDE = {2: 32, 3: 16}
_FREQUENCIES = {2: 8, 3: 4}


@dataclass(frozen=True, eq=False)
class Look:
    """What one image looks like.

    Attributes:
        checksum: Of its pixel values, as 32 hexadecimal digits.
        pattern: 64 bits: which low frequencies are above their median.
        small: uint8, (1024,) of a picture, (4096,) of a volume: 0 to 255 over its own
            range; all 0 for a flat image.
        patient_id: (0010,0020) Patient ID, "" where nothing says.
    """

    checksum: str
    pattern: int
    small: npt.NDArray[np.uint8]
    patient_id: str


@dataclass(frozen=True, eq=False)
class Looks:
    """The looks of N images, in the order of their table.

    Attributes:
        checksums: (N,) text.
        patterns: (N,) uint64.
        small: uint8, (N, 1024) of pictures, (N, 4096) of volumes.
        patient_ids: (N,) text, "" where nothing says.
    """

    checksums: Values
    patterns: npt.NDArray[np.uint64]
    small: npt.NDArray[np.uint8]
    patient_ids: Values

    @classmethod
    def of(cls, looks: Sequence[Look]) -> "Looks":
        """Put the looks of single images together.

        Raises:
            DataError: If there are none, or pictures and volumes among them.
        """
        if len({look.small.size for look in looks}) != 1:
            msg = f"{len(looks)} images are none, or both pictures and volumes"
            raise DataError(
                msg, hint="Put pictures and volumes into tables of their own."
            )
        return cls(
            np.array([look.checksum for look in looks]),
            np.array([look.pattern for look in looks], np.uint64),
            np.stack([look.small for look in looks]),
            np.array([look.patient_id for look in looks]),
        )

    def __len__(self) -> int:
        return len(self.patterns)


def look_at(image: Image) -> Look:
    """Return what an image looks like; colour is looked at in grey.

    Examples:
        >>> picture = np.arange(64, dtype=np.uint8).reshape(8, 8)
        >>> one = look_at(Image.from_picture(picture))
        >>> other = look_at(Image.from_picture(picture.astype(np.uint16)))
        >>> one.checksum == other.checksum
        True
    """
    values = image.array
    grey = values[:1] if len(values) == 1 else values.mean(0, dtype=np.float32)[None]
    dims = image.dims
    axes = grey[..., 0] if dims == 2 else grey
    coarse = resize(np.ascontiguousarray(axes), (_SIDE[dims],) * dims)[0]
    coarse = np.nan_to_num(coarse.astype(np.float64))
    return Look(
        _checksum(values),
        _pattern(coarse, _FREQUENCIES[dims]),
        _small(coarse),
        (image.identity.patient_id or "").strip(),
    )


def write_looks(path: Path, looks: Looks) -> None:
    """Write looks to a file, whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    with whole_file(path) as file:
        np.savez(
            file,
            checksums=looks.checksums,
            patterns=looks.patterns,
            small=looks.small,
            patient_ids=looks.patient_ids,
        )


def read_looks(path: Path, count: int) -> Looks | None:
    """Read the looks of so many images; None if the file does not hold them."""
    try:
        with np.load(path, allow_pickle=False) as found:
            names = ("checksums", "patterns", "small", "patient_ids")
            looks = Looks(*(found[name] for name in names))
    except (OSError, KeyError, ValueError, EOFError):
        return None
    return looks if len(looks.small) == len(looks.patterns) == count else None


def _checksum(values: Values) -> str:
    """Return a checksum of pixel values, whatever type they are held in."""
    if (values == values[:1]).all():  # grey in three channels is grey
        values = values[:1]
    low, high = values.min(), values.max()
    whole = values.dtype.kind in "bui" or bool((values == np.rint(values)).all())
    if whole and np.isfinite([low, high]).all():
        kinds = (np.uint8, np.uint16, np.int32, np.int64)
        fits = (k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
        stored: Values = values.astype(next(fits, np.float64))
    else:
        stored = values.astype(np.float32)
    digest = hashlib.blake2b(repr((stored.shape, stored.dtype.name)).encode())
    digest.update(np.ascontiguousarray(stored).data)
    return digest.hexdigest()[:32]


def _pattern(coarse: Values, frequencies: int) -> int:
    """Return which low frequencies lie above their median; the mean is left out."""
    low = dctn(coarse, norm="ortho")[(slice(frequencies),) * coarse.ndim].ravel()[1:]
    bits = np.append(low > np.median(low), False)
    return int(np.packbits(bits).view(np.uint64)[0])


def _small(coarse: Values) -> npt.NDArray[np.uint8]:
    """Return the coarse picture stretched to 0..255."""
    low, high = coarse.min(), coarse.max()
    span = high - low
    unit = (coarse - low) / span if span > 0 else np.zeros_like(coarse)
    return np.asarray(np.rint(unit.ravel() * 255), np.uint8)
