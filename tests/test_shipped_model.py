"""The shipped model's bundle.json, card, recipe and README tell the same."""

import re

import pytest

from medcnn.bundle import open_bundle
from medcnn.training import read_recipe


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("chest-xray")


def test_the_card_holds_every_word_of_the_recipe(bundle, repository):
    recipe = read_recipe(repository / "recipes" / "chest-xray.toml")
    for name, text in recipe.card.model_dump().items():
        assert text.strip() in bundle.card(), name
        kept = bundle.spec.training.recipe["card"][name]
        assert kept.strip() == text.strip(), name


def _row(score):
    interval = f"{score.ci95[0]:.3f} to {score.ci95[1]:.3f}"
    counts = f"{score.n_positive} / {score.n_negative}"
    return (
        f"| {score.label} | {score.subgroup} | {counts} | {score.auroc:.3f} "
        f"| {interval} |"
    )


def test_the_cards_table_is_that_of_bundle_json(bundle):
    rows = [_row(score) for score in bundle.spec.evaluation]
    found = re.findall(
        r"^\| \w+ \| .* \| \d+ / \d+ \| .* to .* \|$", bundle.card(), re.MULTILINE
    )
    assert sorted(found) == sorted(rows)


@pytest.mark.parametrize(
    ("data", "subgroup", "label"),
    [
        ("val", "site = nih", "abnormal"),
        ("val", "nih: RSNA not normal against normal", "abnormal"),
        ("val", "nih: RSNA lung opacity against the rest", "lung_opacity"),
        ("test", "site = kermany", "abnormal"),
    ],
)
def test_the_readme_gives_the_bundles_figures(
    bundle, repository, data, subgroup, label
):
    wanted = data, subgroup, label
    (score,) = (
        s for s in bundle.spec.evaluation if (s.data, s.subgroup, s.label) == wanted
    )
    low, high = score.ci95
    counts = f"{score.n_positive} / {score.n_negative}"
    figures = f"| {counts} | {score.auroc:.3f} ({low:.3f} to {high:.3f}) |"
    lines = (repository / "README.md").read_text(encoding="utf-8").splitlines()
    assert any(x.startswith(f"| `{label}` |") and x.endswith(figures) for x in lines)


def test_the_trust_page_is_of_this_model_and_the_card_repeats_it(bundle, repository):
    page = (repository / "docs" / "trust.md").read_text(encoding="utf-8")
    model, _, table, *_ = page.split("<!-- measured: begin -->")[1].split("\n\n")
    weights = bundle.spec.files["weights.safetensors"][:12]
    assert f"`chest-xray` {bundle.spec.version}, weights `{weights}`" in model
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    found = {label: cells for label, *cells in rows}
    (low, high) = found["abnormal"][1].partition("(")[2].rstrip(")").split(" to ")
    centre = found["abnormal"][2]
    facts = [f"them ({low} to {high}; the image's centre in {centre})"]
    facts += [f"of `lung_opacity` in {found['lung_opacity'][1]}"]
    for label in ("effusion", "nodule_or_mass"):
        facts.append(f"of `{label}` in {found[label][1].partition(' ')[0]}")
    words = " ".join(bundle.card().split())
    assert [fact for fact in facts if fact not in words] == []
    better = {label for label, cells in found.items() if cells[-1].startswith("better")}
    assert found.keys() - better == {"cardiomegaly", "pneumothorax"}
