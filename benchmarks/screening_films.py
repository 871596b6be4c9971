"""Films for the benchmark of screening: noise of all sizes, in any coding."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["SYNTAXES", "make_films"]

ROWS, COLUMNS = 2500, 2048
SYNTAXES = ("raw", "ljpeg", "j2k", "rle", "jpeg", "htj2k", "jpegls")
_DIFFERENT = 16


def make_films(folder: Path, count: int, syntax: str) -> None:
    """Write radiographs as DICOM: 12 bits in 16, JPEG with 8.

    Every film has its own number; after sixteen their pixels come again, because some
    codings take seconds to make.
    """
    import pydicom

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(min(count, _DIFFERENT)):
        _write(_pixels(index), index, syntax, _place(folder, index))
    for index in range(_DIFFERENT, count):
        film = pydicom.dcmread(_place(folder, index % _DIFFERENT))
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = _uid(index)
        film.save_as(_place(folder, index), enforce_file_format=True)


def _place(folder: Path, index: int) -> Path:
    return folder / f"film{index:04d}.dcm"


def _uid(index: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.1.{index + 1}"


def _pixels(index: int) -> np.ndarray:
    import cv2

    rng = np.random.default_rng(index)
    coarse = rng.normal(0, 1, (24, 20)).astype(np.float32)
    smooth = cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 120, (ROWS, COLUMNS), dtype=np.uint16)
    return (2000 + 500 * smooth).clip(0, 3900).astype(np.uint16) + noise


def _write(pixels: np.ndarray, index: int, syntax: str, path: Path) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
        RLELossless,
    )

    bits = 8 if syntax == "jpeg" else 12
    pixels = (pixels >> 4).astype(np.uint8) if bits == 8 else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = _uid(index)
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = meta.MediaStorageSOPClassUID
    film.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    film.Modality, film.BodyPartExamined = "DX", "CHEST"
    film.Rows, film.Columns, film.SamplesPerPixel = ROWS, COLUMNS, 1
    film.BitsAllocated = 8 * pixels.dtype.itemsize
    film.BitsStored, film.HighBit = bits, bits - 1
    film.PixelRepresentation, film.PhotometricInterpretation = 0, "MONOCHROME2"
    film.PixelData = pixels.tobytes()
    if syntax == "rle":
        film.compress(RLELossless, generate_instance_uid=False)
    elif syntax != "raw":
        uid, encode = _coders()[syntax]
        meta.TransferSyntaxUID = uid
        film.PixelData = encapsulate([encode(pixels)])
        film["PixelData"].VR = "OB"
    film.save_as(path, enforce_file_format=True)


def _coders() -> dict[str, tuple[str, Callable[[np.ndarray], bytes]]]:
    import imagecodecs
    from pydicom import uid

    def j2k(pixels: np.ndarray) -> bytes:
        options = {"codecformat": "J2K", "bitspersample": 12}
        return imagecodecs.jpeg2k_encode(pixels, level=0, **options)

    return {
        "j2k": (uid.JPEG2000Lossless, j2k),
        "htj2k": (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
        "jpegls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        "ljpeg": (
            uid.JPEGLosslessSV1,
            lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12),
        ),
        "jpeg": (uid.JPEGBaseline8Bit, lambda p: imagecodecs.jpeg8_encode(p, level=92)),
    }
