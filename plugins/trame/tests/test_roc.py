"""The ROC curve as a picture."""

from xml.etree import ElementTree as ET

import pytest
from medcnn_trame.roc import roc_svg

RESULT = {
    "n_positive": 2,
    "n_negative": 2,
    "auroc": {"value": 0.75, "ci95": [0.5, 0.9]},
    "roc": {"x": [0, 0, 1], "y": [0, 1, 1], "band_x": [0, 1], "low": [0, 1],
            "high": [1, 1]},
    "operating_points": [
        {"name": "Youden", "threshold": 0.5, "sensitivity": {"value": 0.5},
         "specificity": {"value": 0.75}}
    ],
}  # fmt: skip


def drawn(text):
    svg = text[text.index("<svg") :]
    return ET.fromstring(svg)  # noqa: S314 - our own


def places(text):
    return [tuple(map(float, place.split(","))) for place in text.split()]


def test_the_curve_begins_at_the_lower_left_and_ends_at_the_upper_right():
    box = drawn(roc_svg("a", RESULT)).find("rect")
    left, top = float(box.get("x")), float(box.get("y"))
    right = left + float(box.get("width"))
    bottom = top + float(box.get("height"))
    lines = drawn(roc_svg("a", RESULT)).findall("polyline")
    curve = places(lines[1].get("points"))
    assert curve == [(left, bottom), (left, top), (right, top)]


def test_an_operating_point_lies_at_its_rates():
    svg = drawn(roc_svg("a", RESULT))
    box, point = svg.find("rect"), svg.find("circle")
    x = (float(point.get("cx")) - float(box.get("x"))) / float(box.get("width"))
    y = (float(point.get("cy")) - float(box.get("y"))) / float(box.get("height"))
    assert (x, 1 - y) == pytest.approx((0.25, 0.5), abs=1e-3)


def test_area_and_interval_are_said():
    assert "a: AUC 0.750 (95 % CI 0.500 to 0.900)" in roc_svg("a", RESULT)


def test_a_label_cannot_bring_markup_into_the_page():
    assert "<script>" not in roc_svg("<script>alert(1)</script>", RESULT)


def test_one_class_alone_is_said_in_words():
    words = roc_svg("a", {"n_positive": 0, "n_negative": 3, "auroc": None, "roc": None})
    assert "0 cases with it and 3 without" in words
