"""What a user sees in a real browser, with a real worker and shipped models."""

import io
import os
import signal
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from processes import below, runs, said

SAMPLES = Path(__file__).parents[3] / "sample_data"
WAIT = 90_000


def pixels(page):
    """Return what the views show, RGB, without the panel."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(picture, int)[:, 390:]


def coloured(page):
    """Count pixels that are not grey: those of the heatmap."""
    shown = pixels(page)
    return int(np.count_nonzero(np.ptp(shown, axis=2) > 40))


def wait_until(page, wanted, seconds=60):
    """Wait until the views satisfy a condition; they are drawn some time later."""
    for _ in range(seconds * 4):
        if wanted(coloured(page)):
            return
        page.wait_for_timeout(250)
    pytest.fail(f"{coloured(page)} coloured pixels")


def settled(page, seconds=60):
    """Count the coloured pixels once all is drawn, the letters of the axes included."""
    counts = []
    for _ in range(seconds * 2):
        counts.append(coloured(page))
        if len(counts) > 3 and len(set(counts[-4:])) == 1:
            break
        page.wait_for_timeout(500)
    return counts[-1]


def likeness(page, film):
    """Correlate what is shown with the film's pixels as pydicom reads them."""
    shown = pixels(page)[60:780].mean(axis=2)  # without buttons and slider
    stored = pydicom.dcmread(film).pixel_array.astype(float)
    columns = np.flatnonzero(shown.std(axis=0) > 5)
    if columns.size < 2:  # nothing is drawn yet
        return 0.0
    shown = shown[:, columns[0] : columns[-1]]
    share = 60 / 900, 780 / 900  # the film fills the height of the page
    rows = [round(s * len(stored)) for s in share]
    small = [
        Image.fromarray(a).resize((40, 40)) for a in (shown, stored[rows[0] : rows[1]])
    ]
    return np.corrcoef(*(np.asarray(a).ravel() for a in small))[0, 1]


def shown_as(page, film, wanted, seconds=60):
    """Wait until a film is shown as it should be; it is drawn some time later."""
    for _ in range(seconds * 2):
        if wanted(likeness(page, film)):
            return True
        page.wait_for_timeout(500)
    return False


def open_file(page, path):
    """Choose a file by the first of the two buttons."""
    page.set_input_files("input[type=file]:not([webkitdirectory])", path)


def opened(page, address):
    page.goto(address)
    page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)


def test_a_volume_is_classified_and_its_heatmap_comes_and_goes(viewer, page, tmp_path):
    file = SAMPLES / "vessel_aneurysm.nii"
    opened(page, viewer(file, "--model", "vessel-3d"))
    wait_until(page, lambda n: n < 5000)
    before = settled(page)
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    assert page.inner_text(".answer-label >> nth=0") == "aneurysm"
    assert 0.5 < float(page.inner_text(".answer-probability >> nth=0")) <= 1
    scale = "log-odds above 0: 0 to 7.42, alike for every image"
    assert page.inner_text(".legend-words") == scale
    assert "0.116" not in page.inner_text(".heat")  # of one voxel: another unit
    wait_until(page, lambda n: n > before + 20_000)
    page.click(".show-heat input")
    wait_until(page, lambda n: n <= before + 500)
    page.click(".show-heat input")
    wait_until(page, lambda n: n > before + 20_000)
    page.click(".peak")
    assert not page.is_visible(".error-text")
    assert not page.abroad


def test_a_film_is_uploaded_and_one_that_is_broken_says_so(viewer, page, tmp_path):
    page.goto(viewer("--model", "chest-xray"))
    page.wait_for_selector("text=Open an image with the first button", timeout=WAIT)
    assert page.is_disabled(".classify")
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    broken = tmp_path / "broken.dcm"
    broken.write_bytes((SAMPLES / "chest_nodule.dcm").read_bytes()[:700])
    page.set_input_files("input[type=file] >> nth=0", broken)
    page.wait_for_selector(".error-text", timeout=WAIT)
    assert "broken.dcm" in page.inner_text(".error-text")
    assert "medcnn-serve" not in page.inner_text(".error-text")  # no user has that
    page.set_input_files("input[type=file] >> nth=0", SAMPLES / "chest_nodule.dcm")
    page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)
    words = page.inner_text(".image-words")
    assert words == "chest_nodule.dcm: DX, 448 x 480 x 1"
    assert not page.is_visible(".error-text")
    assert shown_as(page, SAMPLES / "chest_nodule.dcm", lambda found: found > 0.9)
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    assert page.inner_text(".answer-label >> nth=0") == "abnormal"
    assert "unlike the training images" in page.inner_text(".scope")


