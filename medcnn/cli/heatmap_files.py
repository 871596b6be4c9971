"""A heatmap as files: a picture with its legend, and a volume with its geometry."""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from medcnn.explanation.legend import overlay_with_legend
from medcnn.explanation.shown import Shown
from medcnn.image import Image
from medcnn.io.nifti import save_nifti
from medcnn.outputs import write_whole
from medcnn.results import Heatmap, Prediction

__all__ = ["file_stem", "safe_name", "write_heatmap"]

Bytes = npt.NDArray[np.uint8]

_LONGEST_STEM = 120
"""Most bytes that an image's name adds to those of its heatmaps."""

_FORMATS = re.compile(
    r"\.(nii|nii\.gz|dcm|dicom|png|jpe?g|ome\.tiff?|tiff?|svs)$", re.IGNORECASE
)


def write_heatmap(
    output: Path,
    image: Image,
    heatmap: Heatmap,
    prediction: Prediction,
    *,
    suffix: str = "",
    shown: Shown | None = None,
    formats: Collection[str] = ("png", "nifti"),
) -> list[Path]:
    """Write the overlay as PNG, and for a volume the raw relevance as NIfTI.

    Args:
        output: An existing folder.
        image: The image that was explained.
        heatmap: Its relevance.
        prediction: What the model said of it.
        suffix: What tells its name from another map's of the same label.
        shown: Its values on the scale of the screen; None stretches them to their own
            highest, and says so.
        formats: Which files are wanted.

    Returns:
        The files that were written.

    Raises:
        OutputError: If one cannot be written.
    """
    name = f"{file_stem(image.source)}.{safe_name(heatmap.label)}{suffix}"
    files = []
    if "png" in formats:
        files.append(output / f"{name}.png")
        _write_png(files[-1], overlay_with_legend(image, heatmap, prediction, shown))
    if "nifti" in formats and image.dims == 3 and heatmap.geometry is not None:
        files.append(output / f"{name}.nii.gz")
        save_nifti(heatmap.array, heatmap.geometry, files[-1])
    return files


def _write_png(path: Path, picture: Bytes) -> None:
    """Write RGB pixels as PNG."""
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    write_whole(path, data.tobytes())


def file_stem(source: Path | None) -> str:
    """Return a file's or folder's name without what tells its format."""
    name = source.name if source is not None else "image"
    stem = safe_name(_FORMATS.sub("", name))
    whole = stem.encode(errors="replace")
    if len(whole) <= _LONGEST_STEM:
        return stem
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{whole[:_LONGEST_STEM].decode(errors='ignore')}-{digest}"


def safe_name(name: str) -> str:
    """Return a name without characters that file systems dislike."""
    return re.sub(r"[^\w.+-]+", "_", name).strip(".") or "image"
