"""Slicer runs an axis of left-handed files backwards; a model gets them as they are."""

from itertools import permutations, product

import cores
import nibabel
import numpy as np
import pytest
import slicer
import workers
from MedCNNLib.file_order import as_in_file
from MedCNNLib.findings import add_heatmaps
from MedCNNLib.sources import image_of
from MedCNNLib.volumes import image_from_node
from test_worker import read

SHAPE = (5, 7, 4)


def orientations():
    """All 48 ways to lay axes, with unequal sides, by their names such as LAS."""
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, list(order)] * signs * (0.7, 1.1, 2.9)
        affine[:3, 3] = (11, -23, 37)
        yield pytest.param(affine, id="".join(nibabel.aff2axcodes(affine)))


@pytest.fixture(params=orientations())
def file(request, array, tmp_path):
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, request.param), path)
    return path


def test_voxels_are_sent_in_the_order_of_their_file(scene, file, array):
    sent = image_of(read(scene, file))
    np.testing.assert_array_equal(sent.ijk(), array)
    np.testing.assert_allclose(sent.affine, nibabel.load(file).affine, atol=1e-4)


def test_a_heatmap_in_the_order_of_the_file_lies_in_its_place(scene, file):
    node = read(scene, file)
    answer = workers.answer(SHAPE, image_of(node).affine)  # hottest at the last voxel
    heat = add_heatmaps(node, answer, opacity=0.5)["aneurysm"]
    compare = slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry
    assert compare(node, heat) == ""
    (hottest,) = np.argwhere(image_from_node(heat).array == 4)
    place = (nibabel.load(file).affine @ [*np.subtract(SHAPE, 1), 1])[:3]
    np.testing.assert_allclose(cores.world_of(heat, hottest), place, atol=1e-3)


LAS = np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.fixture
def turned(scene, array, tmp_path):
    """A volume whose last axis Slicer has turned."""
    nibabel.save(nibabel.Nifti1Image(array, LAS), tmp_path / "scan.nii")
    return read(scene, tmp_path / "scan.nii")


def test_a_transform_is_followed_in_the_order_of_the_file(scene, turned, array):
    parent = cores.GRIDS["oblique"]
    other = cores.add_volume(scene, array, np.eye(4), parent=parent)
    turned.SetAndObserveTransformNodeID(other.GetTransformNodeID())
    sent = image_of(turned)
    np.testing.assert_array_equal(sent.ijk(), array)
    np.testing.assert_allclose(sent.affine, parent @ LAS, atol=1e-6)


def test_what_was_read_and_then_edited_keeps_its_order(turned, array):
    values = image_from_node(turned).array
    values[...] = values + 1  # in place, as an effect does
    np.testing.assert_array_equal(image_of(turned).ijk(), array + 1)


@pytest.mark.parametrize("change", ["gone", "another shape", "several", "none"])
def test_a_file_that_says_nothing_leaves_the_order_as_it_is(
    scene, turned, tmp_path, change
):
    path, storage = tmp_path / "scan.nii", turned.GetStorageNode()
    if change == "gone":
        path.unlink()
    elif change == "another shape":
        nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4), "f4"), LAS), path)
    elif change == "several":
        for name in ("scan.nii", "another.nii"):
            storage.AddFileName(str(tmp_path / name))
    else:
        turned.SetAndObserveStorageNodeID(None)
    image = image_from_node(turned)
    assert as_in_file(turned, image) is image
