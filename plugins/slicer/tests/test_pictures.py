"""Real images through the panel; the pictures of the README are made here."""

import sys
from pathlib import Path

import cores
import numpy as np
import pytest
import slicer
from MedCNNLib.colours import COLOURS
from MedCNNLib.findings import scale_of
from MedCNNLib.places import peak_ras
from vtk.util import numpy_support

sys.path.insert(0, str(Path(__file__).parents[2] / "contract"))

pytest.importorskip("standin", reason="PySide6 is not installed here")
pytest.importorskip("PIL", reason="Pillow is not installed here")

from adapter_contract import predicted
from PIL import Image, ImageDraw, ImageFont
from real_images import film, head, pictures
from test_panel import module  # noqa: F401 - a fixture
from test_panel_worker import desk  # noqa: F401 - a fixture

SIDE, BAR = 380, 50
STAND_IN = (
    "The tests' stand-in for Slicer's widgets; the code below is the extension's."
)


def answered(desk, path, model):  # noqa: F811
    """Classify a file by the panel; return the heatmap."""
    desk.open(path, model)
    desk.begin()
    desk.wait()
    shown = float(desk.panel.texts("answerTable")[0][1])
    assert shown == pytest.approx(predicted([path], model)[0], abs=2e-3)
    return desk.panel.widget.classifyPanel._heat()


def view_of(scene, orientation):
    """Return what Slicer's own slice logic draws, RGB, and how the patient lies."""
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(cores.logics(scene)[0])
    logic.SetMRMLScene(scene)
    node = logic.AddSliceNode("Red")
    logic.ResizeSliceNode(SIDE, SIDE)
    getattr(node, f"SetOrientationTo{orientation}")()
    logic.FitSliceToBackground(SIDE, SIDE)
    logic.UpdatePipeline()
    for layer in (logic.GetBackgroundLayer(), logic.GetForegroundLayer()):
        layer.UpdateTransforms()
    blend = logic.GetImageDataConnection().GetProducer()
    blend.UpdateWholeExtent()
    scalars = blend.GetOutputDataObject(0).GetPointData().GetScalars()
    pixels = numpy_support.vtk_to_numpy(scalars).reshape(SIDE, SIDE, -1)
    to_ras = node.GetSliceToRAS()
    axes = [[to_ras.GetElement(row, axis) for row in range(3)] for axis in range(2)]
    return np.ascontiguousarray(pixels[::-1, :, :3]), np.array(axes)


def letter(direction):
    """Return which end of the patient a direction in RAS points to."""
    axis = int(np.abs(direction).argmax())
    return ("RAS" if direction[axis] > 0 else "LPI")[axis]


def warm(pixels):
    """Count the pixels that are not grey."""
    return int(np.count_nonzero(np.ptp(pixels.astype(int), axis=2) > 24))


def lettered(pixels, axes):
    """Write where the patient's sides are at the edges of a view."""
    picture = Image.fromarray(pixels)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(18)
    right, up = axes
    for at, way in (((SIDE - 18, 180), right), ((6, 180), -right), ((184, 4), up)):
        draw.text(at, letter(way), fill="white", font=font)
    return picture


def legend(heat):
    """Draw a heatmap's colours, the ends of its scale, and what they mean."""
    scale = scale_of(heat)
    strip = Image.new("RGB", (SIDE, BAR))
    colours = np.repeat((COLOURS * 255).astype(np.uint8)[None], 14, axis=0)
    strip.paste(Image.fromarray(colours).resize((240, 14)), (6, 8))
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(12)
    draw.text((6, 28), scale.words, fill="white", font=font)
    return strip


def put_together(shown, heats):
    whole = Image.new("RGB", (len(shown) * (SIDE + 8) - 8, SIDE + BAR))
    for n, picture in enumerate(shown):
        whole.paste(picture, (n * (SIDE + 8), 0))
    for n, heat in heats.items():
        whole.paste(legend(heat), (n * (SIDE + 8), SIDE))
    return whole


def save(picture, path):
    picture.convert("RGB").save(path, quality=88)
    assert path.stat().st_size < 200_000


def grab(desk, path):  # noqa: F811
    """Save the panel, with a strip that says what it is."""
    ui = desk.ui
    for section, closed in ((ui.trainSection, False), (ui.evaluateSection, True)):
        section.setProperty("collapsed", closed)
    ui.trainPath.setCurrentPath("/data/train.csv")
    ui.settingsEdit.setText("optimiser.epochs=5; input.shape=[224, 224]")
    ui.pythonSection.setProperty("collapsed", True)
    widget = desk.panel.parent.widget
    widget.resize(520, widget.sizeHint().height())
    assert ui.settingsEdit.wrapped.isVisibleTo(widget)
    widget.grab().save(str(path))
    panel = Image.open(path).convert("RGB")
    whole = Image.new("RGB", (panel.width, panel.height + 24), "#30343a")
    whole.paste(panel, (0, 24))
    font = ImageFont.load_default(12)
    ImageDraw.Draw(whole).text((10, 5), STAND_IN, fill="white", font=font)
    whole.quantize(64).save(path, optimize=True)


def test_a_real_radiograph_and_a_real_volume_are_classified_and_drawn(
    desk,  # noqa: F811
    scene,
    tmp_path,
):
    folder = pictures(tmp_path / "pictures")
    heat = answered(desk, film(tmp_path / "samples"), "chest-xray")
    assert desk.panel.texts("answerTable")[0][-1] == "flag"
    pixels, _ = view_of(scene, "Axial")
    assert warm(pixels) > 3000
    grab(desk, folder / "slicer-panel.png")
    shown, heats = [Image.fromarray(pixels)], {0: heat}

    heat = answered(desk, head(tmp_path), "vessel-3d")
    assert "unlike the training images" in desk.ui.answerLabel.text
    heats[1] = heat
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *peak_ras(heat), 0)
    for orientation in ("Axial", "Sagittal", "Coronal"):
        pixels, axes = view_of(scene, orientation)
        assert warm(pixels) > 3000
        shown.append(lettered(pixels, axes))
    assert letter(view_of(scene, "Axial")[1][0]) == "L"  # seen from the feet
    save(put_together(shown, heats), folder / "slicer-slices.jpg")
