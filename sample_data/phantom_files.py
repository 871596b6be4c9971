"""Write phantoms as DICOM, NIfTI and PNG, with fixed identifiers and dates."""

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from imaging import PIXEL_MM, SOURCE_DETECTOR_MM
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

__all__ = ["write_film", "write_nifti", "write_png", "write_series"]

Pixels = npt.NDArray[Any]

_FILM_WINDOW = (2000, 2200)
_CT_INTERCEPT = -1024
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_film(path: Path, stored: Pixels, photometric: str) -> Path:
    """Write stored values (rows, columns) as a digital chest radiograph."""
    inverted = photometric == "MONOCHROME1"
    centre, width = _FILM_WINDOW
    dataset = _common(path.stem, "DX", DigitalXRayImageStorageForPresentation)
    _add_pixels(dataset, stored, photometric)
    dataset.update(_film_attributes())
    dataset.WindowCenter = str(4095 - centre if inverted else centre)
    dataset.WindowWidth = str(width)
    dataset.PixelIntensityRelationshipSign = 1 if inverted else -1
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope = "0", "1"
    dataset.RescaleType = "US"
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(directory: Path, volume: Pixels, affine: Pixels) -> list[Path]:
    """Write HU of shape (I, J, K) as one CT file for each slice."""
    directory.mkdir(exist_ok=True)
    lps = _LPS_TO_RAS @ affine
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0).round(4)
    directions = lps[:3, :3] / spacing_mm
    paths = []
    for k in range(volume.shape[2]):
        path = directory / f"slice_{k + 1:02d}.dcm"
        dataset = _common("ct_lesion", "CT", CTImageStorage, number=k + 1)
        stored = (volume[:, :, k].T - _CT_INTERCEPT).astype(np.uint16)
        _add_pixels(dataset, stored, "MONOCHROME2")
        corner = lps @ [0, 0, k, 1]
        dataset.ImagePositionPatient = [_decimal(x) for x in corner[:3]]
        cosines = np.concatenate([directions[:, 0], directions[:, 1]])
        dataset.ImageOrientationPatient = [_decimal(x) for x in cosines]
        dataset.PixelSpacing = [str(spacing_mm[1]), str(spacing_mm[0])]
        dataset.SliceThickness = str(spacing_mm[2])
        dataset.FrameOfReferenceUID = _uid("frame of reference")
        dataset.PositionReferenceIndicator = ""
        dataset.RescaleIntercept, dataset.RescaleSlope = str(_CT_INTERCEPT), "1"
        dataset.RescaleType = "HU"
        dataset.WindowCenter, dataset.WindowWidth = "40", "400"
        dataset.KVP, dataset.AcquisitionNumber = "120", 1
        dataset.PatientPosition = "HFS"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_nifti(path: Path, volume: Pixels, affine: Pixels) -> Path:
    """Write HU of shape (I, J, K); not compressed, for the bytes depend on zlib."""
    image = nib.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.to_filename(path)
    return path


def write_png(path: Path, values: Pixels) -> Path:
    """Write 16-bit grey values (rows, columns) in stored, not compressed, blocks.

    References:
        [1] PNG, third edition, section 11; RFC 1951 section 3.2.4 (stored blocks).
    """
    rows, columns = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    blocks = [lines[n : n + 65535] for n in range(0, len(lines), 65535)]
    packed = b"\x78\x01"
    for block in blocks:
        last, size = block is blocks[-1], len(block)
        packed += struct.pack("<BHH", last, size, size ^ 0xFFFF) + block
    packed += struct.pack(">I", zlib.adler32(lines))
    header = struct.pack(">IIBBBBB", columns, rows, 16, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, body in parts:
            check = zlib.crc32(name + body)
            file.write(struct.pack(">I", len(body)) + name + body)
            file.write(struct.pack(">I", check))
    return path


def _common(series: str, modality: str, sop_class: str, number: int = 1) -> Dataset:
    """Return patient, study, series, equipment and identity of one instance."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = _uid("make_phantoms")
    dataset.file_meta.ImplementationVersionName = "MEDCNN_PHANTOM"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = _uid(f"{series} {number}")
    dataset.StudyInstanceUID = _uid("study")
    dataset.SeriesInstanceUID = _uid(series)
    dataset.PatientName, dataset.PatientID = "Phantom^Thorax", "MEDCNN-PHANTOM"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20260101"
    dataset.AcquisitionDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.AcquisitionTime = "120000"
    dataset.AccessionNumber, dataset.StudyID = "", "1"
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.Modality = modality
    dataset.SeriesDescription = f"Computed phantom {series}"
    dataset.Manufacturer = dataset.ManufacturerModelName = "medcnn"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", "1"
    dataset.BodyPartExamined = "CHEST"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else ""]
    dataset.BurnedInAnnotation = "NO"
    return dataset


def _film_attributes() -> Dataset:
    """Return what a digital chest radiograph says about itself."""
    dataset = Dataset()
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageLaterality = "B"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ViewPosition = "PA"
    dataset.AnatomicRegionSequence = _code("816094009", "SCT", "Chest")
    dataset.PositionerType = "NONE"
    dataset.ViewCodeSequence = _code("272479007", "SCT", "postero-anterior")
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.ImagerPixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.DistanceSourceToDetector = SOURCE_DETECTOR_MM
    dataset.DetectorType, dataset.DetectorConfiguration = "DIRECT", "AREA"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.LossyImageCompression = "00"
    dataset.KVP = "120"
    dataset.AcquisitionContextSequence = Sequence()
    return dataset


def _add_pixels(dataset: Dataset, stored: Pixels, photometric: str) -> None:
    """Add 12-bit stored values (rows, columns) to a data set."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.VOILUTFunction = "LINEAR"
    dataset.PixelData = stored.astype("<u2").tobytes()


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    """Return a sequence of one coded term."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    item.CodeMeaning = meaning
    return Sequence([item])


def _uid(name: str) -> str:
    """Return the same UID for the same name.

    References:
        [1] DICOM PS3.5 annex B.2, UIDs under 2.25.
    """
    digest = hashlib.sha256(f"medcnn phantom {name}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _decimal(value: float) -> str:
    """Return a number as a Decimal String of at most 16 characters."""
    return f"{value:.12f}"[:16]
