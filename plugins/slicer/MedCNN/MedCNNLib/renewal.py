"""Nodes that answer a question: asked again, they are renewed and none is added.

A node is known by what it answers, which is kept in the scene with it. Its name is the
user's, who may change it, and so are its colours and the views that show it.
"""

import json
from typing import Any

import slicer

__all__ = ["Question", "nodes_of", "remove_display", "remove_with_displays"]

_NAMED_ALIKE = {"vtkMRMLPlotSeriesNode"}
"""Kinds whose names a chart shows: one of two charts has no `chance_1`."""

_KEY, _IMAGE = "MedCNN.Answers", "MedCNN.Image"


class Question:
    """What was asked; finds the nodes that answer it, or makes them.

    Args:
        scene: Where they are.
        parts: What was asked, and of whom; alike for the same question.
        image: What it was asked about; None for questions about no node.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        *parts: str,
        image: slicer.vtkMRMLVolumeNode | None = None,
    ) -> None:
        self._scene, self._parts, self._image = scene, parts, image
        self._given: set[str] = set()

    def node(self, kind: str, name: str, *parts: str) -> Any:
        """Return the node of this kind that answers a part of the question.

        Args:
            kind: A class of MRML.
            name: Of a new node, if there is none or the user removed it.
            parts: Which part.
        """
        key = json.dumps([*self._parts, *parts])
        found = next(
            (each for each in nodes_of(self._scene, kind) if self._owns(each, key)),
            None,
        )
        node = self._add(kind, name, key) if found is None else found
        self._given.add(node.GetID())
        return node

    def remove_others(self) -> None:
        """Remove nodes that answered this question last time, and do not any more."""
        start = json.dumps(self._parts)[:-1] + ", "  # as the keys of all parts begin
        for node in nodes_of(self._scene, "vtkMRMLNode"):
            key = node.GetAttribute(_KEY) or ""
            is_own = key.startswith(start) and self._is_about(node)
            if is_own and node.GetID() not in self._given:
                remove_with_displays(node)

    def _owns(self, node: Any, key: str) -> bool:
        return node.GetAttribute(_KEY) == key and self._is_about(node)

    def _is_about(self, node: Any) -> bool:
        return node.GetNodeReference(_IMAGE) is self._image

    def _add(self, kind: str, name: str, key: str) -> Any:
        node = getattr(slicer, kind)()
        is_taken = self._scene.GetFirstNodeByName(name) is not None
        if is_taken and kind not in _NAMED_ALIKE:
            name = self._scene.GenerateUniqueName(name)
        node.SetName(name)
        node.SetAttribute(_KEY, key)
        self._scene.AddNode(node)
        if self._image is not None:
            node.SetNodeReferenceID(_IMAGE, self._image.GetID())
        return node


def nodes_of(scene: slicer.vtkMRMLScene, kind: str) -> list[Any]:
    """Return the scene's nodes of a class."""
    found = scene.GetNodesByClass(kind)
    found.UnRegister(None)  # GetNodesByClass hands its reference over
    return [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]


def remove_with_displays(node: Any) -> None:
    """Remove a node, and what only shows it: its displays and their legends.

    A scene keeps these where the node alone is removed.
    """
    scene = node.GetScene()
    count = getattr(node, "GetNumberOfDisplayNodes", int)()
    displays = [node.GetNthDisplayNode(n) for n in range(count)]
    scene.RemoveNode(node)
    for display in displays:
        remove_display(scene, display)


def remove_display(scene: slicer.vtkMRMLScene, display: Any) -> None:
    """Remove a display node, and its legend."""
    if display is None or display.GetScene() is not scene:
        return
    for legend in nodes_of(scene, "vtkMRMLColorLegendDisplayNode"):
        if legend.GetPrimaryDisplayNode() is display:
            scene.RemoveNode(legend)
    scene.RemoveNode(display)
