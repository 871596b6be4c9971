"""Volume nodes to arrays and back, on the same places in the patient.

VTK keeps voxels as (k, j, i); medcnn speaks (i, j, k). A node's IJKToRAS leads to the
node's own space, and its parent transforms lead on to the world, RAS+ mm. Only linear
parents are followed: a bent grid has no matrix.
"""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from MedCNNLib.errors import ViewerError
from MedCNNLib.steps import Steps, finish

__all__ = [
    "MOST_VOXELS",
    "VolumeImage",
    "adding_node",
    "filling",
    "image_from_node",
    "node_from_image",
    "renew_voxels",
    "same_places",
]

MOST_VOXELS = 2**29
"""Of a volume that is sent to a worker: 2 GiB of 32-bit numbers."""

_HOUNSFIELD = "[hnsf'U]"  # UCUM
_SAME_PLACE_MM = 1e-4
_PIECE = 1 << 22
_SEVERAL = (
    "Colour: make grey values with the module Vector to Scalar Volume. Several time "
    "points or directions: choose one as a volume of its own."
)


@dataclass(frozen=True, eq=False)
class VolumeImage:
    """The voxels of a volume and where they are.

    Attributes:
        array: (I, J, K), as stored in the node.
        affine: Voxel (i, j, k, 1) to world RAS+ mm, (4, 4), parent transforms included.
        name: The node's.
        unit: "HU", or "" where the node does not say.
    """

    array: np.ndarray
    affine: np.ndarray
    name: str
    unit: str


def image_from_node(node: slicer.vtkMRMLVolumeNode | None) -> VolumeImage:
    """Return the voxels of a volume and their places in the world.

    Raises:
        ViewerError: If there is no volume, or it is one that no model takes: colour,
            several time points, empty, too large, or under a transform that bends it.
    """
    if node is None:
        msg = "No volume is selected."
        raise ViewerError(msg, hint="Choose one above.")
    name = node.GetName() or "volume"
    _refuse_other_kinds(node, name)
    data = node.GetImageData()
    scalars = None if data is None else data.GetPointData().GetScalars()
    if scalars is None or data.GetNumberOfPoints() == 0:
        msg = f"{name} holds no voxels."
        raise ViewerError(msg, hint="Load it again.")
    if data.GetNumberOfPoints() > MOST_VOXELS:
        size = " x ".join(map(str, data.GetDimensions()))
        msg = f"{name} has {size} voxels; a model gets at most {MOST_VOXELS:,}."
        hint = "Crop it, or halve its resolution, with the module Crop Volume."
        raise ViewerError(msg, hint=hint)
    i, j, k = data.GetDimensions()
    array = numpy_support.vtk_to_numpy(scalars).reshape(k, j, i).transpose(2, 1, 0)
    return VolumeImage(array, _world(node, name), name, _unit(node))


