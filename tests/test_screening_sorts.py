"""What else lies in a hospital's folder: each sort is handled on purpose.

docs/screening.md has the table that these tests hold it to.
"""

import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bundles import draft_spec
from dicoms import picture, save
from films import film_pixels, write_films
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)
from screens import three_bands, worklist_bytes

import medcnn
from medcnn.errors import NoPixelsError
from medcnn.gate import GateRules
from medcnn.results import Status
from medcnn.screening.reader import read_file
from medcnn.worklist import read_errors, read_run, read_worklist

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


def screened(folder, model, output):
    medcnn.screen(folder, model=model, output=output, workers=1).run()
    return {row.path: row for row in read_worklist(output / "worklist.csv")}


def film(number, path, **attributes):
    """Write a chest film."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = picture(film_pixels(number), BodyPartExamined="CHEST", **attributes)
    return save(dataset, path)


def object_without_pixels(storage, modality, path):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = storage
    uid = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.Modality = modality
    return save(dataset, path)


def test_one_instance_in_two_files_is_ranked_once(model, tmp_path):
    film(1, tmp_path / "in" / "b.dcm", SOPInstanceUID="1.2.3")
    film(1, tmp_path / "in" / "a" / "again.dcm", SOPInstanceUID="1.2.3")
    film(2, tmp_path / "in" / "c.dcm")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    states = {path: row.status for path, row in rows.items()}
    assert states == {
        "a/again.dcm": Status.OK,
        "b.dcm": Status.OUT_OF_SCOPE,
        "c.dcm": Status.OK,
    }
    assert rows["b.dcm"].reason.startswith("a copy of a/again.dcm: the same SOP")
    assert rows["b.dcm"].rank == 3
    counts = read_run(tmp_path / "out" / "run.json").counts
    assert (counts.images, counts.out_of_scope) == (3, 1)


def test_which_file_is_the_copy_does_not_depend_on_when_it_came(model, tmp_path):
    film(1, tmp_path / "in" / "b.dcm", SOPInstanceUID="1.2.3")
    screened(tmp_path / "in", model, tmp_path / "two steps")
    film(1, tmp_path / "in" / "a.dcm", SOPInstanceUID="1.2.3")
    screened(tmp_path / "in", model, tmp_path / "two steps")
    screened(tmp_path / "in", model, tmp_path / "one step")
    both = [worklist_bytes(tmp_path / name) for name in ("two steps", "one step")]
    assert both[0] == both[1]


def test_two_images_under_one_number_are_both_ranked_and_told_of(model, tmp_path):
    film(1, tmp_path / "in" / "a.dcm", SOPInstanceUID="1.2.3")
    film(2, tmp_path / "in" / "b.dcm", SOPInstanceUID="1.2.3")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert {row.status for row in rows.values()} == {Status.OK}
    (note,) = read_run(tmp_path / "out" / "run.json").notes
    assert note.startswith("b.dcm and a.dcm have one SOP Instance UID, but not the")
    film(3, tmp_path / "in" / "b.dcm", SOPInstanceUID="1.2.4")
    screened(tmp_path / "in", model, tmp_path / "out")
    assert read_run(tmp_path / "out" / "run.json").notes == ()


def test_every_study_of_a_patient_has_its_own_rows(model, tmp_path):
    for number, study in enumerate(("1.5.1", "1.5.2", "1.5.2")):
        one = {"PatientID": "P", "StudyInstanceUID": study}
        film(number, tmp_path / "in" / f"{number}.dcm", **one)
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert [rows[f"{n}.dcm"].study_uid for n in range(3)] == ["1.5.1", "1.5.2", "1.5.2"]
    (patient,) = {row.patient_id for row in rows.values()}
    assert patient.startswith("pseudonym-")
    assert {row.status for row in rows.values()} == {Status.OK}


def test_objects_that_are_no_images_are_out_of_scope_and_no_errors(model, tmp_path):
    write_films(tmp_path / "in", 1)
    state = GrayscaleSoftcopyPresentationStateStorage
    object_without_pixels(state, "PR", tmp_path / "in" / "state.dcm")
    object_without_pixels(BasicTextSRStorage, "SR", tmp_path / "in" / "text.dcm")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert rows["state.dcm"].status is rows["text.dcm"].status is Status.OUT_OF_SCOPE
    words = "it is a Grayscale Softcopy Presentation State Storage (PR) without pixels."
    assert rows["state.dcm"].reason == words
    assert read_run(tmp_path / "out" / "run.json").counts.error == 0


def test_an_image_that_lost_its_pixels_is_an_error(model, tmp_path):
    write_films(tmp_path / "in", 1)
    dataset = picture(film_pixels(3))
    del dataset.PixelData
    path = save(dataset, tmp_path / "in" / "lost.dcm")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert rows["lost.dcm"].status is Status.ERROR
    with pytest.raises(NoPixelsError) as caught:
        medcnn.load(path)
    assert caught.value.is_lost


def test_frames_are_no_radiograph(model, tmp_path):
    dataset = picture(film_pixels(1), NumberOfFrames=3)
    dataset.PixelData = dataset.PixelData * 3
    storage = UltrasoundMultiFrameImageStorage
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = storage
    (tmp_path / "in").mkdir()
    save(dataset, tmp_path / "in" / "frames.dcm")
    (row,) = screened(tmp_path / "in", model, tmp_path / "out").values()
    assert row.status is Status.OUT_OF_SCOPE
    assert "2-D images, this is 3-D" in row.reason


def test_secondary_captures_are_judged_by_what_they_say_and_show(model, tmp_path):
    capture = {"SOPClassUID": SecondaryCaptureImageStorage}
    film(1, tmp_path / "in" / "other.dcm", Modality="OT", **capture)
    colours = np.random.default_rng(0).integers(0, 255, (80, 240)).astype("u1")
    shown = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    shown |= {"PlanarConfiguration": 0, "Columns": 80, "Modality": "CR"}
    save(picture(colours, **capture, **shown), tmp_path / "in" / "screenshot.dcm")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert {row.status for row in rows.values()} == {Status.OUT_OF_SCOPE}
    assert "modality OT" in rows["other.dcm"].reason
    assert "colour" in rows["screenshot.dcm"].reason


def test_the_order_of_what_is_named_changes_nothing(model, tmp_path):
    for name in ("x", "y"):
        write_films(tmp_path / "in" / name, 5, first=5 * (name == "y"))
    paths = [tmp_path / "in" / name for name in ("x", "y")]
    for output, given in (("forth", paths), ("back", paths[::-1])):
        run = {"model": model, "output": tmp_path / output, "workers": 2}
        medcnn.screen(given, **run).run()
    assert worklist_bytes(tmp_path / "forth") == worklist_bytes(tmp_path / "back")


def test_voxels_beside_their_header_are_no_second_image(tmp_path):
    voxels = np.random.default_rng(0).random((9, 9, 9)).astype("f4")
    nib.save(nib.Nifti1Pair(voxels, np.eye(4)), tmp_path / "pair.hdr")
    lines = "ObjectType = Image\nNDims = 3\nDimSize = 9 9 9\nElementType = MET_FLOAT\n"
    (tmp_path / "meta.mhd").write_text(f"{lines}ElementDataFile = meta.raw\n")
    (tmp_path / "meta.raw").write_bytes(voxels.tobytes())
    (tmp_path / "alone.raw").write_bytes(voxels.tobytes())
    spec = draft_spec(dims=3, shape=(8, 8, 8))
    spec = spec.model_copy(update={"gate": GateRules(min_side=1)})
    found = {p.name: read_file(spec, p) for p in sorted(tmp_path.iterdir())}
    for half, header in (("pair.img", "pair.hdr"), ("meta.raw", "meta.mhd")):
        assert f"the voxels of {header}" in found[half].reason
        assert found[half].tensor is None
        assert found[header].tensor is not None
    assert found["alone.raw"].failure.stage == "format"


@pytest.mark.parametrize(
    ("header", "half"), [("pair.hdr", "pair.img"), ("meta.mhd", "meta.raw")]
)
def test_voxels_that_change_beside_their_header_are_read_again(tmp_path, header, half):
    bundle = three_bands(tmp_path / "model", dims=3, shape=(16, 24, 24))
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    voxels = np.random.default_rng(0).normal(0, 1, (72, 70, 68)).astype("f4")
    lines = "ObjectType = Image\nNDims = 3\nDimSize = 72 70 68\nElementType = "
    if header.endswith(".hdr"):
        nib.save(nib.Nifti1Pair(voxels, np.eye(4)), folder / header)
    else:
        text = f"{lines}MET_FLOAT\nElementDataFile = {half}\n"
        (folder / header).write_text(text)
        (folder / half).write_bytes(voxels.tobytes("F"))
    first = screened(folder, bundle, output)[header]
    assert first.status is Status.OK
    before = (folder / header).stat(), (folder / half).stat()
    (folder / half).write_bytes(np.cbrt(voxels).tobytes("F"))
    os.utime(folder / half, (0, 0))  # as a copy that keeps the times of an older one
    after = (folder / header).stat(), (folder / half).stat()
    assert after[0] == before[0]
    assert after[1].st_size == before[1].st_size
    again = screened(folder, bundle, output)[header]
    oracle = screened(folder, bundle, tmp_path / "unbroken")[header]
    assert again.probability == oracle.probability != first.probability
    files = [one.files for one in read_run(output / "run.json").sessions]
    assert files == [2, 2]


def test_a_header_whose_voxels_come_later_is_read_again(model, tmp_path):
    write_films(tmp_path / "in", 1)
    pair = nib.Nifti1Pair(np.zeros((72, 70, 68), "f4"), np.eye(4))
    nib.save(pair, tmp_path / "in" / "pair.hdr")
    (tmp_path / "in" / "pair.img").rename(tmp_path / "later.img")
    early = screened(tmp_path / "in", model, tmp_path / "out")
    assert early["pair.hdr"].status is Status.ERROR
    (tmp_path / "later.img").rename(tmp_path / "in" / "pair.img")
    rows = screened(tmp_path / "in", model, tmp_path / "out")
    assert rows["pair.hdr"].status is Status.OUT_OF_SCOPE  # a volume, for a 2-D model


def test_a_dicomdir_that_is_cut_off_is_a_row_that_says_so(model, tmp_path):
    path = Path(shutil.copy(get_testdata_file("DICOMDIR"), tmp_path))
    path.write_bytes(path.read_bytes()[:5000])
    (row,) = screened(path, model, tmp_path / "out").values()
    assert row.status is Status.ERROR
    (error,) = read_errors(tmp_path / "out" / "errors.csv")
    assert "DICOMDIR is cut off: its list of files is not all there" in error.error
    assert error.hint.startswith("Name the folder itself")
