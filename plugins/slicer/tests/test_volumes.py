"""Voxels and places survive the way into an array and back, in real MRML nodes."""

import cores
import nibabel
import numpy as np
import pytest
import slicer
import vtk
from MedCNNLib.errors import ViewerError
from MedCNNLib.volumes import image_from_node, node_from_image

PARENT = cores.GRIDS["oblique"]


def test_every_voxel_keeps_its_value(scene, array, grid):
    image = image_from_node(cores.add_volume(scene, array, grid))
    assert np.array_equal(image.array, array)
    assert np.allclose(image.affine, grid, atol=1e-9)


@pytest.mark.parametrize("parent", [None, PARENT], ids=["world", "transformed"])
def test_a_voxel_is_where_vtk_says(scene, array, grid, parent):
    node = cores.add_volume(scene, array, grid, parent=parent)
    image = image_from_node(node)
    for ijk in np.ndindex(2, 2, 2):
        place = image.affine @ (*ijk, 1)
        assert np.allclose(place[:3], cores.world_of(node, ijk), atol=1e-9)


def test_slicer_and_nibabel_agree_on_a_nifti_file(scene, array, grid, tmp_path):
    nibabel.save(nibabel.Nifti1Image(array, grid), tmp_path / "a.nii")
    node = slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / "a.nii"))
    assert storage.ReadData(node)
    image = image_from_node(node)
    stored = nibabel.load(tmp_path / "a.nii")
    assert _at_the_same_places(image, stored)


def _at_the_same_places(image, stored):
    """Compare values by world place: Slicer turns left-handed files round."""
    indices = np.moveaxis(np.indices(stored.shape), 0, -1)
    world = nibabel.affines.apply_affine(stored.affine, indices)
    own = nibabel.affines.apply_affine(np.linalg.inv(image.affine), world)
    i, j, k = np.moveaxis(own.round().astype(int), -1, 0)
    assert np.abs(own - own.round()).max() < 1e-4
    return np.array_equal(image.array[i, j, k], np.asarray(stored.dataobj))


@pytest.mark.parametrize("parent", [None, PARENT], ids=["world", "transformed"])
def test_what_comes_back_has_equal_geometry(scene, array, grid, parent):
    node = cores.add_volume(scene, array, grid, parent=parent)
    image = image_from_node(node)
    heat = node_from_image(scene, -array, image.affine, like=node, name="heat")
    assert heat.GetTransformNodeID() == node.GetTransformNodeID()
    bounds = np.zeros((2, 6))
    node.GetRASBounds(bounds[0])
    heat.GetRASBounds(bounds[1])
    assert np.array_equal(*bounds)
    assert np.array_equal(image_from_node(heat).array, -array)
    for volume in (node, heat):  # Slicer calls a node under a transform unlike itself
        volume.SetAndObserveTransformNodeID(None)
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(node, heat) == ""


def test_another_grid_lies_where_its_matrix_says(scene, array, grid):
    node = cores.add_volume(scene, array, grid, parent=PARENT)
    other = cores.GRIDS["coronal"]
    heat = node_from_image(scene, array[:3, :2], other, like=node, name="heat")
    for ijk in np.ndindex(2, 2, 2):
        assert np.allclose(cores.world_of(heat, ijk), (other @ (*ijk, 1))[:3])


def test_a_node_owns_its_voxels(scene, array):
    node = cores.add_volume(scene, array, cores.GRIDS["plain"])
    given = array.copy()
    heat = node_from_image(scene, given, cores.GRIDS["plain"], like=node, name="heat")
    given[:] = -1
    assert np.array_equal(image_from_node(heat).array, array)


def test_a_scene_is_saved_and_read_again(scene, array, grid, tmp_path):
    node = cores.add_volume(scene, array, grid, parent=PARENT)
    affine = image_from_node(node).affine
    heat = node_from_image(scene, array, affine, like=node, name="heat")
    heat.SetAttribute("MedCNN.Label", "abnormal")
    for volume in (node, heat):
        volume.AddDefaultStorageNode()
        volume.GetStorageNode().SetFileName(str(tmp_path / f"{volume.GetName()}.nrrd"))
        assert volume.GetStorageNode().WriteData(volume)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.SetRootDirectory(str(tmp_path))
    assert scene.Commit()
    with cores.open_scene() as again:
        again.SetURL(str(tmp_path / "scene.mrml"))
        again.Connect()
        read = again.GetFirstNodeByName("heat")
        image = image_from_node(read)
        assert read.GetAttribute("MedCNN.Label") == "abnormal"
        assert again.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 1
        file = nibabel.Nifti1Image(array, affine)
        assert _at_the_same_places(image, file)


def test_hounsfield_units_are_read_where_slicer_says_so(scene, array):
    node = cores.add_volume(scene, array, cores.GRIDS["plain"])
    assert image_from_node(node).unit == ""
    coded = slicer.vtkCodedEntry()
    coded.SetValueSchemeMeaning("[hnsf'U]", "UCUM", "Hounsfield unit")
    node.SetVoxelValueUnits(coded)
    assert image_from_node(node).unit == "HU"


def test_no_volume_is_told():
    with pytest.raises(ViewerError, match="No volume is selected"):
        image_from_node(None)


def test_an_empty_volume_is_told(scene):
    node = scene.AddNode(slicer.vtkMRMLScalarVolumeNode())
    with pytest.raises(ViewerError, match="holds no voxels"):
        image_from_node(node)


def test_another_kind_of_node_is_told(scene):
    node = scene.AddNode(slicer.vtkMRMLTextNode())
    node.SetName("notes")
    with pytest.raises(ViewerError, match="notes is no volume but a Text"):
        image_from_node(node)


@pytest.mark.parametrize("kind", ["VectorVolume", "DiffusionWeightedVolume"])
def test_several_values_for_each_voxel_are_told(scene, kind):
    data = vtk.vtkImageData()
    data.SetDimensions(4, 3, 2)
    data.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = getattr(slicer, f"vtkMRML{kind}Node")()
    node.SetAndObserveImageData(data)
    scene.AddNode(node)
    with pytest.raises(ViewerError, match="3 values for each voxel") as told:
        image_from_node(node)
    assert "Vector to Scalar Volume" in told.value.words


def test_a_huge_volume_is_told_before_it_is_copied(scene, array, monkeypatch):
    monkeypatch.setattr("MedCNNLib.volumes.MOST_VOXELS", 100)
    node = cores.add_volume(scene, array, cores.GRIDS["plain"])
    with pytest.raises(ViewerError, match="5 x 7 x 4 voxels; a model gets at most 100"):
        image_from_node(node)


def test_a_transform_that_bends_is_told(scene, array):
    node = cores.add_volume(scene, array, cores.GRIDS["plain"])
    bent = slicer.vtkMRMLTransformNode()
    bent.SetName("gantry tilt")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for place in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):
        points.InsertNextPoint(place)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(points)
    bent.SetAndObserveTransformToParent(spline)
    scene.AddNode(bent)
    node.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(ViewerError, match="gantry tilt, which bends it") as told:
        image_from_node(node)
    assert "Harden" in told.value.hint


def test_only_three_axes_come_back(scene, array):
    node = cores.add_volume(scene, array, cores.GRIDS["plain"])
    with pytest.raises(ViewerError, match=r"shape \(I, J, K\)"):
        node_from_image(scene, array[0], np.eye(4), like=node, name="heat")
