"""Make the phantoms of this folder; the same bytes each time.

    python sample_data/make_phantoms.py [DIRECTORY]

Writes two chest films (DICOM DX, one of them also as a PNG), a CT series with a lesion
(DICOM and NIfTI), a piece of a vessel with and without an aneurysm (NIfTI),
`expected.json` and `checksums.sha256`.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from imaging import FILM_SHAPE, PIXEL_MM, film, on_film, scan
from phantom_files import write_film, write_nifti, write_png, write_series
from thorax import NODULE, SOLIDS, strands
from vessel import VESSEL_MM, vessel

CT_SHAPE = (64, 64, 24)
CT_SPACING_MM = (5.6, 6.2, 8.0)
CT_CENTRE_MM = (0.0, 0.0, 12.0)
CT_TURN_DEGREES = (14.0, -6.0, 9.0)
HU_POINTS_MM = {
    "lesion": NODULE.centre_mm,
    "left lung": (-90.0, 0.0, -20.0),
    "heart": (-30.0, 30.0, -40.0),
    "vertebra": (0.0, -76.0, 20.0),
    "liver": (75.0, 10.0, -75.0),
    "air in front of the chest": (0.0, 150.0, 0.0),
}

Pixels = npt.NDArray[Any]


def main(directory: Path) -> None:
    """Write everything into a folder."""
    directory.mkdir(parents=True, exist_ok=True)
    threads = list(strands(np.random.default_rng(7)))
    nodule = film((*SOLIDS, NODULE), threads, np.random.default_rng(11))
    clear = film(SOLIDS, threads, np.random.default_rng(12))
    affine = ct_affine()
    volume = scan(
        (*SOLIDS, NODULE), threads, affine, CT_SHAPE, np.random.default_rng(13)
    )
    written = [
        write_film(directory / "chest_nodule.dcm", nodule, "MONOCHROME2"),
        write_film(directory / "chest_clear.dcm", 4095 - clear, "MONOCHROME1"),
        write_png(directory / "chest_nodule.png", nodule * 16),
        write_nifti(directory / "ct_lesion.nii", volume, affine),
        *write_series(directory / "ct_lesion", volume, affine),
        *write_vessels(directory),
    ]
    expected = {
        "films": film_results(nodule, clear),
        "ct": ct_results(volume, affine),
    }
    path = directory / "expected.json"
    path.write_text(_as_json(expected), encoding="utf-8")
    lines = [f"{_sha256(p)}  {p.relative_to(directory)}\n" for p in [*written, path]]
    sums = directory / "checksums.sha256"
    sums.write_text("".join(lines), encoding="utf-8")
    print(f"{len(written)} phantom files in {directory}")


def write_vessels(directory: Path) -> list[Path]:
    """Write a piece of a vessel with an aneurysm, and the same without."""
    affine = np.diag([VESSEL_MM, VESSEL_MM, VESSEL_MM, 1.0])
    return [
        write_nifti(directory / name, vessel(aneurysm=ill), affine)
        for name, ill in (("vessel_aneurysm.nii", True), ("vessel.nii", False))
    ]


def ct_affine() -> npt.NDArray[np.float64]:
    """Return voxel (i, j, k, 1) to RAS+ mm, oblique and anisotropic, (4, 4)."""
    a, b, c = np.radians(CT_TURN_DEGREES)
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    )
    about_y = np.array(
        [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    )
    about_z = np.array(
        [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    )
    axial = np.diag([-1.0, -1.0, 1.0])  # i to the left, j to the back, k to the head
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_y @ about_x @ axial * np.array(CT_SPACING_MM)
    middle = (np.array(CT_SHAPE) - 1) / 2
    affine[:3, 3] = np.array(CT_CENTRE_MM) - affine[:3, :3] @ middle
    return np.round(affine, 6)


def film_results(nodule: Pixels, clear: Pixels) -> dict[str, Any]:
    """Return what a right reader finds on the films; points are (column, row)."""
    column, row, magnification = (
        float(value[0]) for value in on_film(np.array([NODULE.centre_mm]))
    )
    points = [(60, 40), (120, 240), (223, 300), (300, 330), (round(column), round(row))]
    return {
        "columns": FILM_SHAPE[1],
        "rows": FILM_SHAPE[0],
        "spacing_mm": [PIXEL_MM, PIXEL_MM],
        "frame": "detector",
        "lesion": {
            "column": round(column, 2),
            "row": round(row, 2),
            "radius_px": round(NODULE.semi_axes_mm[0] * magnification / PIXEL_MM, 2),
        },
        "png": "16 x the stored values of chest_nodule.dcm",
        "files": {
            "chest_nodule.dcm": _film_result(nodule, "MONOCHROME2", points),
            "chest_clear.dcm": _film_result(4095 - clear, "MONOCHROME1", points),
        },
    }


def ct_results(volume: Pixels, affine: Pixels) -> dict[str, Any]:
    """Return what a right reader finds in the CT; voxels are (i, j, k), world RAS+."""
    inverse = np.linalg.inv(affine)
    points = []
    for name, centre_mm in HU_POINTS_MM.items():
        voxel = np.rint(inverse @ [*centre_mm, 1.0])[:3].astype(int)
        world = affine @ [*voxel, 1.0]
        points.append(
            {
                "what": name,
                "voxel": voxel.tolist(),
                "ras_mm": world[:3].round(3).tolist(),
                "hu": int(volume[tuple(voxel)]),
            }
        )
    return {
        "shape": list(CT_SHAPE),
        "spacing_mm": list(CT_SPACING_MM),
        "affine_ras": affine.tolist(),
        "axis_codes": "LPS",
        "lesion": {
            "centre_ras_mm": list(NODULE.centre_mm),
            "semi_axes_mm": list(NODULE.semi_axes_mm),
        },
        "points": points,
    }


def _film_result(
    stored: Pixels, photometric: str, points: list[tuple[int, int]]
) -> dict[str, Any]:
    """Return polarity, range and some stored values of one film."""
    values = [[i, j, int(stored[j, i])] for i, j in points]
    return {
        "photometric": photometric,
        "minimum": int(stored.min()),
        "maximum": int(stored.max()),
        "column_row_value": values,
    }


def _as_json(value: dict[str, Any]) -> str:
    """Return indented JSON with each list of numbers on one line."""
    text = json.dumps(value, indent=2)
    numbers = re.compile(r"\[\s*([-\d.,\s]+?)\s*\]")
    return numbers.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _sha256(path: Path) -> str:
    """Return a file's checksum."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    here = Path(__file__).parent
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else here)
