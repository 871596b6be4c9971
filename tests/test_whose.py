"""Whose images are: pseudonyms in place of patients' numbers, over a run's life."""

import hashlib
import hmac
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicoms import picture, save
from films import film_pixels
from screens import three_bands

import medcnn
from medcnn.dataset import Looks, name_patients, read_cases
from medcnn.errors import DataError, OutputError
from medcnn.evaluation import read_predictions
from medcnn.pseudonyms import Pseudonyms
from medcnn.screening import republish
from medcnn.worklist import read_run, read_worklist

NUMBER = "hospital-4711"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("model") / "m"))


@pytest.fixture(name="line")
def _line(medcnn):
    """The command line, under a name that leaves the package its own."""
    return medcnn


@pytest.fixture
def films(tmp_path):
    """Two films of one patient, and one of another."""
    for name, number in (("a", NUMBER), ("b", NUMBER), ("c", "other")):
        add(tmp_path / "films", name, number)
    return tmp_path / "films"


def add(folder, name, number):
    folder.mkdir(exist_ok=True)
    film = picture(film_pixels(ord(name)), BodyPartExamined="CHEST", PatientID=number)
    save(film, folder / f"{name}.dcm")


def run(films, model, output, **options):
    medcnn.screen(films, model=model, output=output, workers=1, **options).run()
    return patients(output)


def patients(output):
    rows = read_worklist(output / "worklist.csv")
    return {Path(row.path).stem: row.patient_id for row in rows}


def holds_the_number(output):
    return {f.name for f in output.iterdir() if f.is_file() and in_it(f)}


def in_it(path):
    return NUMBER.encode() in path.read_bytes()


def test_a_patient_keeps_a_pseudonym_in_every_session(films, model, tmp_path):
    first = run(films, model, tmp_path / "out")
    add(films, "d", NUMBER)
    cases = {
        Path(case.path).stem: case.identity["patient_id"]
        for case in medcnn.screen(films, model=model, output=tmp_path / "out")
    }
    second = patients(tmp_path / "out")

    assert second == {**first, "d": first["a"]} == cases
    assert first["a"] == first["b"] != first["c"]
    assert not holds_the_number(tmp_path / "out")
    assert read_run(tmp_path / "out" / "run.json").patients == "pseudonyms"


def test_a_pseudonym_is_a_code_by_a_key_that_only_its_owner_reads(
    films, model, tmp_path
):
    found = run(films, model, tmp_path / "out")["a"]
    path = tmp_path / "out" / "patients.key"
    key = bytes.fromhex(path.read_text())

    assert len(key) == 32
    code = hmac.new(key, f"patient:{NUMBER}".encode(), hashlib.sha256).hexdigest()
    assert found.rpartition("-")[2] == code[:16].upper()
    store = (tmp_path / "out" / "screening.sqlite").read_bytes()
    assert key not in store
    assert key.hex().encode() not in store
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


def test_two_runs_have_other_pseudonyms_unless_they_share_a_key(films, model, tmp_path):
    one = run(films, model, tmp_path / "one")
    two = run(films, model, tmp_path / "two")
    (tmp_path / "three").mkdir()
    key = (tmp_path / "one" / "patients.key").read_bytes()
    (tmp_path / "three" / "patients.key").write_bytes(key)

    assert not set(one.values()) & set(two.values())
    assert run(films, model, tmp_path / "three") == one


def test_without_its_key_a_run_does_not_go_on_but_its_files_are_made(
    films, model, tmp_path
):
    out = tmp_path / "out"
    before = run(films, model, out)
    (out / "patients.key").rename(tmp_path / "away")
    with pytest.raises(OutputError, match=r"patients\.key is not there") as told:
        run(films, model, out)
    assert "medcnn report DIR works without it" in told.value.hint
    (out / "patients.key").write_text("ab" * 32)
    with pytest.raises(OutputError, match="the key of another run"):
        run(films, model, out)
    (out / "patients.key").unlink()
    (out / "worklist.csv").unlink()
    republish(out)
    assert patients(out) == before
    (tmp_path / "away").rename(out / "patients.key")
    assert run(films, model, out) == before


@pytest.mark.parametrize("content", [b"", b"no key"])
def test_a_key_of_a_run_that_was_killed_at_once(films, model, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "patients.key").write_bytes(content)
    if content:
        with pytest.raises(OutputError, match="is no key"):
            run(films, model, tmp_path / "out")
    else:
        assert run(films, model, tmp_path / "out")["a"].startswith("pseudonym-")


