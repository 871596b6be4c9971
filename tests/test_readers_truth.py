"""Every case of known truth: medcnn is right or refuses, as docs/readers.md says."""

import json
import re
import subprocess
import sys
from functools import cache

import pytest
from reader_cases import GROUPS
from reader_cases.judge import judge
from reader_cases.ours import answer, sentence

from medcnn.errors import ReadError

CASES = {f"{g.key}: {c.name}": (g, c) for g in GROUPS for c in g.cases}
TOLD = [name for name, (_, case) in CASES.items() if case.ask]


@pytest.fixture(scope="module")
def result_of(tmp_path_factory):
    """Return what medcnn makes of a case: (word, detail), read once."""

    @cache
    def find(name, is_told=False):
        _, case = CASES[name]
        path = case.build(tmp_path_factory.mktemp("case"))
        try:
            found = answer(path, case.truth, case.ask if is_told else {})
        except ReadError as error:
            return "refused", sentence(error, path)
        verdict = judge(case.truth, found)
        return verdict.word, verdict.detail

    return find


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "readers.md").read_text(encoding="utf-8")


def cell(page, name, column):
    """Return a cell of the table of a case's group."""
    group, case = CASES[name]
    table = page.split(f"### {group.title}\n")[1].split("\n### ")[0]
    head, _, *rows = [
        [part.strip() for part in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    row = next(row for row in rows if row[0] == case.name)
    return row[head.index(column)]


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_right_or_refused_as_the_page_says(name, result_of, page):
    word, detail = result_of(name)
    assert word in {"right", "refused"}, detail
    assert cell(page, name, "medcnn").split()[0] == word


@pytest.mark.parametrize("name", TOLD)
def test_a_case_is_as_the_page_says_when_told_what_to_do(name, result_of, page):
    word, detail = result_of(name, is_told=True)
    assert word in {"right", "refused"}, detail
    assert cell(page, name, "medcnn, told").split()[0] == word


def test_the_sentences_of_the_page_are_those_that_are_given(result_of, page):
    section = page.split("## What is refused and why\n")[1].split("\n## ")[0]
    written = re.findall(r"^- ([^:`]+(?:: [^:`]+)?): `([^`]+)`", section, re.MULTILINE)
    refused = [name for name in CASES if result_of(name)[0] == "refused"]
    given = {(CASES[name][1].name, result_of(name)[1]) for name in refused}
    assert set(written) == given


@pytest.mark.slow
def test_the_program_finds_the_same(result_of, repository, tmp_path):
    command = [sys.executable, "benchmarks/reader_truth.py", "--groups", "nifti"]
    command += ["--readers", "medcnn", "nibabel", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(
        command, cwd=repository, capture_output=True, text=True, check=True
    )
    found = json.loads((tmp_path / "out.json").read_text())["results"]["nifti"]
    for name, row in found.items():
        assert (row["medcnn"]["word"], row["medcnn"]["detail"]) == result_of(
            f"nifti: {name}"
        )
    assert re.search(r"^\| medcnn \| 20 \| \d+ \| 0 \| 0 \|", done.stdout, re.MULTILINE)
    assert found["NaN in the sform, qform sound"]["nibabel"]["word"] == "wrong"


@pytest.mark.slow
def test_a_reader_that_is_lost_costs_one_cell(repository):
    code = """
import os, signal, sys
sys.path[:0] = ["benchmarks", "tests"]
from truth.asking import Asked
asked = Asked("medcnn", 60)
first = asked("nifti", 0)
os.kill(asked._process.pid, signal.SIGKILL)
lost, after = asked("nifti", 0), asked("nifti", 0)
late = Asked("medcnn", 0.01)("nifti", 0)
asked.close()
print(first.word, lost.word, lost.detail, after.word, late.word, late.detail)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "right lost exit code -9 right lost too slow\n"
