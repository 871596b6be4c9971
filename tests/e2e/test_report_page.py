"""The report as people see it: in a browser, from a file, with no network."""

import re
import shutil

import pytest
from runs import FLAG, LABELS, make_row, make_run

from medcnn.report import write_report
from medcnn.results import Status

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install playwright"
)

pytestmark = pytest.mark.slow

HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=alert(2)>'


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A run with hostile names, and more images than get a card."""
    rows = [make_row(n, probability=1 - n / 500) for n in range(1, 451)]
    rows[0] = make_row(1, probability=0.99, path=HOSTILE, patient_id=HOSTILE)
    rows += [make_row(n, reason=f"modality MR {HOSTILE}") for n in range(451, 454)]
    rows.append(make_row(454, status=Status.ERROR, reason="cut off"))
    folder = tmp_path_factory.mktemp("run")
    errors = [(HOSTILE, "decode", "cut off", HOSTILE)]
    make_run(folder, rows, errors=errors)
    with pytest.MonkeyPatch.context() as patch:  # most pictures lie beside the page
        patch.setattr("medcnn.report.page.PICTURE_BUDGET", 20_000)
        write_report(folder)
    return folder


@pytest.fixture
def page(browser, output):
    """The page, opened offline; the test fails if the browser complains of it."""
    context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900})
    opened = context.new_page()
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(request.url))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    opened.goto((output / "report.html").as_uri())
    yield opened
    context.close()
    assert complaints == []


def heat_of(page):
    """Return the opacity with which the first card's heatmap is painted."""
    script = "e => Number(getComputedStyle(e).opacity)"
    return page.locator(".card .heat").first.evaluate(script)


def visible(page):
    return page.locator(".card:visible").count()


def test_pictures_of_the_page_and_beside_it_are_drawn(page):
    for place, source in ((0, "data:image/jpeg;"), (299, "thumbnails/")):
        card = page.locator(".card").nth(place)
        card.scroll_into_view_if_needed()
        picture = card.locator("img.scan")
        assert picture.get_attribute("src").startswith(source)
        page.wait_for_function("e => e.complete", arg=picture.element_handle())
        assert picture.evaluate("e => e.naturalWidth") == 80


def test_heatmap_lies_exactly_on_its_picture(page):
    card = page.locator(".card").first

    assert card.locator(".scan").bounding_box() == card.locator(".heat").bounding_box()


def test_slider_and_key_change_the_opacity_of_every_heatmap(page):
    assert heat_of(page) == 1

    page.locator("#opacity").fill("25")
    assert heat_of(page) == 0.25
    page.locator("body").press("h")
    assert heat_of(page) == 0
    page.get_by_role("button", name="Heatmap off").click()
    assert heat_of(page) == 0.25


def test_slider_changes_the_pixels_on_the_screen(page):
    card = page.locator(".card").first.locator(".picture")
    full = card.screenshot()
    page.locator("#opacity").fill("0")

    assert card.screenshot() != full


def test_band_filter_hides_and_shows(page):
    assert visible(page) == 304

    page.locator(".chip.out_of_scope").click()
    assert visible(page) == 3
    page.locator(".chip.error").click()
    assert visible(page) == 4
    page.locator(".chip.error").click()
    page.locator(".chip.out_of_scope").click()
    assert visible(page) == 304


def test_search_and_least_probability_narrow_the_cards(page):
    page.locator("#search").fill("00007.DCM")
    assert visible(page) == 1
    assert page.locator(".card:visible .file b").inner_text() == "00007.dcm"

    page.locator("#search").fill("")
    page.locator("#least").fill("0.9")
    assert visible(page) == 50
    page.locator("#least-label").select_option(LABELS[1])
    assert visible(page) == 0
    assert "0 of 454 images" in page.locator("#shown").inner_text()


def test_images_without_a_card_are_named_in_the_status_and_in_the_table(page):
    page.locator("#search").fill("00430")
    assert "1 more match: see the table" in page.locator("#shown").inner_text()

    page.get_by_role("button", name="Table").click()
    assert page.locator("#rows tr").count() == 1
    assert "00430.dcm" in page.locator("#rows").inner_text()


def test_table_holds_every_image_in_steps(page):
    page.get_by_role("button", name="Table").click()
    assert page.locator("#rows tr").count() == 200

    page.get_by_role("button", name="Show more rows").click()
    page.get_by_role("button", name="Show more rows").click()
    assert page.locator("#rows tr").count() == 454
    assert not page.get_by_role("button", name="Show more rows").is_visible()


def test_enlarged_picture_is_walked_through_by_keyboard(page):
    page.locator("button.picture").first.focus()
    page.keyboard.press("Enter")
    large = page.locator("#large")
    assert large.locator(".rank").inner_text() == "1"
    assert "flag from 0.60" in large.inner_text()

    page.keyboard.press("ArrowRight")
    assert large.locator(".rank").inner_text() == "2"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert large.locator(".rank").inner_text() == "1"
    page.keyboard.press("Escape")
    assert not large.is_visible()


def test_hostile_names_stay_text_everywhere(page):
    page.get_by_role("button", name="Table").click()
    page.locator("#rows button").first.click()

    assert page.title().startswith("Screening report")
    assert page.locator("script").count() == 2
    assert page.locator('img[src="x"], [onerror]').count() == 0
    assert HOSTILE in page.locator("#rows tr").first.inner_text()
    assert HOSTILE in page.locator("#large .file").inner_text()
    assert HOSTILE in page.locator("#errors").inner_text()


def test_what_is_out_of_scope_shows_no_score(page):
    page.locator(".chip.out_of_scope").click()
    card = page.locator(".card:visible").first

    assert "modality MR" in card.inner_text()
    assert card.locator("svg.bar").count() == 0


def test_page_fits_a_phone_and_follows_a_dark_system(browser, output):
    context = browser.new_context(
        offline=True, viewport={"width": 360, "height": 740}, color_scheme="dark"
    )
    opened = context.new_page()
    opened.goto((output / "report.html").as_uri())

    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", ground)) < 60
    context.close()


def test_page_alone_without_its_folder_still_shows_the_urgent(
    browser, output, tmp_path
):
    shutil.copy(output / "report.html", tmp_path / "alone.html")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto((tmp_path / "alone.html").as_uri())

    picture = opened.locator(".card img.scan").first
    assert picture.evaluate("e => e.naturalWidth") == 80
    assert opened.locator(".tile.flag b").inner_text() == str(
        sum(1 - n / 500 >= FLAG for n in range(1, 451))
    )
    context.close()


def test_page_without_scripts_still_shows_every_card(browser, output):
    context = browser.new_context(offline=True, java_script_enabled=False)
    opened = context.new_page()
    opened.goto((output / "report.html").as_uri())

    assert opened.locator(".card:visible").count() == 304
    assert not opened.locator(".toolbar").is_visible()
    context.close()
