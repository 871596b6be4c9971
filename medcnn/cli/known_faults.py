"""Versions with known security faults, so that `medcnn doctor` can name them."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FLOORS", "Floor", "faults_of", "versions_of_programs"]

_TIMEOUT_S = 10


@dataclass(frozen=True)
class Floor:
    """The first version without a known fault.

    Attributes:
        version: It.
        fault: What older ones have.
        mend: What to do.
    """

    version: str
    fault: str
    mend: str


FLOORS = {
    "pydicom": Floor(
        "3.0.2",
        "a file set can lead out of its folder (CVE-2026-32711)",
        "pip install 'pydicom>=3.0.2'",
    ),
    "pillow": Floor(
        "12.2",
        "a small FITS file takes all memory (CVE-2026-40192)",
        "pip install 'pillow>=12.2'",
    ),
    "monai": Floor(
        "1.6",
        "checkpoints and archives can run code (CVE-2025-58756, CVE-2026-21851)",
        "pip install 'monai>=1.6'",
    ),
    "torch": Floor(
        "2.10",
        "weights_only does not protect (CVE-2026-24747)",
        "pip install 'torch>=2.10'",
    ),
    "openjpeg (in imagecodecs)": Floor(
        "2.5.4",
        "a JPEG 2000 picture writes beyond memory (CVE-2025-54874)",
        "pip install --upgrade imagecodecs",
    ),
    "Orthanc": Floor(
        "1.12.11",
        "images and requests can end it or read its memory (CVE-2026-5437 to 5445)",
        "update Orthanc, or keep it on this machine alone",
    ),
}


def faults_of(versions: Mapping[str, str | None]) -> list[dict[str, str]]:
    """Name what is installed and older than it should be.

    Args:
        versions: By name; None for what is not installed.
    """
    found = []
    for name, floor in FLOORS.items():
        version = versions.get(name)
        if version is not None and _numbers(version) < _numbers(floor.version):
            fact = {"name": name, "version": version, "needed": floor.version}
            found.append(fact | {"fault": floor.fault, "mend": floor.mend})
    return found


def versions_of_programs() -> dict[str, str | None]:
    """Return the versions of Orthanc and of the JPEG 2000 decoder, where there are."""
    return {"Orthanc": _orthanc(), "openjpeg (in imagecodecs)": _openjpeg()}


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.13.0+cpu is (2, 13, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _orthanc() -> str | None:
    program = shutil.which("Orthanc")
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 - a program by its whole path
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"Orthanc (\d[\w.]*)", said)
    return found[1] if found else None


def _openjpeg() -> str | None:
    try:
        import imagecodecs
    except ImportError:
        return None
    found = str(imagecodecs.version(dict).get("openjpeg", ""))
    return found if found[:1].isdigit() else None
