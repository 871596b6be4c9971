"""Screening: one durable row for each file, whatever the file is."""

import math
import os
import shutil
import sys
from collections import Counter

import cv2
import nibabel as nib
import numpy as np
import pytest
from dicoms import picture, save
from films import film_pixels, write_films
from screens import folder_bytes, three_bands, worklist_bytes

import medcnn
from medcnn.errors import (
    BundleError,
    MissingDependencyError,
    OutputError,
    ReadError,
)
from medcnn.isolation import process as process_module
from medcnn.results import Band, Status
from medcnn.screening import Limits
from medcnn.screening.names import name_of, path_of
from medcnn.screening.source import Source
from medcnn.screening.store import Store
from medcnn.worklist import read_errors, read_run, read_worklist

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """40 files, 24 of them films; what is to become of each, by name."""
    folder = tmp_path_factory.mktemp("mixed")
    ok = {path.name: "ok" for path in write_films(folder, 16)}
    ok |= {f"png/{p.name}": "ok" for p in write_films(folder / "png", 7, kind="png")}
    odd = {
        "text.dcm": b"I am not a DICOM file, whatever my name says.",
        "empty.dcm": b"",
        "half.dcm": (folder / "film0003.dcm").read_bytes()[:9000],
        "magic_only.dcm": b"\0" * 128 + b"DICM",
        "report.pdf": b"%PDF-1.7\n",
        "picture.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        "cut.nii.gz": b"\x1f\x8b\x08\0" + b"\0" * 40,
    }
    for name, content in odd.items():
        (folder / name).write_bytes(content)
    for suffix, attributes in _other_worlds().items():
        save(picture(film_pixels(1), **attributes), folder / f"other_{suffix}.dcm")
    save(picture(film_pixels(2)[:1, :1]), folder / "pixel.dcm")
    nib.save(nib.Nifti1Image(np.ones((9, 9, 9)), np.eye(4)), folder / "volume.nii")
    flat = np.full((80, 80), np.nan, np.float32)
    nib.save(nib.Nifti1Image(flat, np.eye(4)), folder / "nan.nii")
    cv2.imwrite(str(folder / "photo.png"), _photo())
    (folder / "dead_link.dcm").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.dcm")
    shutil.copy(folder / "film0001.dcm", folder / "=cmd\nnext.dcm")
    # the first by name is the image, the other its copy
    expected = ok | {"=cmd\\x0anext.dcm": "ok", "film0001.dcm": "out_of_scope"}
    expected |= dict.fromkeys([*odd, "dead_link.dcm", "pipe.dcm", "nan.nii"], "error")
    outside = [f"other_{name}.dcm" for name in _other_worlds()]
    outside += ["pixel.dcm", "volume.nii", "photo.png"]
    return folder, expected | dict.fromkeys(outside, "out_of_scope")


def _other_worlds():
    return {
        "mr": {"Modality": "MR"},
        "us": {"Modality": "US"},
        "ct": {"Modality": "CT"},
    }


