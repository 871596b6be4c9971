"""medcnn evaluate, compare and calibrate: what they take, say and end with."""

import csv
import json

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import make_predictions, write_rows

from medcnn.evaluation import write_predictions


@pytest.fixture
def table(tmp_path):
    made = make_predictions(labels=("abnormal", "mass"), splits=("val", "test"))
    write_predictions(made, tmp_path / "p.csv")
    return tmp_path / "p.csv"


def test_predictions_become_a_report(medcnn, table, tmp_path):
    done = medcnn(
        "evaluate", "--predictions", table, "-o", tmp_path / "out", "--bootstrap", 50
    )

    assert done.returncode == 0
    assert "60 cases of 30 patients, split test" in done.stdout
    assert "abnormal" in done.stdout
    assert str(tmp_path / "out" / "report.html") in done.stdout
    assert "below 100 of either" in done.stderr
    assert (tmp_path / "out" / "report.html").is_file()


def test_json_goes_to_stdout_and_words_to_stderr(medcnn, table, tmp_path):
    done = medcnn(
        *("evaluate", "--predictions", table, "-o", tmp_path / "out"),
        *("--json", "--bootstrap", 0, "--prevalence", 0.02, "--threshold", "mass=0.4"),
    )

    found = json.loads(done.stdout)
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found == written | {"output": str(tmp_path / "out")}
    points = found["labels"]["mass"]["operating_points"]
    assert points[0]["threshold"] == 0.4
    assert points[0]["at_prevalence"][0]["prevalence"] == 0.02


def test_quiet_says_nothing_beside_the_answer(medcnn, table, tmp_path):
    done = medcnn("evaluate", "--predictions", table, "-o", tmp_path / "o", "--quiet")

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give DATA, or --predictions"),
        (["d.csv", "--predictions", "p.csv"], "not both"),
        (["--predictions", "p.csv", "--model", "m"], "not both"),
    ],
)
def test_wrong_usage_ends_with_two(medcnn, tmp_path, words, message):
    done = medcnn("evaluate", *words, "-o", tmp_path)

    assert done.returncode == 2
    assert message in done.stderr


def test_a_wrong_table_ends_with_one_sentence(medcnn, tmp_path):
    rows = [{"case": "a", "truth:m": 1, "probability:m": "nan"}]
    done = medcnn(
        *("evaluate", "--predictions", write_rows(tmp_path / "p.csv", rows)),
        *("-o", tmp_path / "out"),
    )

    assert done.returncode == 1
    assert "row 2, column 'probability:m': got 'nan'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_report_of_an_evaluation_is_made_again(medcnn, table, tmp_path):
    out = tmp_path / "out"
    medcnn("evaluate", "--predictions", table, "-o", out, "--bootstrap", 0)
    before = (out / "report.html").read_bytes()
    (out / "report.html").unlink()

    done = medcnn("report", out)

    assert done.returncode == 0
    assert (out / "report.html").read_bytes() == before


def test_two_tables_are_compared(medcnn, table, tmp_path):
    other = make_predictions(
        labels=("abnormal", "mass"), splits=("val", "test"), shift=0.2
    )
    write_predictions(other, tmp_path / "q.csv")

    done = medcnn(
        "compare", "--predictions", table, "--predictions", tmp_path / "q.csv"
    )

    assert done.returncode == 0
    assert "60 cases of 30 patients" in done.stdout
    assert "clustered by patient" in done.stdout


@pytest.mark.parametrize("words", [[], ["--predictions", "p"], ["d", "--model", "m"]])
def test_compare_needs_two_of_one_kind(medcnn, words):
    done = medcnn("compare", *words)

    assert done.returncode == 2
    assert "twice" in done.stderr


def write_pictures(folder, count):
    """Write pictures of noise; return their rows, every second with the label."""
    rng = np.random.default_rng(0)
    for n in range(count):
        picture = rng.integers(0, 255, (40, 40), np.uint8)
        cv2.imwrite(str(folder / f"{n}.png"), picture)
    return [{"path": f"{n}.png", "abnormal": n % 2} for n in range(count)]


@pytest.mark.slow
def test_a_model_is_run_and_unreadable_files_end_with_eight(medcnn, tmp_path):
    model = make_bundle(tmp_path / "tiny").path
    rows = write_pictures(tmp_path, 12)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    data = write_rows(tmp_path / "t.csv", [*rows, {"path": "bad.png", "abnormal": 1}])

    done = medcnn("evaluate", data, "--model", model, "-o", tmp_path / "out")

    assert done.returncode == 8
    with (tmp_path / "out" / "errors.csv").open(encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["bad.png"]
    assert "have no patient_id" in done.stderr


@pytest.mark.slow
def test_a_site_gets_its_own_model(medcnn, tmp_path):
    model = make_bundle(tmp_path / "tiny").path
    rows = write_pictures(tmp_path, 44)
    rows = [row | {"patient_id": f"p{n}"} for n, row in enumerate(rows)]
    data = write_rows(tmp_path / "t.csv", rows)

    done = medcnn("calibrate", data, "--model", model, "-o", tmp_path / "site")

    assert done.returncode == 0
    assert "Fitted abnormal to 44 cases of 44 patients" in done.stdout
    assert "Fewer than 100 of each kind" in done.stderr
    assert (tmp_path / "site" / "bundle.json").is_file()
