"""What reading in a worker process costs beside reading in one's own.

    python benchmarks/isolation.py

A radiograph (2500 x 2048, 16 bit) and a volume (512 x 512 x 200, 16 bit), uncompressed;
the median of several readings of each, alternating.
"""

import statistics
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

import medcnn

_TIMES = 15


def film(path: Path) -> None:
    """Write a radiograph."""
    pixels = np.random.default_rng(0).integers(0, 4096, (2500, 2048), np.uint16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID, dataset.Modality = "1.2.3", "DX"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path, enforce_file_format=True)


def volume(path: Path) -> None:
    """Write a volume."""
    values = np.random.default_rng(0).integers(-1000, 2000, (512, 512, 200), np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.7, 0.7, 2, 1])), path)


def main() -> None:
    """Measure and print a table."""
    print("| file | in-process ms | worker ms | more |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, medcnn.SafeReader() as reader:
        for name, make in (("film.dcm", film), ("volume.nii", volume)):
            path = Path(folder) / name
            make(path)
            reader.load(path)
            medcnn.load(path)
            here, there = [], []
            for _ in range(_TIMES):
                for load, times in ((medcnn.load, here), (reader.load, there)):
                    began = time.perf_counter()
                    load(path)
                    times.append(1000 * (time.perf_counter() - began))
            one, other = statistics.median(here), statistics.median(there)
            print(f"| {name} | {one:.1f} | {other:.1f} | {other - one:.1f} |")


if __name__ == "__main__":
    main()
