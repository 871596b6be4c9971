"""The evaluation report as people see it: in a browser, from a file, offline."""

import pytest
from offline import opened_offline
from predicted import make_predictions

from medcnn.evaluation import (
    EVALUATION,
    Design,
    Settings,
    evaluate_predictions,
    write_evaluation,
)
from medcnn.report.evaluation_page import write_evaluation_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install playwright"
)

pytestmark = pytest.mark.slow

HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    made = make_predictions(
        labels=("abnormal", HOSTILE), columns={"site": lambda p: f"{HOSTILE}{p % 3}"}
    )
    design = Design(split="all", settings=Settings(bootstrap=20))
    write_evaluation(evaluate_predictions(made, design), folder / EVALUATION)
    return write_evaluation_report(folder).as_uri()


@pytest.fixture
def page(browser, address):
    """The page; the test fails if the browser complains of it."""
    with opened_offline(browser, address, width=1250) as opened:
        yield opened


def test_every_figure_is_painted(page):
    sizes = page.eval_on_selector_all(
        "figure img", "all => all.map(e => [e.complete, e.naturalWidth])"
    )

    assert len(sizes) == 15
    assert all(done and width > 100 for done, width in sizes)


def test_nothing_of_a_name_is_run(page):
    assert page.title() == "Evaluation report: made.csv"
    assert page.locator("script").count() == 0


@pytest.mark.parametrize("width", [390, 1250])
def test_nothing_sticks_out_to_the_side(page, width):
    page.set_viewport_size({"width": width, "height": 900})

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_every_block_is_there_and_no_figure_is_cut(page):
    page.emulate_media(media="print")

    assert page.locator("nav").is_hidden()
    assert page.locator("h3", has_text="Subgroups").count() == 2
    broken = page.eval_on_selector_all(
        "figure", "all => all.map(e => getComputedStyle(e).breakInside)"
    )
    assert set(broken) == {"avoid"}
    assert len(page.pdf(format="A4")) > 50_000
