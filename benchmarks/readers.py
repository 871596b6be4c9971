"""Reading one film or volume: medcnn beside MONAI, SimpleITK, pydicom and nibabel.

    python benchmarks/readers.py
    python benchmarks/readers.py --repeats 9 --json readers.json

The film is a real radiograph of pydicom-data (a synthetic one where that is not
installed), enlarged to 2500 rows x 2048 columns of 12 bits with noise, as DICOM without
window in each transfer syntax; the volume is 256 x 256 x 128 of 16 bits as NIfTI. All
readers take turns in one process; the median of the repeats is shown in milliseconds,
and every result is compared with the original. `at 1/4` asks for 625 x 512.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK
from monai.data import NibabelReader, PydicomReader
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import medcnn

ROWS, COLUMNS, BITS = 2500, 2048, 12
QUARTER = (625, 512)
LOSSY = {"JPEG 8 bit", "JPEG 12 bit"}

Reader = Callable[[str], np.ndarray]


def film() -> np.ndarray:
    """Return a radiograph of 12 bits, (rows, columns)."""
    source = get_testdata_file("RG1_UNCR.dcm", download=False)
    rng = np.random.default_rng(0)
    if source is None:
        small = rng.normal(0, 1, (48, 40)).astype(np.float32)
    else:
        small = pydicom.dcmread(source).pixel_array.astype(np.float32)
    large = cv2.resize(small, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    large = (large - large.min()) / np.ptp(large) * 3800 + 100
    noisy = large + rng.normal(0, 6, large.shape)
    return np.clip(np.rint(noisy), 0, 2**BITS - 1).astype("<u2")


def codings(pixels: np.ndarray) -> dict[str, tuple[str, bytes | None]]:
    """Return name, transfer syntax and frame of each coding; None if uncompressed."""
    bytes_8 = (pixels >> 4).astype("u1")
    with_bits = {"bitspersample": BITS}
    wavelets = imagecodecs.jpeg2k_encode(
        pixels, level=0, codecformat="J2K", **with_bits
    )
    lossless = imagecodecs.ljpeg_encode(pixels, **with_bits)
    cosines_12 = imagecodecs.jpeg8_encode(pixels, level=95, **with_bits)
    return {
        "raw": (ExplicitVRLittleEndian, None),
        "raw implicit": (ImplicitVRLittleEndian, None),
        "raw big endian": (ExplicitVRBigEndian, None),
        "deflated": (DeflatedExplicitVRLittleEndian, None),
        "RLE": (RLELossless, None),
        "JPEG lossless": (JPEGLosslessSV1, lossless),
        "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode(pixels)),
        "JPEG 2000": (JPEG2000Lossless, wavelets),
        "HTJ2K": (HTJ2KLossless, imagecodecs.htj2k_encode(pixels)),
        "JPEG 8 bit": (JPEGBaseline8Bit, imagecodecs.jpeg8_encode(bytes_8, level=90)),
        "JPEG 12 bit": (JPEGExtended12Bit, cosines_12),
    }


def write_films(folder: Path, pixels: np.ndarray) -> dict[str, Path]:
    """Write the film in every coding."""
    paths = {}
    for name, (syntax, frame) in codings(pixels).items():
        paths[name] = folder / f"{name}.dcm".replace(" ", "-")
        dataset = header(pixels, bits=8 if name == "JPEG 8 bit" else BITS)
        dataset.file_meta.TransferSyntaxUID = syntax
        if frame is not None:
            dataset.PixelData = encapsulate([frame])
            dataset["PixelData"].VR = "OB"
        elif syntax == ExplicitVRBigEndian:
            dataset.PixelData = pixels.astype(">u2").tobytes()
        elif syntax == RLELossless:
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.compress(RLELossless, encoding_plugin="pydicom")
        dataset.save_as(paths[name], enforce_file_format=True)
    return paths


def header(pixels: np.ndarray, *, bits: int) -> Dataset:
    """Return a radiograph that is uncompressed until told otherwise."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1.1"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.826.0.1.1"
    dataset.Modality, dataset.SamplesPerPixel = "DX", 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.BitsAllocated = 8 if bits == 8 else 16
    dataset.PixelRepresentation = 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.ImagerPixelSpacing = [0.14, 0.14]
    dataset.PixelData = pixels.tobytes()
    return dataset


