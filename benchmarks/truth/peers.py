"""The other readers, each asked as its documentation says, and what they answer.

Every function takes a path and the truth of a case (only to know what kind of picture
it is) and returns an answer as `reader_cases.case` describes it. Grids in LPS are
turned to RAS here, so a convention is never judged as an error.
"""

import importlib
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from reader_cases.case import Answer, Colour, Grey, Truth, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
Ask = Callable[[Path, Truth], Answer]


class UnavailableError(Exception):
    """This reader has nothing to say about such a case."""


@dataclass(frozen=True)
class Peer:
    """A reader.

    Attributes:
        title: The heading of its column.
        groups: The tables it is asked for.
        ask: What is called.
        packages: What it needs.
        program: A program that it needs, "" for none.
    """

    title: str
    groups: tuple[str, ...]
    ask: Ask
    packages: tuple[str, ...]
    program: str = ""

    def version(self) -> str:
        """Return its version, or "" if it is not installed."""
        if self.program and not _program(self.program):
            return ""
        try:
            versions = [metadata.version(name) for name in self.packages]
        except metadata.PackageNotFoundError:
            return ""
        if not self.packages:
            return _program_version(self.program)
        pairs = zip(self.packages, versions, strict=True)
        return ", ".join(f"{name} {version}" for name, version in pairs)


def monai(reader: str | None) -> Ask:
    """Return MONAI's LoadImage with one of its readers, or as it chooses itself."""

    def ask(path: Path, truth: Truth) -> Answer:
        transforms = importlib.import_module("monai.transforms")
        load = transforms.LoadImage(
            reader=reader, image_only=True, ensure_channel_first=True
        )
        image = load(str(path))
        affine = np.asarray(image.affine, np.float64)
        return _answer(image.numpy(), affine, truth)

    return ask


def simpleitk(path: Path, truth: Truth) -> Answer:
    """Read by SimpleITK: a file, or the first series of a folder."""
    sitk = importlib.import_module("SimpleITK")
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(path))
    dims = image.GetDimension()
    matrix = np.array(image.GetDirection()).reshape(dims, dims)
    matrix = matrix @ np.diag(image.GetSpacing())
    affine, spatial = np.eye(4), min(dims, 3)
    affine[:spatial, :spatial] = matrix[:spatial, :spatial]
    affine[:spatial, 3] = image.GetOrigin()[:spatial]
    array = sitk.GetArrayFromImage(image)
    is_colour = image.GetNumberOfComponentsPerPixel() > 1
    values = np.moveaxis(array, -1, 0) if is_colour else array[None]
    values = values.transpose(0, *range(values.ndim - 1, 0, -1))  # (C, I, J[, K[, T]])
    if values.ndim > 4:
        size = values.shape[1:4]
        values = np.moveaxis(values.reshape((*size, -1), order="F"), -1, 0)
    return _answer(values, LPS_TO_RAS @ affine, truth)


def pydicom(path: Path, truth: Truth) -> Answer:
    """Read by pydicom and the functions it offers for grey and colour."""
    dicom = importlib.import_module("pydicom")
    pixels = importlib.import_module("pydicom.pixels")
    dataset = dicom.dcmread(path)
    if isinstance(truth, Colour):
        stored = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            stored = pixels.apply_color_lut(stored, dataset)
        return {"colour": stored.transpose(2, 1, 0)}
    values = pixels.apply_modality_lut(dataset.pixel_array, dataset)
    answer = {"values": values.T}
    if isinstance(truth, Grey) and truth.voi is not None:
        answer["voi"] = pixels.apply_voi_lut(values, dataset).T
    return answer


def highdicom(path: Path, truth: Truth) -> Answer:
    """Read by highdicom: frames of one object, or a series as a volume."""
    library = importlib.import_module("highdicom")
    if path.is_dir():
        dicom = importlib.import_module("pydicom")
        files = sorted(file for file in path.rglob("*.dcm"))
        volume = library.get_volume_from_series([dicom.dcmread(f) for f in files])
        return _highdicom_volume(volume)
    image = library.imread(path)
    if not isinstance(truth, Grey):
        return _highdicom_volume(image.get_volume())
    return _highdicom_grey(image, truth)


def _highdicom_volume(volume: Any) -> Answer:
    """Return a highdicom volume, whose axes are slices, rows, columns."""
    affine = LPS_TO_RAS @ np.asarray(volume.affine)
    return {"volumes": [Volume(np.asarray(volume.array), affine)]}


def _highdicom_grey(image: Any, truth: Grey) -> Answer:
    """Return a frame of a highdicom image as values and as a display."""
    plain = {"dtype": np.float64, "apply_real_world_transform": False}
    values = image.get_frame(
        1, apply_voi_transform=False, apply_presentation_lut=False, **plain
    )
    answer = {"values": values.T}
    if truth.display is not None:
        has_voi = truth.voi is not None
        answer["display"] = image.get_frame(
            1, apply_voi_transform=has_voi, apply_presentation_lut=True, **plain
        ).T
    return answer


