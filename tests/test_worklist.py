"""worklist.csv, errors.csv and run.json: what they say, and that they are safe."""

import csv
import itertools
import json

import pytest

from medcnn.errors import DataError
from medcnn.results import Band, CaseResult, Prediction, Status
from medcnn.worklist import (
    Counts,
    ErrorRow,
    HeatmapScale,
    ModelRecord,
    RunRecord,
    Session,
    WorklistRow,
    columns,
    plain_text,
    rank_key,
    read_errors,
    read_run,
    read_worklist,
    safe_cell,
    write_errors,
    write_run,
    write_worklist,
)

PROMISED = (
    "rank,path,status,band,probability,threshold,label,ood_score,reason,patient_id,"
    "study_uid,series_uid,sop_uid,heatmap,model,model_sha256"
)
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "'",
    "\uff1d1",
    "",
]


def _case(path, band=Band.FLAG, probability=0.9, **parts):
    prediction = Prediction(
        probabilities={"abnormal": probability, "mass": 0.25},
        thresholds={"abnormal": 0.5, "mass": 0.5},
        model="chest",
        model_sha256="ab" * 32,
        ood_score=1.25,
    )
    parts = {"status": Status.OK, "band": band, "prediction": prediction} | parts
    return CaseResult(path=path, **parts)


def _row(case, rank=1):
    return WorklistRow.of(case, rank=rank, model="chest", model_sha256="ab" * 32)


def test_the_columns_begin_with_those_promised_and_end_with_the_labels():
    names = columns(["abnormal", "mass"])
    assert ",".join(names).startswith(PROMISED)
    assert names[-2:] == ("probability:abnormal", "probability:mass")


def test_the_most_urgent_come_first_and_ties_go_by_path():
    wanted = [
        _case("z", Band.FLAG, 0.9),
        _case("a", Band.FLAG, 0.8),
        _case("b", Band.FLAG, 0.8),
        _case("y", Band.REVIEW, 0.4),
        _case("x", Band.NO_FLAG, 0.1),
        _case("c", None, 0.99, status=Status.OUT_OF_SCOPE, reason="modality MR"),
        CaseResult("a0", Status.ERROR, reason="broken", stage="decode"),
        CaseResult("d", Status.ERROR, reason="broken", stage="decode"),
    ]
    shuffled = wanted[::2] + wanted[1::2]
    assert sorted(shuffled, key=rank_key) == wanted


def test_probabilities_that_print_the_same_are_a_tie():
    later, earlier = _case("b", probability=0.70000004), _case("a", probability=0.7)
    assert rank_key(earlier) < rank_key(later)


def test_rows_come_back_as_they_were_written(tmp_path):
    names = ["=cmd|'/c calc'!A1.dcm", 'a,"b".dcm', "línea\u00e9.dcm", "'quoted'.dcm"]
    identity = {"patient_id": "+49", "study_uid": "1.2", "sop_uid": None}
    cases = [_case(n, identity=identity, reason="-x") for n in names]
    rows = [_row(case, rank) for rank, case in enumerate(cases, start=1)]
    error = CaseResult("e", Status.ERROR, reason="broken", stage="decode")
    rows.append(_row(error, 5))
    write_worklist(tmp_path / "w.csv", rows, labels=["abnormal", "mass"])
    back = list(read_worklist(tmp_path / "w.csv"))
    assert [row.path for row in back] == [*names, "e"]
    assert back[:4] == rows[:4]
    assert (back[4].probability, back[4].probabilities) == (None, {})


def test_the_file_says_what_a_foreign_csv_reader_expects(tmp_path):
    write_worklist(tmp_path / "w.csv", [_row(_case("a.dcm"))], labels=["abnormal"])
    with (tmp_path / "w.csv").open(encoding="utf-8", newline="") as file:
        (line,) = csv.DictReader(file)
    assert line["rank"] == "1"
    assert (line["status"], line["band"]) == ("ok", "flag")
    assert line["probability"] == line["probability:abnormal"] == "0.900000"
    assert (line["threshold"], line["ood_score"]) == ("0.500000", "1.250000")


@pytest.mark.parametrize("text", NASTY)
def test_no_cell_begins_like_a_formula_and_all_come_back(text):
    cell = safe_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))
    assert plain_text(cell) == text


def test_plain_text_undoes_safe_cell_for_all_short_texts():
    for size in range(4):
        for letters in itertools.product("='a-", repeat=size):
            assert plain_text(safe_cell("".join(letters))) == "".join(letters)


def test_a_label_like_a_formula_is_safe_in_the_header_too(tmp_path):
    case = _case("a.dcm")
    write_worklist(tmp_path / "w.csv", [_row(case)], labels=["abnormal"])
    write_errors(tmp_path / "e.csv", [ErrorRow("=a", "open", "@b", "+c")])
    text = (tmp_path / "e.csv").read_text()
    assert text.splitlines()[1] == "'=a,open,'@b,'+c"
    assert list(read_errors(tmp_path / "e.csv")) == [ErrorRow("=a", "open", "@b", "+c")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("rank,path\n1,a\n", "lacks the columns status"),
        ("", "lacks the columns rank"),
        (",".join(columns([])) + "\n1,a\n", "is broken"),
        (",".join(columns([])) + "\nx" + "," * 16 + "\n", "line 2 is not a worklist"),
    ],
)
def test_a_file_that_is_no_worklist_is_refused(tmp_path, content, words):
    (tmp_path / "w.csv").write_text(content)
    with pytest.raises(DataError, match=words):
        list(read_worklist(tmp_path / "w.csv"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        list(read_worklist(tmp_path / "w.csv"))
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_run(tmp_path / "run.json")


def _record():
    model = ModelRecord(
        name="chest",
        version="1",
        summary="",
        sha256="ab" * 32,
        labels=("abnormal",),
        thresholds={"abnormal": 0.5},
        reviews={"abnormal": 0.3},
        ood_limit=None,
        card="# Größe",
    )
    scale = HeatmapScale(
        label="abnormal",
        unit="log-odds",
        low=0,
        high=4,
        meaning="",
        colours=("#000000", "#ffffff"),
        opacity=(0, 0.6),
    )
    counts = dict.fromkeys(
        ("images", "flag", "review", "no_flag", "out_of_scope", "error"), 0
    )
    session = Session(started="2026-01-01T00:00:00", seconds=1, files=2, ended="done")
    return RunRecord(
        medcnn="0.1",
        model=model,
        engine="openvino",
        device="cpu",
        root="/films",
        paths=("/films",),
        options={"workers": 2},
        counts=Counts(**counts),
        heatmap=scale,
        sessions=(session,),
        seconds=1.0,
        files_per_second=2.0,
        environment={},
    )


def test_a_run_record_comes_back_as_it_was_written(tmp_path):
    write_run(tmp_path / "run.json", _record())
    assert read_run(tmp_path / "run.json") == _record()


def test_an_unknown_key_in_a_run_record_is_refused_by_name(tmp_path):
    write_run(tmp_path / "run.json", _record())
    facts = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(facts | {"extra": 1}))
    with pytest.raises(DataError, match="extra"):
        read_run(tmp_path / "run.json")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="is not the record of a run"):
        read_run(tmp_path / "run.json")
