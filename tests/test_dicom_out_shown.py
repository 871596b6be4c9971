"""Results as viewers lay them out: order, colours, and what is drawn together."""

from dataclasses import replace

import numpy as np
import pytest
from dicom_cases import explained, groups_of, items, make_source, tiny_models

from medcnn.dicom_out import results_of

OTHERS = {"a": 0.2, "b": 0.7, "c": 0.001, "d": 0.4, "e": 0.3, "f": 0.6}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def film(models, tmp_path_factory):
    """A case with a label that has a place, and six that have none."""
    path = make_source("cr", tmp_path_factory.mktemp("film"))
    case = explained(models[2], path, kinds=[]).case
    numbers = {**OTHERS, "mass": 0.1}
    prediction = replace(
        case.prediction,
        probabilities=numbers,
        thresholds=dict.fromkeys(numbers, 0.5),
    )
    model = replace(case.model, review=dict.fromkeys(numbers, 0.4))
    return replace(case, prediction=prediction, model=model)


@pytest.mark.parametrize("kind", ["ct", "mr", "enhanced"])
def test_frames_of_a_map_go_along_the_normal(models, tmp_path, kind):
    """OHIF lays them over the slices in this order, wherever they say that they are."""
    made = explained(models[3], make_source(kind, tmp_path), kinds=["pm"])
    for (_, label), result in made.results.items():
        dataset = result.dataset
        shared = dataset.SharedFunctionalGroupsSequence[0]
        cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        normal = np.cross(cosines[:3], cosines[3:])
        places = [
            normal @ np.array(group.PlanePositionSequence[0].ImagePositionPatient)
            for group in dataset.PerFrameFunctionalGroupsSequence
        ]
        assert (np.diff(places) > 0).all()
        frames = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(len(places), -1)
        # the reader sorts slices along the same normal
        expected = made.case.map_of(label).heatmap.array.transpose(2, 1, 0)
        np.testing.assert_array_equal(frames, expected.reshape(len(places), -1))


def test_a_segmentation_says_its_colour(models, tmp_path):
    made = explained(models[3], make_source("ct", tmp_path), kinds=["seg"])
    for result in made.results.values():
        (segment,) = result.dataset.SegmentSequence
        # PS3.3 C.10.7.1.1: 0 to 65535 is L* 0 to 100, a* and b* -128 to 127
        light, a, b = np.array(segment.RecommendedDisplayCIELabValue) / 65535
        assert 0.5 < light < 0.9
        assert a * 255 - 128 > 20  # to the red
        assert b * 255 - 128 > 40  # to the yellow


def test_series_say_what_they_are_before_the_model(models, tmp_path):
    """Lists of series show about twenty characters."""
    made = explained(models[3], make_source("ct", tmp_path))
    shown = {key: r.dataset.SeriesDescription for key, r in made.results.items()}
    assert shown["sr", ""] == "Research use: findings, tiny"
    assert shown["sc", "mass"] == "Research use: overlay, tiny"
    assert shown["pm", "mass"] == "Research use: mass map, tiny"
    assert "Research use: abnormal hot region, tiny" in shown.values()


def test_each_map_is_a_series_of_its_own(models, tmp_path):
    """OHIF opens one object of a series of maps."""
    made = explained(models[3], make_source("ct", tmp_path))
    series = {key: r.dataset.SeriesInstanceUID for key, r in made.results.items()}
    numbers = {key: r.dataset.SeriesNumber for key, r in made.results.items()}
    assert series["sc", "abnormal"] == series["sc", "mass"]
    assert series["pm", "abnormal"] != series["pm", "mass"]
    assert len(set(series.values())) == len(set(numbers.values())) == len(series) - 1


def tracked(group):
    """What a group says that it is about, and where: identifier, UID, outline."""
    uid = next(
        i.UID
        for i in items(group, "UIDREF")
        if i.ConceptNameCodeSequence[0].CodeMeaning == "Tracking Unique Identifier"
    )
    (outline,) = items(group, "SCOORD")
    return uid, tuple(outline.GraphicData)


def test_findings_without_a_place_are_one_region_the_most_probable_first(film):
    (result,) = results_of(film, ["sr"])
    groups = groups_of(result.dataset)

    assert list(groups) == ["mass", "b", "f", "d", "e", "a", "c"]
    whole = {tracked(groups[label]) for label in OTHERS}
    assert len(whole) == 1
    assert len({tracked(groups[label])[0] for label in groups}) == 2
    assert whole.pop()[1] == (0, 0, 80, 0, 80, 60, 0, 60, 0, 0)


def test_a_number_is_followed_by_no_other_number(film):
    """OHIF and others write the unit's code value behind it."""
    (result,) = results_of(film, ["sr"])
    for number in items(result.dataset, "NUM"):
        (value,) = number.MeasuredValueSequence
        (unit,) = value.MeasurementUnitsCodeSequence
        assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("{ratio}", "UCUM")
