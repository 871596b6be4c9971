"""Results as DICOM: valid, read back by others, on the source's own places."""

import subprocess
from dataclasses import replace

import cv2
import highdicom
import numpy as np
import pydicom
import pytest
from dicom_cases import (
    errors_of,
    explained,
    groups_of,
    items,
    make_source,
    tiny_models,
)
from pydicom.datadict import tag_for_keyword

import medcnn
from medcnn.dicom_out import (
    is_own_result,
    read_codes,
    read_source,
    results_of,
    save_result,
)
from medcnn.dicom_out.capture import with_banner
from medcnn.dicom_out.region import hottest_region, whole_slice
from medcnn.errors import DataError, OutputError
from medcnn.geometry import LPS_TO_RAS
from medcnn.io.dicom.parse import quiet

KINDS = ["cr", "ct", "mr", "enhanced"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def cases(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    made = {}
    for kind in KINDS:
        path = make_source(kind, folder / kind)
        made[kind] = explained(models[2 if kind == "cr" else 3], path)
    return made


def saved(result, folder):
    path = folder / f"{result.kind}.{result.label}.dcm"
    save_result(result, path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_that_the_source_has_not(cases, kind, tool, tmp_path):
    dciodvfy = tool("dciodvfy", "dicom3tools")
    path = cases[kind].path
    own = errors_of(dciodvfy, path if path.is_file() else path / "000.dcm")

    for result in cases[kind].results.values():
        assert errors_of(dciodvfy, saved(result, tmp_path)) <= own


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_source_has_its_kinds_of_results(cases, kind):
    kinds = {result.kind for result in cases[kind].results.values()}

    assert kinds >= {"sr", "sc"}
    assert ("pm" in kinds) == (kind != "cr")  # a radiograph lies in no space


@pytest.mark.parametrize("kind", KINDS)
def test_dcmtk_reads_probabilities_and_references(cases, kind, tool, tmp_path):
    made = cases[kind]
    path = saved(made.results["sr", ""], tmp_path)
    command = [tool("dsrdump", "dcmtk"), "+Pi", "+Pl", path]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    for label, probability in made.case.prediction.probabilities.items():
        assert f'"{label}"' in said
        assert f'NUM:(,,"Probability of {label}")="{probability:.6g}' in said
    for result in made.results.values():
        dump = [tool("dcmdump", "dcmtk"), saved(result, tmp_path)]
        assert subprocess.run(dump, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", ["ct", "mr", "enhanced"])
def test_the_map_has_the_values_and_the_grid_of_the_image(cases, kind, tmp_path):
    made = cases[kind]
    mapped = made.case.maps[0]
    path = saved(made.results["pm", mapped.heatmap.label], tmp_path)

    volume = highdicom.imread(path).get_volume(apply_real_world_transform=False)

    expected = mapped.heatmap.array
    grid = made.case.image.geometry
    # highdicom's axes are slices, rows, columns, and its order of slices is its own
    places = np.argwhere(np.ones(volume.spatial_shape))
    lps = volume.affine @ np.c_[places, np.ones(len(places))].T
    ijk = np.rint(grid.to_voxel((LPS_TO_RAS @ lps).T[:, :3])).astype(int)
    assert np.abs(grid.to_world(ijk) - (LPS_TO_RAS @ lps).T[:, :3]).max() < 1e-3
    np.testing.assert_array_equal(expected[tuple(ijk.T)], volume.array[tuple(places.T)])


@pytest.mark.parametrize("kind", KINDS)
def test_the_region_lies_on_the_slice_of_the_peak_and_around_it(cases, kind):
    made = cases[kind]
    groups = groups_of(made.results["sr", ""].dataset)
    assert groups.keys() == {mapped.heatmap.label for mapped in made.case.maps}
    for mapped in made.case.maps:
        i, j, k = mapped.heatmap.peak
        (region,) = items(groups[mapped.heatmap.label], "SCOORD")
        outline = np.array(region.GraphicData, np.float32).reshape(-1, 2)
        if mapped.levels.any():
            assert (
                cv2.pointPolygonTest(outline, (i + 0.5, j + 0.5), measureDist=False) > 0
            )
            (image,) = items(region, "IMAGE")
            assert where(image.ReferencedSOPSequence[0], made) == k


def where(reference, made):
    """Which slice a reference means, from the source's own headers."""
    path = made.path
    files = [path] if path.is_file() else sorted(path.iterdir())
    for file in files:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        if header.SOPInstanceUID != reference.ReferencedSOPInstanceUID:
            continue
        if "ReferencedFrameNumber" in reference:
            frame = reference.ReferencedFrameNumber - 1
            group = header.PerFrameFunctionalGroupsSequence[frame]
            position = group.PlanePositionSequence[0].ImagePositionPatient
        elif "ImagePositionPatient" not in header:
            return 0
        else:
            position = header.ImagePositionPatient
        point = np.array(position, float) * [-1, -1, 1]
        return round(made.case.image.geometry.to_voxel(point)[2])
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_and_model_make_the_same_bytes(cases, kind, models, tmp_path):
    again = explained(models[2 if kind == "cr" else 3], cases[kind].path)
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    for key, result in cases[kind].results.items():
        one = saved(result, first).read_bytes()
        assert one == saved(again.results[key], second).read_bytes(), key


def test_another_model_makes_other_objects_of_the_same_study(cases, tmp_path):
    other = tiny_models(tmp_path)[2]
    settings = other.bundle.spec.model_copy(update={"version": "2"})
    other.spec = settings
    mine = cases["cr"].results
    theirs = explained(other, cases["cr"].path).results

    for key, result in mine.items():
        assert result.dataset.SOPInstanceUID != theirs[key].dataset.SOPInstanceUID
        assert result.dataset.StudyInstanceUID == theirs[key].dataset.StudyInstanceUID


def test_every_object_says_research_use_and_is_known_as_our_own(cases):
    for result in (r for made in cases.values() for r in made.results.values()):
        assert result.dataset.SeriesDescription.startswith("Research use")
        assert is_own_result(result.dataset)
    source = pydicom.dcmread(cases["cr"].path)
    assert not is_own_result(source)


def test_a_capture_has_a_banner_and_says_that_text_is_burned_in(cases):
    capture = cases["cr"].results["sc", "abnormal"].dataset
    top = capture.pixel_array[0, 0].tolist()

    assert top == [255, 191, 0]
    assert capture.BurnedInAnnotation == "YES"
    assert "PixelSpacing" not in capture
    narrow = with_banner(np.zeros((40, 120, 3), np.uint8))
    assert narrow.shape[1] == 120
    assert (narrow[: narrow.shape[0] - 40] < 60).all(axis=2).any()  # letters


def test_a_segmentation_is_saliency_and_no_anatomy(cases):
    found = [r for k, r in cases["ct"].results.items() if k[0] == "seg"]
    assert found
    for result in found:
        (segment,) = result.dataset.SegmentSequence
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "130404"
        category = segment.SegmentedPropertyCategoryCodeSequence[0]
        assert category.CodeMeaning == "Spatial and Relational Concept"
        assert "AnatomicRegionSequence" not in segment


def test_the_quantity_of_a_map_names_its_method(cases):
    frame = cases["ct"].results["pm", "abnormal"].dataset
    shared = frame.SharedFunctionalGroupsSequence[0]
    mapping = shared.RealWorldValueMappingSequence[0]
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]

    assert quantity.CodeValue == "130402"  # PS3.16: Class activation


PERSONAL = ["PatientName", "PatientID", "PatientBirthDate", "AccessionNumber"]


def test_without_identify_only_uids_tie_results_to_the_patient(cases, models, tmp_path):
    path = cases["cr"].path
    for result in explained(models[2], path, with_patient=False).results.values():
        assert all(not result.dataset.get(keyword) for keyword in PERSONAL)
        raw = saved(result, tmp_path).read_bytes()
        for token in (b"Muster", b"phantom", b"19400305", b"Secret"):
            assert token not in raw
    for result in cases["cr"].results.values():
        assert result.dataset.PatientName == "Muster^Erika"
        assert result.dataset.PatientID == "phantom"


def test_nothing_hostile_is_copied(cases, models, tmp_path):
    path = tmp_path / "evil.dcm"
    with quiet():
        film = pydicom.dcmread(cases["cr"].path)
        film.preamble = b"MZ" + b"\x90" * 126  # a program's head
        film.SpecificCharacterSet = "ISO_IR 192"
        film.PatientID = "../../" + "x" * 200
        film.PatientName = "<script>\x1b[2J^=2+3"
        film.PatientSex, film.PatientBirthDate = "?", "=1+1"
        film.add_new(0x00091010, "LO", "private text")
        film.StudyDescription = film.ImageComments = "free text"
        film.save_as(path, enforce_file_format=True)

    for result in explained(models[2], path).results.values():
        raw = saved(result, tmp_path).read_bytes()
        assert raw[:128] == b"\0" * 128
        assert b"\x1b[2J" not in raw
        assert b"private text" not in raw
        assert b"free text" not in raw
        assert len(result.dataset.PatientID) <= 64
        assert not result.dataset.PatientSex
        assert not result.dataset.PatientBirthDate


def test_out_of_scope_there_is_no_probability(models, tmp_path):
    path = make_source("cr", tmp_path)
    film = pydicom.dcmread(path)
    film.Modality = "MG"
    film.save_as(path)

    report = explained(models[2], path, kinds=["sr"]).results["sr", ""].dataset

    assert not items(report, "NUM")
    meanings = [i.ConceptCodeSequence[0].CodeMeaning for i in items(report, "CODE")]
    assert "Indeterminate" in meanings
    assert not {"Present", "Absent"} & set(meanings)
    assert any("out of scope" in i.TextValue for i in items(report, "TEXT"))


def test_a_site_may_map_its_codes(cases, models, tmp_path):
    file = tmp_path / "codes.toml"
    file.write_text(
        'probability = {value="111012", scheme="DCM", meaning="Certainty of Finding"}\n'
        "[labels.abnormal]\n"
        'finding = {value="36118008", scheme="SCT", meaning="Pneumothorax"}\n'
        'site = {value="816094009", scheme="SCT", meaning="Chest"}\n'
    )
    codes = read_codes(file)
    made = explained(models[2], cases["cr"].path, kinds=["sr"], codes=codes)
    report = made.results["sr", ""].dataset

    values = [i.ConceptCodeSequence[0].CodeValue for i in items(report, "CODE")]
    assert {"36118008", "816094009"} <= set(values)
    names = {i.ConceptNameCodeSequence[0].CodeValue for i in items(report, "NUM")}
    assert names == {"111012"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[labels", "is no TOML"),
        ("labells = 1", "labells"),
        ('probability = {value="", scheme="DCM", meaning="x"}', "probability.value"),
    ],
)
def test_wrong_codes_are_refused(tmp_path, text, said):
    file = tmp_path / "codes.toml"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        read_codes(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_codes(tmp_path / "absent.toml")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
def test_a_source_without_a_uid_is_refused(models, tmp_path, keyword):
    film = pydicom.dcmread(make_source("cr", tmp_path))
    del film[tag_for_keyword(keyword)]
    path = tmp_path / "no.dcm"
    pydicom.dcmwrite(path, film)
    with pytest.raises(DataError, match=r"UID"):
        read_source(path, medcnn.load(path))


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_uid_that_is_none_is_refused_and_not_repeated(models, tmp_path, keyword):
    path = make_source("cr", tmp_path)
    with quiet():
        film = pydicom.dcmread(path)
        setattr(film, keyword, "../../token")
        film.save_as(path)
    with pytest.raises(DataError, match=rf"its {keyword} is no UID") as raised:
        read_source(path, medcnn.load(path))
    assert "token" not in str(raised.value)


def test_a_source_that_is_no_dicom_is_refused(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((20, 20), np.uint8))
    with pytest.raises(DataError, match="nothing to refer to"):
        read_source(path, medcnn.load(path))


def test_a_full_disk_is_told(cases, tmp_path):
    result = cases["cr"].results["sr", ""]
    with pytest.raises(OutputError, match="cannot be written"):
        save_result(result, tmp_path / "absent" / "a.dcm")


def test_a_rectangle_has_its_own_outline():
    levels = np.zeros((20, 30, 3), np.float32)
    levels[4:9, 11:26, 2] = 1
    levels[0, 0, 2] = 0.9  # another hot patch
    region = hottest_region(levels, (6, 20, 2))

    corners = {tuple(point) for point in region.outline.tolist()}
    assert corners == {(4, 11), (9, 11), (9, 26), (4, 26)}
    assert region.outline[0].tolist() == region.outline[-1].tolist()
    assert region.k == 2


def test_one_pixel_is_a_region_and_nothing_is_none():
    levels = np.zeros((5, 6, 1), np.float32)
    assert hottest_region(levels, (2, 3, 0)) is None
    levels[2, 3, 0] = 1
    outline = hottest_region(levels, (2, 3, 0)).outline
    assert cv2.contourArea(outline.astype(np.float32)) == 1
    whole = whole_slice((5, 6, 1), 0).outline
    assert cv2.contourArea(whole.astype(np.float32)) == 30


def test_explain_writes_dicom_and_says_which_files(medcnn, cases, models, tmp_path):
    path = cases["ct"].path
    model = models[3].bundle.path
    done = medcnn(
        "explain", path, "--model", model, "--output", tmp_path, "--format", "dicom-seg"
    )

    files = [line.rsplit(".", 2)[1] for line in done.stdout.split()]
    assert done.returncode == 0
    assert files[:3] == ["sr", "sc", "pm"]
    report = pydicom.dcmread(done.stdout.split()[0])
    assert not report.PatientName
    done = medcnn("explain", path, "--model", model, "-o", tmp_path, "--format",
                  "dicom", "--identify")  # fmt: skip
    assert pydicom.dcmread(done.stdout.split()[0]).PatientName == "Muster^Erika"


SHARED = {
    "enhanced Philips": ("dcm_qa_enh/In/Philips/IM_0027_fMAP.dcm", {"part": 2}),
    "enhanced Siemens": ("dcm_qa_enh/In/Siemens/XA10", {"part": 3}),
    "mosaic": ("dcm_qa_nih_siemens/In/20180918Si/mr_0004", {"part": 1}),
    "tilted CT": ("dcm_qa_ct_ge/In", {"part": 2, "resample_tilt": True}),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", SHARED)
def test_vendors_series_keep_their_grid(shared_data, models, tool, tmp_path, name):
    place, choices = SHARED[name]
    path = shared_data / "dicom-series" / place
    if not path.exists():
        pytest.skip(f"{path} is not there")
    made = explained(models[3], path, kinds=["sr", "sc", "pm"], **choices)

    for result in made.results.values():
        file = saved(result, tmp_path)
        assert not errors_of(tool("dciodvfy", "dicom3tools"), file)
    import medcnn as package

    back = package.load(file, values=True)
    assert back.geometry.same_grid(made.case.image.geometry)
    np.testing.assert_allclose(back.array[0], made.case.maps[-1].heatmap.array)


def test_a_detectors_number_is_not_called_a_probability(cases):
    made = cases["cr"].case
    prediction = replace(made.prediction, kind="anomaly score")
    case = replace(made, prediction=prediction)

    (result,) = results_of(case, ["sr"])

    names = {
        number.ConceptNameCodeSequence[0].CodeMeaning
        for number in items(result.dataset, "NUM")
    }
    labels = case.prediction.probabilities
    assert names == {f"Anomaly score (no probability) of {label}" for label in labels}
