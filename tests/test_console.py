import io
import json
import os
import re
import signal
from pathlib import Path

import pytest
import typer
from rich.console import Console

from medcnn.cli import console
from medcnn.errors import DecodeError, GeometryError, MedcnnError


def test_printable_keeps_letters_of_any_script_and_drops_control_characters():
    assert console.printable("Müller 山\n") == "Müller 山\n"
    assert "\x1b" not in console.printable("\x1b[2J\x9b\u202e")
    assert "\u202e" not in console.printable("\u202e")


def test_complaint_is_one_sentence_and_what_to_do(capsys):
    console.complain(MedcnnError("it is broken", hint="Copy it again."))
    console.complain(MedcnnError("It is broken.", hint=""))

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "medcnn: it is broken. Copy it again.\nmedcnn: It is broken.\n"


def test_error_facts_are_the_columns_of_errors_csv():
    facts = console.error_facts("a.dcm", DecodeError("cut off", hint="Copy it."))

    assert facts == {
        "path": "a.dcm",
        "stage": "decode",
        "error": "cut off",
        "hint": "Copy it.",
    }
    assert console.error_facts("a", GeometryError("x"))["stage"] == "predict"


@pytest.mark.parametrize(
    ("answers", "problems", "code"), [(3, 0, None), (3, 1, 8), (0, 2, 1)]
)
def test_exit_code_tells_whether_some_or_all_files_failed(answers, problems, code):
    if code is None:
        console.end(answers=answers, problems=problems)
        return
    with pytest.raises(typer.Exit) as ended:
        console.end(answers=answers, problems=problems)
    assert ended.value.exit_code == code


def test_sigterm_unwinds_like_an_exception_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(console.Terminated), console.terminable():
        signal.raise_signal(signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is before


def test_progress_is_silent_where_nobody_looks(capsys):
    with console.progress_bar("Screening", unit="files", quiet=False) as advance:
        advance(1, 2)

    assert capsys.readouterr() == ("", "")


def test_progress_shows_count_rate_and_time_left_on_a_terminal(monkeypatch):
    seen = io.StringIO()
    terminal = Console(file=seen, force_terminal=True, width=120)
    monkeypatch.setattr("rich.console.Console", lambda **_: terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    with console.progress_bar("Screening", unit="files", quiet=False) as advance:
        for done in range(1, 5):
            advance(done, 4)

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.getvalue())
    assert "Screening" in plain
    assert "4/4" in plain
    assert re.search(r"\d files/s", plain)


def test_brackets_in_words_are_no_orders_to_rich(capsys):
    console.show("tiny [/x] [bold]1[/bold]\x1b[2J")

    assert capsys.readouterr().out == (
        "tiny [/x] [bold]1[/bold]\N{REPLACEMENT CHARACTER}[2J\n"
    )


def test_the_file_is_named_once_whether_or_not_the_message_does(capsys, tmp_path):
    path = tmp_path / "a.dcm"

    console.complain(DecodeError("its pixels are cut off.", path=path, hint="Copy it."))
    console.complain(DecodeError(f"{path} is empty", path=path))
    console.complain(DecodeError("its slices are doubled", path=Path("s")))

    console.complain(GeometryError("it is a volume"), path)

    cut, empty, doubled, volume = capsys.readouterr().err.splitlines()
    assert cut == f"medcnn: {path}: its pixels are cut off. Copy it."
    assert empty == f"medcnn: {path} is empty."
    assert doubled == "medcnn: s: its slices are doubled."
    assert volume == f"medcnn: {path}: it is a volume."


def test_names_that_are_no_utf_8_leave_the_json_whole(capfdbinary):
    name = os.fsdecode(b"\xff\xfe bad \xc3\xa9")
    console.answer({"source": name})
    told = capfdbinary.readouterr().out.decode("utf-8", "strict")
    assert os.fsencode(json.loads(told)["source"]) == b"\xff\xfe bad \xc3\xa9"
