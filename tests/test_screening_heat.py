"""Small pictures and heatmaps: in the right place, on one scale, healthy stays grey."""

import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from films import film_pixels
from screens import three_bands

import medcnn
from medcnn.explanation import heatmap_of
from medcnn.explanation.overlay import colour_scale
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.isolation.wire import Kind, receive, send
from medcnn.model import Model, prepare
from medcnn.screening import Limits
from medcnn.screening.heat import HeatPainter
from medcnn.screening.thumbnails import LONGEST, stack_of
from medcnn.screening.wire import Failure, Grid, Reading, message_of, reading_of


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


def _read(model, image):
    """Do what a reader process does."""
    prepared = prepare(model.spec, image)
    pictures, to_voxel, shape = stack_of(image)
    way = np.linalg.inv(to_voxel) @ prepared.to_voxel
    grid = Grid(shape, tuple(way.ravel()))
    return prepared, Reading(pictures=pictures, grid=grid, tensor=prepared.tensor)


def _decoded(picture):
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("shape", [(1200, 1000), (1201, 777), (90, 80), (300, 3000)])
def test_a_thumbnail_is_the_film_made_small_and_keeps_its_aspect(shape):
    film = cv2.resize(film_pixels(6), shape[::-1], interpolation=cv2.INTER_CUBIC)
    pictures, to_voxel, small = stack_of(Image.from_picture(film))
    (shown,) = (_decoded(picture) for picture in pictures)
    assert shown.shape == (small[1], small[0])
    assert max(shown.shape) == min(LONGEST, max(shape))
    assert small[0] / small[1] == pytest.approx(shape[1] / shape[0], rel=0.02)
    oracle = cv2.resize(film, small[:2], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(shown.ravel(), oracle.ravel())[0, 1] > 0.99
    corner = to_voxel @ np.array([small[0] - 0.5, small[1] - 0.5, 0, 1])
    assert corner[:2] == pytest.approx([shape[1] - 0.5, shape[0] - 0.5])


def test_slices_of_a_volume_are_axial_and_seen_from_the_feet():
    # i runs to superior, j to anterior, k to right; bright: right, front, top
    affine = np.array([[0, 0, 2.0, 0], [0, 1, 0, 0], [1.5, 0, 0, 0], [0, 0, 0, 1]])
    values = np.zeros((1, 40, 36, 30), np.float32)
    values[0, 30:, 26:, 20:] = 100
    image = Image(values, geometry=Geometry((40, 36, 30), affine))
    pictures, to_voxel, shape = stack_of(image)
    assert shape == (30, 36, 32)
    top = _decoded(pictures[-1])
    assert _decoded(pictures[0]).max() < 50
    rows, columns = np.nonzero(top > 128)
    assert columns.max() < 12  # the patient's right is on the left
    assert rows.max() < 12  # the front is at the top
    voxel = to_voxel @ np.array([0, 0, 31, 1])
    assert voxel[:3] == pytest.approx([31.5 * 40 / 32 - 0.5, 35, 29])


def test_a_map_on_the_thumbnail_is_the_map_on_the_film(model):
    film = cv2.resize(film_pixels(4), (1000, 1200), interpolation=cv2.INTER_CUBIC)
    image = Image.from_picture(film)
    prepared, reading = _read(model, image)
    answer = next(model.stream([prepared.tensor]))
    painter = HeatPainter(model)
    # all of the relevance, not only what lies above a flag
    painter._scale = replace(painter._scale, low=0.0)
    levels = painter.levels(answer.features, reading)[..., 0]
    full = heatmap_of(model, answer.features, prepared, label="abnormal")[..., 0]
    oracle = cv2.resize(full, levels.shape[::-1], interpolation=cv2.INTER_AREA)
    cells = answer.features[0].size
    assert levels.shape == (320, 384)
    assert np.abs(levels - oracle * cells).max() < 0.02 * levels.max()


def _with_flag(path, flag):
    facts = json.loads((path / "bundle.json").read_text())
    for point in facts["operating_points"]:
        point.update(flag=flag, review=flag / 2)
    (path / "bundle.json").write_text(json.dumps(facts))
    return Model.open(path)


def test_a_level_is_how_far_a_cell_alone_lies_above_the_flag_threshold(tmp_path):
    model = _with_flag(three_bands(tmp_path / "m"), 0.525)
    image = Image.from_picture(film_pixels(3))
    prepared, _ = _read(model, image)
    answer = next(model.stream([prepared.tensor]))
    weight, bias = model.bundle.head()
    alone = np.tensordot(weight[0], answer.features, axes=1) + bias[0]
    score = answer.prediction.probability
    assert alone.mean() == pytest.approx(np.log(score / (1 - score)), abs=1e-4)
    excess = np.maximum(alone - np.log(0.525 / 0.475), 0)
    assert 0 < (excess > 0).sum() < excess.size
    rows, columns = excess.shape
    cell_by_cell = Grid((columns, rows, 1), tuple(_tensor_to_cells(32 / rows).ravel()))
    reading = Reading(grid=cell_by_cell, tensor=prepared.tensor)
    painter = HeatPainter(model)
    levels = painter.levels(answer.features, reading)[..., 0].T
    assert np.abs(levels - excess).max() < 1e-4
    assert "just reach the flag threshold" in painter.scale.meaning


def _tensor_to_cells(ratio):
    way = np.diag([1 / ratio, 1 / ratio, 1, 1])
    way[:2, 3] = 0.5 / ratio - 0.5
    return way


def test_where_a_flag_takes_no_evidence_colour_is_all_that_speaks_for_it(tmp_path):
    model = _with_flag(three_bands(tmp_path / "m"), 0.01)
    painter = HeatPainter(model)
    assert painter._scale.low == 0
    assert "speaks for abnormal at all" in painter.scale.meaning


def test_a_film_in_which_nothing_reaches_a_flag_stays_grey(tmp_path):
    model = _with_flag(three_bands(tmp_path / "calm"), 0.999999)
    prepared, reading = _read(model, Image.from_picture(film_pixels(2)))
    answer = next(model.stream([prepared.tensor]))
    assert model.relevance(answer.features, "abnormal").max() > 0
    painter = HeatPainter(model)
    levels = painter.levels(answer.features, reading)
    assert levels.max() == 0
    painted = painter.paint(reading.pictures[0], levels[..., 0])
    assert painted == reading.pictures[0]
    levels[0, 0] = 100
    painted = painter.paint(reading.pictures[0], levels[..., 0])
    picture = cv2.imdecode(np.frombuffer(painted, np.uint8), cv2.IMREAD_COLOR)
    calm = picture[8:, 8:].astype(int)  # all but the block of the one hot pixel
    assert np.abs(calm - _decoded(reading.pictures[0])[8:, 8:, None]).max() <= 6
    assert np.ptp(calm, axis=-1).max() == 0


def test_the_same_level_has_the_same_colour_in_every_image(model):
    painter = HeatPainter(model)
    grey = cv2.imencode(".jpg", np.full((24, 32), 100, np.uint8))[1].tobytes()
    weak, strong = np.zeros((32, 24), np.float32), np.zeros((32, 24), np.float32)
    weak[8:16, 16:24], strong[8:16, 16:24], strong[:8, :8] = 2, 2, 1000
    colours = []
    for levels in (weak, strong):
        coded = np.frombuffer(painter.paint(grey, levels), np.uint8)
        colours.append(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    assert (colours[0][16:24, 8:16] == colours[1][16:24, 8:16]).all()
    blue, _, red = colours[0][20, 12].astype(int)
    assert red > blue + 30  # column 12, row 20 is warm
    assert (colours[0][:8, :8] == 100).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_painted_picture_is_the_layer_laid_over_it(model, channels):
    painter = HeatPainter(model)
    rng = np.random.default_rng(0)
    bgr = cv2.resize(rng.integers(0, 256, (5, 4, channels), np.uint8), (96, 120))
    picture = cv2.imencode(".jpg", bgr)[1].tobytes()
    levels = cv2.resize(rng.uniform(0, 6, (4, 5)).astype(np.float32), (120, 96))
    painted = np.frombuffer(painter.paint(picture, levels), np.uint8)
    coded = np.frombuffer(picture, np.uint8)
    below = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
    share = np.minimum(levels.T / 4, 1)[..., None]
    hues = colour_scale()[np.rint(share[..., 0] * 255).astype(int)]
    oracle = below * (1 - 0.6 * share) + hues * (0.6 * share)
    found = cv2.imdecode(painted, cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(found - oracle).mean() < 2
    assert np.abs(found - oracle).max() < 20


def test_the_legend_says_what_the_colours_mean(model):
    scale = HeatPainter(model).scale
    assert "not a lesion's outline" in scale.meaning
    assert (scale.label, scale.unit, scale.low, scale.high) == (
        "abnormal",
        "log-odds",
        0,
        4,
    )
    assert "gain 4 log-odds" in scale.meaning
    assert len(scale.colours) == 9
    assert all(colour.startswith("#") for colour in scale.colours)


def test_a_reading_travels_between_processes_unchanged():
    tensor = np.random.default_rng(0).normal(0, 1, (1, 5, 7)).astype(np.float32)
    grid = Grid((7, 5, 2), tuple(float(n) for n in range(16)))
    identity = {"patient_id": "Ü", "study_uid": None, "series_uid": "1", "sop_uid": "2"}
    there = io.BytesIO()
    for reading in (
        Reading(identity, pictures=(b"ab", b"c"), grid=grid, tensor=tensor),
        Reading(failure=Failure("decode", "broken", "copy it")),
    ):
        send(there, Kind.ANSWER, message_of(reading))
    there.seek(0)
    first, second = (reading_of(receive(there, 1 << 20)[1:]) for _ in range(2))
    assert first.identity == identity
    assert (first.pictures, first.grid) == ((b"ab", b"c"), grid)
    assert (first.tensor == tensor).all()
    assert first.tensor.flags.writeable
    assert second.failure == Failure("decode", "broken", "copy it")
    assert second.tensor is None
    with pytest.raises(EOFError):
        receive(there, 1 << 20)


@pytest.mark.slow
@pytest.mark.shared_data
def test_odd_and_malformed_files_from_elsewhere_are_one_row_each(
    shared_data, model, tmp_path
):
    torture = shared_data / "dicom-torture"
    files = sorted(p for p in torture.rglob("*") if p.is_file())
    limits = Limits(timeout_s=20.0)
    run = {"model": model, "output": tmp_path / "out", "limits": limits}
    cases = list(medcnn.screen(torture, **run))
    visible = [p for p in files if not p.name.startswith(".") and p.name != "DICOMDIR"]
    assert len(cases) == len(visible)
    assert len({case.path for case in cases}) == len(cases)
    for case in cases:
        assert case.reason or case.prediction
