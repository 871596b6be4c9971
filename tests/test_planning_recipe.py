"""medcnn.planning.recipe: read, documented, refused by name."""

import pytest

from medcnn.errors import RecipeError
from medcnn.planning.recipe import Recipe, read_recipe


def test_a_recipe_is_read_from_toml_with_paths_relative_to_it(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text('[network]\nname = "basic_cnn"\npretrained = "w.safetensors"\n')
    recipe = read_recipe(file)
    assert recipe.network.pretrained == tmp_path / "w.safetensors"
    assert recipe.input.dims == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 3", "epochs: unknown key"),
        ("[optimiser]\nlearning_rate = 1", "optimiser.learning_rate: unknown key"),
        ("[augmentation]\nflip = 2", "augmentation.flip"),
        ("[operating_point]\nflag = 'best'", "operating_point.flag: .*got 'best'"),
        ("progressive = [[30, 64]]", "the last must be at the full input shape"),
        ("[gate]\nmin_sides = 3", "gate.min_sides: unknown key"),
        ("[report.extra_truth.a]\ncolumn = 'x'", "extra_truth.a.positive"),
        ("[network", "cannot be read as a recipe"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(tmp_path, text, words):
    file = tmp_path / "r.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(file)


def test_every_key_of_the_recipe_is_documented_with_it():
    def sections(model):
        yield model
        for field in model.model_fields.values():
            kind = field.annotation
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                yield from sections(kind)

    for section in sections(Recipe):
        for name in section.model_fields:
            nested = hasattr(section.model_fields[name].annotation, "model_fields")
            assert nested or f"{name}:" in section.__doc__, (section, name)


def test_flipping_is_off_unless_asked_for():
    assert Recipe().augmentation.flip is False
