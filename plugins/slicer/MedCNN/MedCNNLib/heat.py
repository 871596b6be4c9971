"""How a heatmap is shown over its image: colours, threshold, opacity, legend.

The colours and the scale are those of medcnn's reports, the same for every image; hot
is high. Slicer gives an overlay one opacity, so its colours cannot fade to clear: the
dark lowest part of the scale, which would only blacken anatomy, is not shown at first.
"""

import numpy as np
import slicer

from MedCNNLib.colours import COLOURS
from MedCNNLib.renewal import nodes_of, remove_display

__all__ = [
    "Scale",
    "colour_table",
    "hide_heat",
    "lay_over",
    "set_opacity",
    "set_threshold",
    "show_as_heat",
]

_TABLE_NAME = "MedCNN heat"
_OWN, _SHOWS_HEAT = "MedCNN.Colours", "MedCNN.ShowsHeat"
_LABELS_OF_LEGEND = 5
_SHOWN_FROM = 0.15


class Scale:
    """Which values get colours.

    Args:
        low: Where colour begins.
        high: The hottest colour; raised a little above `low` if it is not above it.
        words: What the colours run from and to, for the legend.
    """

    def __init__(self, low: float, high: float, words: str) -> None:
        self.low = float(low)
        self.high = float(high) if high > low else self.low + max(1e-6, abs(low) * 1e-6)
        self.words = words

    @property
    def shown_from(self) -> float:
        """The threshold at first: what is darker would only blacken anatomy."""
        return self.at(_SHOWN_FROM)

    def at(self, share: float) -> float:
        """Return the value at a share of the scale, 0 to 1."""
        return self.low + share * (self.high - self.low)


def colour_table(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Return the scene's table of 256 heat colours, made on first use."""
    for node in nodes_of(scene, "vtkMRMLColorTableNode"):
        if node.GetAttribute(_OWN) == "1":
            return node
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(_TABLE_NAME)
    table.SetAttribute(_OWN, "1")
    table.SetTypeToUser()
    table.SetNumberOfColors(len(COLOURS))
    for place, (red, green, blue) in enumerate(COLOURS):
        table.SetColor(place, f"{place / 255:.0%}", red, green, blue, 1)
    table.SetHideFromEditors(False)
    scene.AddNode(table)
    return table


def show_as_heat(
    heat: slicer.vtkMRMLScalarVolumeNode, scale: Scale, *, legend: bool = True
) -> slicer.vtkMRMLScalarVolumeDisplayNode:
    """Give a heatmap its colours, and a legend that says what they mean.

    Other colours that the user chose since stay, and so does a legend that was hidden.

    Args:
        heat: A volume in a scene.
        scale: Which values get colours.
        legend: Whether slice views show one.
    """
    scene = heat.GetScene()
    display = heat.GetDisplayNode() or slicer.vtkMRMLScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)  # before it sees the voxels: it would count all
    display.SetWindowLevelMinMax(scale.low, scale.high)
    display.SetInterpolate(True)
    if heat.GetDisplayNode() is None:
        _remove_displays_of_none(scene)
        display.SetAttribute(_SHOWS_HEAT, "1")
        scene.AddNode(display)
        heat.SetAndObserveDisplayNodeID(display.GetID())
    if display.GetColorNode() is None:
        display.SetAndObserveColorNodeID(colour_table(scene).GetID())
    set_threshold(heat, scale.shown_from)
    if legend:
        _legend(display, scale)
    return display


def set_threshold(heat: slicer.vtkMRMLScalarVolumeNode, value: float) -> None:
    """Hide all of a heatmap that is below a value, in the heatmap's own unit."""
    display = heat.GetDisplayNode()
    display.SetAutoThreshold(False)
    display.SetLowerThreshold(float(value))
    display.SetUpperThreshold(float(np.finfo(np.float32).max))
    display.SetApplyThreshold(True)


def lay_over(
    below: slicer.vtkMRMLVolumeNode,
    heat: slicer.vtkMRMLScalarVolumeNode,
    *,
    opacity: float = 0.6,
) -> None:
    """Show a heatmap over its image in every slice view of the scene.

    An image that was removed from the scene since is not shown again.
    """
    for composite in nodes_of(heat.GetScene(), "vtkMRMLSliceCompositeNode"):
        if below.GetScene() is not None:
            composite.SetBackgroundVolumeID(below.GetID())
        composite.SetForegroundVolumeID(heat.GetID())
        composite.SetForegroundOpacity(opacity)


def set_opacity(heat: slicer.vtkMRMLScalarVolumeNode, opacity: float) -> None:
    """Set how much of the hottest colour covers the image, 0 to 1."""
    for composite in nodes_of(heat.GetScene(), "vtkMRMLSliceCompositeNode"):
        if composite.GetForegroundVolumeID() == heat.GetID():
            composite.SetForegroundOpacity(opacity)


def hide_heat(heat: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Take a heatmap out of every slice view; the node stays."""
    for composite in nodes_of(heat.GetScene(), "vtkMRMLSliceCompositeNode"):
        if composite.GetForegroundVolumeID() == heat.GetID():
            composite.SetForegroundVolumeID(None)


def _legend(display: slicer.vtkMRMLScalarVolumeDisplayNode, scale: Scale) -> None:
    """Add, or renew, the legend of a display."""
    logic = slicer.vtkSlicerColorLogic
    is_first = logic.GetColorLegendDisplayNode(display) is None
    legend = logic.AddDefaultColorLegendDisplayNode(display)
    if legend is None:
        return
    legend.SetTitleText(scale.words)
    if is_first:
        legend.SetNumberOfLabels(_LABELS_OF_LEGEND)
        legend.SetLabelFormat("%.3g")
        legend.SetVisibility(True)


def _remove_displays_of_none(scene: slicer.vtkMRMLScene) -> None:
    """Remove what showed heatmaps that the user removed."""
    for display in nodes_of(scene, "vtkMRMLScalarVolumeDisplayNode"):
        if display.GetAttribute(_SHOWS_HEAT) and display.GetDisplayableNode() is None:
            remove_display(scene, display)
