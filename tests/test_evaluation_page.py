"""The evaluation's page and figures: complete, alone, the same again."""

import html
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from predicted import make_predictions

from medcnn.errors import DataError
from medcnn.evaluation import (
    EVALUATION,
    Design,
    Settings,
    evaluate_predictions,
    write_evaluation,
)
from medcnn.report.evaluation_page import write_evaluation_report

HOSTILE = '<script>alert("x")</script>'


def page_of(folder, predictions, *, thresholds=()):
    settings = Settings(bootstrap=50)
    design = Design(split="all", settings=settings, thresholds=thresholds)
    write_evaluation(evaluate_predictions(predictions, design), folder / EVALUATION)
    return write_evaluation_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    predictions = make_predictions(
        labels=("abnormal", "mass"), columns={"sex": lambda p: "FM"[p % 2]}
    )
    return folder, page_of(folder, predictions)


def test_every_block_names_the_item_it_answers(made):
    _, page = made

    blocks = len(re.findall(r"<h3>(?!Cases without|Checklist)", page))
    blocks += page.count("<h2>What") + 2
    assert page.count('class="items"') == blocks
    for item in ("CLAIM 2024 items 28, 29, 38", "STARD-AI items 15c, 31"):
        assert item in page
    for item in ("TRIPOD+AI 12e", "CLAIM 2024 38", "TRIPOD+AI 23a*"):
        assert f'<th scope="row">{item}</th>' in page
    assert "STARD-AI 19</th>" in page
    assert "CLAIM 2024 31" not in page  # no heatmaps: there was no model


def test_figures_lie_beside_the_page_as_svg_and_png(made):
    folder, _ = made

    names = {path.name for path in (folder / "figures").iterdir()}
    kinds = "roc precision-recall calibration decision workload scores subgroups"
    assert names == {
        f"{start}{kind}.{suffix}"
        for suffix in ("svg", "png")
        for start, which in (
            ("01-abnormal-", kinds),
            ("02-mass-", kinds),
            ("", "labels"),
        )
        for kind in which.split()
    }
    assert (folder / "figures/labels.png").read_bytes()[1:4] == b"PNG"


def test_the_same_evaluation_gives_the_same_page_and_figures(made):
    folder, page = made
    before = {p.name: p.read_bytes() for p in (folder / "figures").iterdir()}

    write_evaluation_report(folder)

    assert (folder / "report.html").read_text(encoding="utf-8") == page
    assert {p.name: p.read_bytes() for p in (folder / "figures").iterdir()} == before


def test_the_page_loads_and_runs_nothing(made):
    _, page = made

    class Sources(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag not in {"script", "link", "iframe", "object"}
            for name, value in attrs:
                assert name not in {"style", "srcset"}
                assert not name.startswith("on")
                assert name != "src" or value.startswith("data:")
                assert name != "href" or value.startswith("#")

    Sources().feed(page)
    page = html.unescape(page)
    assert "default-src 'none'" in page
    assert "script-src 'none'" in page


def test_hostile_names_are_shown_as_text(tmp_path):
    made = make_predictions(
        labels=(HOSTILE,),
        source=HOSTILE,
        columns={HOSTILE: lambda p: HOSTILE + str(p % 2)},
    )

    page = page_of(tmp_path, made)

    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_name_cannot_turn_the_text_around_it(tmp_path):
    turning = "mass\u202e\u2066\x1b of אב"  # right to left is fine, steering is not

    page = page_of(tmp_path, make_predictions(patients=12, labels=(turning,)))

    beside = re.sub(r'src="data:[^"]*"', "", page)
    assert not set(beside) & {"\u202e", "\u2066", "\x1b"}
    assert "mass��� of אב" in beside


@pytest.mark.parametrize("case", ["one class", "equal scores", "three", "no truth"])
def test_odd_cases_give_a_page_without_nan(tmp_path, case):
    count = 3 if case == "three" else 12
    truth, score = np.arange(count) % 2, np.linspace(0, 1, count)
    changes = {
        "one class": (np.zeros(count), score),
        "equal scores": (truth, np.full(count, 0.5)),
        "three": (truth, score),
        "no truth": (np.full(count, np.nan), score),
    }[case]
    truth, score = (np.asarray(part, float)[:, None] for part in changes)
    made = make_predictions(patients=count, each=1, truth=truth, score=score)

    page = page_of(tmp_path, made)

    assert not re.search(r"\bnan\b|\binf\b|None", re.sub(r"base64,[^\"]+", "", page))
    assert "Limits and methods" in page


def test_false_alarms_are_listed_where_nobody_is_ill(tmp_path):
    healthy = {"truth": np.zeros((12, 1)), "score": np.linspace(0, 1, 12)[:, None]}
    made = make_predictions(patients=12, each=1, **healthy)

    page = page_of(tmp_path, made, thresholds=("0.8",))

    assert "At the main threshold" in page
    assert page.count("p11-0") == 1  # the highest score


def test_a_screening_report_loads_no_matplotlib():
    code = "import sys, medcnn.screening; print('matplotlib' in sys.modules)"
    command = [sys.executable, "-c", code]

    told = subprocess.run(command, capture_output=True, text=True, check=True)

    assert told.stdout.strip() == "False"


def test_a_folder_without_evaluation_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"evaluation.json cannot be read"):
        write_evaluation_report(tmp_path)
