"""The recipes: readable, and the chest-xray table true to its sources."""

import csv
import importlib.util
import json
from collections import Counter

import numpy as np
import pytest

from medcnn.dataset import (
    assign_splits,
    content_hashes,
    find_leaks,
    read_cases,
)
from medcnn.networks import NETWORKS
from medcnn.training import read_recipe


@pytest.fixture(scope="module")
def table(repository, shared_data, tmp_path_factory):
    path = repository / "recipes" / "chest_xray_table.py"
    spec = importlib.util.spec_from_file_location("chest_xray_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file = tmp_path_factory.mktemp("table") / "chest-xray.csv"
    folders = (shared_data / f"chest-xray-{name}" for name in ("nih", "kermany"))
    assert module.write_table(*folders, file) == 1992 + 5840
    return file


def test_every_recipe_can_be_read(repository):
    recipes = list((repository / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        recipe = read_recipe(path)
        assert recipe.network.name in NETWORKS
        assert recipe.card.data != "Not stated."


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_chest_table_leaks_nothing_and_keeps_the_official_splits(repository, table):
    recipe = read_recipe(repository / "recipes" / "chest-xray.toml")
    cases = read_cases(table, labels=recipe.labels, attributes=recipe.attributes)
    hashes = content_hashes(cases)
    whole = assign_splits(cases, hashes, rng=np.random.default_rng(0))
    assert whole == cases
    assert not find_leaks(cases, ())
    counts = Counter(zip(cases.column("site"), cases.column("split"), strict=True))
    assert counts == {
        ("nih", "train"): 1689,
        ("nih", "val"): 303,
        ("kermany", "train"): 4707,
        ("kermany", "val"): 509,
        ("kermany", "test"): 624,
    }
    for column in (*recipe.report.subgroups, *recipe.select.where):
        assert set(cases.column(column)) - {""}


@pytest.mark.shared_data
def test_the_chest_table_says_what_its_sources_say(shared_data, table):
    with table.open(newline="") as file:
        rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    with (shared_data / "chest-xray-nih" / "metadata.csv").open(newline="") as file:
        sources = list(csv.DictReader(file))
    for source in sources:
        row, mined = rows[source["image"]], source["nih_labels"]
        contradicted = {
            ("1", "Normal"),
            ("0", "Lung Opacity"),
            ("0", "No Lung Opacity / Not Normal"),
        }
        doubt = (source["abnormal"], source["rsna_class"]) in contradicted
        unknown = doubt and source["split"] == "train"
        assert row["abnormal"] == ("" if unknown else source["abnormal"])
        assert row["lung_opacity"] == source["rsna_opacity"].partition(".")[0]
        assert (row["lung_opacity"] == "1") == (source["rsna_class"] == "Lung Opacity")
        assert row["nodule_or_mass"] == str(int("Nodule" in mined or "Mass" in mined))
        assert row["effusion"] == str(int("Effusion" in mined))
        assert unknown or (row["abnormal"] == "0") == (mined == "No Finding")


@pytest.mark.shared_data
def test_the_chest_table_has_the_radiologists_boxes(shared_data, table):
    labels = tuple(LABELS_WITH_BOXES)
    cases = read_cases(table, labels=labels).cases
    found = {case.path.name: case.places for case in cases}
    counts = Counter()
    with (shared_data / "chest-xray-nih" / "metadata.csv").open(newline="") as file:
        for source in csv.DictReader(file):
            nih, rsna = (json.loads(source[f"bboxes_{by}"]) for by in ("nih", "rsna"))
            places = found.pop(source["image"])
            wanted = {"abnormal": [b[1:] for b in nih] + rsna, "lung_opacity": rsna}
            for label, names in LABELS_WITH_BOXES.items():
                if names:
                    wanted[label] = [b[1:] for b in nih if b[0] in names]
                boxes = places[label].boxes if label in places else ()
                told = sorted([*box.low, *box.high] for box in boxes)
                assert told == sorted(wanted[label]), (source["image"], label)
                counts[source["split"], label] += bool(boxes)
    assert counts["train", "abnormal"] == 620
    assert counts["val", "abnormal"] == 115
    assert not any(found.values())  # nobody drew boxes on the children's films


LABELS_WITH_BOXES = {
    "abnormal": (),
    "lung_opacity": (),
    "infiltration": ("Infiltrate",),
    "atelectasis": ("Atelectasis",),
    "effusion": ("Effusion",),
    "cardiomegaly": ("Cardiomegaly",),
    "nodule_or_mass": ("Nodule", "Mass"),
    "pneumothorax": ("Pneumothorax",),
}


@pytest.mark.shared_data
def test_a_childs_pneumonia_is_an_opacity_with_findings_unknown(table):
    with table.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["site"] == "kermany"]
    ill = [row for row in rows if row["abnormal"] == "1"]
    well = [row for row in rows if row["abnormal"] == "0"]
    assert (len(ill), len(well)) == (4265, 1575)
    assert {(row["lung_opacity"], row["effusion"]) for row in ill} == {("1", "")}
    assert {(row["lung_opacity"], row["effusion"]) for row in well} == {("0", "0")}