def _photo():
    return np.random.default_rng(0).integers(0, 255, (90, 80, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def screened(mixed, model, tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    cases = list(medcnn.screen([mixed[0]], model=model, output=output))
    return output, cases


def test_every_file_of_a_mixed_folder_gets_the_row_it_deserves(mixed, screened):
    output, _ = screened
    rows = {row.path: row for row in read_worklist(output / "worklist.csv")}
    assert len(mixed[1]) == 40
    assert {path: row.status.value for path, row in rows.items()} == mixed[1]
    for row in rows.values():
        assert bool(row.reason) == (row.status is not Status.OK), row
        assert (row.probability is None) == (row.status is not Status.OK), row


def test_every_error_says_where_it_happened_and_why(mixed, screened):
    output, _ = screened
    errors = {row.path: row for row in read_errors(output / "errors.csv")}
    assert set(errors) == {name for name, what in mixed[1].items() if what == "error"}
    assert errors["text.dcm"].stage == "format"
    assert "text" in errors["text.dcm"].error
    assert "0 bytes" in errors["empty.dcm"].error
    assert errors["half.dcm"].stage == "decode"
    assert "pipe" in errors["pipe.dcm"].error
    assert errors["nan.nii"].stage == "prepare"
    assert "finite" in errors["nan.nii"].error


def test_ranks_run_from_flag_to_error_by_falling_probability(screened):
    rows = list(read_worklist(screened[0] / "worklist.csv"))
    assert [row.rank for row in rows] == list(range(1, 41))
    kinds = [row.band or row.status for row in rows]
    order = [*Band, Status.OUT_OF_SCOPE, Status.ERROR]
    assert kinds == sorted(kinds, key=order.index)
    assert set(kinds) == set(order)
    for band in Band:
        scores = [row.probability for row in rows if row.band is band]
        assert scores == sorted(scores, reverse=True)


def test_the_numbers_are_those_of_a_plain_prediction(mixed, screened, model):
    for case in screened[1]:
        if case.status is Status.OK:
            image = medcnn.load(path_of(case.path, mixed[0]))
            assert case.prediction == model.predict(image)
            assert case.band is model.band(case.prediction)


def test_cases_come_in_the_order_of_the_files(screened):
    names = [case.path for case in screened[1]]
    assert names == sorted(names)
    assert len(names) == 40


def test_flagged_images_have_a_heatmap_of_their_thumbnails_size(screened):
    output, cases = screened
    flagged = [case for case in cases if case.band is Band.FLAG]
    assert 0 < len(flagged) < 24
    assert {case.heatmap for case in cases if case.heatmap} == {
        f"heatmaps/{path.name}" for path in (output / "heatmaps").iterdir()
    }
    assert all(bool(case.heatmap) == (case in flagged) for case in cases)
    for case in flagged:
        overlay = cv2.imread(str(output / case.heatmap))
        small = cv2.imread(str(output / case.thumbnail))
        assert overlay.shape == small.shape == (90, 80, 3)


def test_every_image_has_a_thumbnail_that_looks_like_it(mixed, screened):
    output, cases = screened
    for case in cases:
        assert bool(case.thumbnail) == (case.status is not Status.ERROR)
        if case.status is Status.OK:
            small = cv2.imread(str(output / case.thumbnail), cv2.IMREAD_GRAYSCALE)
            film = medcnn.load(path_of(case.path, mixed[0])).picture()
            alike = np.corrcoef(small.ravel(), film.ravel())[0, 1]
            assert alike > 0.97


def test_nothing_but_the_promised_files_is_written(screened):
    names = {path.name for path in screened[0].iterdir()}
    promised = {"screening.sqlite", "worklist.csv", "errors.csv", "report.html"}
    promised |= {"run.json", "heatmaps", "thumbnails", "patients.key"}
    assert names == promised | {".screening.lock"}
    assert not list(screened[0].rglob("*.tmp"))


def test_file_names_of_pictures_tell_nothing_about_the_patient(screened):
    for path in [*screened[0].rglob("*.jpg"), *screened[0].rglob("*.png")]:
        assert len(path.stem) == 24
        assert set(path.stem) <= set("0123456789abcdef")


def test_the_run_record_counts_every_file(mixed, screened):
    record = read_run(screened[0] / "run.json")
    counts, kinds = record.counts, Counter(mixed[1].values())
    assert counts.images == 40
    assert counts.flag + counts.review + counts.no_flag == kinds["ok"]
    assert (counts.out_of_scope, counts.error) == (
        kinds["out_of_scope"],
        kinds["error"],
    )
    assert record.root == str(mixed[0])
    assert record.engine == "openvino"
    assert sum(session.files for session in record.sessions) == 40


@pytest.mark.parametrize("workers", [1, 3])
def test_the_worklist_does_not_depend_on_the_number_of_workers(
    mixed, screened, model, tmp_path, workers
):
    made = medcnn.screen(mixed[0], model=model, output=tmp_path, workers=workers)
    assert made.run().counts.images == 40
    assert worklist_bytes(tmp_path) == worklist_bytes(screened[0])
    for pictures in ("heatmaps", "thumbnails"):
        assert folder_bytes(tmp_path / pictures) == folder_bytes(screened[0] / pictures)


def test_a_second_run_reads_nothing_and_writes_nothing(
    mixed, screened, model, monkeypatch
):
    monkeypatch.setattr(process_module, "WORKER_COMMAND", ("false",))
    finals = [screened[0] / n for n in ("worklist.csv", "errors.csv", "run.json")]
    before = [path.stat().st_mtime_ns for path in finals]
    again = list(medcnn.screen(mixed[0], model=model, output=screened[0]))
    assert again == screened[1]
    assert [path.stat().st_mtime_ns for path in finals] == before


def test_a_finished_run_is_looked_through_without_its_records(
    mixed, screened, model, monkeypatch
):
    def refuse(_record):
        raise AssertionError

    monkeypatch.setattr("medcnn.screening.store._case", refuse)
    monkeypatch.setattr(process_module, "WORKER_COMMAND", ("false",))
    told = []
    medcnn.screen(
        mixed[0],
        model=model,
        output=screened[0],
        progress=lambda done, _found: told.append(done),
    ).run()
    assert told[-1] == len(screened[1])


def test_looking_through_what_is_done_can_be_stopped(model, tmp_path):
    write_films(tmp_path / "films", 3)
    medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o").run()
    source = Source([tmp_path / "films"], tmp_path / "o", retries=False)
    with Store(tmp_path / "o") as store:
        assert list(source.items(store, only_new=True)) == [None]
    assert source.done.take_skipped() == 3
    assert source.done.take_skipped() == 0


def test_a_changed_file_is_read_again_and_only_that(model, tmp_path):
    films = write_films(tmp_path / "films", 4)
    first = list(medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o"))
    save(picture(film_pixels(99)), films[2])
    steps = medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o")
    second = list(steps)
    same = [a == b for a, b in zip(first, second, strict=True)]
    assert same == [True, True, False, True]
    record = read_run(tmp_path / "o" / "run.json")
    assert [session.files for session in record.sessions] == [4, 1]


def test_files_added_later_join_the_worklist(model, tmp_path):
    write_films(tmp_path / "films", 3)
    medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o").run()
    write_films(tmp_path / "films", 2, first=10)
    seen = []
    medcnn.screen(
        tmp_path / "films",
        model=model,
        output=tmp_path / "o",
        progress=lambda done, _found: seen.append(done),
    ).run()
    assert len(list(read_worklist(tmp_path / "o" / "worklist.csv"))) == 5
    assert seen[-1] == 5


def test_files_that_failed_are_tried_again_only_when_asked(model, tmp_path):
    write_films(tmp_path / "films", 2)
    broken = tmp_path / "films" / "broken.dcm"
    broken.write_bytes(b"x" * (tmp_path / "films" / "film0000.dcm").stat().st_size)
    times = broken.stat()
    run = {"model": model, "output": tmp_path / "o"}
    assert medcnn.screen(tmp_path / "films", **run).run().counts.error == 1
    shutil.copy(tmp_path / "films" / "film0000.dcm", broken)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert medcnn.screen(tmp_path / "films", **run).run().counts.error == 1
    again = medcnn.screen(tmp_path / "films", **run, retry_errors=True)
    assert again.run().counts.error == 0


def test_results_inside_the_screened_folder_are_not_screened(model, tmp_path):
    write_films(tmp_path, 3)
    run = {"model": model, "output": tmp_path / "out", "heatmaps": "all"}
    for _ in range(2):
        assert len(list(medcnn.screen(tmp_path, **run))) == 3


def test_an_output_that_a_link_in_the_screened_folder_leads_to_is_not_screened(
    model, tmp_path
):
    films = tmp_path / "films"
    write_films(films, 3)
    (films / "results").symlink_to(tmp_path / "out", target_is_directory=True)
    run = {"model": model, "output": tmp_path / "out", "heatmaps": "all"}
    for _ in range(2):
        assert medcnn.screen(films, **run).run().counts.images == 3
    assert Source([films], tmp_path / "out", retries=False).count() == 3


def test_a_folder_that_is_its_own_output_is_refused(model, tmp_path):
    write_films(tmp_path, 1)
    (tmp_path / "sub").mkdir()
    for output in (tmp_path, tmp_path / "sub" / ".."):
        with pytest.raises(OutputError, match="to be screened, and is the output"):
            medcnn.screen(tmp_path, model=model, output=output)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film0000.dcm", "sub"]


def test_films_in_the_output_folder_are_screened_if_they_are_named(model, tmp_path):
    write_films(tmp_path / "films", 2)
    write_films(tmp_path, 1, first=2)
    run = {"model": model, "output": tmp_path}
    for _ in range(2):
        named = sorted(tmp_path.glob("[!.]*"))  # as a shell's star does
        assert medcnn.screen(named, **run).run().counts.images == 3
    for own in (tmp_path / "thumbnails", tmp_path / "run.json"):
        with pytest.raises(ReadError, match="No files were found"):
            medcnn.screen(own, **run)


def test_folders_within_folders_are_screened_once(model, tmp_path):
    write_films(tmp_path / "a" / "b", 3)
    paths = [tmp_path / "a" / "b", tmp_path / "a", tmp_path / "a" / "b/film0001.dcm"]
    cases = list(medcnn.screen(paths, model=model, output=tmp_path / "o"))
    assert [case.path for case in cases] == [f"b/film{n:04d}.dcm" for n in range(3)]


def test_files_of_the_same_name_in_two_folders_are_two_rows(model, tmp_path):
    for name in ("a", "b"):
        write_films(tmp_path / name, 1)
    paths = [tmp_path / "a", tmp_path / "b"]
    cases = list(medcnn.screen(paths, model=model, output=tmp_path / "o"))
    assert [case.path for case in cases] == ["a/film0000.dcm", "b/film0000.dcm"]


def test_a_volume_model_screens_volumes(tmp_path):
    bundle = three_bands(tmp_path / "m", dims=3, shape=(16, 24, 24))
    values = np.random.default_rng(0).normal(0, 1, (80, 72, 70)).astype(np.float32)
    affine = np.array([[0, 0, 2.0, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    (tmp_path / "v").mkdir()
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "v" / "a.nii.gz")
    run = {"model": bundle, "output": tmp_path / "o", "heatmaps": "all"}
    (case,) = medcnn.screen(tmp_path / "v", **run)
    assert case.status is Status.OK
    overlay = cv2.imread(str(tmp_path / "o" / case.heatmap))
    # i runs to anterior, j to inferior, k to right: axial is right-left by front-back
    assert overlay.shape == (80, 70, 3)


# ------------------------------------------------------------------ refusals


def test_another_model_may_not_continue_a_run(model, tmp_path):
    write_films(tmp_path / "films", 2)
    medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o").run()
    before = worklist_bytes(tmp_path / "o")
    other = three_bands(tmp_path / "other", seed=6)
    with pytest.raises(OutputError, match="holds a run with model weights") as caught:
        medcnn.screen(tmp_path / "films", model=other, output=tmp_path / "o")
    assert "another --output" in caught.value.hint
    assert worklist_bytes(tmp_path / "o") == before


def test_other_thresholds_may_not_continue_a_run(model, tmp_path):
    write_films(tmp_path / "films", 2)
    medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o").run()
    same_weights = three_bands(tmp_path / "same")
    text = (same_weights / "bundle.json").read_text()
    (same_weights / "bundle.json").write_text(text.replace("0.33", "0.34"))
    with pytest.raises(OutputError, match="holds a run with model settings"):
        medcnn.screen(tmp_path / "films", model=same_weights, output=tmp_path / "o")


def test_other_heatmaps_may_not_continue_a_run(model, tmp_path):
    films = tmp_path / "films"
    write_films(films, 2)
    medcnn.screen(films, model=model, output=tmp_path / "o").run()
    with pytest.raises(OutputError, match="heatmaps flagged, this one has all"):
        medcnn.screen(films, model=model, output=tmp_path / "o", heatmaps="all")


def test_another_engine_may_not_continue_a_run_nor_pass_for_a_finished_one(
    model, tmp_path
):
    write_films(tmp_path / "films", 2)
    run = {"paths": tmp_path / "films", "output": tmp_path / "o"}
    medcnn.screen(model=model, **run).run()
    bundle = model.bundle.path
    with pytest.raises(OutputError, match="openvino on cpu, this one has onnxruntime"):
        medcnn.screen(model=bundle, engine="onnxruntime", **run)
    torch = medcnn.Model.open(bundle, engine="torch")
    with pytest.raises(OutputError, match="openvino on cpu, this one has torch"):
        medcnn.screen(model=torch, **run)
    for same in ("openvino", "auto"):
        medcnn.screen(model=bundle, engine=same, **run).run()


def test_an_engine_that_cannot_be_opened_does_not_bind_a_run_to_it(
    model, tmp_path, monkeypatch
):
    write_films(tmp_path / "films", 2)
    run = {"paths": tmp_path / "films", "output": tmp_path / "o"}
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="onnxruntime is not installed"):
        medcnn.screen(model=model.bundle.path, engine="onnxruntime", **run).run()
    assert medcnn.screen(model=model, **run).run().engine == "openvino"


def test_a_missing_path_is_refused_and_nothing_is_made(model, tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        medcnn.screen(tmp_path / "no", model=model, output=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_an_empty_folder_is_refused_and_nothing_is_made(model, tmp_path):
    (tmp_path / "films" / "deeper").mkdir(parents=True)
    with pytest.raises(ReadError, match=r"No files were found in .*films"):
        medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o")
    with pytest.raises(ReadError, match="No files were found in an empty list"):
        medcnn.screen([], model=model, output=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_an_unknown_model_is_refused_before_anything_is_made(tmp_path):
    write_films(tmp_path / "films", 1)
    with pytest.raises(BundleError, match="no model 'nonsense'"):
        medcnn.screen(tmp_path / "films", model="nonsense", output=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_options_without_meaning_are_refused(model, tmp_path):
    run = {"model": model, "output": tmp_path / "o"}
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        medcnn.screen(tmp_path, workers=0, **run)
    with pytest.raises(ValueError, match="heatmaps must be flagged, all or none"):
        medcnn.screen(tmp_path, heatmaps="some", **run)
    for seconds in (0, math.inf, math.nan):
        with pytest.raises(ValueError, match="at most a day"):
            Limits(timeout_s=seconds)
    with pytest.raises(ValueError, match="memory_bytes must be at least 1"):
        Limits(memory_bytes=0)


def test_a_run_that_was_not_started_says_how_to_start_it(model, tmp_path):
    write_films(tmp_path / "films", 1)
    waiting = medcnn.screen(tmp_path / "films", model=model, output=tmp_path / "o")
    assert "go through it, or call run()" in repr(waiting)


@pytest.mark.parametrize(
    "name",
    ["a.dcm", "a\nb", "a\x1b[2J", "\udc80\udcff", "back\\slash", "\u202egnp", "é"],
)
def test_names_print_on_one_line_and_lead_back_to_the_file(name, tmp_path):
    shown = name_of(tmp_path / name, tmp_path)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert path_of(shown, tmp_path) == tmp_path / name
