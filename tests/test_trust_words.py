"""What trust scores are called, on the page and in words: loud where maps fail."""

import re
import runpy
from types import SimpleNamespace

import pytest
from predicted import make_predictions
from trust_scores import made_up_trust

from medcnn.evaluation import (
    EVALUATION,
    Design,
    Settings,
    evaluate_predictions,
    read_evaluation,
    trust_words,
    write_evaluation,
)
from medcnn.report.evaluation_page import write_evaluation_report


def page_of(folder, trust):
    design = Design(split="all", settings=Settings(bootstrap=0))
    found = evaluate_predictions(make_predictions(labels=("abnormal",)), design)
    told = found.model_copy(update={"trust": trust})
    write_evaluation(told, folder / EVALUATION)
    assert read_evaluation(folder / EVALUATION).trust == trust
    return write_evaluation_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("failing"), made_up_trust("not shown"))


def test_the_page_says_loudly_that_maps_do_not_beat_the_centre(page):
    assert 'class="loud">abnormal: in 31 images with marks' in page
    assert "NOT SHOWN TO BE BETTER THAN THE CENTRE OF THE IMAGE" in page
    assert "NOT SHOWN TO BEAT RANDOM BLOBS" in page
    assert "2 of the maps are empty and count as misses" in page
    assert page.count('class="loud"') == 2


def test_the_page_has_scores_rivals_figures_and_the_checklist_item(page):
    assert "60 % (50 to 70) of the time, the centre of the image 20 %" in page
    assert "a random point 10 %" in page
    assert "other patients are marked most often 30 %" in page
    assert page.count("<figcaption>The pointing game") == 1
    assert page.count("<figcaption>Left: the hottest pixels go first") == 1
    assert '<th scope="row">CLAIM 2024 31</th>' in page
    assert "not a lesion&#39;s outline" in page
    for words in ("cam and occlusion", "A note.", "(3 without any relief count as 0)"):
        assert words in page


def test_a_page_of_good_maps_is_not_loud_and_one_without_maps_has_no_block(tmp_path):
    good = page_of(tmp_path, made_up_trust("better"))
    assert 'class="loud"' not in good
    assert "The map is shown to beat the centre." in good
    assert 'id="trust"' not in page_of(tmp_path, None)


@pytest.mark.parametrize("verdict", ["not shown", "worse"])
def test_what_fails_is_a_warning(verdict):
    centre, blobs = trust_words.trust_warnings(made_up_trust(verdict))
    assert centre.startswith("The heatmaps of abnormal are not shown to be better")
    assert "random blobs" in blobs
    assert "mass" not in centre


def test_maps_that_survive_shuffled_weights_are_a_warning():
    (words,) = trust_words.trust_warnings(made_up_trust("better", correlation=0.8))
    assert "hardly change when the weights of the head are shuffled" in words
    assert trust_words.trust_warnings(made_up_trust("better")) == []


def test_where_shuffled_weights_leave_no_maps_little_is_said():
    (one,) = made_up_trust().randomised
    words = trust_words.randomised_sentence(one.model_copy(update={"equal_maps": 30}))
    assert words.endswith(
        "30 of 31 images have no map left to compare: this says little."
    )


def test_the_table_holds_every_label_and_its_verdict():
    head, rule, first, second = trust_words.markdown_table(
        made_up_trust("worse")
    ).splitlines()
    assert (
        len({len(re.findall(r"\|", row)) for row in (head, rule, first, second)}) == 1
    )
    assert "| abnormal | 31 / 20 | 0.60 (0.50 to 0.70) | 0.20 | 0.10 | 0.30 |" in first
    assert "WORSE THAN THE CENTRE" in first
    assert "too few patients to judge" in second


def test_there_is_no_table_without_marks():
    trust = made_up_trust().model_copy(update={"located": {}})
    assert trust_words.markdown_table(trust) == ""
    assert trust_words.markdown_section({"val": trust}) == ""


def test_a_cards_section_has_the_pages_warnings_and_numbers():
    trust = made_up_trust("not shown")
    section = trust_words.markdown_section({"val": trust, "test": trust})
    assert section.startswith("## Heatmaps\n")
    assert "### test, method `cam`" in section
    for words in trust_words.trust_warnings(trust):
        assert section.count(f"**{words}**") == 2
    assert section.count(trust_words.markdown_table(trust)) == 2


def test_the_benchmark_writes_its_tables_between_the_marks_of_a_page(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend("benchmarks")
    benchmark = runpy.run_path("benchmarks/trust.py")
    page = tmp_path / "page.md"
    begin, end = benchmark["MARKS"]
    page.write_text(f"a\n{begin}\nold\n{end}\nz\n")
    spec = SimpleNamespace(name="tiny", version="1")
    model = SimpleNamespace(spec=spec, bundle=SimpleNamespace(sha256="0" * 64))
    found = {"cam": made_up_trust(), "occlusion": made_up_trust("worse")}
    text = "\n".join(benchmark["report"](model, found))
    benchmark["write_between"](page, text, (begin, end))
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("a", "z")
    assert "old" not in lines
    assert "| occlusion (31) | 0.60 (0.50 to 0.70) | 0.60 (0.50 to 0.70) |" in lines
    assert "| centre | 0.20 | 0.20 |" in lines
