"""What a reader sees of the results in OHIF, in front of Orthanc's DICOMweb.

MEDCNN_OHIF_PICTURES=FOLDER keeps the pictures that docs/pacs.md shows.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
import requests

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_cases import Explained, explained, groups_of, items
from nodules import nodule_finder, square_ct
from ohif import Reader, built, served
from orthancs import Orthanc

import medcnn as package
from medcnn.dicom_out import case_of, read_source, results_of, save_result
from medcnn.explanation import Explainer
from medcnn.samples import write_samples

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("MEDCNN_OHIF_PICTURES")


@dataclass(frozen=True)
class Viewer:
    """OHIF, and the cases that are in its archive.

    Attributes:
        browser: A browser.
        address: OHIF's.
        film: A radiograph that the shipped model answers.
        volume: A CT with a nodule.
        strange: A radiograph out of the model's scope.
    """

    browser: object
    address: str
    film: Explained
    volume: Explained
    strange: Explained

    def reader(self, case):
        uid = case.case.source.headers[0].StudyInstanceUID
        return Reader(self.browser, self.address, uid)


def film_case(folder):
    """A public test radiograph; with a pixel spacing, which it says is 0."""
    write_samples(folder)
    film = pydicom.dcmread(folder / "RG1_UNCR.dcm")
    film.PixelSpacing = [0.2, 0.2]
    path = folder / "film.dcm"
    film.save_as(path)
    return answered(path, ["abnormal"], ("sr", "sc"))


def strange_case(phantoms, folder):
    """A computed film, which is unlike what the model has learned from."""
    film = pydicom.dcmread(phantoms / "chest_nodule.dcm")
    film.StudyInstanceUID += ".1"  # all phantoms are one study of one patient
    film.PatientID += "-2"
    del film.VOILUTFunction
    path = folder / "strange.dcm"
    film.save_as(path)
    return answered(path, ["abnormal"], ("sr",))


def answered(path, labels, kinds):
    """The shipped model's results, of which some labels have a map."""
    model, image = package.Model.open("chest-xray"), package.load(path)
    answer = Explainer(model, method="cam").explain(image, labels)
    source = read_source(path, image, identify_patient=True)
    case = case_of(model, image, source, answer)
    results = {(r.kind, r.label): r for r in results_of(case, kinds)}
    return Explained(case, path, results)


def store(orthanc, case, folder):
    """Store a case and its results."""
    paths = [case.path] if case.path.is_file() else sorted(case.path.iterdir())
    for number, result in enumerate(case.results.values()):
        paths.append(folder / f"{number}.dcm")
        save_result(result, paths[-1])
    for path in paths:
        answer = requests.post(
            f"{orthanc.url}/instances", path.read_bytes(), timeout=30
        )
        answer.raise_for_status()


@pytest.fixture(scope="module")
def viewer(drawing_browser, repository, phantoms, tmp_path_factory):
    dist, folder = built(repository), tmp_path_factory.mktemp("ohif")
    orthanc = Orthanc(folder / "orthanc").start()
    try:
        film = film_case(folder / "film")
        volume = explained(nodule_finder(folder), square_ct(phantoms, folder / "ct"))
        strange = strange_case(phantoms, folder)
        for case in (film, volume, strange):
            store(orthanc, case, folder)
        with served(dist, orthanc.url) as address:
            yield Viewer(drawing_browser, address, film, volume, strange)
    finally:
        orthanc.kill()


def coloured(picture, by=25):
    """Which pixels are no grey."""
    return picture.max(axis=2) - picture.min(axis=2) > by


def keep(reader, name):
    if PICTURES:
        reader.save(Path(PICTURES) / f"{name}.jpg")


def outline_of(case, label):
    """A finding's region in the report, (N, 2) of column and row."""
    (region,) = items(groups_of(case.results["sr", ""].dataset)[label], "SCOORD")
    return np.array(region.GraphicData, float).reshape(-1, 2)


def test_a_radiographs_report_and_overlay(viewer):
    made = viewer.film
    columns, rows, _ = made.case.image.shape
    reader = viewer.reader(made)
    assert coloured(reader.image(columns, rows)).mean() < 0.01

    lines = reader.choose("findings", reader.lines)
    probabilities = made.case.prediction.probabilities
    assert (
        f"Probability of abnormal: {probabilities['abnormal']:.2f} {{ratio}}" in lines
    )
    # OHIF lists five of one region; they are the most probable ones
    others = sorted(set(probabilities) - {"abnormal"}, key=probabilities.get)[:-6:-1]
    assert [line for line in lines if "abnormal" not in line] == [
        f"Probability of {label}: {probabilities[label]:.2f} {{ratio}}"
        for label in others
    ]
    drawn = sorted(reader.outlines(), key=lambda outline: np.ptp(outline, axis=0).sum())
    for outline, label in zip(drawn, ("abnormal", others[0]), strict=True):
        expected = reader.place(outline_of(made, label), columns, rows)
        np.testing.assert_allclose(outline, expected, atol=1.5)

    capture = made.results["sc", "abnormal"].dataset.pixel_array
    assert reader.choose("overlay", lambda: looks_like(reader, capture))
    assert coloured(capture.astype(int)).mean() > 0.05


