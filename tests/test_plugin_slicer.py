"""The Slicer extension's files, as far as they can be judged without Slicer."""

import importlib.util
from pathlib import Path

import numpy as np

from medcnn.explanation.overlay import colour_scale

PLUGIN = Path(__file__).parents[1] / "plugins/slicer"
LIBRARY = PLUGIN / "MedCNN/MedCNNLib"


def test_heatmaps_have_the_colours_of_the_reports():
    spec = importlib.util.spec_from_file_location("colours", LIBRARY / "colours.py")
    colours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(colours)
    assert np.abs(colours.COLOURS * 255 - colour_scale()).max() < 2
