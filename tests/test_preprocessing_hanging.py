"""Frontal radiographs as radiologists hang them, and heatmaps back on the film."""

import numpy as np
import pytest
from dicoms import picture, save

from medcnn import io
from medcnn.errors import GeometryError
from medcnn.image import Image
from medcnn.planning.sections import Input
from medcnn.preprocessing import Hang, Preprocessing, Resize

HUNG = np.arange(1, 13, dtype=np.uint16).reshape(3, 4)
"""A film as it should hang: 3 rows to the feet, 4 columns to the patient's left."""

STORED = {
    "L\\F": HUNG,
    "R\\F": HUNG[:, ::-1],
    "L\\H": HUNG[::-1],
    "R\\H": HUNG[::-1, ::-1],
    "F\\L": HUNG.T,
    "H\\L": HUNG.T[:, ::-1],
    "F\\R": HUNG.T[::-1],
    "H\\R": HUNG.T[::-1, ::-1],
    "LH\\FP": HUNG,
}
"""The same film as it may be stored, by what Patient Orientation then says."""


def film(pixels, orientation):
    facts = {"patient_orientation": orientation} if orientation else {}
    return Image.from_picture(np.ascontiguousarray(pixels), facts=facts)


@pytest.mark.parametrize("orientation", STORED)
def test_a_film_stored_any_way_is_hung_one_way(orientation):
    prepared = Preprocessing(steps=(Hang(),)).apply(
        film(STORED[orientation], orientation)
    )
    np.testing.assert_array_equal(prepared.tensor[0], HUNG)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("steps", [(Hang(),), (Resize(shape=(6, 8)), Hang())])
def test_a_heatmap_comes_back_to_the_film_as_it_is_stored(orientation, steps):
    stored = STORED[orientation]
    if orientation[0] in "HF" and len(steps) > 1:
        steps = (Resize(shape=(8, 6)), Hang())
    image = film(stored, orientation)
    prepared = Preprocessing(steps=steps).apply(image)
    back = prepared.restore(prepared.tensor[0])[..., 0].T
    assert back.shape == stored.shape
    np.testing.assert_allclose(back, stored, atol=1e-4 if len(steps) == 1 else 1.5)
    corners = np.ix_([0, -1], [0, -1])
    np.testing.assert_array_equal(
        back[corners].argsort(axis=None), stored[corners].argsort(axis=None)
    )


@pytest.mark.parametrize(
    "orientation", ["", "A\\F", "P\\F", "L\\P", "L", "X\\Y", "L\\R"]
)
def test_what_is_not_frontal_or_says_nothing_stays_as_it_is(orientation):
    prepared = Preprocessing(steps=(Hang(),)).apply(film(HUNG, orientation))
    np.testing.assert_array_equal(prepared.tensor[0], HUNG)


def test_padding_is_turned_with_its_film():
    padding = np.zeros((4, 3, 1), bool)
    padding[0, 0] = True  # left column, top row as stored
    stored = HUNG[:, ::-1].copy()
    stored[0, 0] = 60_000
    image = Image.from_picture(
        stored, facts={"patient_orientation": "R\\F"}, padding=padding
    )
    prepared = Preprocessing(steps=(Hang(),)).apply(image)
    assert prepared.tensor[0, 0, 3] == 1  # the lowest acquired value
    assert prepared.tensor.max() == 12


def test_a_mirrored_dicom_film_is_hung(tmp_path):
    stored = np.ascontiguousarray(HUNG[:, ::-1] * 100).astype("<u2")
    parts = {"PatientOrientation": ["R", "F"], "ImagerPixelSpacing": [0.2, 0.1]}
    image = io.load(save(picture(stored, **parts), tmp_path / "a.dcm"))
    assert image.geometry.axis_codes == "RIP"
    prepared = Preprocessing(steps=(Hang(),)).apply(image)
    assert (np.diff(prepared.tensor[0], axis=1) > 0).all()


def test_volumes_are_not_hung():
    with pytest.raises(GeometryError, match="only pictures are hung"):
        Preprocessing(steps=(Hang(),)).apply(Image(np.zeros((1, 3, 4, 5))))


def test_the_step_is_data():
    recipe = Preprocessing(steps=(Hang(), Resize(shape=(4, 4))))
    kept = recipe.model_dump_json()
    assert '{"step":"hang"}' in kept
    assert Preprocessing.model_validate_json(kept) == recipe


def test_a_recipe_hangs_films_before_anything_else():
    steps = Input(hang=True).preprocessing().steps
    assert [step.step for step in steps][:2] == ["hang", "resize"]
    assert "hang" not in [step.step for step in Input().preprocessing().steps]