def test_an_answer_is_never_shown_over_another_image(viewer, page, tmp_path):
    """A small image is opened while a large one is being classified."""
    large, noise = tmp_path / "large.nii", np.random.default_rng(0)
    values = noise.integers(0, 999, (300, 300, 150), np.int16)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(large)
    opened(page, viewer(large, "--model", "vessel-3d"))
    page.click(".classify")
    page.wait_for_selector(".cancel", timeout=WAIT)
    open_file(page, SAMPLES / "vessel.nii")
    page.wait_for_selector("text=28 x 28 x 28", timeout=WAIT)
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    page.wait_for_timeout(6000)  # what the large one was answered would be here by now
    assert not page.is_visible(".answer")
    assert not page.is_visible(".heat")
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    assert float(page.inner_text(".answer-probability >> nth=0")) < 0.5  # a healthy one


def test_what_was_said_of_an_image_goes_with_it(viewer, page):
    opened(page, viewer(SAMPLES / "chest_nodule.dcm", "--model", "chest-xray"))
    page.click(".classify")
    page.wait_for_selector(".answer", timeout=WAIT)
    assert page.is_visible(".scope")
    open_file(page, SAMPLES / "vessel.nii")
    page.wait_for_selector("text=28 x 28 x 28", timeout=WAIT)
    assert not page.is_visible(".scope")
    assert not page.is_visible(".answer")
    page.click(".classify")  # a model of films
    page.wait_for_selector(".error-text", timeout=WAIT)
    assert not page.is_visible(".answer")


def test_a_page_left_while_it_sends_a_file_can_open_another(viewer, page, tmp_path):
    large = tmp_path / "large.nii"
    with large.open("wb") as file:
        file.truncate(400 << 20)
    page.goto(viewer("--model", "vessel-3d"))
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    open_file(page, large)
    page.wait_for_timeout(300)
    page.reload()
    page.wait_for_selector(".classify", timeout=WAIT)
    page.wait_for_selector("input[type=file]:not([webkitdirectory])", state="attached")
    open_file(page, SAMPLES / "vessel.nii")
    page.wait_for_selector("text=28 x 28 x 28", timeout=WAIT)
    assert not page.is_visible(".error-text")


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell")
def test_a_worker_that_did_not_start_is_tried_again(
    viewer, page, real_python, tmp_path
):
    """At the next file; then there are models, too."""
    python, flag = tmp_path / "python", tmp_path / "tried"
    python.write_text(
        f'#!/bin/sh\n[ -e {flag} ] && exec {real_python} "$@"\n'
        f"touch {flag}; echo 'no room' >&2; exit 1\n"
    )
    python.chmod(0o755)
    page.goto(viewer(python=python))
    page.wait_for_selector(".error-text", timeout=WAIT)
    assert "no room" in page.inner_text(".error-text")
    open_file(page, SAMPLES / "vessel.nii")
    page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)
    assert "28 x 28 x 28" in page.inner_text(".image-words")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_page_ends_with_the_command_that_opened_it(viewer, real_python):
    address = viewer()
    (pid,) = [pid for pid in below(os.getpid()) if " medcnn view " in said(pid)]
    started = below(pid)
    os.kill(pid, signal.SIGKILL)
    assert started
    until = time.monotonic() + 60
    while any(runs(each) for each in started):
        assert time.monotonic() < until, address
        time.sleep(0.1)


def test_an_evaluation_draws_the_roc_curve(viewer, page, tmp_path):
    lines = ["path,aneurysm"]
    for name, truth in (("vessel_aneurysm", 1), ("vessel", 0)):
        for n in range(3):  # not the same image three times
            volume = bytearray((SAMPLES / f"{name}.nii").read_bytes())
            volume[400 + n] = 1
            (tmp_path / f"{name}{n}.nii").write_bytes(volume)
            lines.append(f"{name}{n}.nii,{truth}")
    table = tmp_path / "test.csv"
    table.write_text("\n".join(lines) + "\n")
    page.goto(viewer("--data", table, "--model", "vessel-3d"))
    page.wait_for_selector(".evaluate:not([disabled])", timeout=WAIT)
    page.click(".evaluate")
    page.wait_for_selector(".roc, .error-text", timeout=WAIT)
    assert not page.is_visible(".error-text"), page.inner_text(".error-text")
    assert "aneurysm: AUC" in page.inner_text(".roc-box")
    page.fill(".evaluate-path input", str(SAMPLES / "elsewhere.csv"))
    page.click(".evaluate")
    page.wait_for_selector(".error-text", timeout=WAIT)
    assert "Start medcnn view with --data" in page.inner_text(".error-text")
