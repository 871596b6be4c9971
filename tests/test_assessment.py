"""A model on labelled images: evaluated, compared, calibrated for a site."""

import csv
import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import write_rows
from scipy.special import softmax
from sklearn.metrics import log_loss

import medcnn
from medcnn.assessment import Run
from medcnn.bundle import Temperature
from medcnn.bundle_writing import derive_bundle
from medcnn.dataset import content_hashes, data_sha256, read_cases
from medcnn.dataset.seen import SEEN
from medcnn.errors import DataError, LeakageError, OutputError
from medcnn.metrics.calibration import platt

pytestmark = pytest.mark.slow

RUN = Run(workers=2)
COUNT = 48


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(bundle):
    return medcnn.Model.open(bundle.path)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Pictures whose brightness goes from corner to corner or not, and their table."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :40]
    rows = []
    for n in range(COUNT):
        sick = n % 2
        picture = rng.normal(90, 25, y.shape) + sick * 50 * np.exp(
            -((y - 20) ** 2 + (x - 20) ** 2) / 60
        )
        cv2.imwrite(str(folder / f"{n}.png"), picture.clip(0, 255).astype(np.uint8))
        rows.append(
            {
                "path": f"{n}.png",
                "patient_id": f"p{n}",
                "split": ("train", "train", "test", "test")[n % 4],
                "sex": "FM"[n // 2 % 2],
                "abnormal": sick,
            }
        )
    return write_rows(folder / "table.csv", rows)


def with_file(bundle, folder, name, content, **changes):
    """Write the same model with one more file, or another description."""
    spec = bundle.spec.model_copy(update=changes)
    return derive_bundle(folder / "changed", bundle, spec, files={name: content})


def listed(hashes, split):
    """Return the list of a bundle that has seen these files."""
    lines = [f"c{n},,{split},,{found},\n" for n, found in enumerate(hashes)]
    return ("case,patient,split,fold,file,pixels\n" + "".join(lines)).encode()


# ------------------------------------------------------------------- evaluate


def test_every_file_that_is_promised_is_written(table, model, tmp_path):
    found = medcnn.evaluate(model, table, output=tmp_path / "out", run=RUN)

    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"evaluation.json", "predictions.csv", "report.html", "figures"} <= written
    assert "errors.csv" not in written
    assert found.data.split == "test"
    assert found.data.cases == COUNT // 2
    assert [step.cases for step in found.data.flow] == [48, 24, 24]
    assert found.model.sha256 == model.bundle.sha256


def test_probabilities_are_those_of_predict(table, model, tmp_path):
    medcnn.evaluate(model, table, output=tmp_path, split="all", run=RUN)

    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == [f"{n}.png" for n in range(COUNT)]
    for row in rows[:5]:
        told = model.predict(medcnn.load(table.parent / row["case"]))
        assert float(row["probability:abnormal"]) == pytest.approx(
            told.probabilities["abnormal"], abs=1e-6
        )


def test_predictions_that_were_written_give_the_same_numbers(table, model, tmp_path):
    first = medcnn.evaluate(
        model, table, output=tmp_path, thresholds=("0.5",), split="all", run=RUN
    )

    again = medcnn.evaluate(
        predictions=tmp_path / "predictions.csv", thresholds=("0.5",), split="all"
    )

    assert again.labels["abnormal"].auroc == first.labels["abnormal"].auroc
    assert again.data.sha256 == first.data.sha256


def test_the_thresholds_are_those_of_the_model(table, model):
    points = medcnn.evaluate(model, table, run=RUN).labels["abnormal"].operating_points

    assert [(p.name, p.threshold) for p in points] == [("Flag", 0.55), ("Review", 0.45)]
    assert not points[0].is_optimistic


def test_the_worst_errors_have_picture_and_heatmap(table, model, tmp_path):
    found = medcnn.evaluate(model, table, output=tmp_path, run=RUN)

    shown = found.labels["abnormal"].gallery
    assert shown
    for case in shown:
        assert (tmp_path / case.picture).is_file()
        assert (tmp_path / case.heatmap).is_file()
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["labels"]["abnormal"]["gallery"][0]["picture"] == shown[0].picture


