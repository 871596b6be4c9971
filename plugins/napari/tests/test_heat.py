"""What a heatmap looks like over bright and dark anatomy, as napari draws it."""

import numpy as np
import pytest
from medcnn_napari.world import heat_layer
from MedCNNLib.client import Heatmap
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import ensure_colormap

FACTS = {
    "label": "a", "method": "cam", "layer": "", "unit": "log-odds", "meaning": "",
    "limits": "", "peak": (0, 0, 0), "peak_ras": None, "window": (0.0, 2.0),
    "window_words": "",
}  # fmt: skip
GREYS = (0.1, 0.5, 0.95)
HEATS = (0.0, 0.2, 1.0, 2.0)
SIDE, OPACITY = 40, 0.7


def drawn(viewer):
    """Return what the canvas shows in each field, (heats, greys, 3), 0 to 1."""
    image = np.repeat(np.repeat([GREYS] * len(HEATS), SIDE, 0), SIDE, 1)
    values = np.repeat(np.repeat([[h] * len(GREYS) for h in HEATS], SIDE, 0), SIDE, 1)
    layer = viewer.add_layer(ImageLayer(image, contrast_limits=(0, 1)))
    heat = Heatmap(values.astype(np.float32).T[..., None], None, FACTS)
    array, given, _ = heat_layer(heat, layer)
    viewer.add_layer(ImageLayer(array, **given))
    viewer.reset_view()
    getattr(viewer, "scene", viewer).camera.zoom = 1  # napari 0.9 moved it
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3] / 255
    rows, columns = (n / 2 for n in picture.shape[:2])
    at = [
        [n - (len(all_) - 1) / 2 for n in range(len(all_))] for all_ in (HEATS, GREYS)
    ]
    return np.array(
        [
            [picture[round(rows + SIDE * r), round(columns + SIDE * c)] for c in at[1]]
            for r in at[0]
        ]
    )


def test_the_heat_is_seen_on_bright_anatomy_and_the_rest_stays_grey(shown_viewer):
    """By the formula of painting over, and napari's own inferno."""
    seen = drawn(shown_viewer)
    for row, value in zip(seen, HEATS, strict=True):
        share = value / FACTS["window"][1]
        cover = OPACITY * min(1.0, share / 0.5)
        colour = np.array(ensure_colormap("inferno").map([share])[0][:3])
        for pixel, grey in zip(row, GREYS, strict=True):
            wanted = cover * colour + (1 - cover) * grey
            assert pixel == pytest.approx(wanted, abs=0.03), (value, grey)
    assert np.ptp(seen[0], axis=1) == pytest.approx(0, abs=1 / 255)
    hot_on_white = seen[2, 2]
    assert np.ptp(hot_on_white) > 0.25
