"""The same question asked again: its nodes are renewed, and the scene does not grow."""

from collections import Counter

import cores
import numpy as np
import pytest
import slicer
import workers
from MedCNNLib.findings import add_evaluation, add_heatmaps, heatmaps_beside
from MedCNNLib.places import segment_from_heat
from MedCNNLib.renewal import nodes_of
from MedCNNLib.volumes import image_from_node
from test_charts import RESULT, column, series_of

SHAPE, GRID = (5, 7, 4), cores.GRIDS["oblique"]
HEAT = "CT aneurysm heat (vessel-3d, cam)"
KEPT = ("ScalarVolume", "Table", "PlotChart", "PlotSeries", "Segmentation")


@pytest.fixture
def image(scene):
    return cores.add_volume(scene, np.ones(SHAPE, np.float32), GRID)


def ask(image, hottest=4.0, *, method="cam", label="aneurysm", **changes):
    """Answer a question about an image, and add the answer; return the heatmap."""
    answer = workers.answer(SHAPE, GRID, **changes)
    (heat,) = answer.heatmaps.values()
    heat.method, heat.label = method, label
    heat.array[-1, -1, -1] = hottest
    answer.heatmaps = {label: heat}
    return add_heatmaps(image, answer, opacity=0.6)[label]


def count(scene):
    """Count the scene's nodes by class."""
    return Counter(node.GetClassName() for node in nodes_of(scene, "vtkMRMLNode"))


def test_five_answers_leave_the_nodes_of_one_with_the_last_values(scene, image):
    first = ask(image)
    once, name = count(scene), first.GetName()
    for hottest in (5, 6, 7, 8):
        again = ask(image, hottest, probabilities={"aneurysm": hottest / 10})
    assert count(scene) == once
    assert again is first
    assert again.GetName() == name == HEAT
    assert image_from_node(again).array.max() == 8
    table = scene.GetFirstNodeByName("CT vessel-3d")
    assert table.GetCellText(0, 1) == "0.8"
    view = scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert view.GetForegroundVolumeID() == first.GetID()


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ({"method": "occlusion"}, "CT aneurysm heat (vessel-3d, occlusion)"),
        ({"model": "own/mine"}, "CT aneurysm heat (own/mine, cam)"),
        ({"label": 'a;b:c "d" <e>'}, 'CT a;b:c "d" <e> heat (vessel-3d, cam)'),
    ],
)
def test_another_method_model_or_label_gets_a_node_that_says_so(
    scene, image, other, name
):
    first = ask(image, 4)
    second = ask(image, 9, **other)
    assert second is not first
    assert (first.GetName(), second.GetName()) == (HEAT, name)
    assert image_from_node(first).array.max() == 4
    assert ask(image, 3, **other) is second
    if "label" in other:
        assert len(heatmaps_beside(first)) == 2
    else:
        assert heatmaps_beside(first) == {"aneurysm": first}


def test_two_images_of_one_name_have_a_heatmap_each(scene, image):
    other = cores.add_volume(scene, np.ones(SHAPE, np.float32), GRID, name="CT")
    first, second = ask(image), ask(other)
    assert first is not second
    assert (ask(image), ask(other)) == (first, second)


def test_what_the_user_chose_stays(scene, image):
    heat = ask(image)
    heat.SetName("mine")
    colours = slicer.vtkMRMLColorTableNode()
    colours.SetTypeToGrey()
    scene.AddNode(colours)
    display = heat.GetDisplayNode()
    display.SetAndObserveColorNodeID(colours.GetID())
    legend = scene.GetFirstNodeByClass("vtkMRMLColorLegendDisplayNode")
    legend.SetVisibility(False)
    scene.GetFirstNodeByName("CT vessel-3d").SetName("my table")
    before = count(scene)
    assert ask(image, 7) is heat
    assert count(scene) == before
    assert heat.GetName() == "mine"
    assert display.GetColorNode() is colours
    assert not legend.GetVisibility()
    assert scene.GetFirstNodeByName("my table")


def test_a_heatmap_that_was_removed_comes_back_once(scene, image):
    heat = ask(image)
    once = count(scene)
    for _ in range(3):
        scene.RemoveNode(heat)  # its display and legend stay in the scene
        heat = ask(image, 7)
        assert count(scene) == once
    assert heat.GetName() == HEAT
    assert heat.GetDisplayNode().GetColorNode().GetName() == "MedCNN heat"


def test_it_follows_an_image_that_was_moved(scene, image):
    heat = ask(image)
    turn = slicer.vtkMRMLLinearTransformNode()
    scene.AddNode(turn)
    image.SetAndObserveTransformNodeID(turn.GetID())
    image.SetSpacing(2, 3, 4)
    assert ask(image) is heat
    assert heat.GetTransformNodeID() == turn.GetID()
    for volume in (image, heat):  # Slicer calls a node under a transform unlike itself
        volume.SetAndObserveTransformNodeID(None)
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(image, heat) == ""


