"""Small generated radiographs, each different, as files."""

from pathlib import Path

import cv2
import numpy as np
from dicoms import picture, save

__all__ = ["film_pixels", "write_films"]


def film_pixels(number: int, *, rows: int = 90, columns: int = 80) -> np.ndarray:
    """Return 12-bit values whose texture runs from fine to coarse."""
    rng = np.random.default_rng(number)
    noise = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 0.3 + number % 7)
    slope = np.linspace(-1, 1, rows, dtype=np.float32)[:, None] * rng.normal()
    values = 2000 + 500 * smooth / smooth.std() + 400 * slope
    return values.clip(0, 4095).astype(np.uint16)


def write_films(folder: Path, count: int, *, first: int = 0, kind: str = "dcm") -> list:
    """Write films as DICOM or PNG into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + count):
        path = folder / f"film{number:04d}.{kind}"
        pixels = film_pixels(number)
        if kind == "dcm":
            attributes = {"BodyPartExamined": "CHEST", "PatientID": f"P{number // 2}"}
            save(picture(pixels, **attributes), path)
        else:
            cv2.imwrite(str(path), pixels * 16)
        paths.append(path)
    return paths
