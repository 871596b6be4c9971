"""Voxels in the order of the file that a volume was read from.

Slicer keeps right-handed grids alone: of a left-handed file, as many NIfTI are, it runs
the last axis backwards, and the matrix with it. Every voxel stays in its place, but a
model that reads voxels in the order of the file would get them mirrored. So they are
sent as the file has them, and what comes back is turned to the volume.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from MedCNNLib.volumes import VolumeImage, same_places

__all__ = ["as_in_file", "as_in_volume"]


def as_in_file(node: slicer.vtkMRMLVolumeNode, image: VolumeImage) -> VolumeImage:
    """Return a volume's voxels in the order of its file; no copy is made.

    Args:
        node: The volume; one without a file, or of several, is left as it is.
        image: Its voxels.
    """
    if not _runs_backwards(node):
        return image
    return replace(image, array=image.array[:, :, ::-1], affine=_turned(image))


def as_in_volume(array: np.ndarray, affine: Any, image: VolumeImage) -> np.ndarray:
    """Return a heatmap in the order of its volume; no copy is made.

    Args:
        array: (I, J, K), of the volume's shape.
        affine: Voxel to world of what was sent, (4, 4); None where nothing says.
        image: The volume's own voxels.
    """
    if affine is None or array.shape[2] == 1:
        return array
    is_turned = same_places(np.asarray(affine), _turned(image), array.shape)
    return array[:, :, ::-1] if is_turned else array


def _turned(image: VolumeImage) -> np.ndarray:
    """Return the matrix of an image whose last axis runs backwards."""
    back = np.diag([1.0, 1.0, -1.0, 1.0])
    back[2, 3] = image.array.shape[2] - 1
    return image.affine @ back


def _runs_backwards(node: slicer.vtkMRMLVolumeNode) -> bool:
    """Say whether Slicer runs the last axis of a volume's file backwards."""
    storage, data = node.GetStorageNode(), node.GetImageData()
    if storage is None or data.GetDimensions()[2] == 1:
        return False
    path = storage.GetFileName() or ""
    if storage.GetNumberOfFileNames() > 1 or not Path(path).is_file():
        return False
    own = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(own)
    file = _handedness(path, data.GetDimensions())
    return own.Determinant() > 0 and file < 0


def _handedness(path: str, shape: tuple[int, ...]) -> float:
    """Return the determinant of a file's matrix, by Slicer's own reader of headers.

    Returns:
        0 if it cannot be read, or its grid has another shape.
    """
    reader = _itk().vtkITKArchetypeImageSeriesScalarReader()
    reader.SetArchetype(path)
    reader.SetSingleFile(1)
    reader.SetUseNativeOriginOn()
    reader.SetDesiredCoordinateOrientationToNative()
    reader.AddObserver(vtk.vtkCommand.ErrorEvent, lambda *_: None)  # stays silent
    reader.UpdateInformation()
    extent = reader.GetOutputInformation(0).Get(
        vtk.vtkStreamingDemandDrivenPipeline.WHOLE_EXTENT()
    )
    sizes = [extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in range(3)]
    if sizes != list(shape):
        return 0.0
    return float(reader.GetRasToIjkMatrix().Determinant())


def _itk() -> Any:
    """Return the module of Slicer's readers: one of its own, or a part of `slicer`."""
    try:
        import vtkITK  # in Slicer
    except ImportError:
        return slicer.vtkITK  # in slicer-core
    return vtkITK