def saved(scene, folder):
    """Save a scene as Slicer does, each volume and table in a file of its own."""
    kinds = {"vtkMRMLScalarVolumeNode": "nrrd", "vtkMRMLTableNode": "tsv"}
    for kind, ending in kinds.items():
        for n, node in enumerate(nodes_of(scene, kind)):
            node.AddDefaultStorageNode()
            node.GetStorageNode().SetFileName(str(folder / f"{n}.{ending}"))
            assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(folder / "scene.mrml"))
    scene.SetRootDirectory(str(folder))
    assert scene.Commit()


@pytest.mark.parametrize("label", ["aneurysm", 'a;b:c "d" <e>'])
def test_a_scene_read_again_is_renewed_in_place(scene, image, tmp_path, label):
    ask(image, label=label).SetName("mine")
    saved(scene, tmp_path)
    once = count(scene)
    scene.Clear()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Connect()
    heat = scene.GetFirstNodeByName("mine")
    assert not heat.GetModifiedSinceRead()
    again = ask(scene.GetFirstNodeByName("CT"), 7, label=label)
    assert again is heat
    assert count(scene) == once
    assert image_from_node(heat).array.max() == 7
    assert heat.GetModifiedSinceRead()  # Slicer asks whether to save it


def test_the_same_region_twice_is_one_segmentation(scene, image):
    heat = ask(image)
    first = segment_from_heat(heat, level=1, name="aneurysm")
    once = count(scene)
    first.SetDisplayVisibility(False)
    ask(image)  # an answer touches no segmentation
    assert segment_from_heat(heat, level=1, name="aneurysm") is first
    assert first.GetDisplayVisibility()
    assert count(scene) == once
    other = segment_from_heat(heat, level=3, name="aneurysm")
    assert first.GetName() == "aneurysm from 1 (heat region, no outline)"
    assert other.GetName() == "aneurysm from 3 (heat region, no outline)"


def test_a_region_under_a_transform_is_found_again(scene, image):
    turn = slicer.vtkMRMLLinearTransformNode()
    scene.AddNode(turn)
    image.SetAndObserveTransformNodeID(turn.GetID())
    heat = ask(image)
    first = segment_from_heat(heat, level=1, name="aneurysm")
    assert segment_from_heat(heat, level=1, name="aneurysm") is first


def test_a_region_that_was_edited_is_left_alone(scene, image):
    heat = ask(image)
    edited = segment_from_heat(heat, level=1, name="aneurysm")
    segment = edited.GetSegmentation().GetNthSegmentID(0)
    labels = edited.GetBinaryLabelmapInternalRepresentation(segment)
    labels.GetPointData().GetScalars().SetTuple1(1, 1)
    new = segment_from_heat(heat, level=1, name="aneurysm")
    assert new is not edited
    assert edited.GetScene() is scene
    labels = edited.GetBinaryLabelmapInternalRepresentation(segment)
    assert labels.GetPointData().GetScalars().GetTuple1(1) == 1


def measured(**changes):
    return {"labels": {"aneurysm": RESULT | changes}}


def test_an_evaluation_again_renews_chart_and_tables(scene):
    where = {"model": "vessel-3d", "data": "/data/test.csv"}
    table, (chart,) = add_evaluation(scene, measured(), **where)
    once = count(scene)
    chart.SetName("Figure 2")
    series_of(chart)[0].SetName("our model")
    curve = RESULT["roc"] | {"y": [0.0, 0.75, 1.0]}
    for _ in range(4):
        again, (drawn,) = add_evaluation(scene, measured(roc=curve), **where)
    assert (again, drawn) == (table, chart)
    assert count(scene) == once
    assert chart.GetName() == "Figure 2"
    names = [series.GetName() for series in series_of(chart)]
    assert names[0] == "our model"
    assert len(names) == len(set(names)) == 5
    assert column(series_of(chart)[0], "sensitivity") == curve["y"]


def test_an_evaluation_on_other_data_stands_beside_the_first(scene):
    add_evaluation(scene, measured(), model="vessel-3d", data="/data/test.csv")
    _, (other,) = add_evaluation(
        scene, measured(), model="vessel-3d", data="/data/second.csv"
    )
    charts = nodes_of(scene, "vtkMRMLPlotChartNode")
    assert [chart.GetName() for chart in charts] == [
        "ROC aneurysm vessel-3d test.csv",
        "ROC aneurysm vessel-3d second.csv",
    ]
    assert [series.GetName() for series in series_of(other)][3] == "chance"


def test_a_label_without_a_curve_any_more_has_no_chart_any_more(scene):
    where = {"model": "vessel-3d", "data": "/data/test.csv"}
    add_evaluation(scene, measured(), **where)
    own = add_evaluation(scene, measured(), model="another", data="/data/test.csv")[1]
    _, charts = add_evaluation(scene, measured(roc=None, auroc=None), **where)
    assert charts == []
    assert nodes_of(scene, "vtkMRMLPlotChartNode") == own
    assert len(nodes_of(scene, "vtkMRMLPlotSeriesNode")) == 5


def test_points_that_are_gone_leave_the_chart(scene):
    where = {"model": "vessel-3d", "data": "/data/test.csv"}
    _, (chart,) = add_evaluation(scene, measured(), **where)
    add_evaluation(scene, measured(operating_points=[]), **where)
    names = [series.GetName() for series in series_of(chart)]
    assert names == ["aneurysm", "95 % interval, low", "95 % interval, high", "chance"]
