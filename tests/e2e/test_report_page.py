"""The report as people see it: in a browser, from a file, with no network."""

import csv
import io
import re
import shutil

import pytest
from offline import opened_offline
from runs import FLAG, LABELS, make_row, make_run

from medcnn.report import write_report
from medcnn.results import Status
from medcnn.worklist import plain_text

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright: pip install playwright"
)

pytestmark = pytest.mark.slow

HOSTILE = '<script>document.title="owned"</script>"><img src=x onerror=alert(2)>'
FORMULA = '=HYPERLINK("http://x")'


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A run with hostile names, of which most are not in the page from the start."""
    rows = [make_row(n, probability=1 - n / 500) for n in range(1, 451)]
    rows[0] = make_row(1, probability=0.99, path=HOSTILE)
    rows += [make_row(n, reason=f"modality MR {n} {HOSTILE}") for n in range(451, 454)]
    rows.append(make_row(454, status=Status.ERROR, reason="cut off"))
    folder = tmp_path_factory.mktemp("run")
    errors = [(HOSTILE, "decode", "cut off", HOSTILE)]
    make_run(folder, rows, errors=errors)
    sex = [f"{row.path},{'MF'[row.rank % 2]}" for row in rows[1:450]]
    (folder / "groups.csv").write_text("\n".join(["path,sex", *sex]))
    with pytest.MonkeyPatch.context() as patch:  # most pictures lie beside the page
        patch.setattr("medcnn.report.page.PICTURE_BUDGET", 20_000)
        write_report(folder)
    return folder


@pytest.fixture
def page(browser, output):
    """The page; the test fails if the browser complains of it."""
    address = (output / "report.html").as_uri()
    with opened_offline(browser, address, width=1300) as opened:
        yield opened


def heat_of(page):
    """Return the opacity with which the first card's heatmap is painted."""
    script = "e => Number(getComputedStyle(e).opacity)"
    return page.locator("#cards .heat").first.evaluate(script)


def matching(page):
    """Return how many images the filters leave, as the page says it."""
    return int(page.locator("#shown").inner_text().partition(" of ")[0])


def card(page, rank):
    return page.locator(f'#cards [data-index="{rank - 1}"]')


def keys(page, *pressed):
    for key in pressed:
        page.keyboard.press(key)


# ------------------------------------------------------------------- the list


def test_pictures_of_the_page_and_beside_it_are_drawn(page):
    keys(page, *"nnnnnnnnnn")
    for rank, source in ((1, "data:image/jpeg;"), (10, "thumbnails/")):
        picture = card(page, rank).locator("img.scan")
        assert picture.get_attribute("src").startswith(source)
        page.wait_for_function("e => e.complete", arg=picture.element_handle())
        assert picture.evaluate("e => e.naturalWidth") == 80


def test_heatmap_lies_exactly_on_its_picture(page):
    one = page.locator("#cards .card").first

    assert one.locator(".scan").bounding_box() == one.locator(".heat").bounding_box()


def test_slider_and_key_change_the_opacity_of_every_heatmap(page):
    assert heat_of(page) == 1

    page.locator("#opacity").fill("25")
    assert heat_of(page) == 0.25
    page.locator("body").press("h")
    assert heat_of(page) == 0
    page.get_by_role("button", name="Heatmap", exact=True).click()
    assert heat_of(page) == 0.25


def test_slider_changes_the_pixels_on_the_screen(page):
    picture = page.locator("#cards .card").first.locator(".picture")
    full = picture.screenshot()
    page.locator("#opacity").fill("0")

    assert picture.screenshot() != full


def test_every_image_is_reached_by_scrolling_and_few_are_in_the_page(page):
    seen = set()
    for _ in range(200):
        drawn = page.evaluate(
            "[...document.querySelectorAll('#cards [data-index]')]"
            ".map(e => Number(e.dataset.index))"
        )
        assert drawn == sorted(drawn)
        assert len(drawn) < 80
        seen |= set(drawn)
        if len(seen) == 454:
            break
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(30)

    assert seen == set(range(454))


def test_the_list_is_as_tall_as_all_its_images_from_the_start(page):
    height = "document.getElementById('cards').getBoundingClientRect().height"
    before = page.evaluate(height)
    keys(page, "n", "End")
    page.wait_for_function("document.activeElement.dataset.index === '453'")

    assert page.evaluate(height) == pytest.approx(before, abs=2)
    assert card(page, 454).bounding_box()["y"] < 900


# ----------------------------------------------------------------- the filters


