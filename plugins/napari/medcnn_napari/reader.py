"""Read what medcnn reads: DICOM files and series, NIfTI, NRRD, MetaImage, pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from medcnn_napari.session import Session
from medcnn_napari.world import image_layer

__all__ = ["get_reader", "read"]

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return what reads a path; None for a stack of several."""
    return None if isinstance(path, list) else read


def read(path: str | list[str]) -> list[LayerData]:
    """Read one file or series, in the worker's process, which it cannot harm.

    Raises:
        WorkerError: If it cannot be read, with what to do.
    """
    paths = [path] if isinstance(path, str) else path
    found = []
    for one in paths:
        image = Session.shared().worker().load(Path(one).resolve())
        image.name = image.name or Path(one).name
        found.append(image_layer(image))
    return found
