"""Drawings in few bytes: the same words, the same lines."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from medcnn.report.plots.compact import compact
from medcnn.report.plots.style import drawing, render

SPACE = "{http://www.w3.org/2000/svg}"
places = st.floats(-500, 500, allow_nan=False)


def points(path):
    """Return the corners of a path, read as SVG 1.1 defines it."""
    found, x, y = [], 0.0, 0.0
    for command, rest in re.findall(r"([MLlhv])([^a-zA-Z]*)", path):
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+", rest)]
        if command in "ML":
            x, y = numbers
        else:
            across, down = {"h": (*numbers, 0), "v": (0, *numbers)}.get(
                command, numbers
            )
            x, y = x + across, y + down
        found.append((x, y))
    return np.array(found)


def line(corners):
    text = "".join(f"{'ML'[n > 0]} {x:f} {y:f} \n" for n, (x, y) in enumerate(corners))
    return f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{text}"/></svg>'


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(places, places), min_size=1, max_size=20))
def test_no_corner_moves_by_more_than_half_a_tenth_of_a_point(corners):
    path = ET.fromstring(compact(line(corners).encode())).find(f"{SPACE}path")  # noqa: S314 - our own

    got, wanted = points(path.get("d")), np.array(corners)

    for corner in wanted:
        assert np.abs(got - corner).max(axis=1).min() <= 0.05 + 1e-6
    assert np.abs(got[-1] - wanted[-1]).max() <= 0.05 + 1e-6


def distance(corner, path):
    """Return how far a point is from a line of several corners."""
    starts, chords = path[:-1], np.diff(path, axis=0)
    squares = np.maximum((chords**2).sum(axis=1), 1e-12)
    along = (((corner - starts) * chords).sum(axis=1) / squares).clip(0, 1)
    return np.hypot(*(starts + along[:, None] * chords - corner).T).min()


near = st.floats(-1, 1, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(near, near), min_size=21, max_size=80), st.sampled_from([0.2, 5])
)
def test_a_line_of_many_corners_moves_by_no_more_than_a_quarter_of_a_point(steps, size):
    corners = np.cumsum(size * np.array(steps), axis=0)
    path = ET.fromstring(compact(line(corners).encode())).find(f"{SPACE}path")  # noqa: S314 - our own

    got = points(path.get("d"))

    assert len(got) <= len(corners)
    least = 0.25 + 0.05 * 2**0.5 + 1e-6  # and half a tenth of rounding each way
    if len(got) > 1:
        assert max(distance(corner, got) for corner in corners) <= least
    assert np.abs(got[-1] - corners[-1]).max() <= 0.05 + 1e-6


def test_a_smooth_curve_of_many_corners_needs_few():
    x = np.linspace(0, 300, 301)
    curve = np.stack([x, 200 * np.exp(-x / 80)], axis=1)

    path = ET.fromstring(compact(line(curve).encode())).find(f"{SPACE}path")  # noqa: S314 - our own

    assert len(points(path.get("d"))) < 30


def test_words_are_kept_to_the_letter():
    figure = Figure()
    axes = figure.subplots()
    words = 'AUC 0.8712345 (0.80 to <0.92>) & "x" \N{MINUS SIGN} it\'s 3.14159'
    axes.plot([0, 1], [0, 1], label=words)
    axes.set_ylabel("turned 0.123456")
    axes.legend()

    with drawing():
        root = ET.fromstring(render(figure).svg)  # noqa: S314 - our own

    told = ["".join(text.itertext()) for text in root.iter(f"{SPACE}text")]
    assert words in told
    (turned,) = (t for t in root.iter(f"{SPACE}text") if t.text == "turned 0.123456")
    assert turned.get("transform").startswith("rotate(-90")


def test_every_style_and_reference_has_its_target():
    figure = Figure()
    axes = figure.subplots()
    axes.errorbar([0, 1], [0, 1], yerr=[0.1, 0.2], fmt="o-", capsize=2)

    with drawing():
        text = render(figure).svg.decode()

    assert len(text) < 8000
    for name in set(re.findall(r"class='(\w+)'", text)):
        assert f".{name}{{" in text
    for name in set(re.findall(r"url\(#(\w+)\)|href='#(\w+)'", text)):
        assert f"id='{''.join(name)}'" in text


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_drawing_gives_the_same_bytes(seed):
    rng = np.random.default_rng(seed)
    x = rng.random(50)
    made = []
    for _ in range(2):
        figure = Figure()
        figure.subplots().plot(x)
        made.append(render(figure).svg)

    assert made[0] == made[1]
