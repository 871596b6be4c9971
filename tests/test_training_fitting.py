"""medcnn.training.fitting: refused at once, not after the last epoch."""

import json

import pytest
from trainings import RECIPE, write_blobs

from medcnn.dataset import read_cases
from medcnn.errors import DataError, OutputError, RecipeError
from medcnn.networks import build
from medcnn.training import Recipe
from medcnn.training.fitting import (
    refuse_output_within,
    refuse_small_pictures,
    refuse_unfit,
)
from medcnn.training.planned import plan_training


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    file = write_blobs(tmp_path_factory.mktemp("blobs"), count=12)
    return read_cases(file, labels=["blob", "late"])


def recipe(**changes) -> Recipe:
    raw = json.loads(json.dumps(RECIPE))
    return Recipe.model_validate(raw | changes)


def opinion(**parts):
    whole = {"column": "reader", "positive": ["yes"], "negative": ["no"]}
    return {"extra_truth": {"second": whole | parts}}


def test_a_recipe_that_fits_is_let_through(table):
    refuse_unfit(recipe(), table)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"report": {"subgroups": ["sight"]}}, DataError, "no column 'sight'"),
        ({"report": {"labels": ["blub"]}}, RecipeError, "report.labels names 'blub'"),
        ({"report": opinion(column="rader")}, DataError, "no column 'rader'"),
        ({"report": opinion(label="blub")}, RecipeError, "second.label names 'blub'"),
        ({"operating_point": {"where": {"sight": "a"}}}, DataError, "'sight'"),
        ({"select": {"label": "blub"}}, RecipeError, "select.label names 'blub'"),
        ({"select": {"where": {"sight": "a"}}}, DataError, "'sight'"),
        ({"sampling": {"column": "sight"}}, DataError, "no column 'sight'"),
        ({"selftest": "nowhere.png"}, RecipeError, "no such file"),
    ],
)
def test_what_is_used_last_is_looked_at_first(table, changes, kind, words):
    with pytest.raises(kind, match=words):
        refuse_unfit(recipe(**changes), table)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([8, 32, 32], r"8 x 32 x 32 is for volumes, .* pictures .*\(rows, columns\)"),
        ([32, 32], None),
    ],
)
def test_an_input_of_other_dimensions_is_refused_by_the_plan_already(
    table, shape, words
):
    said = {"labels": ["blob"], "input.shape": shape}
    if words is None:
        assert plan_training(table.source, settings=said).plan.recipe.input.dims == 2
    else:
        with pytest.raises(RecipeError, match=words):
            plan_training(table.source, settings=said)


def test_pictures_of_which_nothing_is_left_are_refused():
    network = build(
        "basic_cnn", dims=2, in_channels=1, labels=1, depth=4
    )  # halves the picture three times
    refuse_small_pictures(network, recipe(input={"shape": [8, 8]}, progressive=[]))
    assert network.training
    with pytest.raises(RecipeError, match=r"\(8, 4\) are too small for basic_cnn"):
        refuse_small_pictures(network, recipe(input={"shape": [8, 4]}, progressive=[]))


def test_an_output_among_the_images_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for output in (data / "model", data / "ill" / "model", data):
        with pytest.raises(OutputError, match="lies in the folder of the images"):
            refuse_output_within(data, output)
    refuse_output_within(data, tmp_path / "data-model")
