"""Real images in the browser; the pictures of the README are made here."""

import pytest
from adapter_contract import predicted
from real_images import film, head, pictures
from test_browser import opened, settled, shown_as, wait_until

WAIT = 90_000


def answered(page, address):
    opened(page, address)
    before = settled(page)
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    return before, float(page.inner_text(".answer-probability >> nth=0"))


def keep(page, folder, name):
    """Save the page as a reader sees it, when all of it is drawn."""
    page.mouse.move(700, 5)
    page.wait_for_timeout(3000)
    path = pictures(folder) / name
    page.screenshot(path=path, type="jpeg", quality=80)
    assert path.stat().st_size < 200_000


def test_a_real_radiograph_is_flagged_with_its_heatmap(viewer, page, tmp_path):
    path = film(tmp_path / "samples")
    page.set_viewport_size({"width": 1200, "height": 860})
    opened(page, viewer(path, "--model", "chest-xray"))
    # MONOCHROME1: high values are dark
    assert shown_as(page, path, lambda found: found < -0.9)
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    shown = float(page.inner_text(".answer-probability >> nth=0"))
    assert shown == pytest.approx(predicted([path], "chest-xray")[0], abs=6e-4)
    assert page.inner_text(".answer-band >> nth=0") == "flag"
    assert not page.is_visible(".scope")
    wait_until(page, lambda n: n > 5000)
    keep(page, tmp_path, "trame-film.jpg")


def test_a_real_volume_that_is_none_of_the_models_world_says_so(viewer, page, tmp_path):
    path = head(tmp_path)
    page.set_viewport_size({"width": 1200, "height": 860})
    before, shown = answered(page, viewer(path, "--model", "vessel-3d"))
    assert shown == pytest.approx(predicted([path], "vessel-3d")[0], abs=6e-4)
    assert page.is_visible(".scope")
    wait_until(page, lambda n: n > before + 5000)
    keep(page, tmp_path, "trame-volume.jpg")