def test_files_without_answer_are_rows_and_counted(table, model, tmp_path):
    (table.parent / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    cv2.imwrite(str(table.parent / "small.png"), np.eye(8, dtype=np.uint8))
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in ("broken.png", "small.png"):
        rows.append(rows[0] | {"path": name, "patient_id": name, "split": "test"})
    more = write_rows(table.parent / "more.csv", rows)

    found = medcnn.evaluate(model, more, output=tmp_path, run=RUN)

    assert (found.data.out_of_scope, found.data.errors) == (1, 1)
    assert any("at least 16 a side" in reason for reason in found.data.reasons)
    assert found.labels["abnormal"].indeterminate.n_negative == 2
    assert (tmp_path / "errors.csv").read_text().count("broken.png") == 1


def test_labels_that_the_data_do_not_tell_are_named(table, model):
    found = medcnn.evaluate(model, table, run=RUN)

    assert list(found.labels) == ["abnormal"]
    assert any("do not tell mass" in words for words in found.notes)


def test_data_of_other_labels_are_refused(table, bundle, tmp_path):
    rows = [{"path": table.parent / f"{n}.png", "stone": n % 2} for n in range(4)]

    with pytest.raises(DataError, match="tells stone; the model has abnormal, mass"):
        medcnn.evaluate(bundle.path, write_rows(tmp_path / "t.csv", rows))


@pytest.mark.parametrize(
    "given", [{}, {"data": "d"}, {"model": "m", "data": "d", "predictions": "p"}]
)
def test_it_is_a_model_and_data_or_predictions(given):
    with pytest.raises(ValueError, match="give a model and data, or predictions"):
        medcnn.evaluate(**given)


# ------------------------------------------------------- what it was trained on


def test_images_in_the_list_of_training_are_refused_by_name(table, bundle, tmp_path):
    whole = read_cases(table)
    hashes = content_hashes(whole)
    knowing = with_file(bundle, tmp_path, SEEN, listed(hashes[2:4], "train"))

    with pytest.raises(
        LeakageError, match=r"trained on 2 of these 24 images: .*2\.png"
    ):
        medcnn.evaluate(knowing.path, table, run=RUN)


def test_a_model_that_lists_other_images_is_measured_without_a_note(
    table, bundle, tmp_path
):
    knowing = with_file(bundle, tmp_path, SEEN, listed(["0" * 64], "train"))

    found = medcnn.evaluate(knowing.path, table, run=RUN)

    assert not any("trained on" in words for words in found.notes)


def test_images_that_chose_the_model_are_noted(table, bundle, tmp_path):
    hashes = content_hashes(read_cases(table))
    knowing = with_file(bundle, tmp_path, SEEN, listed(hashes[2:3], "val"))

    found = medcnn.evaluate(knowing.path, table, run=RUN)

    assert any(
        "1 of these images are of the split val" in words for words in found.notes
    )


def test_the_train_split_of_the_very_table_is_refused(table, bundle, tmp_path):
    whole = read_cases(table, labels=["abnormal"])
    same = data_sha256(whole, content_hashes(whole))
    facts = bundle.spec.training.model_copy(update={"data_sha256": same})
    trained = with_file(bundle, tmp_path, "notes.txt", b"", training=facts)

    with pytest.raises(LeakageError, match="trained on 24 of these 24 images"):
        medcnn.evaluate(trained.path, table, split="train", run=RUN)
    found = medcnn.evaluate(trained.path, table, run=RUN)
    assert not any("trained on" in words for words in found.notes)


def test_a_model_that_says_nothing_is_noted(table, model):
    found = medcnn.evaluate(model, table, run=RUN)

    assert any("does not list the images" in words for words in found.notes)


# -------------------------------------------------------------------- compare


def test_two_models_are_compared_on_the_same_cases(table, bundle, tmp_path):
    other = make_bundle(tmp_path / "other", seed=5)

    found = medcnn.compare(bundle.path, other.path, table, output=tmp_path, run=RUN)

    one = found.labels["abnormal"]
    alone = medcnn.evaluate(other.path, table, run=RUN).labels["abnormal"]
    assert one.auroc_b == pytest.approx(alone.auroc.value)
    assert (found.a, found.b) == ("tiny 1 (A)", "tiny 1 (B)")
    assert json.loads((tmp_path / "comparison.json").read_text())["cases"] == 24


def test_open_models_need_data(model):
    with pytest.raises(TypeError, match="two models need data"):
        medcnn.compare(model, model)


# ------------------------------------------------------------------ calibrate


def test_a_site_gets_probabilities_and_thresholds_and_the_same_weights(
    table, bundle, model, tmp_path
):
    found = medcnn.calibrate(model, table, output=tmp_path / "site", run=RUN)

    before, after = bundle.spec, found.bundle.spec
    names = [name for name in before.files if name != "CARD.md"]
    assert {n: after.files[n] for n in names} == {n: before.files[n] for n in names}
    images = [medcnn.load(table.parent / f"{n}.png") for n in range(COUNT)]
    logits = [model.answer(image)[0].logits[0] for image in images]
    slope, intercept = platt([n % 2 for n in range(COUNT)], logits)
    (fitted,) = after.calibration
    assert (fitted.slope, fitted.intercept) == pytest.approx((slope, intercept), 1e-3)
    told = medcnn.Model.open(found.bundle.path).predict(images[7])
    expected = 1 / (1 + np.exp(-(slope * logits[7] + intercept)))
    assert told.probabilities["abnormal"] == pytest.approx(expected, abs=1e-3)


def test_what_the_new_thresholds_achieve_is_kept(table, model, tmp_path):
    found = medcnn.calibrate(model, table, output=tmp_path / "site", run=RUN)

    spec = found.bundle.spec
    flag, review = spec.bands
    assert flag.threshold == spec.operating_points[0].flag
    assert flag.tp + flag.fn + flag.fp + flag.tn == COUNT
    assert review.sensitivity[0] >= 0.95


def test_later_runs_of_the_site_are_compared_with_its_cases(table, model, tmp_path):
    found = medcnn.calibrate(model, table, output=tmp_path / "site", run=RUN)

    sample = found.bundle.reference()
    assert sample.images == COUNT
    new = medcnn.Model.open(found.bundle.path)
    image = medcnn.load(table.parent / "7.png")
    values = sample.numbers["score"].values
    assert min(abs(v - new.predict(image).probability) for v in values) < 1e-4


def test_what_it_was_calibrated_on_is_in_its_facts_and_card(table, model, tmp_path):
    found = medcnn.calibrate(
        model, table, output=tmp_path / "site", review="specificity 0.5", run=RUN
    )

    site, card = found.bundle.spec.site, found.bundle.card()
    assert (site.cases, site.patients, site.labels) == (48, 48, ("abnormal",))
    assert found.kept == {"mass": "the data do not tell it"}
    assert card.startswith("# Tiny")
    assert "## Calibrated for a site" in card
    assert "48 cases of 48 patients of `table.csv`" in card
    assert "`mass` keeps what it had" in card
    point = found.bundle.spec.operating_points[0]
    assert point.rule == "flag: youden; review: specificity 0.5"
    assert point.chosen_on == "table.csv"


def test_a_second_calibration_replaces_the_first_in_the_card(table, model, tmp_path):
    first = medcnn.calibrate(model, table, output=tmp_path / "one", run=RUN)

    second = medcnn.calibrate(
        first.bundle.path, table, output=tmp_path / "two", run=RUN
    )

    assert second.bundle.card().count("## Calibrated for a site") == 1


def test_too_few_patients_are_refused_with_the_number(table, model, tmp_path):
    with pytest.raises(
        DataError, match=r"12 patients with abnormal and 12 without it; 20 of each"
    ):
        medcnn.calibrate(model, table, output=tmp_path / "s", split="test", run=RUN)
    assert not (tmp_path / "s").exists()


def test_a_model_is_never_overwritten(table, model, bundle):
    with pytest.raises(OutputError, match="is there already"):
        medcnn.calibrate(model, table, output=bundle.path, run=RUN)


def test_two_classes_get_a_slope_and_an_intercept(table, bundle, tmp_path):
    spec = {"activation": "softmax"}
    classes = with_file(bundle, tmp_path, "notes.txt", b"", **spec)
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    named = [
        {
            "path": row["path"],
            "patient_id": row["patient_id"],
            "label": ("mass", "abnormal")[int(row["abnormal"])],
        }
        for row in rows
    ]
    data = write_rows(table.parent / "classes.csv", named)

    found = medcnn.calibrate(classes.path, data, output=tmp_path / "site", run=RUN)

    model = medcnn.Model.open(classes.path)
    paths = [table.parent / row["path"] for row in rows]
    logits = np.array([model.answer(medcnn.load(path))[0].logits for path in paths])
    truth = [int(row["abnormal"]) for row in rows]
    slope, intercept = platt(truth, logits[:, 0] - logits[:, 1])
    (one,) = found.bundle.spec.calibration
    assert (one.label, found.bundle.spec.temperature) == ("abnormal", None)
    assert one.slope == pytest.approx(slope, rel=1e-3)
    told = medcnn.Model.open(found.bundle.path).predict(medcnn.load(paths[0]))
    odds = slope * (logits[0, 0] - logits[0, 1]) + intercept
    expected = 1 / (1 + np.exp(-odds))
    assert told.probabilities["abnormal"] == pytest.approx(expected, abs=1e-3)
    assert told.probabilities["mass"] == pytest.approx(1 - expected, abs=1e-3)
    assert "1 less the probability of abnormal" in found.bundle.card()


def test_more_classes_get_one_temperature_and_keep_their_order(table, tmp_path):
    names = ("abnormal", "mass", "normal")
    made = make_bundle(tmp_path / "three", labels=names)
    classes = with_file(made, tmp_path, "notes.txt", b"", activation="softmax")
    rows = [
        {"path": f"{n}.png", "patient_id": f"p{n}", "label": names[n % 3]}
        for n in range(60)
    ]
    rng = np.random.default_rng(3)
    for n in range(60):
        picture = rng.normal(60 + n % 3 * 60, 25, (40, 40)).clip(0, 255)
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture.astype(np.uint8))
    data = write_rows(tmp_path / "three.csv", rows)

    found = medcnn.calibrate(classes.path, data, output=tmp_path / "site", run=RUN)

    spec, raw = found.bundle.spec, medcnn.Model.open(classes.path)
    images = [medcnn.load(tmp_path / f"{n}.png") for n in range(60)]
    logits = np.array([raw.answer(image)[0].logits for image in images], float)

    def loss(heat):
        return log_loss(np.arange(60) % 3, softmax(logits / heat, axis=1))

    tried = np.geomspace(0.05, 20, 2000)
    best = tried[np.argmin([loss(heat) for heat in tried])]
    assert spec.calibration == ()
    assert spec.temperature.value == pytest.approx(best, rel=0.01)
    told = medcnn.Model.open(found.bundle.path).predict(images[7]).probabilities
    wanted = softmax(logits[7] / spec.temperature.value)
    assert [told[name] for name in names] == pytest.approx(wanted.tolist(), abs=1e-3)
    assert f"temperature {spec.temperature.value:.3f}" in found.bundle.card()
    assert {point.label for point in spec.operating_points} == set(names)


def test_a_temperature_is_for_classes_only(bundle):
    value = Temperature(value=2.0, fitted_on="here").model_dump()

    with pytest.raises(ValueError, match="a temperature is for softmax"):
        type(bundle.spec).model_validate(
            bundle.spec.model_dump() | {"temperature": value}
        )
