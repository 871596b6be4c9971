"""predictions.csv: what is read, what is refused by row and column, what is written."""

import csv

import numpy as np
import pytest
from predicted import make_predictions, write_rows

from medcnn.errors import DataError
from medcnn.evaluation import read_predictions, write_predictions

ROW = {"case": "a", "truth:mass": "1", "probability:mass": "0.8"}


def table(tmp_path, *changes, name="p.csv"):
    rows = [ROW | {"case": f"c{n}"} | change for n, change in enumerate(changes)]
    header = dict.fromkeys(key for row in rows for key in row)
    return write_rows(tmp_path / name, [dict.fromkeys(header, "") | r for r in rows])


def test_a_table_of_any_tool_is_read(tmp_path):
    path = table(
        tmp_path,
        {"patient_id": "p1", "split": "test", "sex": "F"},
        {"patient_id": "p2", "split": "val", "sex": "M", "truth:mass": ""},
    )

    found = read_predictions(path)

    assert found.labels == ("mass",)
    assert found.cases == ("c0", "c1")
    assert found.patients == ("p1", "p2")
    assert found.splits == ("test", "val")
    assert np.isnan(found.truth[1, 0])
    assert found.truth[0, 0] == 1
    assert found.score.tolist() == [[0.8], [0.8]]
    assert found.columns == {"sex": ("F", "M")}


def test_a_column_without_a_label_is_refused(tmp_path):
    path = write_rows(
        tmp_path / "p.csv", [{"case": "a", "truth:": 1, "probability:": 0.5}]
    )

    with pytest.raises(DataError, match="without a label"):
        read_predictions(path)


@pytest.mark.parametrize("cell", ["nan", "NaN", ""])
def test_a_missing_score_is_refused_and_says_how_to_leave_it_out(tmp_path, cell):
    path = table(tmp_path, {}, {"probability:mass": cell})

    with pytest.raises(DataError, match="row 3, column 'probability:mass'") as error:
        read_predictions(path)

    assert "out_of_scope or error" in error.value.hint


def test_what_is_written_is_read_again(tmp_path):
    made = make_predictions(labels=("a", "b"), columns={"sex": lambda p: "FM"[p % 2]})
    made.truth[3, 1] = np.nan

    write_predictions(made, tmp_path / "p.csv")
    again = read_predictions(tmp_path / "p.csv")

    np.testing.assert_array_equal(again.truth, made.truth)
    np.testing.assert_array_equal(again.score, made.score)
    assert again.patients == made.patients
    assert dict(again.columns) == dict(made.columns)
    assert again.sha256() == made.sha256()


def test_a_spreadsheet_executes_nothing_of_it_and_reading_gives_the_same(tmp_path):
    formula = '=HYPERLINK("//x","y")'
    path = table(
        tmp_path,
        {"case": formula, "patient_id": "@p", "shift": "-0.5", "\tsite": "+A1"},
        {"case": "'tis", "patient_id": "-1-2", "shift": "", "\tsite": ""},
    )
    text = path.read_text().replace("\tsite", "=site")  # a header is stripped
    path.write_text(text)
    found = read_predictions(path)
    again = tmp_path / "again.csv"
    write_predictions(found, again)

    with again.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    starts = [c for c in cells if c.startswith(tuple("=+-@\t\r")) and c != "-0.5"]
    assert "'" + formula in cells
    assert starts == []
    read = read_predictions(again)
    assert read.cases == found.cases == (formula, "'tis")
    assert read.patients == found.patients == ("@p", "-1-2")
    assert read.columns == found.columns
    assert found.columns == {"shift": ("-0.5", ""), "=site": ("+A1", "")}


