"""Small DICOM data sets for tests, built with pydicom alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

RAMP_12 = np.linspace(0, 4095, 64 * 64).astype("<u2").reshape(64, 64)
"""Every fourth or so of the 12 bit values, 64 x 64."""


def picture(pixels: np.ndarray, **attributes: object) -> Dataset:
    """Return a conformant CR of 12 unsigned bits; attributes are set last."""
    dataset = _base(ComputedRadiographyImageStorage, "CR", pixels.shape)
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = min(12, dataset.BitsAllocated)
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    if "HighBit" not in attributes:
        dataset.HighBit = dataset.BitsStored - 1
    raw = pixels.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    return dataset


def lut_item(entries: list[int], first: int, bits: int, *, signed=False) -> Dataset:
    """Return an item of a Modality or VOI LUT Sequence, 16 bits per entry."""
    item = Dataset()
    descriptor = [len(entries) % 65536, first, bits]
    item.add_new("LUTDescriptor", "SS" if signed else "US", descriptor)
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


def decimal(value: float) -> str:
    """Write a number as a Decimal String of at most 16 characters."""
    return format_number_as_ds(float(value))


def save(dataset: Dataset, path: Path) -> Path:
    """Write a data set as a conformant file."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def _base(storage: str, modality: str, shape: tuple[int, int]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = storage
    uid = generate_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientID = "phantom"
    dataset.Modality = modality
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    return dataset


# A volume that says by its values where each voxel lies: value = f(world LPS mm).
def self_describing(points_lps: np.ndarray) -> np.ndarray:
    """Return 4000 + 7x + 11y + 13z of points (..., 3) in LPS mm."""
    return 4000 + points_lps @ np.array([7.0, 11.0, 13.0])


AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def oblique() -> tuple[float, ...]:
    """Return the cosines of a plane turned about all three axes."""
    a, b, c = 0.3, -0.4, 0.7
    turn_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    turn_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    turn_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    matrix = np.array(turn_z) @ np.array(turn_y) @ np.array(turn_x)
    return (*matrix[:, 0], *matrix[:, 1])


def series(
    cosines: tuple[float, ...] = AXIAL,
    *,
    count: int = 7,
    slice_step: Callable[[int], np.ndarray] | None = None,
    modality: str = "CT",
) -> list[Dataset]:
    """Return the slices of a self-describing volume in ascending order.

    It is anisotropic (0.8 mm between columns, 0.6 mm between rows, 2.5 mm between
    slices) and asymmetric (11 columns, 9 rows, `count` slices).

    Args:
        cosines: Image Orientation (Patient).
        count: Number of slices.
        slice_step: Displacement of slice k in LPS mm; along the normal by default.
        modality: Its modality.
    """
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    normal = np.cross(across, down)
    origin = np.array([-12.5, 3.25, 40.0])
    uids = [generate_uid() for _ in range(3)]
    slices = []
    for k in range(count):
        shift = slice_step(k) if slice_step else 2.5 * k * normal
        dataset = _base(CTImageStorage, modality, (9, 11))
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = uids[0], uids[1]
        dataset.FrameOfReferenceUID = uids[2]
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = [decimal(v) for v in origin + shift]
        dataset.ImageOrientationPatient = [decimal(v) for v in cosines]
        dataset.PixelSpacing = [0.6, 0.8]
        dataset.SliceThickness = 2.5
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        rows, columns = np.mgrid[:9, :11]
        points = origin + shift + 0.8 * columns[..., None] * across
        points = points + 0.6 * rows[..., None] * down
        stored = np.rint(self_describing(points) + 1024).astype("<u2")
        dataset.PixelData = stored.tobytes()
        slices.append(dataset)
    return slices


def save_series(slices: list[Dataset], folder: Path) -> Path:
    """Write slices as 000.dcm, 001.dcm, ... in the given order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(slices):
        save(dataset, folder / f"{number:03d}.dcm")
    return folder


def as_big_endian(dataset: Dataset) -> Dataset:
    """Return a grey 16 bit data set in Explicit VR Big Endian."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    return dataset