def test_band_filter_hides_and_shows(page):
    assert matching(page) == 454

    page.locator(".chip.out_of_scope").click()
    assert matching(page) == page.locator("#cards .card").count() == 3
    page.locator(".chip.error").click()
    assert matching(page) == 4
    page.locator(".chip.error").click()
    page.locator(".chip.out_of_scope").click()
    assert matching(page) == 454


def test_search_and_least_probability_narrow_the_list(page):
    page.locator("#search").fill("00007.DCM")
    assert page.locator("#cards .card .file b").all_inner_texts() == ["00007.dcm"]

    page.locator("#search").fill("")
    page.locator("#filters summary").click()
    page.locator("#least").fill("0.9")
    assert matching(page) == 50
    page.locator("#least-label").select_option(LABELS[1])
    assert matching(page) == 0
    assert "No image fits" in page.locator("#images").inner_text()
    page.get_by_role("button", name="Clear filters").click()
    assert matching(page) == 454


def test_finding_reason_and_subgroup_can_be_picked(page):
    page.locator("#filters summary").click()
    page.locator("#finding").select_option(label="abnormal (200)")
    assert matching(page) == 200
    page.get_by_label("sex").select_option("1")
    assert matching(page) == 100
    page.locator("#finding").select_option("")
    page.get_by_label("sex").select_option("")

    reasons = page.locator("#reason option").all_inner_texts()
    assert len(reasons) == 3  # any; numbers in them make no new reason; cut off
    page.locator("#reason").select_option(index=1)
    assert matching(page) == 3


def test_list_can_be_ordered_by_another_label(page):
    page.locator("#filters summary").click()
    page.locator("#order").select_option("path")
    first = page.locator("#cards .card").first
    assert first.get_attribute("data-index") == "0"  # "<" comes before "f"
    page.locator("#order").select_option(label="mass, high to low")
    assert first.get_attribute("data-index") == "1"


# ------------------------------------------------------------------- the table


def test_table_holds_every_image_and_draws_what_is_near(page):
    page.get_by_role("button", name="Table").click()
    table = page.locator("#table table")
    assert table.get_attribute("aria-rowcount") == "455"
    assert page.locator("#rows tr").count() < 120
    page.locator("#search").fill("00430")
    assert page.locator("#rows tr").count() == 1
    assert "00430.dcm" in page.locator("#rows").inner_text()


# ------------------------------------------------------------ the large picture


def test_enlarged_picture_is_walked_through_by_keyboard(page):
    page.locator("button.picture").first.focus()
    page.keyboard.press("Enter")
    large = page.locator("#large")
    assert large.locator(".rank").inner_text() == "1"
    assert "flag from 0.60" in large.inner_text()
    assert "1 of 454" in large.inner_text()

    page.keyboard.press("ArrowRight")
    assert large.locator(".rank").inner_text() == "2"
    keys(page, "p", "ArrowLeft")
    assert large.locator(".rank").inner_text() == "1"
    keys(page, "n", "n", "Escape")
    assert not large.is_visible()
    # the browser tells the page of it after that
    page.wait_for_function("document.activeElement.dataset.index === '2'")


def grey_at(page, share):
    """Return the screen's grey at a share of the picture's width."""
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    box = page.locator("#stage").bounding_box()
    clip = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    clip["x"] += (share - 0.5) * min(box["width"], box["height"])
    shot = page.screenshot(clip={**clip, "width": 2, "height": 2})
    return int(cv2.imdecode(np.frombuffer(shot, np.uint8), 0)[0, 0])


def test_window_and_level_are_the_linear_window_of_the_grey_levels(page):
    card(page, 250).wait_for(state="detached")
    page.locator("#search").fill("00250")  # no heatmap lies on it
    page.locator("button.picture").first.click()
    places = (0.3, 0.5, 0.7)
    plain = [grey_at(page, share) for share in places]
    page.locator("#width").fill("100")
    page.locator("#level").fill("120")
    windowed = [grey_at(page, share) for share in places]
    page.get_by_role("button", name="Invert").click()
    inverse = [grey_at(page, share) for share in places]

    expected = [min(max((g - 70) * 2.55, 0), 255) for g in plain]
    assert plain == pytest.approx([72, 120, 168], abs=8)  # a ramp
    assert windowed == pytest.approx(expected, abs=3)
    assert inverse == pytest.approx([255 - g for g in expected], abs=3)
    page.keyboard.press("0")
    assert [grey_at(page, share) for share in places] == plain


