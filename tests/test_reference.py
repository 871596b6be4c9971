"""medcnn reference: a model's own sample, and what screening makes of it."""

import csv
import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import write_rows

import medcnn
from medcnn.assessment import Run, refer
from medcnn.drift import REFERENCE
from medcnn.errors import DataError, OutputError

RUN = Run(workers=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model, and 60 pictures of 55 patients in a table."""
    folder = tmp_path_factory.mktemp("reference")
    make_bundle(folder / "tiny")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(60):
        picture = rng.normal(100, 20, (64, 64)) + 60 * (n % 2)
        cv2.imwrite(str(folder / f"{n}.png"), picture.clip(0, 255).astype(np.uint8))
        rows.append(
            {
                "path": f"{n}.png",
                "patient_id": f"p{min(n, 54)}",
                "split": "val" if n < 57 else "test",
                "site": "here" if n < 58 else "there",
                "abnormal": n % 2,
            }
        )
    write_rows(folder / "table.csv", rows)
    return folder


def test_only_the_sample_and_its_checksum_are_new(world, tmp_path):
    found = refer(
        world / "tiny", world / "table.csv", output=tmp_path / "new",
        split="val", where=("site=here",), run=RUN,
    )  # fmt: skip
    before, after = medcnn.open_bundle(world / "tiny"), found.bundle
    assert after.sha256 == before.sha256
    own = {name: x for name, x in after.spec.files.items() if name != REFERENCE}
    old = {name: x for name, x in before.spec.files.items() if name != REFERENCE}
    assert own == old
    assert after.spec.model_copy(update={"files": {}}) == before.spec.model_copy(
        update={"files": {}}
    )
    sample = after.reference()
    assert (sample.images, sample.units) == (57, 55)
    assert sample.source.endswith("(val, site=here)")


def test_the_sample_holds_what_predict_says_of_the_first_image_of_each(world, tmp_path):
    found = refer(world / "tiny", world / "table.csv", output=tmp_path / "new", run=RUN)
    model = medcnn.Model.open(world / "tiny")
    said = [
        model.predict(medcnn.load(world / f"{n}.png")).probability for n in range(55)
    ]
    assert np.allclose(found.sample.numbers["score"].values, sorted(said), atol=1e-5)


def test_screening_compares_a_run_with_it(world, tmp_path, medcnn):
    told = medcnn(
        "reference", world / "table.csv", "--model", world / "tiny",
        "-o", tmp_path / "new",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "Stored 55 of 60 images" in told.stdout
    for folder, change in (("same", 0), ("moved", 1)):
        (tmp_path / folder).mkdir()
        for n in range(60):
            picture = cv2.imread(str(world / f"{n}.png"), cv2.IMREAD_GRAYSCALE)
            if change:
                picture = np.sqrt(picture / 255.0)[:48] * 255
            file = tmp_path / folder / f"{n}.png"
            cv2.imwrite(str(file), picture.astype(np.uint8))
        output = tmp_path / f"out-{folder}"
        medcnn(
            "screen", tmp_path / folder, "--model", tmp_path / "new", "-o", output,
            "--workers", "1",
        )  # fmt: skip
        run = json.loads((output / "run.json").read_text())
        (one,) = run["drift"]
        assert one["against"] == "the held-out cases of tiny 1 (all)"
        assert (one["verdict"] == "moved") is bool(change), one


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"where": ("site",)}, r"'site' is no column=value"),
        ({"where": ("age=5",)}, r"'age=5' is no column=value"),
        ({"leave_out": ("colour",)}, "'colour' is not among what is compared"),
        ({"where": ("site=nowhere",)}, "no case has site=nowhere"),
        ({"where": ("site=there",)}, r"1 patients \(all, site=there\), 50 are needed"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(world, tmp_path, choice, words):
    with pytest.raises(DataError, match=words):
        refer(
            world / "tiny", world / "table.csv", output=tmp_path / "x", run=RUN,
            **choice,
        )  # fmt: skip


def test_what_is_no_property_of_a_site_can_be_left_out(world, tmp_path):
    names = ("rows", "scope")
    found = refer(
        world / "tiny", world / "table.csv", output=tmp_path / "new", run=RUN,
        leave_out=names,
    )  # fmt: skip
    assert "columns" in found.sample.numbers
    assert not set(names) & {*found.sample.numbers, *found.sample.words}


def test_a_model_is_never_overwritten(world):
    with pytest.raises(OutputError, match="is there already"):
        refer(world / "tiny", world / "table.csv", output=world / "tiny", run=RUN)


def test_images_without_a_patient_are_told(world, tmp_path):
    with (world / "table.csv").open(encoding="utf-8") as file:
        rows = [row | {"patient_id": ""} for row in csv.DictReader(file)]
    table = write_rows(world / "nobody.csv", rows)
    found = refer(world / "tiny", table, output=tmp_path / "new", run=RUN)
    assert any("60 of 60 say no patient" in words for words in found.warnings)


def real_films(folder, source, count):
    """Link films of so many patients, evenly out of all of val, into a folder."""
    with (source / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    firsts = {row["patient_id"]: row["image"] for row in reversed(rows)}
    folder.mkdir()
    spread = np.linspace(0, len(firsts) - 1, count).astype(int)
    for path in (list(firsts.values())[n] for n in spread):
        found = next(p for p in (source / path, source / "images" / path) if p.exists())
        (folder / found.name).symlink_to(found.resolve())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("chest-xray-nih", "no sign of a move"),
        ("chest-xray-kermany", "moved"),
    ],
)
def test_screening_with_the_shipped_model_says_whether_a_site_moved(
    name, verdict, shared_data, tmp_path
):
    films = real_films(tmp_path / "films", shared_data / name, 60)
    output = tmp_path / "out"
    list(medcnn.screen(films, model="chest-xray", output=output, workers=1))
    (one,) = json.loads((output / "run.json").read_text())["drift"]
    assert one["against"] == "the held-out cases of chest-xray 3 (val, site=nih)"
    assert one["verdict"] == verdict, one["moves"]
    assert {"score", "distance", "brightness"} <= {x["name"] for x in one["moves"]}


@pytest.mark.parametrize(("name", "units"), [("chest-xray", 184), ("vessel-3d", 191)])
def test_the_shipped_models_bring_their_own(name, units):
    sample = medcnn.open_bundle(name).reference()
    assert sample is not None
    assert sample.units == units
    assert {"score", "distance", "brightness"} <= set(sample.numbers)