def test_cases_without_answer_are_written_and_read_again(tmp_path):
    made = make_predictions(patients=3, each=1)
    score = made.score.copy()
    score[1] = np.nan
    made = make_predictions(
        patients=3,
        each=1,
        score=score,
        statuses=("ok", "error", "out_of_scope"),
        reasons=("", "cut off", "a photo"),
    )

    write_predictions(made, tmp_path / "p.csv")
    again = read_predictions(tmp_path / "p.csv")

    assert again.statuses == made.statuses
    assert again.reasons == made.reasons
    assert np.isnan(again.score[1, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability:mass": "nan"}, r"row 3, column 'probability:mass': got 'nan'"),
        ({"probability:mass": "inf"}, r"row 3.*got 'inf', expected a probability"),
        ({"probability:mass": "1.2"}, r"row 3.*got '1.2'.*--scores"),
        ({"probability:mass": ""}, r"row 3.*got ''.*out_of_scope or error"),
        ({"probability:mass": "high"}, r"row 3.*got 'high'"),
        ({"truth:mass": "yes"}, r"row 3, column 'truth:mass': got 'yes', expected 1"),
        ({"split": "dev"}, r"row 3, column 'split': got 'dev', expected train"),
        ({"status": "bad"}, r"row 3, column 'status': got 'bad', expected ok"),
        ({"case": "c0"}, r"names case 'c0' twice, in rows 2 and 3"),
        ({"case": ""}, r"row 3, column 'case': got nothing"),
    ],
)
def test_a_wrong_cell_is_named_by_row_and_column(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        read_predictions(table(tmp_path, {}, change))


def test_scores_of_any_size_are_accepted_as_scores(tmp_path):
    path = table(tmp_path, {"probability:mass": "-3.5"}, {"probability:mass": "12"})

    assert read_predictions(path, scores=True).kind == "score"
    assert read_predictions(path, scores=True).score.tolist() == [[-3.5], [12.0]]


def test_scores_that_are_not_finite_are_refused_even_so(tmp_path):
    path = table(tmp_path, {"probability:mass": "nan"})

    with pytest.raises(DataError, match="expected a finite number"):
        read_predictions(path, scores=True)


def test_columns_named_score_say_so_themselves(tmp_path):
    rows = [{"case": "a", "truth:mass": "1", "score:mass": "-2"}]

    assert read_predictions(write_rows(tmp_path / "p.csv", rows)).kind == "score"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"case": "a", "probability:mass": "1"}, "no table of predictions"),
        ({"truth:mass": "1", "probability:mass": "1"}, "no table of predictions"),
        ({"case": "a", "truth:m": "1", "probability:n": "1"}, "no probability:m"),
        (ROW | {"probability:n": "1"}, "no truth:n"),
    ],
)
def test_a_table_without_its_columns_is_refused(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        read_predictions(write_rows(tmp_path / "p.csv", [row]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,truth:m,probability:m\n", "holds no case"),
        ("case,case,truth:m,probability:m\na,b,1,1\n", "same name: case"),
        ("case,truth:m,probability:m\na,1\n", "row 2: 2 cells, the header has 3"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)

    with pytest.raises(DataError, match=message):
        read_predictions(tmp_path / "p.csv")


def test_a_table_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_predictions(tmp_path / "none.csv")


def test_a_table_of_a_spreadsheet_with_decimal_commas_is_read(tmp_path):
    text = "\ufeffcase;truth:Tumör;probability:Tumör;size\r\n"
    text += "a;1;0,75;1,5\r\n\r\n;;;\r\nb;0;0,1;2\r\n"
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode())

    found = read_predictions(path)

    assert found.labels == ("Tumör",)
    assert found.cases == ("a", "b")
    assert found.score.tolist() == [[0.75], [0.1]]
    assert dict(found.columns) == {"size": ("1,5", "2")}


def test_a_comma_in_a_table_of_commas_is_no_decimal_point(tmp_path):
    path = table(tmp_path, {"probability:mass": "0,8"})

    with pytest.raises(DataError, match=r"row 2, column 'probability:mass': got '0,8'"):
        read_predictions(path)


@pytest.mark.parametrize("cell", ["1_0", "0x1", "1e400", "-0.1", "1.0000001", "50%"])
def test_what_is_no_probability_is_refused(tmp_path, cell):
    with pytest.raises(DataError, match="expected a probability, 0 to 1"):
        read_predictions(table(tmp_path, {"probability:mass": cell}))
