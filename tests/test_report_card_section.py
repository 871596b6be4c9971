"""An evaluation in the model's card: the same figures, once, in the right place."""

import json
import re
from dataclasses import replace

import pytest
from bundles import make_bundle
from markdown_it import MarkdownIt
from predicted import make_predictions

from medcnn.assessment import update_card
from medcnn.bundle import CARD, open_bundle
from medcnn.errors import DataError
from medcnn.evaluation import Design, ModelFacts, Settings, evaluate_predictions
from medcnn.report.card_section import card_section, with_section


def evaluated(**changes):
    made = make_predictions(
        labels=("abnormal", "mass"), columns={"sex": lambda p: "FM"[p % 2]}, **changes
    )
    facts = ModelFacts(name="tiny", version="1", sha256="a" * 64)
    design = Design(split="all", settings=Settings(bootstrap=50))
    return evaluate_predictions(made, design, model=facts)


@pytest.fixture(scope="module")
def found():
    return evaluated()


def tables(text):
    """Return the cells of every table, as a Markdown reader finds them."""
    page = MarkdownIt().enable("table").render(text)
    return [
        [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in table.split("<tr>")[1:]]
        for table in page.split("<table>")[1:]
    ]


def test_the_figures_are_those_of_the_evaluation(found):
    areas, points, _, calibration, groups = tables(card_section(found))

    area = found.labels["mass"].auroc
    low, high = area.ci95
    assert areas[2][0] == "mass"
    assert areas[2][2] == f"{area.value:.3f} ({low:.3f} to {high:.3f})"
    point = found.labels["abnormal"].operating_points[0]
    assert points[1][0] == "Youden"
    assert points[1][3].startswith(f"{100 * point.sensitivity.value:.1f} %")
    assert calibration[1][4] == f"{found.labels['abnormal'].calibration.brier:.3f}"
    assert [row[0] for row in groups[1:]] == ["sex = F", "sex = M"]


def test_the_section_stands_before_how_it_was_made(found):
    card = "# tiny 1\n\n## What it achieves\n\nmuch\n\n## How it was made\n\nwell\n"

    text = with_section(card, card_section(found))

    places = [
        text.index(x) for x in ("much", "## Evaluated on", "## How it was", "well")
    ]
    assert places == sorted(places)


def test_a_second_evaluation_of_the_same_data_replaces_the_first(found):
    other = evaluated(seed=3)
    card = "# tiny 1\n\n## Licence\n\nfree\n"

    once = with_section(card, card_section(found))
    twice = with_section(once, card_section(other))

    assert twice == with_section(card, card_section(other))
    assert with_section(once, card_section(found)) == once


def test_evaluations_of_other_data_stand_beside_each_other(found):
    facts = found.data.model_copy(update={"source": "elsewhere/other.csv"})
    other = found.model_copy(update={"data": facts})

    text = with_section(
        with_section("# tiny\n", card_section(found)), card_section(other)
    )

    assert text.count("## Evaluated on") == 2


def test_names_cannot_break_the_table():
    made = replace(make_predictions(), labels=("a|b <i>`c`\nd",))
    design = Design(split="all", settings=Settings(bootstrap=0))

    areas = tables(card_section(evaluate_predictions(made, design)))[0]

    assert areas[1][0] == "a|b &lt;i&gt;`c` d"
    assert len(areas[1]) == len(areas[0]) == 4


def test_the_bundle_is_whole_after_its_card_was_written(found, tmp_path):
    bundle = make_bundle(tmp_path / "tiny")
    facts = found.model.model_copy(update={"sha256": bundle.sha256})

    update_card(bundle.path, found.model_copy(update={"model": facts}))

    again = open_bundle(bundle.path)  # checks every checksum
    assert "## Evaluated on made.csv, all cases" in again.card()
    before, after = (one.spec.model_dump() for one in (bundle, again))
    assert before.pop("files").keys() | {CARD} == after.pop("files").keys()
    assert before == after
    assert json.loads((bundle.path / "bundle.json").read_text("utf-8"))


def test_the_evaluation_of_another_model_is_refused(found, tmp_path):
    bundle = make_bundle(tmp_path / "tiny")

    with pytest.raises(DataError, match=r"is of tiny, not of \S+: the checksums"):
        update_card(bundle.path, found)