def node_from_image(
    scene: slicer.vtkMRMLScene,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    name: str,
    like: slicer.vtkMRMLVolumeNode | None = None,
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume that lies where `affine` says, under the transforms of `like`.

    On the grid of `like` it gets that node's matrix itself, so that Slicer finds both
    geometries equal to the last digit.

    Args:
        scene: Where the node is added.
        array: (I, J, K).
        affine: Voxel to world RAS+ mm, (4, 4).
        name: Of the new node.
        like: The volume that it belongs to; None for one of its own.

    Raises:
        ViewerError: If the array is not (I, J, K).
    """
    return finish(adding_node(scene, array, affine, name=name, like=like))


def adding_node(
    scene: slicer.vtkMRMLScene,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    name: str,
    like: slicer.vtkMRMLVolumeNode | None = None,
) -> Steps:
    """As `node_from_image`, in steps of milliseconds; the last one adds the node.

    Raises:
        ViewerError: If the array is not (I, J, K).
    """
    data = yield from filling(array)
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(scene.GenerateUniqueName(name))
    node.SetAndObserveImageData(data)
    scene.AddNode(node)
    _place(node, affine, like)
    return node


def filling(array: np.ndarray) -> Steps:
    """Make VTK's image of (I, J, K) values, which owns its voxels, in steps.

    Raises:
        ViewerError: If the array is not (I, J, K).
    """
    if array.ndim != 3 or 0 in array.shape:
        msg = f"A volume has shape (I, J, K), got {array.shape}."
        raise ViewerError(msg)
    kji = array.transpose(2, 1, 0)
    kind = numpy_support.get_vtk_array_type(array.dtype.newbyteorder("="))
    scalars = numpy_support.create_vtk_array(kind)
    scalars.SetNumberOfTuples(array.size)
    scalars.SetName("ImageScalars")
    filled = numpy_support.vtk_to_numpy(scalars).reshape(kji.shape)
    rows = max(1, _PIECE * len(kji) // max(1, kji.nbytes))
    for start in range(0, len(kji), rows):
        filled[start : start + rows] = kji[start : start + rows]
        yield start / len(kji)
    data = vtk.vtkImageData()
    data.SetDimensions(*array.shape)
    data.GetPointData().SetScalars(scalars)
    return data


def renew_voxels(
    node: slicer.vtkMRMLScalarVolumeNode,
    data: vtk.vtkImageData,
    affine: np.ndarray,
    like: slicer.vtkMRMLVolumeNode,
) -> None:
    """Give a volume other voxels, at their places, in one go.

    Args:
        node: In the scene.
        data: From `filling`.
        affine: Voxel to world RAS+ mm, (4, 4).
        like: The volume that it belongs to.
    """
    modifying = node.StartModify()
    node.SetAndObserveImageData(data)
    _place(node, affine, like)
    node.EndModify(modifying)


def _place(
    node: slicer.vtkMRMLScalarVolumeNode,
    affine: np.ndarray,
    like: slicer.vtkMRMLVolumeNode | None,
) -> None:
    """Lay a volume where `affine` says, under the transforms of `like`."""
    if like is None:
        node.SetIJKToRASMatrix(_vtk_matrix(affine))
        return
    shape = node.GetImageData().GetDimensions()
    node.SetIJKToRASMatrix(_vtk_matrix(_below_transform(affine, shape, like)))
    node.SetAndObserveTransformNodeID(like.GetTransformNodeID())


def _below_transform(
    affine: np.ndarray, shape: tuple[int, ...], like: slicer.vtkMRMLVolumeNode
) -> np.ndarray:
    """Return voxel to the space that lies under the transforms of `like`, (4, 4)."""
    to_node, world = _matrix(like), _world(like, like.GetName())
    own = like.GetImageData().GetDimensions() if like.GetImageData() else ()
    if shape == tuple(own) and same_places(affine, world, shape):
        return to_node
    return to_node @ np.linalg.inv(world) @ affine


def _refuse_other_kinds(node: slicer.vtkMRMLVolumeNode, name: str) -> None:
    """Refuse nodes that are no volume of one grey value for each voxel.

    Raises:
        ViewerError: If it is another kind of node, or of volume.
    """
    if not node.IsA("vtkMRMLVolumeNode"):
        msg = f"{name} is no volume but a {node.GetNodeTagName()}."
        raise ViewerError(msg, hint="Choose a volume.")
    data = node.GetImageData()
    channels = 1 if data is None else data.GetNumberOfScalarComponents()
    if channels > 1:
        msg = f"{name} has {channels} values for each voxel; a model takes one."
        raise ViewerError(msg, hint=_SEVERAL)


def _world(node: slicer.vtkMRMLVolumeNode, name: str) -> np.ndarray:
    """Return voxel to world, (4, 4).

    Raises:
        ViewerError: If a parent transform is not linear.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return _matrix(node)
    to_world = vtk.vtkMatrix4x4()
    if not parent.IsTransformToWorldLinear():
        msg = f"{name} lies under the transform {parent.GetName()}, which bends it."
        hint = "Harden the transform (module Transforms), then classify."
        raise ViewerError(msg, hint=hint)
    parent.GetMatrixTransformToWorld(to_world)
    return _array(to_world) @ _matrix(node)


def _unit(node: slicer.vtkMRMLVolumeNode) -> str:
    """Return "HU" where the node says so, else ""."""
    coded = node.GetVoxelValueUnits()
    if coded is None:
        return ""
    return "HU" if coded.GetCodeValue() == _HOUNSFIELD else ""


def same_places(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Return whether the grid's corners are at the same places by both matrices."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    return bool(np.abs((a - b) @ corners).max() < _SAME_PLACE_MM)


def _matrix(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return voxel to the node's own space, (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return _array(matrix)


def _array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def _vtk_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, np.float64).ravel().tolist())
    return matrix