def test_right_button_drags_the_window_and_the_left_one_moves(page):
    page.locator("button.picture").first.click()
    keys(page, "+", "+", "+")
    assert "zoom 2.0, window 255, level 128" in page.locator("#look").inner_text()
    page.mouse.move(400, 400)
    for which, change in (("right", "window 195, level 108"), ("left", "window 195")):
        page.mouse.down(button=which)
        page.mouse.move(340, 420, steps=4)
        page.mouse.up(button=which)
        page.mouse.move(400, 400)
        assert change in page.locator("#look").inner_text()
    moved = page.locator("#stage .picture").evaluate("e => e.style.transform")
    assert moved.startswith("translate(-60px, 20px)")
    page.mouse.wheel(0, -300)
    assert "zoom 4.1" in page.locator("#look").inner_text()


# ------------------------------------------------------------------------ marks


def exported(page):
    """Export the marks with the key, and read them as a program does."""
    with page.expect_download() as waiting:
        page.keyboard.press("e")
    text = waiting.value.path().read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_marks_are_made_by_key_and_click_and_exported(page):
    keys(page, "n", "p", "a", "n", "d")
    card(page, 3).get_by_role("button", name=re.compile("Comment|comment")).click()
    page.keyboard.type(FORMULA)
    keys(page, "Escape", "Escape")
    page.locator("#search").fill("00449")  # no flag
    card(page, 449).get_by_role("button", name="Disagree").click()
    page.locator("#search").fill("00452")  # out of scope
    card(page, 452).get_by_role("button", name="Agree", exact=False).first.click()
    page.locator("body").press("h")

    lines = exported(page)

    assert [(x["rank"], x["band"], x["mark"], x["truth"]) for x in lines] == [
        ("1", "flag", "agree", "1"),
        ("2", "flag", "disagree", "0"),
        ("3", "flag", "", ""),
        ("449", "no-flag", "disagree", "1"),
        ("452", "out_of_scope", "agree", ""),
    ]
    assert lines[0]["path"] == HOSTILE
    assert lines[2]["comment"] == f"'{FORMULA}"
    assert plain_text(lines[2]["comment"]) == FORMULA
    assert lines[0]["label"] == "abnormal"
    assert lines[0]["patient_id"] == ""
    assert {x["model_sha256"] for x in lines} == {"ab" * 32}


def test_marks_survive_a_reload_and_a_rebuilt_report(page, output):
    keys(page, "n", "p", "a", "n", "d")
    page.reload()
    assert card(page, 1).locator(".agree").get_attribute("aria-pressed") == "true"

    page.wait_for_load_state("networkidle")  # no picture is read while it is replaced
    write_report(output)
    page.reload()

    assert card(page, 2).locator(".disagree").get_attribute("aria-pressed") == "true"
    page.locator("#marking summary").click()
    told = page.locator("#marks-told").inner_text()
    assert "1 agreed, 1 disagreed" in told
    assert "this browser on this computer only" in told
    keys(page, "u")
    assert card(page, 1).locator(".agree").get_attribute("aria-pressed") == "false"


def test_exported_marks_are_read_back_in_another_browser(page, browser, output):
    keys(page, "n", "p", "a", "c")
    page.keyboard.type('two\nlines, "quoted"')
    keys(page, "Escape", "Escape")
    with page.expect_download() as waiting:
        page.keyboard.press("e")
    context = browser.new_context(offline=True)
    other = context.new_page()
    other.goto((output / "report.html").as_uri())
    other.locator("#import").set_input_files(waiting.value.path())
    other.wait_for_function("document.getElementById('said').textContent !== ''")

    assert "1 marks were read" in other.locator("#said").text_content()
    assert exported(other) == exported(page)
    assert exported(other)[0]["comment"] == 'two\nlines, "quoted"'
    context.close()


def test_marks_can_be_filtered_and_a_mark_can_go_on_to_the_next(page):
    page.locator("#marking summary").click()
    page.get_by_label("Go on to the next").check()
    page.locator("header h1").click()
    keys(page, "n", "p", "a", "a", "d")
    page.locator("#filters summary").click()
    for choice, number in (("agree", 2), ("disagree", 1), ("none", 451), ("", 454)):
        page.locator("#marked").select_option(choice)
        assert matching(page) == number
    page.get_by_label("Go on to the next").evaluate("e => e.click()")


def test_a_browser_that_keeps_nothing_says_so(page):
    page.evaluate("void (Storage.prototype.setItem = () => { throw Error('full') })")
    keys(page, "n", "a")
    page.locator("#marking summary").click()

    assert "does not keep marks" in page.locator("#marks-told").inner_text()
    assert len(exported(page)) == 1
    page.evaluate("addEventListener('beforeunload', e => e.stopImmediatePropagation())")
    keys(page, "u")


