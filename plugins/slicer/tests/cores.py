"""The parts of Slicer's application that slicer-core lacks: a scene with its logics."""

from contextlib import contextmanager

import numpy as np
import slicer
import vtk

__all__ = ["GRIDS", "add_volume", "logics", "open_scene", "world_of"]


def _turn(axis, degrees):
    """Return a rotation about a world axis, (3, 3)."""
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, *axis)
    m = transform.GetMatrix()
    return np.array([[m.GetElement(r, c) for c in range(3)] for r in range(3)])


def _affine(directions, spacing, origin):
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = origin
    return affine


GRIDS = {
    "plain": _affine(np.diag([-1, -1, 1]), (1, 1, 1), (2, 3, 4)),
    "anisotropic": _affine(np.diag([-1, -1, 1]), (0.7, 1.3, 5), (-40, 30, 100)),
    "flipped": _affine(np.diag([1, -1, -1]), (1, 2, 3), (9, -8, 7)),
    "left-handed": _affine(np.diag([1, 1, -1]), (0.5, 2, 3), (1, 2, 3)),
    "coronal": _affine(
        np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]), (0.9, 0.8, 4), (5, -60, 70)
    ),
    "oblique": _affine(
        _turn((1, 2, 3), 37) @ np.diag([-1, -1, 1]), (0.8, 1.1, 2.5), (-120, 44, 8)
    ),
}


@contextmanager
def open_scene():
    """Yield a scene with three slice views, their logics and a chart's view."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    kept = [application]  # the application holds module logics by weak references
    modules = (
        ("Colors", "Color"),
        ("Volumes", "Volumes"),
        ("Segmentations", "SegmentationsModule"),  # knows how to make surfaces
    )
    for name, kind in modules:
        logic = getattr(slicer, f"vtkSlicer{kind}Logic")()
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)
        kept.append(logic)
    scene.AddNode(slicer.vtkMRMLSelectionNode())
    for name in ("Red", "Yellow", "Green"):
        view = slicer.vtkMRMLSliceNode()
        view.SetLayoutName(name)
        view.SetName(f"{name} view")
        view.SetSingletonTag(name)
        scene.AddNode(view)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        scene.AddNode(composite)
    scene.medcnn_kept = kept
    yield scene
    scene.Clear(True)


def logics(scene):
    """Return application, colour and volume logic of a scene."""
    return scene.medcnn_kept


def add_volume(scene, array, affine, name="CT", parent=None):
    """Add a scalar volume without any of the plugin's own code."""
    data = vtk.vtkImageData()
    data.SetDimensions(*array.shape)
    data.AllocateScalars(vtk.VTK_FLOAT, 1)
    for i, j, k in np.ndindex(array.shape):
        data.SetScalarComponentFromFloat(i, j, k, 0, float(array[i, j, k]))
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(affine.ravel().tolist())
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(data)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    if parent is not None:
        transform = slicer.vtkMRMLLinearTransformNode()
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(parent.ravel().tolist())
        transform.SetMatrixTransformToParent(matrix)
        scene.AddNode(transform)
        node.SetAndObserveTransformNodeID(transform.GetID())
    return node


def world_of(node, ijk):
    """Return a voxel's world place by VTK's own transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    place = matrix.MultiplyPoint([*map(float, ijk), 1.0])[:3]
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.array(place)
    to_world = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(to_world)
    return np.array(to_world.TransformPoint(place))
