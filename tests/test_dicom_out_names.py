"""Results of odd sources, and names that tell apart what differs."""

import numpy as np
import pydicom
import pytest
from bundles import make_bundle
from dicom_cases import errors_of, explained, make_source, tiny_models
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement

import medcnn
from medcnn.dicom_out import case_of, read_source, results_of, save_result
from medcnn.dicom_out.capture import with_banner
from medcnn.dicom_out.codes import private
from medcnn.errors import DataError
from medcnn.explanation import Explainer
from medcnn.io.dicom.parse import quiet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))[2]


@pytest.fixture
def film(tmp_path):
    """A radiograph on disk whose attributes may be anything."""
    path = make_source("cr", tmp_path / "film")

    def changed(**attributes):
        dataset = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            tag = tag_for_keyword(keyword)
            vr = "OW" if keyword == "PixelData" else dictionary_VR(keyword)
            dataset[tag] = DataElement(tag, vr, value, validation_mode=0)
        with quiet():
            dataset.save_as(path, enforce_file_format=True)
        return path

    return changed


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "00000000"),
        ("PatientBirthDate", "19400230"),
        ("StudyDate", "99999999"),
        ("AcquisitionDate", "20241301"),
        ("StudyTime", "250000"),
        ("StudyTime", "235960"),
        ("ContentTime", "99"),
    ],
)
def test_a_day_or_hour_that_never_was_costs_no_result(
    film, model, tool, tmp_path, keyword, value
):
    path = film(**{keyword: value})
    dciodvfy = tool("dciodvfy", "dicom3tools")

    results = explained(model, path, kinds=["sr", "sc"]).results

    for (kind, _), result in results.items():
        assert result.dataset.get(keyword) != value
        save_result(result, tmp_path / f"{kind}.dcm")
        assert errors_of(dciodvfy, tmp_path / f"{kind}.dcm") <= errors_of(
            dciodvfy, path
        )


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
def test_a_result_refers_by_the_name_that_the_archive_has(film, model, keyword):
    path = film(**{keyword: "1.2.840.113619.0604.007"})  # zeros in front: not allowed

    report = explained(model, path, kinds=["sr"]).results["sr", ""].dataset

    assert "1.2.840.113619.0604.007" in str(report)


@pytest.mark.parametrize("uid", ["1." + "2" * 63, "1.2/3", "1..2", ".1", "1.2.³"])
def test_what_is_no_uid_is_refused(film, uid):
    path = film(StudyInstanceUID=uid)
    with pytest.raises(DataError, match="is no UID"):
        read_source(path, medcnn.load(path))


@pytest.mark.parametrize("shape", [(2000, 8), (1, 1), (60, 119)])
def test_a_narrow_picture_has_a_banner_that_can_be_read(shape):
    picture = np.zeros((*shape, 3), np.uint8)

    rows, columns, _ = with_banner(picture).shape

    assert columns == 120
    assert rows - shape[0] >= 5  # letters of 5 pixels


def names_of(model, path, *, who=True, **choices):
    """The identifier of each result."""
    image = medcnn.load(path)
    source = read_source(path, image, identify_patient=who)
    labels = choices.pop("labels", model.labels)
    answer = Explainer(model, **choices).explain(image, labels)
    return {
        (result.kind, result.label): str(result.dataset.SOPInstanceUID)
        for result in results_of(case_of(model, image, source, answer))
    }


def test_reports_that_differ_have_names_that_differ(film, model):
    path = film()
    first = names_of(model, path, method="cam")
    others = [
        names_of(model, path, method="grad-cam"),
        names_of(model, path, method="cam", labels=model.labels[:1]),
        names_of(model, path, method="cam", who=False),
    ]
    pixels = pydicom.dcmread(path).PixelData
    others.append(names_of(model, film(PixelData=pixels[::-1]), method="cam"))

    reports = [first["sr", ""], *(one["sr", ""] for one in others)]
    assert len(set(reports)) == len(reports)
    assert others[1]["sc", "abnormal"] == first["sc", "abnormal"]  # the same picture
    assert others[2]["sc", "abnormal"] != first["sc", "abnormal"]  # tells whose it is
    assert names_of(model, film(PixelData=pixels), method="cam") == first


def test_labels_that_begin_alike_or_are_no_ascii_have_codes_of_their_own():
    labels = [
        "pneumothorax left upper", "pneumothorax left lower", "肺炎", "結核", "mass",
        "größe", "grüße",
    ]  # fmt: skip
    codes = [private(label, label) for label in labels]

    assert len({code.value for code in codes}) == len(labels)
    assert all(1 <= len(code.value) <= 16 for code in codes)
    assert [code.meaning for code in codes] == labels


@pytest.mark.parametrize("label", ["left\\right", "mass\nleft", "x" * 80, "<b>größe"])
def test_whatever_a_label_is_called_it_has_results(tmp_path, tool, label):
    bundle = make_bundle(
        tmp_path / "m", dims=3, shape=(8, 16, 16), labels=(label, "other")
    )
    path = make_source("ct", tmp_path / "ct")
    dciodvfy = tool("dciodvfy", "dicom3tools")

    results = explained(medcnn.Model.open(bundle.path), path).results

    assert {kind for kind, _ in results} >= {"sr", "sc", "pm"}
    for (kind, _), result in results.items():
        save_result(result, tmp_path / f"{kind}.dcm")
        own = errors_of(dciodvfy, path / "000.dcm")
        found = errors_of(dciodvfy, tmp_path / f"{kind}.dcm") - own
        counts_bytes = [one for one in found if "Length invalid" in one]
        assert len(found) == len(counts_bytes) + bool(counts_bytes)  # and their sum