# --------------------------------------------------------------- help and theme


def test_help_lists_the_keys_and_can_switch_them_off(page):
    page.keyboard.press("?")
    help_ = page.locator("#help")
    assert "agree, disagree" in help_.inner_text()
    page.get_by_label("Single letters work as keys").uncheck()
    page.keyboard.press("Escape")

    page.keyboard.press("h")
    assert heat_of(page) == 1  # nothing happened
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Single letters work as keys").check()
    page.get_by_role("button", name="Close").click()


def test_typing_into_a_field_is_no_command(page):
    page.keyboard.press("/")
    page.keyboard.type("hat")

    assert page.locator("#search").input_value() == "hat"
    assert heat_of_list(page) == "1"


def heat_of_list(page):
    root = "getComputedStyle(document.documentElement)"
    return page.evaluate(f"{root}.getPropertyValue('--heat')").strip()


CONTRAST = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const rgb = parse(getComputedStyle(e).backgroundColor);
      if (rgb.length === 3 || rgb[3] === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest("svg, :disabled, .hidden")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${e.className} ${e.textContent.slice(0, 30)} ${ratio}`);
  }
  return poor;
}
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser, output, theme):
    context = browser.new_context(offline=True)  # the system is light
    opened = context.new_page()
    opened.goto((output / "report.html").as_uri())
    while opened.locator("#theme").get_attribute("data-theme") != theme:
        opened.locator("#theme").click()
    keys(opened, "n", "p", "a", "n", "d")
    assert opened.evaluate(CONTRAST) == []  # WCAG 2.2, 1.4.3
    ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 60) == (theme == "dark")
    keys(opened, "Enter")
    assert opened.evaluate(CONTRAST) == []
    context.close()


def test_what_can_be_operated_has_a_name(page):
    page.locator("button.picture").first.click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
        .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim()
          || e.labels?.length)).map((e) => e.outerHTML)"""
    )

    assert nameless == []
    assert page.locator("#cards").get_attribute("role") == "feed"
    first = page.locator("#cards .card").first
    assert first.get_attribute("aria-setsize") == "454"
    assert "Flag, abnormal 0.99" in first.get_attribute("aria-label")


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
    first = page.locator("#cards .card").first

    assert "modality MR" in first.inner_text()
    assert first.locator("svg.bar").count() == 0


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

    picture = opened.locator("#cards img.scan").first
    assert picture.evaluate("e => e.naturalWidth") == 80
    assert opened.locator(".tile.flag b").inner_text() == str(
        sum(1 - n / 500 >= FLAG for n in range(1, 451))
    )
    context.close()


def test_page_without_scripts_still_shows_every_card(browser, output):
    context = browser.new_context(offline=True, java_script_enabled=False)
    opened = context.new_page()
    opened.goto((output / "report.html").as_uri())

    assert opened.locator(".card:visible").count() == 48 + 3 + 1
    assert not opened.locator(".toolbar").is_visible()
    context.close()


def test_print_has_the_summary_and_the_flagged_on_its_first_page(page, tmp_path):
    page.locator("#theme").click()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})  # A4

    states = page.evaluate(
        "[...document.querySelectorAll('.card')].filter(e => e.checkVisibility())"
        ".map(e => e.className)"
    )
    assert set(states) == {"card flag"}
    assert page.locator("#printed .card:visible").nth(7).bounding_box()["y"] < 1123
    assert page.locator(".tile.flag").is_visible()
    assert not page.locator(".toolbar").is_visible()
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="screen")


def test_names_that_turn_what_follows_stand_still_and_stay_what_they_are(
    browser, tmp_path
):
    turning = "ward\u202e3/gpj.\u202emcd"
    rows = [make_row(1, probability=0.9, path=turning), make_row(2, probability=0.1)]
    rows.append(make_row(3, reason="modality \u2066MR"))
    opened = browser.new_page()
    opened.goto(write_report(make_run(tmp_path, rows)).as_uri())

    drawn = "[...document.body.querySelectorAll(':not(script)')].flatMap(e => "
    told = drawn + "[e.title ?? '', e.ariaLabel ?? '', e.alt ?? '']).join(' ')"
    for view in ("cards", "table", "large"):
        if view != "cards":
            opened.locator("#view" if view == "table" else "#rows button").first.click()
        shown = opened.locator("body").inner_text() + opened.evaluate(told)
        assert "gpj.\ufffdmcd" in shown
        assert not set("\u202e\u2066") & set(shown)
    keys(opened, "Escape", "n", "p", "a")
    assert exported(opened)[0]["path"] == turning
    opened.close()
