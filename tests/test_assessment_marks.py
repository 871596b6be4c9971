"""Marks of a screening report as labelled images, and a model fitted to them."""

import csv

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import write_rows
from runs import make_row, make_run

import medcnn
from medcnn.assessment import Run
from medcnn.assessment.marks import marked_cases, read_marks
from medcnn.errors import DataError
from medcnn.model import Model
from medcnn.worklist import safe_cell

NAMES = ("path", "sop_uid", "band", "label", "mark", "truth", "comment")


def write_marks(path, lines, *, names=NAMES):
    """Write lines of (path, band, mark, ...) as the report's page exports them."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\r\n", restval="")
        writer.writeheader()
        for line in lines:
            writer.writerow({k: safe_cell(str(v)) for k, v in line.items()})
    return path


def mark(path, band="flag", said="agree", **parts):
    return {
        "path": path,
        "band": band,
        "label": "abnormal",
        "mark": said,
        **parts,
    }


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize(
    ("band", "said", "truth"),
    [
        ("flag", "agree", 1),
        ("flag", "disagree", 0),
        ("review", "agree", 1),
        ("review", "disagree", 0),
        ("no-flag", "agree", 0),
        ("no-flag", "disagree", 1),
        ("no-flag", "", None),
        ("out_of_scope", "agree", None),
        ("error", "disagree", None),
    ],
)
def test_a_mark_tells_the_truth_where_the_model_took_sides(tmp_path, band, said, truth):
    path = write_marks(tmp_path / "m.csv", [mark("a", band, said)])

    (found,) = read_marks(path, label="abnormal")

    assert found.truth == truth


def test_paths_that_look_like_formulas_are_read_as_they_were(tmp_path):
    path = write_marks(tmp_path / "m.csv", [mark('=1+"2",3'), mark("b\nc")])

    assert [m.path for m in read_marks(path, label="abnormal")] == ['=1+"2",3', "b\nc"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([mark("a", label="mass")], "the mark is of 'mass'"),
        ([mark("a"), mark("a", said="disagree")], "marked before, and otherwise"),
        ([mark("a", said="maybe")], "expected agree, disagree or nothing"),
        ([mark("a", truth=0)], "truth is 0, but to agree with flag is 1"),
    ],
)
def test_marks_that_contradict_are_refused_by_their_row(tmp_path, lines, words):
    path = write_marks(tmp_path / "m.csv", lines)

    with pytest.raises(DataError, match=words):
        read_marks(path, label="abnormal")


def test_a_file_that_holds_no_marks_is_refused(tmp_path):
    path = write_marks(tmp_path / "m.csv", [], names=("path", "comment"))

    with pytest.raises(DataError, match="lacks band, label, mark"):
        read_marks(path, label="abnormal")
    with pytest.raises(DataError, match="cannot be read"):
        read_marks(tmp_path, label="abnormal")


def _run_of(tmp_path, rows):
    """Make a run whose images lie in tmp_path/films."""
    (tmp_path / "films").mkdir()
    output = make_run(tmp_path / "out", rows, pictures=False)
    record = (output / "run.json").read_text().replace("/data/films", "FILMS")
    (output / "run.json").write_text(record.replace("FILMS", str(tmp_path / "films")))
    return output


def test_images_are_found_by_path_else_by_their_uid(tmp_path, bundle):
    rows = [
        make_row(1, probability=0.9, path="a.dcm", sop_uid="1.2", patient_id="P"),
        make_row(2, probability=0.1, path="new/b.dcm", sop_uid="1.3"),
    ]
    output = _run_of(tmp_path, rows)
    lines = [
        mark("a.dcm"),
        mark("old/b.dcm", "no-flag", sop_uid="1.3"),
        mark("gone.dcm", sop_uid="1.4"),
        mark("b.dcm", "error"),
    ]
    marks = write_marks(tmp_path / "m.csv", lines)

    found = marked_cases(output, marks, bundle.spec)

    folder = tmp_path / "films"
    assert [(c.path, c.truth, c.patient_id) for c in found.table.cases] == [
        (folder / "a.dcm", {"abnormal": 1.0}, "P"),
        (folder / "new/b.dcm", {"abnormal": 0.0}, None),
    ]
    assert "sees the model's answer first" in found.notes[0]
    assert "2 marks are of no image" in found.notes[1]


def test_marks_of_other_images_and_of_moved_ones_are_refused(tmp_path, bundle):
    output = _run_of(tmp_path, [make_row(1, probability=0.9, path="a.dcm")])
    marks = write_marks(tmp_path / "m.csv", [mark("other.dcm")])

    with pytest.raises(DataError, match="1 marks, 1 of them of other images"):
        marked_cases(output, marks, bundle.spec)
    (tmp_path / "films").rmdir()
    with pytest.raises(DataError, match="which is not there"):
        marked_cases(output, marks, bundle.spec)
    with pytest.raises(DataError, match="does not exist"):
        marked_cases(tmp_path / "nowhere", marks, bundle.spec)


def test_marks_do_not_tell_many_classes_apart(tmp_path, bundle):
    three = {"activation": "softmax", "labels": ("a", "b", "c")}
    spec = bundle.spec.model_copy(update=three)

    with pytest.raises(DataError, match="3 classes apart"):
        marked_cases(tmp_path, tmp_path / "m.csv", spec)


@pytest.mark.slow
def test_marks_fit_the_same_model_as_a_table_of_the_same_truth(tmp_path, bundle):
    model = Model.open(bundle.path)
    rng = np.random.default_rng(0)
    films = tmp_path / "films"
    films.mkdir()
    for n in range(44):
        picture = rng.normal(90, 25, (40, 40)) + n % 2 * 30
        cv2.imwrite(str(films / f"{n}.png"), picture.clip(0, 255).astype(np.uint8))
    cases = list(medcnn.screen(films, model=model, output=tmp_path / "out"))
    says = {True: "agree", False: "disagree"}
    marks, rows = [], []
    for case in cases:
        sick = int(case.path.partition(".")[0]) % 2
        said = says[(case.band != "no-flag") == bool(sick)]
        marks.append(mark(case.path, case.band, said, truth=sick))
        rows.append({"path": f"films/{case.path}", "abnormal": sick})
    told = write_marks(tmp_path / "marks.csv", marks)
    table = write_rows(tmp_path / "table.csv", rows)

    expected = medcnn.calibrate(model, table, output=tmp_path / "1", run=Run(workers=1))
    for number, data in enumerate((tmp_path / "out", films), start=2):
        found = medcnn.calibrate(
            model, data, output=tmp_path / str(number), marks=told, run=Run(workers=1)
        )
        one, other = found.bundle.spec.calibration[0], expected.bundle.spec
        assert one.slope == other.calibration[0].slope
        assert one.intercept == other.calibration[0].intercept
        assert one.fitted_on == "marks.csv"
        assert "sees the model's answer" in found.bundle.card()
