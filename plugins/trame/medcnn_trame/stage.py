"""The scene and its views: what is shown, in Slicer's own nodes.

Everything here runs on the event loop's thread, as MRML wants it.
"""

import numpy as np
from MedCNNLib.client import Image, Result
from MedCNNLib.errors import ViewerError
from MedCNNLib.findings import adding_heatmaps, remove_answers, scale_of
from MedCNNLib.heat import hide_heat, lay_over, set_opacity, set_threshold
from MedCNNLib.places import jump_to, peak_ras
from MedCNNLib.renewal import remove_with_displays
from MedCNNLib.steps import Steps
from MedCNNLib.volumes import adding_node
from slicer import vtkMRMLAbstractViewNode, vtkMRMLColorLegendDisplayNode
from trame_slicer.core import LayoutManager, SlicerApp
from trame_slicer.rca_view import register_rca_factories

__all__ = ["Stage"]

_AS_SEEN = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Columns to the patient's left, rows to the back: a picture hung as it is stored."""

_ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}
_VOLUME, _PICTURE = "Quad View", "Axial Only"


class Stage:
    """Show an image and the heatmaps of an answer.

    Args:
        server: The trame server whose pages show the views.
    """

    def __init__(self, server: object) -> None:
        self._slicer = SlicerApp()
        # what its own module would have done; the page draws the legend
        self._slicer.scene.RegisterNodeClass(vtkMRMLColorLegendDisplayNode())
        register_rca_factories(self._slicer.view_manager, server)
        self.layout = LayoutManager(
            self._slicer.scene, self._slicer.view_manager, server
        )
        self.layout.register_layout_dict(LayoutManager.default_grid_configuration())
        self.layout.set_layout(_VOLUME)
        self._image = None
        self._heats: dict[str, object] = {}
        self._label = ""

    @property
    def labels(self) -> list[str]:
        """Whose heatmaps there are."""
        return list(self._heats)

    def showing_image(self, image: Image) -> Steps:
        """Show an image alone, in views that suit it; in steps.

        Raises:
            ViewerError: If it has colours.
        """
        array = image.ijk()
        if array.ndim != 3:
            msg = "This is a colour image; the views show grey values."
            raise ViewerError(msg, hint="medcnn predict and explain take it.")
        self.forget_answer()
        if self._image is not None:
            remove_with_displays(self._image)
        affine = _AS_SEEN if image.affine is None else image.affine
        name = image.name or "image"
        values = array
        if values.dtype == bool or values.dtype == np.float16:
            values = values.astype(np.float32)
        node = yield from adding_node(self._slicer.scene, values, affine, name=name)
        node.CreateDefaultDisplayNodes()
        self._image = node
        is_picture = array.shape[2] == 1
        self._mark(is_known=not is_picture and image.affine is not None)
        self.layout.set_layout(_PICTURE if is_picture else _VOLUME)
        self._slicer.display_manager.show_volume_in_slice_background(node)
        for view in self._slicer.view_manager.get_slice_views():
            if is_picture:
                _face(view.get_view_node(), affine)
            else:
                view.set_orientation(_ORIENTATIONS[view.get_singleton_tag()])
            view.fit_view_to_content()
        if not is_picture:
            self._slicer.display_manager.show_volume(
                node, vr_preset="", do_reset_views=True
            )

    def _mark(self, *, is_known: bool) -> None:
        """Show which way the patient lies, by axes with letters, if that is known."""
        kind = vtkMRMLAbstractViewNode
        marker = kind.OrientationMarkerTypeAxes
        for view in self._slicer.view_manager.get_views():
            view.set_orientation_marker(
                marker if is_known else kind.OrientationMarkerTypeNone,
                kind.OrientationMarkerSizeMedium,
            )

    def forget_answer(self) -> None:
        """Take the last answer away."""
        if self._image is None:
            return
        remove_answers(self._image)
        if self._heats:
            self._heats, self._label = {}, ""
            self.render()

    def showing_answer(self, result: Result, opacity: float) -> Steps:
        """Lay an answer's main heatmap over the image, in steps; return its label."""
        self.forget_answer()
        self._heats = yield from adding_heatmaps(self._image, result, opacity=opacity)
        has_main = result.label in self._heats
        self._label = result.label if has_main else next(iter(self._heats), "")
        return self._label

    def set_heat(
        self, label: str, *, shown: bool, opacity: float, share: float
    ) -> None:
        """Show one label's heatmap, or none, above a share of its scale."""
        for other, node in self._heats.items():
            if other != label or not shown:
                hide_heat(node)
        heat = self._heats.get(label)
        if heat is not None and shown:
            lay_over(self._image, heat, opacity=opacity)
            set_opacity(heat, opacity)
            set_threshold(heat, scale_of(heat).at(share))
        self._label = label
        self.render()

    def go_to_peak(self) -> None:
        """Move every slice view to the hottest place.

        Raises:
            ViewerError: If the heatmap is cold everywhere.
        """
        heat = self._heats.get(self._label)
        if heat is not None:
            jump_to(self._slicer.scene, peak_ras(heat))
            self.render()

    def render(self) -> None:
        """Draw all views anew."""
        for view in self._slicer.view_manager.get_views():
            view.schedule_render()


def _face(view: object, affine: np.ndarray) -> None:
    """Turn a slice view so that columns run to the right and rows down, as stored."""
    right, down = (affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)).T
    axes = np.column_stack([right, -down, np.cross(right, -down)])
    matrix = view.GetSliceToRAS()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, axes[row, column])
        matrix.SetElement(row, 3, affine[row, 3])
    view.UpdateMatrices()
