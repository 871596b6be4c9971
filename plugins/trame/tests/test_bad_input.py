"""What the page says of files that no view or model takes."""

import nibabel
import numpy as np
from PIL import Image
from test_browser import SAMPLES, WAIT, open_file


def write_bad(folder):
    """Write files that cannot be shown; give name and words of the answer."""
    (folder / "empty.nii").write_bytes(b"")
    times = nibabel.Nifti1Image(np.zeros((6, 5, 4, 3), np.int16), np.eye(4))
    nibabel.save(times, folder / "times.nii")
    colours = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(colours).save(folder / "colours.png")
    (folder / "letter.txt").write_text("Dear colleague, ...")
    return {
        "empty.nii": "empty.nii is empty (0 bytes)",
        "times.nii": "times.nii holds 3 images",
        "colours.png": "colour image; the views show grey values",
        "letter.txt": "letter.txt holds no image that is read",
    }


def test_what_cannot_be_shown_says_why_and_the_page_goes_on(viewer, page, tmp_path):
    page.goto(viewer("--model", "vessel-3d"))
    page.wait_for_selector(".busy", state="detached", timeout=WAIT)
    assert page.is_disabled(".classify")  # there is no image yet
    for name, words in write_bad(tmp_path).items():
        open_file(page, tmp_path / name)
        page.wait_for_selector(f".error-text >> text={words}", timeout=WAIT)
        page.wait_for_selector(".busy", state="detached", timeout=WAIT)
        assert page.is_disabled(".classify"), name
    open_file(page, SAMPLES / "vessel.nii")
    page.wait_for_selector("text=28 x 28 x 28", timeout=WAIT)
    page.wait_for_selector(".classify:not([disabled])", timeout=WAIT)
    assert not page.is_visible(".error-text")
    assert not page.abroad
