"""What a heatmap looks like, by Slicer's own display pipeline and slice logic."""

import cores
import numpy as np
import pytest
import slicer
from MedCNNLib import heat as heats
from MedCNNLib.colours import COLOURS
from MedCNNLib.errors import ViewerError
from MedCNNLib.places import jump_to, peak_ras, peak_voxel, segment_from_heat
from MedCNNLib.volumes import VolumeImage, image_from_node, node_from_image
from vtk.util import numpy_support

SCALE = heats.Scale(0.2, 1.0, "log-odds above a flag")


@pytest.fixture
def pair(scene, grid):
    """An image and its heatmap: a spot of 1 at (3, 4, 2), and less beside it."""
    node = cores.add_volume(scene, np.ones((5, 7, 4), np.float32), grid)
    values = np.zeros((5, 7, 4), np.float32)
    values[3, 4, 2], values[2, 4, 2], values[1, 4, 2] = 1.0, 0.6, 0.1
    heat = node_from_image(scene, values, grid, like=node, name="heat")
    heats.show_as_heat(heat, SCALE)
    return node, heat


def shown(heat):
    """Return what Slicer draws for the heatmap's voxels, RGBA, (I, J, K, 4)."""
    display = heat.GetDisplayNode()
    display.SetInputImageDataConnection(heat.GetImageDataConnection())
    display.UpdateImageDataPipeline()
    display.GetOutputImageDataConnection().GetProducer().Update()
    data = display.GetOutputImageData()
    i, j, k = data.GetDimensions()
    pixels = numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())
    return pixels.reshape(k, j, i, -1).transpose(2, 1, 0, 3)


def test_the_hottest_colour_is_shown_at_the_top_of_the_scale(pair):
    pixels = shown(pair[1])
    assert np.abs(pixels[3, 4, 2, :3] - COLOURS[-1] * 255).max() <= 1
    assert pixels[3, 4, 2, 3] == 255


def test_a_value_between_is_shown_by_its_share_of_the_scale(pair):
    pixels = shown(pair[1])
    assert np.abs(pixels[2, 4, 2, :3] - COLOURS[127] * 255).max() <= 6


def test_what_is_below_the_scale_is_clear(pair):
    alphas = shown(pair[1])[..., 3]
    assert alphas[1, 4, 2] == 0
    assert np.count_nonzero(alphas) == 2


def test_a_higher_threshold_hides_more(pair):
    heats.set_threshold(pair[1], 0.7)
    assert np.argwhere(shown(pair[1])[..., 3]).tolist() == [[3, 4, 2]]


def test_the_dark_end_of_the_scale_is_hidden_until_asked_for(pair):
    values = np.zeros((5, 7, 4), np.float32)
    values[2, 2, 2] = SCALE.at(0.1)
    node = node_from_image(
        pair[0].GetScene(), values, np.eye(4), like=pair[0], name="faint"
    )
    heats.show_as_heat(node, SCALE)
    assert not shown(node)[..., 3].any()
    heats.set_threshold(node, SCALE.at(0.05))
    assert np.argwhere(shown(node)[..., 3]).tolist() == [[2, 2, 2]]


def test_a_scale_without_width_still_shows_its_top():
    assert heats.Scale(0.0, 0.0, "").high > 0


def test_one_colour_table_serves_a_scene(scene, pair):
    assert heats.colour_table(scene) is heats.colour_table(scene)
    assert pair[1].GetDisplayNode().GetColorNode() is heats.colour_table(scene)
    assert heats.colour_table(scene).GetNumberOfColors() == 256


def test_the_legend_says_what_the_colours_mean(scene, pair):
    found = scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode")
    assert found.GetTitleText() == SCALE.words
    assert found.GetVisibility()
    heats.show_as_heat(pair[1], heats.Scale(0, 3, "other words"))
    assert found.GetTitleText() == "other words"
    assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1


