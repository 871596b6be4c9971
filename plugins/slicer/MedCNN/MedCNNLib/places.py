"""Where a heatmap is hottest: go there, or keep the region as a segment."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from MedCNNLib.errors import ViewerError
from MedCNNLib.renewal import nodes_of
from MedCNNLib.volumes import VolumeImage, image_from_node

__all__ = ["jump_to", "peak_ras", "peak_voxel", "segment_from_heat"]

_COLOUR = (0.99, 0.65, 0.04)
_HEAT = "MedCNN.Heat"
_SAME_MM = 1e-4


def peak_voxel(image: VolumeImage) -> tuple[int, int, int]:
    """Return the voxel (i, j, k) of the highest value.

    Of several that are equally high it is the one nearest to their middle.
    """
    kji = image.array.T  # as VTK holds them: ten times as quick
    flat = np.flatnonzero(kji == kji.max())
    highest = np.stack(np.unravel_index(flat, kji.shape)[::-1], axis=1)
    places = highest @ image.affine[:3, :3].T
    far = np.linalg.norm(places - places.mean(axis=0), axis=1).round(6)
    i, j, k = highest[np.lexsort((*places.T[::-1].round(6), far))[0]]
    return int(i), int(j), int(k)


def peak_ras(heat: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float, float]:
    """Return the hottest place in the world, RAS+ mm.

    Raises:
        ViewerError: If the heatmap is cold everywhere.
    """
    image = image_from_node(heat)
    if not image.array.max() > 0:
        msg = f"{image.name} is 0 everywhere: nothing speaks for this label."
        raise ViewerError(msg)
    x, y, z, _ = image.affine @ (*peak_voxel(image), 1)
    return float(x), float(y), float(z)


def jump_to(scene: slicer.vtkMRMLScene, ras: tuple[float, float, float]) -> None:
    """Move every slice view to a place in the world, in its middle."""
    centred = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *ras, centred)


def segment_from_heat(
    heat: slicer.vtkMRMLScalarVolumeNode, *, level: float, name: str
) -> slicer.vtkMRMLSegmentationNode:
    """Make a segmentation of where a heatmap is at least `level`.

    It shows what moved the score; a lesion's outline it is not, and the name says so.
    One of the same voxels is shown again. One that the user has edited since, or of
    another level, is left as it is.

    Args:
        heat: A heatmap in a scene.
        level: In the heatmap's own unit.
        name: Of the segment.

    Raises:
        ViewerError: If nothing is that hot.
    """
    image = image_from_node(heat)
    inside = image.array >= level
    if not inside.any():
        msg = f"Nothing of {image.name} reaches {level:.4g}."
        hint = (
            f"Its highest value is {float(image.array.max()):.4g}: lower the threshold."
        )
        raise ViewerError(msg, hint=hint)
    scene = heat.GetScene()
    for earlier in nodes_of(scene, "vtkMRMLSegmentationNode"):
        is_own = earlier.GetNodeReference(_HEAT) is heat
        if is_own and _holds_exactly(earlier, heat, inside):
            earlier.SetDisplayVisibility(True)
            return earlier
    node = slicer.vtkMRMLSegmentationNode()
    words = f"{name} from {level:.3g} (heat region, no outline)"
    node.SetName(scene.GenerateUniqueName(words))
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.SetNodeReferenceID(_HEAT, heat.GetID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(heat)
    node.SetAndObserveTransformNodeID(heat.GetTransformNodeID())
    node.AddSegmentFromBinaryLabelmapRepresentation(
        _label_map(heat, inside), name, _COLOUR
    )
    return node


def _holds_exactly(
    node: slicer.vtkMRMLSegmentationNode,
    heat: slicer.vtkMRMLScalarVolumeNode,
    inside: np.ndarray,
) -> bool:
    """Return whether a segmentation is one segment of these voxels, (I, J, K)."""
    segments, labels = node.GetSegmentation(), slicer.vtkOrientedImageData()
    if segments.GetNumberOfSegments() != 1:
        return False
    only = segments.GetNthSegmentID(0)
    if not node.GetBinaryLabelmapRepresentation(only, labels):
        return False
    held, own = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    labels.GetImageToWorldMatrix(held)
    heat.GetIJKToRASMatrix(own)
    if not np.allclose(_values(held), _values(own), atol=_SAME_MM):
        return False
    i, _, j, _, k, _ = labels.GetExtent()  # as large as what it holds
    scalars = numpy_support.vtk_to_numpy(labels.GetPointData().GetScalars())
    kji = scalars.reshape(labels.GetDimensions()[::-1])
    filled = np.argwhere(kji)[:, ::-1] + (i, j, k)
    order = np.argwhere(inside.transpose(2, 1, 0))[:, ::-1]
    return bool(np.array_equal(filled, order))


def _values(matrix: vtk.vtkMatrix4x4) -> list[float]:
    return [matrix.GetElement(row, column) for row in range(4) for column in range(4)]


def _label_map(
    heat: slicer.vtkMRMLScalarVolumeNode, inside: np.ndarray
) -> slicer.vtkOrientedImageData:
    """Return a mask (I, J, K) on the node's own grid."""
    kji = np.ascontiguousarray(inside.transpose(2, 1, 0), np.uint8)
    scalars = numpy_support.numpy_to_vtk(kji.ravel(), deep=True)
    labels = slicer.vtkOrientedImageData()
    labels.SetDimensions(*inside.shape)
    labels.GetPointData().SetScalars(scalars)
    matrix = vtk.vtkMatrix4x4()
    heat.GetIJKToRASMatrix(matrix)
    labels.SetImageToWorldMatrix(matrix)
    return labels
