"""Real images for pictures of the viewers: of public, de-identified test files."""

import os
import subprocess
from pathlib import Path

import nibabel
import pytest
from nibabel.testing import data_path

__all__ = ["film", "head", "pictures"]

_FILM = "RG1_UNCR.dcm"
_HEAD = "example4d.nii.gz"


def film(folder: Path) -> Path:
    """Write a chest radiograph of pydicom-data into a folder; return its path."""
    command = [os.environ["MEDCNN_PYTHON"], "-m", "medcnn", "samples", str(folder)]
    told = subprocess.run(command, capture_output=True, check=False, text=True)
    if told.returncode:
        pytest.skip(f"no radiograph: {told.stderr.strip() or told.stdout.strip()}")
    return folder / _FILM


def head(folder: Path) -> Path:
    """Write an MR volume of a head into a folder; return its path.

    It is the first time point of a test file of nibabel.
    """
    source = Path(data_path) / _HEAD
    if not source.is_file():
        pytest.skip(f"this nibabel carries no {_HEAD}")
    whole = nibabel.load(source)
    volume = nibabel.Nifti1Image(whole.dataobj[..., 0], whole.affine)
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.save(volume, folder / "head.nii")
    return folder / "head.nii"


def pictures(otherwise: Path) -> Path:
    """Return the folder of pictures: MEDCNN_PICTURES names one that stays."""
    folder = Path(os.environ.get("MEDCNN_PICTURES") or otherwise)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