def nibabel(path: Path, truth: Truth) -> Answer:
    """Read by nibabel."""
    library = importlib.import_module("nibabel")
    image = library.load(path)
    array = np.asanyarray(image.dataobj)
    if array.ndim > 4:
        array = array.reshape((*array.shape[:3], -1), order="F")
    values = np.moveaxis(array, -1, 0) if array.ndim == 4 else array[None]
    return _answer(values, image.affine, truth)


def dcm2niix(path: Path, truth: Truth) -> Answer:
    """Convert by dcm2niix, and read what it wrote by nibabel.

    Where it wrote a corrected variant (_Tilt, _Eq), that one is its answer.

    Raises:
        RuntimeError: If it wrote nothing.
    """
    out = path.parent / "converted"
    out.mkdir()
    command = [_program("dcm2niix"), "-z", "n", "-b", "n", "-o", str(out), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("Warning"):
            warnings.warn(line, stacklevel=1)
    files = sorted(out.glob("*.nii"))
    if not files:
        lines = [line for line in done.stdout.splitlines() if "rror" in line]
        msg = f"exit code {done.returncode}: {lines[-1] if lines else 'no file'}"
        raise RuntimeError(msg)
    corrected = [f for f in files if "_Tilt" in f.stem or "_Eq" in f.stem]
    volumes: list[Volume] = []
    for file in corrected or files:
        volumes += nibabel(file, truth)["volumes"]
    return {"volumes": volumes}


def dcmtk(path: Path, truth: Truth) -> Answer:
    """Render by dcmtk's dcm2pnm, to 16 bits.

    Raises:
        RuntimeError: If it wrote nothing.
        UnavailableError: If the case is about measured values, which it does not give.
    """
    if not isinstance(truth, Grey) or truth.display is None:
        raise UnavailableError
    pydicom_library = importlib.import_module("pydicom")
    header = pydicom_library.dcmread(path, stop_before_pixels=True)
    options = ["+Wi", "1"] if "WindowWidth" in header else ["-W"]
    if "VOILUTSequence" in header:
        options = ["+Wl", "1"]
    out = path.with_suffix(".pgm")
    command = [_program("dcm2pnm"), "+opw", *options, str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not out.is_file():
        raise RuntimeError((done.stderr.strip().splitlines() or ["no output"])[-1])
    cv2 = importlib.import_module("cv2")
    return {"display": cv2.imread(str(out), cv2.IMREAD_UNCHANGED).T}


def _answer(array: np.ndarray, affine: np.ndarray, truth: Truth) -> Answer:
    """Return (C, I, J[, K]) as the kind of answer that the case is about."""
    if isinstance(truth, Grey):
        return {"values": np.squeeze(array)}
    if isinstance(truth, Colour):
        return {"colour": array[..., 0] if array.shape[3:] == (1,) else array}
    if array.shape[4:] == (1,):
        array = array[..., 0]
    volumes = [v if v.ndim > 2 else v[..., None] for v in array]
    return {"volumes": [Volume(v, affine) for v in volumes]}


def _program(name: str) -> str:
    """Return the path of a program of this environment or of the machine, or ""."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name) or ""


def _program_version(name: str) -> str:
    """Return the first line that a program prints with --version."""
    done = subprocess.run(
        [_program(name), "--version"], capture_output=True, text=True, check=False
    )
    words = done.stdout.split()
    return " ".join([name, *[w for w in words if w.startswith("v")][:1]])


_DICOM = ("grey", "codings", "series", "frames")
PEERS = {
    "monai": Peer("MONAI default", (*_DICOM, "nifti"), monai(None), ("monai", "itk")),
    "monai-pydicom": Peer(
        "MONAI PydicomReader", _DICOM, monai("PydicomReader"), ("monai", "pydicom")
    ),
    "monai-itk": Peer(
        "MONAI ITKReader", ("nifti",), monai("ITKReader"), ("monai", "itk")
    ),
    "simpleitk": Peer("SimpleITK", (*_DICOM, "nifti"), simpleitk, ("SimpleITK",)),
    "pydicom": Peer("pydicom", ("grey", "codings"), pydicom, ("pydicom",)),
    "highdicom": Peer(
        "highdicom", ("grey", "series", "frames"), highdicom, ("highdicom",)
    ),
    "nibabel": Peer("nibabel", ("nifti",), nibabel, ("nibabel",)),
    "dcm2niix": Peer(
        "dcm2niix", ("series", "frames"), dcm2niix, ("dcm2niix",), "dcm2niix"
    ),
    "dcmtk": Peer("dcmtk", ("grey",), dcmtk, (), "dcm2pnm"),
}