def looks_like(reader, capture):
    """Whether a picture is drawn with its own colours."""
    seen = reader.image(capture.shape[1], capture.shape[0])
    wanted = cv2.resize(capture, seen.shape[1::-1], interpolation=cv2.INTER_AREA)
    amber = np.abs(seen[3:8].reshape(-1, 3) - (255, 191, 0)).max(axis=1) < 8
    wrong = np.abs(seen - wanted.astype(int)).max(axis=2) > 24
    return amber.mean() > 0.9 and wrong.mean() < 0.05  # its controls lie on it


def test_a_volumes_report_overlay_and_region(viewer):
    made = viewer.volume
    columns, rows, slices = made.case.image.shape
    k = made.case.maps[0].heatmap.peak[2]
    reader = viewer.reader(made)
    probability = made.case.prediction.probabilities["nodule"]
    words = f"Probability of nodule: {probability:.2f} {{ratio}}"
    assert reader.choose("findings", lambda: words in reader.lines())
    assert reader.shows_slice() == slices - k  # it goes there, from the head
    (outline,) = reader.outlines()
    expected = reader.place(outline_of(made, "nodule"), columns, rows)
    np.testing.assert_allclose(outline, expected, atol=1.5)
    reader.page.get_by_text("No", exact=True).click()  # it offers to track what it drew
    assert words in reader.lines()
    keep(reader, "ohif-report")

    capture = made.results["sc", "nodule"].dataset.pixel_array
    assert reader.choose("overlay", lambda: looks_like(reader, capture))

    load = reader.page.get_by_text("Yes", exact=True)
    assert reader.choose("nodule hot region", load.is_visible)
    load.click()
    reader.page.locator("[data-cy=panelSegmentation-btn]").click()
    label = "nodule: saliency, no outline of a lesion"
    assert reader.until(lambda: label in reader.says().replace("\n", " "))
    assert "not found" not in reader.says()  # it warns of a region without a colour
    region = made.results["seg", "nodule"].dataset
    check_place(reader, made, k, frame_of(region, k, made))
    keep(reader, "ohif-region")
    assert frame_of(region, k + 3, made) is None
    check_empty(reader, made, k + 3, frame_of(region, k, made))


def frame_of(region, k, made):
    """The mask of slice k, which is found by its position; None if it has none."""
    grid = made.case.image.geometry
    corner = (grid.affine @ [0, 0, k, 1])[:3] * [-1, -1, 1]
    for number, group in enumerate(region.PerFrameFunctionalGroupsSequence):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        if np.allclose(position, corner, atol=0.01):
            return region.pixel_array[number] > 0
    return None


def middle(mask):
    """Where a mask is, as fractions of rows and columns."""
    return (np.argwhere(mask).mean(axis=0) + 0.5) / mask.shape


def check_place(reader, made, k, mask):
    """The colours on a slice are where a mask is."""
    columns, rows, slices = made.case.image.shape
    reader.scroll_to(slices - k)
    assert reader.until(lambda: colours(reader, columns, rows).any())
    seen = middle(colours(reader, columns, rows))
    assert seen[1] < 0.4  # the patient's right is on the reader's left
    np.testing.assert_allclose(seen, middle(mask), atol=0.015)


def check_empty(reader, made, k, mask):
    """A slice has no colours at the place of another slice's mask."""
    columns, rows, slices = made.case.image.shape
    reader.scroll_to(slices - k)
    place = middle(mask)
    assert reader.until(lambda: not near(colours(reader, columns, rows), place))


def colours(reader, columns, rows):
    """Where the image has colours, without the letters and lines at its edges."""
    found = coloured(reader.image(columns, rows), by=60)
    found[:80] = found[-10:] = False
    return found


def near(found, place):
    """Whether there are colours around a place, a fraction of rows and columns."""
    row, column = (np.array(place) * found.shape).astype(int)
    return found[row - 20 : row + 20, column - 20 : column + 20].any()


def test_a_map_lies_on_its_own_slice(viewer):
    made = viewer.volume
    reader = viewer.reader(made)
    assert reader.choose("nodule map", lambda: reader.shows_slice() > 1)  # the middle
    mapped = made.case.maps[0]
    k = mapped.heatmap.peak[2]
    mirrored = made.case.image.shape[2] - 1 - k  # where another order would put it
    hot = mapped.heatmap.array[:, :, k].T
    check_place(reader, made, k, hot > 0.5 * hot.max())
    check_empty(reader, made, mirrored, hot > 0.5 * hot.max())


def test_out_of_scope_no_number_is_shown(viewer):
    assert viewer.strange.case.prediction.out_of_scope
    reader = viewer.reader(viewer.strange)
    assert reader.choose("findings", reader.outlines)
    assert "Probability" not in reader.says()
    assert not any(character.isdigit() for line in reader.lines() for character in line)
