"""The page: a panel at the left, Slicer's views beside it."""

from typing import Any

from MedCNNLib.colours import COLOURS
from trame.ui.vuetify3 import VAppLayout
from trame.widgets import client, html
from trame.widgets import vuetify3 as v3
from trame_server.utils.typed_state import TypedState
from trame_slicer.app.ui import FlexContainer, LoadVolumeUI
from trame_slicer.app.ui.load_volume_ui import LoadVolumeState

__all__ = ["NO_ANSWER", "START", "build_page", "uploads_anew"]

NO_ANSWER: dict[str, Any] = {
    "rows": [],
    "labels": [],
    "answer_words": [],
    "out_of_scope": "",
}
"""The page's state where nothing was answered."""

START: dict[str, Any] = {
    "busy": "Starting ...",
    "error": "",
    "is_loaded": False,
    "image_words": "",
    "models": [],
    "model": "",
    **NO_ANSWER,
    "number_kind": "",
    "label": "",
    "legend": "",
    "show_heat": True,
    "opacity": 0.6,
    "threshold": 0.15,
    "evaluate_path": "",
    "roc": "",
}
"""The page's state before anything is asked."""

_STYLE = """
html { overflow-y: auto; }
.answer td, .answer th { padding: 2px 8px 2px 0; text-align: left; }
.answer { font-size: 0.9rem; border-collapse: collapse; }
.roc { width: 100%; }
.scale { height: 12px; border: 1px solid #666; }
.roc-title { font-size: 0.85rem; }
"""


def build_page(server: Any, viewer: Any) -> VAppLayout:
    """Build the page; what is pressed calls the viewer."""
    with VAppLayout(server) as page:
        page.root.theme = "dark"
        client.Style(_STYLE)
        with v3.VNavigationDrawer(permanent=True, width=380), v3.VContainer():
            _top(viewer)
            _classify(viewer)
            _heat(viewer)
            _evaluate(viewer)
            html.Div("Research use only: no diagnosis.", classes="text-caption mt-4")
        with v3.VMain():
            views = FlexContainer(row=True, fill_height=True)
            with views:
                viewer.stage.layout.initialize_layout_grid(page)
    return page


def uploads_anew(viewer: Any) -> None:
    """Forget files that a page was sending when it was left; nobody sends the rest."""
    for button in (
        viewer.load.load_volume_files_button,
        viewer.load.load_volume_dir_button,
    ):
        button.files = []
    with viewer.state as state:
        buttons = TypedState(state, LoadVolumeState).data
        buttons.file_button.loading_busy = buttons.dir_button.loading_busy = False


def _top(viewer: Any) -> None:
    """What to open, what is going on, and what went wrong."""
    with html.Div(classes="d-flex align-center"):
        html.Div("medcnn", classes="text-h6 flex-grow-1")
        viewer.load = LoadVolumeUI()
        viewer.load.on_load_volume.connect(viewer.open_files)
    v3.VProgressLinear(v_if="busy", indeterminate=True)
    with html.Div(v_if="busy", classes="d-flex align-center"):
        html.Div("{{ busy }}", classes="text-caption flex-grow-1 busy")
        v3.VBtn("Cancel", click=viewer.cancel, size="x-small", classes="cancel")
    v3.VAlert(
        "{{ error }}",
        v_if="error",
        type="error",
        density="compact",
        classes="error-text",
    )
    html.Div("{{ image_words }}", classes="text-caption image-words")
    html.Div(
        "Open an image with the first button, a series' folder with the second.",
        v_if="!is_loaded && !busy",
        classes="text-caption",
    )


def _classify(viewer: Any) -> None:
    """The model, and what it says."""
    v3.VSelect(v_model=("model",), items=("models",), label="Model", density="compact")
    v3.VBtn(
        "Classify",
        click=viewer.classify,
        disabled=("!is_loaded || !model || !!busy",),
        block=True,
        color="primary",
        classes="classify",
    )
    v3.VAlert(
        "Out of the model's scope: {{ out_of_scope }}",
        v_if="out_of_scope",
        type="warning",
        density="compact",
        classes="mt-2 scope",
    )
    with html.Table(v_if="rows.length", classes="answer my-2"):
        with html.Tr():
            for title in ("label", "{{ number_kind }}", "review", "flag", "band"):
                html.Th(title)
        with html.Tr(v_for="row in rows", key="row.label"):
            for key in ("label", "probability", "review", "flag", "band"):
                html.Td("{{ row." + key + " }}", classes=f"answer-{key}")
    html.Div("{{ w }}", v_for="w in answer_words", key="w", classes="text-caption")


def _heat(viewer: Any) -> None:
    """The heatmap: whose, how much of it, and where it is hottest."""
    with html.Div(v_if="labels.length", classes="heat"):
        v3.VSelect(
            v_model=("label",), items=("labels",), label="Heatmap of", density="compact"
        )
        html.Div(classes="scale", style=f"background: {_gradient()}")
        with html.Div(classes="d-flex text-caption"):
            html.Div("low", classes="flex-grow-1")
            html.Div("high")
        html.Div("{{ legend }}", classes="text-caption legend-words")
        v3.VSwitch(
            v_model=("show_heat",), label="Show", density="compact", hide_details=True,
            classes="show-heat", color="primary",
        )  # fmt: skip
        for name, words in (("opacity", "Opacity"), ("threshold", "Threshold")):
            v3.VSlider(
                v_model=(name,), label=words, min=0, max=1, step=0.01,
                hide_details=True, thumb_label=True, classes=name,
            )  # fmt: skip
        v3.VBtn("Go to peak", click=viewer.go_to_peak, block=True, classes="peak mt-2")


def _evaluate(viewer: Any) -> None:
    """Labelled images of this machine, and the ROC curve."""
    v3.VDivider(classes="my-3")
    v3.VTextField(
        v_model=("evaluate_path",), density="compact", classes="evaluate-path",
        label="Labelled images: table or folder",
    )  # fmt: skip
    v3.VBtn(
        "Evaluate",
        click=viewer.evaluate,
        disabled=("!evaluate_path || !model || !!busy",),
        block=True,
        classes="evaluate",
    )
    html.Div(v_html="roc", classes="mt-2 roc-box")


def _gradient() -> str:
    """Return the heat colours as CSS, low to high."""
    stops = (COLOURS[::15] * 255).round().astype(int)
    colours = ", ".join(f"rgb({red}, {green}, {blue})" for red, green, blue in stops)
    return f"linear-gradient(to right, {colours})"