def views(scene):
    return [
        scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode")
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    ]


def test_it_is_laid_over_its_image_in_every_view(scene, pair):
    node, heat = pair
    heats.lay_over(node, heat, opacity=0.4)
    assert len(views(scene)) == 3
    for view in views(scene):
        assert view.GetBackgroundVolumeID() == node.GetID()
        assert view.GetForegroundVolumeID() == heat.GetID()
        assert view.GetForegroundOpacity() == 0.4


def test_opacity_and_hiding_touch_only_views_that_show_it(scene, pair):
    node, heat = pair
    heats.lay_over(node, heat)
    red, *others = views(scene)
    red.SetForegroundVolumeID(node.GetID())
    red.SetForegroundOpacity(0.9)
    heats.set_opacity(heat, 0.1)
    assert [v.GetForegroundOpacity() for v in (red, *others)] == [0.9, 0.1, 0.1]
    heats.hide_heat(heat)
    kept = [v.GetForegroundVolumeID() for v in (red, *others)]
    assert kept == [node.GetID(), None, None]


def test_the_peak_is_where_vtk_finds_the_hottest_voxel(pair):
    assert np.allclose(peak_ras(pair[1]), cores.world_of(pair[1], (3, 4, 2)))


def test_the_peak_under_a_transform_is_in_the_world(scene, grid):
    values = np.zeros((3, 4, 5), np.float32)
    values[2, 1, 3] = 7
    node = cores.add_volume(scene, values, grid, parent=cores.GRIDS["oblique"])
    assert np.allclose(peak_ras(node), cores.world_of(node, (2, 1, 3)))


def test_of_several_peaks_the_middle_one_is_taken():
    values = np.zeros((5, 5, 1))
    values[1:4, 2, 0] = 1
    assert peak_voxel(VolumeImage(values, np.eye(4), "", "")) == (2, 2, 0)


def test_a_cold_heatmap_has_no_peak(scene):
    node = cores.add_volume(scene, np.zeros((3, 3, 3)), np.eye(4), name="cold")
    with pytest.raises(ViewerError, match="cold is 0 everywhere"):
        peak_ras(node)


def test_every_view_jumps_to_the_peak(scene, pair):
    ras = peak_ras(pair[1])
    jump_to(scene, ras)
    for name in ("Red", "Yellow", "Green"):
        to_ras = scene.GetFirstNodeByName(f"{name} view").GetSliceToRAS()
        at = [to_ras.GetElement(row, 3) for row in range(3)]
        assert np.allclose(at, ras)


def test_a_segment_holds_the_voxels_above_the_level(scene, pair):
    node = segment_from_heat(pair[1], level=0.5, name="abnormal")
    segment = node.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == "abnormal"
    assert "no outline" in node.GetName()
    labels = scene.AddNode(slicer.vtkMRMLLabelMapVolumeNode())
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.ExportAllSegmentsToLabelmapNode(node, labels, 0)
    image = image_from_node(labels)
    world = [(image.affine @ (*v, 1))[:3] for v in np.argwhere(image.array)]
    wanted = [cores.world_of(pair[1], v) for v in ((2, 4, 2), (3, 4, 2))]
    assert np.allclose(sorted(map(tuple, world)), sorted(map(tuple, wanted)), atol=1e-4)


def test_a_segment_has_a_surface(pair):
    node = segment_from_heat(pair[1], level=0.5, name="abnormal")
    node.CreateClosedSurfaceRepresentation()
    name = node.GetSegmentation().GetNthSegmentID(0)
    surface = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    held = node.GetSegmentation().GetSegment(name).GetRepresentation(surface)
    assert held.GetNumberOfPoints() > 0


def test_no_segment_where_nothing_is_hot(pair):
    with pytest.raises(ViewerError, match="reaches 2") as told:
        segment_from_heat(pair[1], level=2, name="abnormal")
    assert "highest value is 1" in told.value.hint
