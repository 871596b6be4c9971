"""Tables and ROC charts as MRML nodes."""

import pytest
import slicer
from MedCNNLib.charts import roc_chart, table_node
from MedCNNLib.errors import ViewerError
from MedCNNLib.renewal import Question

RATE = {"value": 0.9, "ci95": [0.8, 0.95], "method": "Wilson"}
RESULT = {
    "n_positive": 20,
    "n_negative": 20,
    "auroc": {"value": 0.8175, "ci95": [0.6393, 0.9188], "method": "DeLong"},
    "roc": {
        "x": [0.0, 0.05, 1.0],
        "y": [0.0, 0.6, 1.0],
        "band_x": [0.0, 1.0],
        "low": [0.0, 1.0],
        "high": [0.5, 1.0],
    },
    "operating_points": [
        {
            "name": "Youden",
            "threshold": 0.578,
            "chosen_on": "val, 40 cases",
            "sensitivity": RATE | {"value": 0.5},
            "specificity": RATE,
        },
        {"name": "none", "sensitivity": None, "specificity": RATE},
    ],
}


def series_of(chart):
    return [
        chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())
    ]


def column(series, name):
    table = series.GetTableNode().GetTable()
    values = table.GetColumnByName(name)
    return [values.GetValue(n) for n in range(values.GetNumberOfValues())]


def test_the_title_gives_area_and_interval(scene):
    chart = roc_chart(Question(scene), "abnormal", RESULT)
    assert chart.GetTitle() == "abnormal: AUC 0.818 (95 % CI 0.639 to 0.919)"
    assert (chart.GetXAxisTitle(), chart.GetYAxisTitle()) == (
        "1 - specificity",
        "sensitivity",
    )


def test_curve_interval_chance_and_points_are_drawn(scene):
    drawn = {
        s.GetName(): s
        for s in series_of(roc_chart(Question(scene), "abnormal", RESULT))
    }
    assert list(drawn) == [
        "abnormal",
        "95 % interval, low",
        "95 % interval, high",
        "chance",
        "operating points",
    ]
    assert column(drawn["abnormal"], "sensitivity") == RESULT["roc"]["y"]
    assert column(drawn["95 % interval, high"], "sensitivity") == [0.5, 1.0]
    dashed = slicer.vtkMRMLPlotSeriesNode.LineStyleDash
    assert drawn["95 % interval, low"].GetLineStyle() == dashed


def test_operating_points_lie_on_their_rates(scene):
    points = series_of(roc_chart(Question(scene), "abnormal", RESULT))[-1]
    assert column(points, "1 - specificity") == pytest.approx([0.1])
    assert column(points, "sensitivity") == [0.5]
    assert column(points, "rule") == ["Youden"]
    assert column(points, "sensitivity low") == [0.8]


def test_a_label_of_one_class_has_no_curve(scene):
    result = {"n_positive": 0, "n_negative": 9, "auroc": None, "roc": None}
    with pytest.raises(ViewerError, match="0 cases with it and 9 without"):
        roc_chart(Question(scene), "abnormal", result)


def test_a_table_keeps_numbers_as_numbers(scene):
    node = table_node(
        Question(scene), "cases", {"case": ["a", "b"], "probability": [0.25, 1]}
    )
    table = node.GetTable()
    assert table.GetColumnByName("probability").GetDataTypeAsString() == "double"
    assert node.GetCellText(1, 0) == "b"
    assert (node.GetNumberOfRows(), node.GetNumberOfColumns()) == (2, 2)


def test_an_unknown_number_is_an_empty_cell(scene):
    node = table_node(Question(scene), "cases", {"probability": [0.25, None]})
    assert node.GetCellText(1, 0) == ""


def test_charts_survive_saving_the_scene(scene, tmp_path):
    chart = roc_chart(Question(scene), "abnormal", RESULT)
    for kind in ("Table",):
        for n in range(scene.GetNumberOfNodesByClass(f"vtkMRML{kind}Node")):
            node = scene.GetNthNodeByClass(n, f"vtkMRML{kind}Node")
            node.AddDefaultStorageNode()
            node.GetStorageNode().SetFileName(str(tmp_path / f"{node.GetID()}.tsv"))
            assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    again = slicer.vtkMRMLScene()
    again.SetURL(str(tmp_path / "scene.mrml"))
    again.Connect()
    read = again.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    assert read.GetTitle() == chart.GetTitle()
    assert column(series_of(read)[0], "sensitivity") == RESULT["roc"]["y"]
