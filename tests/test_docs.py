"""The Python in README.md and docs/ runs and prints what it says."""

import doctest
import re
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def page_id(path):
    return str(path.relative_to(ROOT))


def snippets(page):
    return PYTHON.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if snippets(page)], ids=page_id
)
def test_the_python_on_a_page_runs(page, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    names: dict[str, object] = {}
    for number, code in enumerate(snippets(page), start=1):
        if ">>>" not in code:
            exec(compile(code, f"{page.name}, block {number}", "exec"), names)  # noqa: S102
            continue
        test = parser.get_doctest(code, names, page.name, str(page), 0)
        test.globs = names
        runner.run(test, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


DEFINED = re.compile(r"^\s*def (test_\w+)", re.MULTILINE)


def test_every_threat_names_a_test_that_there_is():
    page = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    table = page.split("## Threats, and the test of each")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line[:1] == "|"]
    tests = {
        name
        for folder in (ROOT / "tests", ROOT / "plugins")
        for file in folder.rglob("test_*.py")
        for name in DEFINED.findall(file.read_text(encoding="utf-8"))
    }
    assert len(rows) > 15
    for threat, _, named in rows[2:]:
        found = re.findall(r"`(\w+)`", named)
        assert found, threat
        assert set(found) <= tests, set(found) - tests


def test_the_contributing_guide_stays_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60