def write_volumes(folder: Path) -> tuple[dict[str, Path], np.ndarray]:
    """Write a volume as .nii and .nii.gz."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(0, 200, (16, 16, 8)).astype(np.float32)
    volume = coarse.repeat(16, 0).repeat(16, 1).repeat(16, 2)
    volume = (volume + rng.normal(0, 5, volume.shape)).astype("<i2")
    paths = {name: folder / f"volume{name}" for name in (".nii", ".nii.gz")}
    for path in paths.values():
        nib.Nifti1Image(volume, np.diag([1, 1, 2, 1])).to_filename(path)
    return paths, volume


def monai_dicom(path: str) -> np.ndarray:
    """Read as LoadImage(reader="PydicomReader") does."""
    reader = PydicomReader()
    return reader.get_data(reader.read(path))[0].T


def sitk_picture(path: str) -> np.ndarray:
    """Read by SimpleITK."""
    found = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))
    return found[0] if found.shape[0] == 1 else found


FILM_READERS: dict[str, Reader] = {
    "medcnn": lambda path: medcnn.load(path).picture(),
    "at 1/4": lambda path: medcnn.load(path, size=QUARTER).picture(),
    "MONAI": monai_dicom,
    "SimpleITK": sitk_picture,
    "pydicom": lambda path: pydicom.dcmread(path).pixel_array,
}


def monai_nifti(path: str) -> np.ndarray:
    """Read as LoadImage(reader="NibabelReader") does."""
    reader = NibabelReader()
    return reader.get_data(reader.read(path))[0]


VOLUME_READERS: dict[str, Reader] = {
    "medcnn": lambda path: np.asarray(medcnn.load(path).array)[0],
    "MONAI": monai_nifti,
    "SimpleITK": lambda path: SimpleITK.GetArrayFromImage(
        SimpleITK.ReadImage(path)
    ).transpose(2, 1, 0),
    "nibabel": lambda path: np.asarray(nib.load(path).dataobj),
}


def verdict(name: str, found: np.ndarray, true: np.ndarray) -> str:
    """Say in a word whether what was read is what was written."""
    if found.shape != true.shape:
        return "reduced" if found.shape == QUARTER else "other shape"
    if name in LOSSY:
        apart = np.abs(found.astype(float) - (true >> 4 if "8" in name else true))
        return "equal" if apart.mean() < 8 else "WRONG"
    return "equal" if np.array_equal(found, true) else "WRONG"


def measure(
    paths: dict[str, Path], readers: dict[str, Reader], true: np.ndarray, repeats: int
) -> dict[str, dict[str, dict[str, object]]]:
    """Return {coding: {reader: ms and verdict}}; the readers take turns."""
    results = {}
    for name, path in paths.items():
        row: dict[str, dict[str, object]] = {}
        times: dict[str, list[float]] = {}
        for who, read in readers.items():
            try:
                row[who] = {"verdict": verdict(name, read(str(path)), true)}
                times[who] = []
            except Exception as error:  # noqa: BLE001 - each library has its own
                row[who] = {"verdict": type(error).__name__}
        for _ in range(repeats):
            for who in times:
                start = time.perf_counter()
                readers[who](str(path))
                times[who].append(time.perf_counter() - start)
        for who, spent in times.items():
            row[who]["ms"] = round(1000 * statistics.median(spent), 2)
        results[name] = row
    return results


def show(results: dict[str, dict[str, dict[str, object]]]) -> None:
    """Print a table and how many times longer the others take."""
    readers = list(next(iter(results.values())))
    print(f"{'':16}" + "".join(f"{name:>14}" for name in readers))
    for name, row in results.items():
        cells = []
        for who in readers:
            found = row[who]
            if "ms" not in found:
                cells.append(str(found["verdict"])[:12])
                continue
            mark = "" if found["verdict"] in {"equal", "reduced"} else " !"
            times = float(str(found["ms"])) / float(str(row["medcnn"]["ms"]))
            ratio = "" if who == "medcnn" else f" ({times:.1f}x)"
            cells.append(f"{found['ms']:.1f}{ratio}{mark}")
        print(f"{name:16}" + "".join(f"{cell:>14}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # noqa: FBT003
    with (
        tempfile.TemporaryDirectory() as name,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        folder, pixels = Path(name), film()
        films = measure(
            write_films(folder, pixels), FILM_READERS, pixels, given.repeats
        )
        volumes, volume = write_volumes(folder)
        tables = [films, measure(volumes, VOLUME_READERS, volume, given.repeats)]
    cores = len(os.sched_getaffinity(0))
    print(f"ms for one, medians of {given.repeats} turns, {cores} cores; ! is wrong")
    for table in tables:
        show(table)
        print()
    if given.json:
        given.json.write_text(json.dumps({"films": films, "volumes": tables[1]}))


if __name__ == "__main__":
    main()