def test_a_run_without_numbers_does_not_go_on_with_them(films, model, line, tmp_path):
    before = run(films, model, tmp_path / "out")
    with pytest.raises(OutputError, match="holds a run without --identify") as told:
        run(films, model, tmp_path / "out", identify=True)
    assert "another --output" in told.value.hint
    done = line("report", tmp_path / "out", "--identify")
    assert "the page shows pseudonyms and UIDs" in done.stderr
    assert patients(tmp_path / "out") == before
    page = (tmp_path / "out" / "report.html").read_text()
    assert before["a"] in page
    assert "the run kept no patients' numbers" in page
    assert "This page names patients" not in page


def test_a_run_with_numbers_gives_files_without(films, model, tmp_path):
    out = tmp_path / "out"
    assert run(films, model, out, identify=True)["a"] == NUMBER
    assert read_run(out / "run.json").patients == "numbers"
    with pytest.raises(OutputError, match="keeps patients' numbers") as told:
        run(films, model, out)
    assert "medcnn report DIR" in told.value.hint

    republish(out)

    assert holds_the_number(out) == {"screening.sqlite"}
    found = patients(out)
    assert found["a"] == found["b"] != found["c"]
    assert run(films, model, out, identify=True, report=False)["a"] == NUMBER


def test_a_run_of_an_earlier_version_counts_as_one_with_numbers(films, model, tmp_path):
    out = tmp_path / "out"
    run(films, model, out, identify=True)
    with sqlite3.connect(out / "screening.sqlite") as store:
        store.execute("delete from facts where key = 'patients'")
    store.close()

    with pytest.raises(OutputError, match="keeps patients' numbers"):
        run(films, model, out)
    republish(out)
    assert holds_the_number(out) == {"screening.sqlite"}
    add(films, "d", NUMBER)
    assert run(films, model, out, identify=True)["d"] == NUMBER


# ---------------------------------------------- where they meet other names of patients


def table(path, *numbers):
    """Write a table of predictions that is one of cases, too."""
    lines = ["case,path,patient_id,split,truth:x,probability:x,x"]
    for n, number in enumerate(numbers):
        (path.parent / f"{n}.png").touch()
        lines.append(f"{n},{n}.png,{number},,{n % 2},0.5,{n % 2}")
    path.write_text("\n".join(lines) + "\n")
    return path


ONE, TWO = (Pseudonyms(bytes([n]) * 32) for n in (1, 2))


@pytest.mark.parametrize("read", [read_cases, read_predictions])
def test_pseudonyms_are_never_compared_with_other_names(tmp_path, read):
    one = ONE.marked("p"), ONE.marked("q")
    read(table(tmp_path / "t.csv", *one, ""))
    with pytest.raises(DataError, match="pseudonyms and other numbers") as told:
        read(table(tmp_path / "t.csv", *one, "p"))
    assert "--identify" in told.value.hint
    with pytest.raises(DataError, match="pseudonyms of several runs"):
        read(table(tmp_path / "t.csv", *one, TWO.marked("p")))


def test_pseudonyms_are_not_compared_with_numbers_of_headers(tmp_path):
    cases = read_cases(table(tmp_path / "t.csv", ONE.marked("p"), ""))
    seen = np.zeros(2, np.uint64)
    blank = np.zeros((2, 4), np.uint8)
    looks = Looks(np.array(["0", "1"]), seen, blank, np.array(["p", "p"]))
    with pytest.raises(DataError, match="pseudonyms and other numbers"):
        name_patients(cases, looks)


def test_a_number_that_only_a_header_says_is_kept_nowhere(tmp_path):
    cases = read_cases(table(tmp_path / "t.csv", "", "", "known", ""))
    count = len(cases.cases)
    names = np.array([NUMBER, NUMBER, "known", "known"])
    blank = np.zeros((count, 4), np.uint8)
    looks = Looks(names, np.zeros(count, np.uint64), blank, names)
    told, _ = name_patients(cases, looks)
    assert [case.patient_id for case in told.cases] == [
        "patient of 0.png", "patient of 0.png", "known", "known"
    ]  # fmt: skip
    assert replace(told, cases=cases.cases) == cases


def test_a_pseudonym_of_a_key_stays_as_it_is():
    once = ONE.marked(" p ")
    assert ONE.marked(once) == once == ONE.marked("p")
    assert TWO.marked(once) not in {once, TWO.marked("p")}
    assert ONE.marked("  ") == ""
