"""medcnn.planning: what the data is, what is decided, why; a person overrides it."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from dicoms import oblique, picture, save, save_series, series

from medcnn.dataset import read_cases
from medcnn.errors import DataError, RecipeError
from medcnn.planning import (
    Fingerprint,
    Machine,
    Recipe,
    fingerprint,
    make_plan,
    parse_settings,
    read_recipe,
)
from medcnn.planning.fingerprint import LabelCount, Spread
from medcnn.planning.memory import bytes_per_image

CPU = Machine(memory_gb=24)
GPU = Machine(device="cuda", memory_gb=24, half=True)


def spread(*voxels):
    return Spread(smallest=voxels, median=voxels, largest=voxels)


def data(**changes) -> Fingerprint:
    """Return the fingerprint of 1,000 grey pictures of 512 x 512, or as changed."""
    facts = {
        "kind": "table",
        "cases": 1000,
        "splits": {"train": 700, "val": 100, "test": 200},
        "task": "binary",
        "labels": (LabelCount(label="ill", positive=300, negative=700, unknown=0),),
        "patients": 900,
        "patients_from": "column",
        "sampled": 200,
        "dims": 2,
        "colour": False,
        "modality": None,
        "modalities": (),
        "sizes": spread(512, 512, 1),
        "spacings_mm": None,
        "extents_vary": 0.0,
        "oriented": False,
        "stored": ("uint8",),
        "binary": False,
        "values": {
            "p0.5": 0,
            "p5": 5,
            "p50": 90,
            "p95": 200,
            "p99.5": 250,
            "zero": 0.1,
        },
        "unit": None,
        "body_parts": (),
        "laterality": True,
        "laterality_reason": "it does",
        "groups": (),
        "seconds_each": 0.01,
    }
    return Fingerprint.model_validate(facts | changes)


def volumes(**changes) -> Fingerprint:
    facts = {"dims": 3, "sizes": spread(200, 200, 100), "modality": "CT", "unit": "HU"}
    facts |= {"spacings_mm": spread(1, 1, 2), "oriented": True, "stored": ("int16",)}
    return data(**(facts | changes))


def classes(number, *, task="multi-class", **changes) -> Fingerprint:
    one = LabelCount(label="one", positive=300, negative=700, unknown=0)
    several = tuple(one.model_copy(update={"label": f"c{n}"}) for n in range(number))
    return data(task=task, labels=several, splits={}, **changes)


SMALL = {"sizes": spread(28, 28, 1)}
CUBE = {"dims": 3, "sizes": spread(28, 28, 28)}
VARIED = Spread(smallest=(300, 400, 1), median=(400, 500, 1), largest=(900, 900, 1))

RULES = [  # what the data is, on what machine, key, value, words of the reason
    (data(), CPU, "input.channels", 1, "grey"),
    (data(colour=True), CPU, "input.channels", 3, "true colour"),
    (data(), CPU, "input.shape", (224, 224), "usual size"),
    (data(**SMALL), CPU, "input.shape", (28, 28), "all of them are kept"),
    (data(sizes=spread(100, 130, 1)), CPU, "input.shape", (128, 128), "130 pixels"),
    (data(sizes=VARIED), CPU, "input.fit", "letterbox", "its aspect"),
    (data(), CPU, "input.fit", "stretch", "all images have this aspect"),
    (data(**CUBE), CPU, "input.shape", (28, 28, 28), "all are kept"),
    (volumes(), CPU, "input.shape", (80, 80, 80), "512,000 voxels for a CPU"),
    (volumes(), GPU, "input.shape", (96, 128, 128), "for a GPU"),
    (volumes(), CPU, "input.orient", "LPS", "as on a screen"),
    (volumes(), CPU, "input.fit", "stretch", "alike"),
    (volumes(extents_vary=0.3), CPU, "input.fit", "spacing", "differ by 30%"),
    (volumes(extents_vary=0.3), CPU, "input.spacing_mm", (2.5, 2.5, 2.5), "middle"),
    (volumes(body_parts=("CHEST",)), CPU, "input.window", (-600, 1500), "lung window"),
    (volumes(body_parts=("HEAD",)), CPU, "input.window", (40, 80), "brain window"),
    (volumes(), CPU, "input.window", (0, 2000), "-1000 to 1000 HU"),
    (volumes(), CPU, "input.cache_bits", 16, "wide range"),
    (volumes(modality="MR", unit=None), CPU, "input.zscore", True, "not 0"),
    (volumes(modality="MR", unit=None), CPU, "input.mean", 0.5, "deviations"),
    (data(modality="DX"), CPU, "input.percentiles", (0.5, 99.5), "devices"),
    (data(colour=True), CPU, "input.window", (127.5, 255), "colour"),
    (data(**SMALL), CPU, "input.window", (127.5, 255), "small 8-bit"),
    (data(**SMALL), CPU, "input.mean", 0.5, "random weights"),
    (data(**CUBE, binary=True), CPU, "augmentation.noise", 0.0, "no brightness"),
    (data(), CPU, "network.name", "resnet18", "a CPU"),
    (data(), GPU, "network.name", "densenet121", "MedMNIST"),
    (data(**SMALL), GPU, "network.arguments", {"stem": "small", "width": 64}, "64 px"),
    (data(**CUBE), CPU, "network.arguments", {"stem": "half", "width": 32}, "a half"),
    (data(**SMALL), CPU, "optimiser.batch_size", 64, "stable"),
    (data(cases=80, splits={"": 80}), CPU, "optimiser.batch_size", 4, "10 steps"),
    (
        *(volumes(), Machine(memory_gb=1), "optimiser.batch_size", 4),
        "40% of 1 GB",
    ),
    (data(**SMALL), CPU, "optimiser.epochs", 58, "700 an epoch"),
    (data(cases=90_000, splits={"": 90_000}), CPU, "optimiser.epochs", 5, "5 to 30"),
    (classes(8, **SMALL, cases=9_000), CPU, "optimiser.epochs", 21, "for 8 classes"),
    (classes(8, **SMALL, task="multi-label"), CPU, "optimiser.epochs", 48, "40,000 i"),
    (data(), CPU, "loss.pos_weight", "none", "30.0 %"),
    (
        data(labels=(LabelCount(label="a", positive=9, negative=991, unknown=0),)),
        *(CPU, "loss.pos_weight", "balanced", "0.9 %"),
    ),
    (data(laterality=True), CPU, "augmentation.flip", False, "it does"),
    (data(laterality=False), CPU, "augmentation.flip", True, "it does"),
    (data(), CPU, "folds", 1, "worth it with so few"),
    (data(modalities=("CR", "DX")), CPU, "gate.modalities", ("CR", "DX"), "scope"),
    (data(groups=("sex",)), CPU, "report.subgroups", ("sex",), "few groups"),
    (
        data(modalities=("DX",), body_parts=("CHEST",), modality="DX"),
        *(CPU, "input.hang", True, "hung"),
    ),
]


def value_of(recipe, key):
    for name in key.split("."):
        recipe = getattr(recipe, name)
    return recipe


@pytest.mark.parametrize(
    ("found", "machine", "key", "value", "words"),
    RULES,
    ids=[f"{rule[2]} {n}" for n, rule in enumerate(RULES)],
)
def test_every_rule_decides_and_says_why(found, machine, key, value, words):
    plan = make_plan(found, machine)
    assert value_of(plan.recipe, key) == value
    (decision,) = [one for one in plan.decisions if one.key == key]
    assert words.replace("px", "pixels") in decision.reason
    assert "\n" not in decision.reason
    assert decision.by == "plan"


def test_every_decision_has_a_reason_and_its_rule_a_test():
    tested = {rule[2] for rule in RULES}
    related = {"input.std", "augmentation", "optimiser", "seeds", "input.mean", "gate"}
    for found in (data(), volumes(extents_vary=1), data(**CUBE), data(colour=True)):
        for one in make_plan(found, CPU).decisions:
            assert one.reason
            assert one.key in tested or {one.key, one.key.partition(".")[0]} & related


def test_what_a_person_says_holds_and_the_reason_tells_what_the_plan_would_do():
    recipe = Recipe.model_validate({"optimiser": {"epochs": 3}, "val_share": 0.3})
    plan = make_plan(data(), CPU, recipe=recipe, settings={"augmentation.flip": True})
    by_key = {one.key: one for one in plan.decisions}
    assert plan.recipe.optimiser.epochs == 3
    assert plan.recipe.val_share == 0.3
    assert plan.recipe.augmentation.flip is True
    assert by_key["optimiser.epochs"].by == "recipe"
    assert "the plan's 30" in by_key["optimiser.epochs"].reason
    assert by_key["augmentation.flip"].reason == (
        "--set says so; the plan's False: it does"
    )
    assert plan.recipe.optimiser.patience == 5  # half of 3 epochs is too few


def test_settings_come_before_the_recipe():
    recipe = Recipe.model_validate({"optimiser": {"epochs": 3}})
    plan = make_plan(data(), CPU, recipe=recipe, settings={"optimiser.epochs": 4})
    assert plan.recipe.optimiser.epochs == 4


def test_single_arguments_of_the_network_are_put_among_the_planned_ones():
    said = parse_settings(["network.arguments.width=16"])
    plan = make_plan(data(**SMALL), CPU, settings=said)
    assert plan.recipe.network.arguments == {"stem": "small", "width": 16}
    other = make_plan(data(**SMALL), CPU, settings={"network.name": "basic_cnn"})
    assert other.recipe.network.arguments == {}


def test_a_recipe_may_stand_alone():
    recipe = Recipe.model_validate({"base": "defaults", "optimiser": {"epochs": 3}})
    plan = make_plan(data(colour=True), CPU, recipe=recipe)
    assert plan.recipe == recipe
    assert {one.key for one in plan.decisions} == {"base", "optimiser.epochs"}


def test_pretrained_weights_learn_slower_than_the_head():
    plan = make_plan(data(), CPU, settings={"network.pretrained": "/secret/w.pth"})
    assert plan.recipe.optimiser.lr_body < plan.recipe.optimiser.lr_head
    assert "/secret" not in plan.to_json()


def test_a_plan_is_json_that_can_be_read_again():
    plan = make_plan(volumes(), CPU)
    again = json.loads(plan.to_json())
    assert Recipe.model_validate(again["recipe"]) == plan.recipe
    assert again["decisions"][0].keys() == {"key", "value", "reason", "by"}
    assert Fingerprint.model_validate(again["fingerprint"]) == plan.fingerprint


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optimiser.epochs", "takes key=value, got 'optimiser.epochs'"),
        ("=3", "takes key=value"),
        ("optimiser.epoch=3", "no such key.*Did you mean optimiser.epochs"),
        ("epochs=3", "no such key.*Did you mean optimiser.epochs"),
        ("learning=3", "no such key"),
        ("optimiser.epochs=-1", "optimiser.epochs: .*greater than or equal to 1"),
        ("input.fit=crop", "input.fit"),
        ("run.workers=-1", "run.workers.*greater than or equal to 0"),
        ("input.shape=[0, 32]", "input.shape.0: .*greater than or equal to 1"),
        ("network.name.x=1", "no such key"),
    ],
)
def test_a_wrong_setting_is_refused_and_the_nearest_key_named(setting, words):
    with pytest.raises(RecipeError, match=words):
        parse_settings([setting])


@pytest.mark.parametrize("order", [1, -1])
def test_a_table_that_is_none_is_refused_whatever_is_put_into_it(order):
    said = ["network.arguments=5", "network.arguments.width=4"][::order]
    with pytest.raises(RecipeError, match=r"network\.arguments: .*dictionary"):
        parse_settings(said)


def test_settings_are_numbers_lists_tables_and_words():
    said = parse_settings(
        ["input.shape=[64, 64]", "network.name=resnet50", "loss.pos_weight={ill=3}"]
    )
    assert said["input.shape"] == [64, 64]
    assert said["network.name"] == "resnet50"
    plan = make_plan(data(), CPU, settings=said)
    assert plan.recipe.input.shape == (64, 64)
    assert plan.recipe.loss.pos_weight == {"ill": 3.0}


def test_a_recipe_with_an_unknown_key_names_the_nearest(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text("[optimiser]\nepoch = 3\n")
    with pytest.raises(
        RecipeError, match=r"unknown key.*Did you mean optimiser\.epochs"
    ):
        read_recipe(file)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(RecipeError, match=r"do not go together: .*progressive"):
        make_plan(data(), CPU, settings={"progressive": [[40, 64]]})


def test_a_narrow_network_and_a_small_picture_take_less_memory():
    wide = bytes_per_image("resnet18", {"stem": "small"}, (64, 64))
    assert (
        bytes_per_image("resnet18", {"stem": "small", "width": 32}, (64, 64))
        == wide / 2
    )
    assert bytes_per_image("resnet18", {"stem": "small"}, (32, 32)) == wide / 4
    assert bytes_per_image("resnet18", {}, (64, 64)) < wide / 5


def write_pictures(folder, count=12, *, colour=False, side=40, **columns):
    rng = np.random.default_rng(1)
    lines = [",".join(["path", "ill", *columns])]
    for n in range(count):
        shape = (side, side, 3) if colour else (side, side)
        cv2.imwrite(str(folder / f"{n}.png"), rng.integers(0, 256, shape, np.uint8))
        values = [values[n % len(values)] for values in columns.values()]
        lines.append(",".join([f"{n}.png", str(n % 2), *values]))
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return read_cases(folder / "cases.csv", labels=["ill"])


def test_the_fingerprint_says_what_the_pictures_are(tmp_path):
    found = fingerprint(write_pictures(tmp_path, patient_id=["a", "b", "c"]))
    assert (found.cases, found.sampled, found.dims) == (12, 12, 2)
    assert (found.colour, found.modality, found.unit) == (False, None, None)
    assert (found.patients, found.patients_from) == (3, "column")
    assert found.labels[0] == LabelCount(label="ill", positive=6, negative=6, unknown=0)
    assert found.sizes.median == (40, 40, 1)
    assert (found.splits, found.to_learn) == ({"": 12}, 10)
    assert found.is_small
    assert found.task == "binary"
    assert "nothing says" in found.laterality_reason


def test_colour_without_a_modality_may_be_mirrored_and_grey_may_not(tmp_path):
    assert not fingerprint(write_pictures(tmp_path, colour=True)).laterality
    assert fingerprint(write_pictures(tmp_path)).laterality
    assert not fingerprint(write_pictures(tmp_path), modality="SM").laterality


def test_labels_and_views_that_name_sides_are_seen(tmp_path):
    table = write_pictures(tmp_path, colour=True, view=["PA", "AP"])
    found = fingerprint(table)
    assert found.laterality
    assert found.laterality_reason == (
        "the column 'view' holds AP, PA, so these are radiographs"
    )
    plain = write_pictures(tmp_path, colour=True)
    sided = replace(
        plain,
        labels=("kidney-left",),
        cases=tuple(replace(c, truth={"kidney-left": 1.0}) for c in plain.cases),
    )
    assert "names a side" in fingerprint(sided).laterality_reason


def test_headers_say_modality_part_and_patient(tmp_path):
    for n in range(4):
        film = picture(
            np.full((80, 90), n, np.uint16) + np.arange(90, dtype=np.uint16),
            PatientID=f"p{n // 2}",
            BodyPartExamined="CHEST",
        )
        save(film, tmp_path / f"{n}.dcm")
    rows = "\n".join(f"{n}.dcm,{n % 2}" for n in range(4))
    (tmp_path / "cases.csv").write_text(f"path,ill\n{rows}\n")
    found = fingerprint(read_cases(tmp_path / "cases.csv"))
    assert (found.modality, found.modalities) == ("CR", ("CR",))
    assert found.body_parts == ("CHEST",)
    assert (found.patients, found.patients_from) == (2, "header")
    plan = make_plan(found, CPU)
    assert plan.recipe.gate.modalities == ("CR",)
    assert plan.recipe.augmentation.flip is False


def test_pictures_among_volumes_are_refused_by_name(tmp_path):
    write_pictures(tmp_path, count=2)
    np.save(tmp_path / "v.npy", np.zeros((8, 8, 8)))
    (tmp_path / "cases.csv").write_text("path,ill\n0.png,1\nv.npy,0\n")
    with pytest.raises(DataError, match=r"mixes pictures .* and volumes .*v\.npy"):
        fingerprint(read_cases(tmp_path / "cases.csv"))


def test_an_unreadable_image_is_named_before_anything_is_planned(tmp_path):
    table = write_pictures(tmp_path, count=4)
    (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"1 of 4 sampled images .*2\.png"):
        fingerprint(table)


def expected(shared_data, tmp_path, name):
    """Return the plan of a real data set."""
    if name == "nih":
        folder = shared_data / "chest-xray-nih"
        text = (folder / "metadata.csv").read_text(encoding="utf-8")
        header, *rows = text.splitlines()
        lines = [header.replace("image,", "path,", 1)]
        lines += [f"{folder / 'images'}/{row}" for row in rows]
        (tmp_path / "nih.csv").write_text("\n".join(lines) + "\n")
        table = read_cases(tmp_path / "nih.csv", labels=["abnormal"])
    else:
        table = read_cases(shared_data / name)
    return make_plan(fingerprint(table), CPU)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "shape", "flip", "network", "epochs"),
    [
        ("medmnist/pneumoniamnist.npz", (28, 28), False, "small", 9),
        ("medmnist/vesselmnist3d.npz", (28, 28, 28), False, "half", 15),
        ("nih", (224, 224), False, None, 30),
        ("chest-xray-kermany", (224, 224), False, None, 14),
    ],
)
def test_the_plan_of_real_data_is_what_a_radiologist_expects(
    shared_data, tmp_path, name, shape, flip, network, epochs
):
    plan = expected(shared_data, tmp_path, name)
    recipe = plan.recipe
    assert recipe.input.shape == shape
    assert recipe.augmentation.flip is flip
    assert recipe.input.channels == 1
    assert recipe.network.name == "resnet18"
    assert recipe.network.arguments.get("stem") == network
    assert recipe.optimiser.epochs <= epochs
    if name == "nih":
        assert plan.fingerprint.patients == 1228
        assert recipe.input.fit == "stretch"  # all are 320 x 320
        assert set(plan.fingerprint.groups) >= {"sex", "view"}
        assert "AP, PA" in plan.fingerprint.laterality_reason


def test_series_of_ct_are_planned_in_hounsfield_units(tmp_path):
    for n in range(2):
        save_series(series(oblique()), tmp_path / str(n))
    (tmp_path / "cases.csv").write_text("path,ill\n0,1\n1,0\n")
    found = fingerprint(read_cases(tmp_path / "cases.csv"))
    assert (found.dims, found.modality, found.unit) == (3, "CT", "HU")
    assert found.spacings_mm.median == (0.8, 0.6, 2.5)
    assert found.sizes.median == (11, 9, 7)
    assert found.oriented
    plan = make_plan(found, CPU)
    assert plan.recipe.input.window == (0, 2000)
    assert plan.recipe.input.shape == (7, 9, 11)
