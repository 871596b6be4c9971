"""An evaluation that is killed goes on, and ends as if nothing had happened."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import cv2
import numpy as np
import pytest
from bundles import make_bundle
from predicted import write_rows

import medcnn
from medcnn.assessment import Run
from medcnn.assessment.answers import Reader
from medcnn.assessment.ledger import LEDGER, Ledger, Told
from medcnn.errors import OutputError
from medcnn.worklist import ErrorRow

pytestmark = pytest.mark.slow

COUNT = 40
KEPT = 7
STOPPING = f"""
import signal
from medcnn.assessment import ledger
from medcnn.cli import main
ledger._EVERY_S = 0
add, told_of = ledger.Ledger.add, []
def stopping(self, path, told):
    add(self, path, told)
    told_of.append(path)
    if len(told_of) == {KEPT}:
        signal.pause()
ledger.Ledger.add = stopping
main()
"""
"""An evaluation that saves each answer, and waits to be killed after the seventh."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    rows = []
    for n in range(COUNT):
        picture = rng.normal(90 + n % 2 * 40, 25, (40, 40)).clip(0, 255)
        cv2.imwrite(str(folder / f"{n}.png"), picture.astype(np.uint8))
        rows.append({"path": f"{n}.png", "patient_id": f"p{n}", "abnormal": n % 2})
    (folder / "3.png").write_bytes(b"no picture")
    return write_rows(folder / "table.csv", rows)


def arguments(table, bundle, output):
    options = ["--split", "all", "--bootstrap", "50", "--workers", "1"]
    return ["evaluate", table, "--model", bundle, "--output", output, *options]


def kept(output):
    with closing(sqlite3.connect(f"file:{output / LEDGER}?mode=ro", uri=True)) as link:
        try:
            return link.execute("select count(*) from answers").fetchone()[0]
        except sqlite3.OperationalError:  # its tables are not made yet
            return 0


def contents(output):
    """Return all that was written, less when it was made."""
    found = {}
    for path in sorted(output.rglob("*")):
        if path.is_file() and not path.name.startswith(LEDGER):
            found[path.relative_to(output)] = path.read_bytes()
    made = json.loads((output / "evaluation.json").read_text("utf-8"))["created"]
    return {name: data.replace(made.encode(), b"") for name, data in found.items()}


def test_a_killed_evaluation_goes_on_and_gives_the_same_bytes(table, bundle, tmp_path):
    output, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", STOPPING, *arguments(table, bundle, output)]
    process = subprocess.Popen(
        list(map(str, command)), stderr=subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + 600
    try:
        while not (output / LEDGER).is_file() or kept(output) < KEPT:
            assert time.monotonic() < end, "the evaluation never got so far"
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    told = []
    for folder in (output, whole):
        command = [sys.executable, "-m", "medcnn", *arguments(table, bundle, folder)]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=False
        )
        assert done.returncode == 8, done.stderr  # one file is no picture
        told.append(done.stderr)

    assert f"{KEPT} of {COUNT} images were answered before and are kept." in told[0]
    assert "answered before" not in told[1]
    assert contents(output) == contents(whole)


def run(table, bundle, output, words):
    options = Run(workers=1, gallery=False, say=words.append)
    return medcnn.evaluate(
        bundle, table, output=output, split="all", bootstrap=50, run=options
    )


@pytest.fixture
def asked(monkeypatch):
    """How many images were read, each time a model was run."""
    counts, answers = [], Reader.answers

    def counting(self, paths):
        counts.append(len(paths))
        return answers(self, paths)

    monkeypatch.setattr(Reader, "answers", counting)
    return counts


def test_only_images_that_have_changed_are_read_again(table, bundle, tmp_path, asked):
    words = []
    first = run(table, bundle, tmp_path / "out", words)
    picture = np.full((40, 40), 200, np.uint8)
    cv2.imwrite(str(table.parent / "6.png"), picture)

    again = run(table, bundle, tmp_path / "out", words)

    assert asked == [COUNT, 1]
    assert words == [
        f"{COUNT - 1} of {COUNT} images were answered before and are kept."
    ]
    assert again.labels["abnormal"].auroc != first.labels["abnormal"].auroc


def test_another_model_starts_anew_and_says_so(table, bundle, tmp_path, asked):
    words = []
    run(table, bundle, tmp_path / "out", words)
    other = make_bundle(tmp_path / "other", seed=5).path

    run(table, other, tmp_path / "out", words)

    assert asked == [COUNT, COUNT]
    assert words == ["Another model than before: every image is read anew."]


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path):
    facts, path = {"model": "a"}, tmp_path / "1.png"
    path.write_bytes(b"x")
    told = Told("ok", "", (0.1 + 0.2, 1 / 3), (-1e-300, 5e300))
    failed = Told(
        "error", "broken", error=ErrorRow("1.png", "decode", "broken", "look")
    )

    for one in (told, failed):
        with Ledger(tmp_path, facts) as ledger:
            ledger.add(path, one)
        with Ledger(tmp_path, facts) as ledger:
            assert ledger.known([tmp_path / "2.png", path]) == {1: one}


def test_a_ledger_that_is_none_is_refused_in_words(tmp_path):
    (tmp_path / LEDGER).write_bytes(b"no database, but long enough to look at" * 9)

    with pytest.raises(OutputError, match="cannot be used: file is not a database"):
        Ledger(tmp_path, {})


def test_a_ledger_of_another_version_is_refused(tmp_path):
    with Ledger(tmp_path, {}):
        pass
    with sqlite3.connect(tmp_path / LEDGER) as link:
        link.execute("pragma user_version = 9")
    link.close()

    with pytest.raises(OutputError, match="has format 9; this medcnn reads 1"):
        Ledger(tmp_path, {})
