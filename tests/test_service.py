"""The service: models, images, classification, places, packing, jobs."""

import io
import json
import threading
import zipfile

import numpy as np
import pytest
from bundles import make_bundle

import medcnn as public
from medcnn.errors import (
    DataError,
    GeometryError,
    MissingDependencyError,
    OutputError,
    ReadError,
    ServiceError,
    StoppedError,
)
from medcnn.explanation import Explainer, display_window, shown
from medcnn.geometry import Geometry
from medcnn.image import Identity, Image
from medcnn.service import Jobs, Outcome, Places, Service, Shelf, Watch, models_folder
from medcnn.service.classifying import Wish
from medcnn.service.failures import facts_of_error
from medcnn.service.packing import pack_image, unpack_image
from medcnn.service.service import Training

OBLIQUE = np.array(
    [
        [-0.62, 0.11, 0.9, 12.0],
        [0.1, 0.69, 1.1, -40.0],
        [0.07, -0.05, 2.2, 7.0],
        [0, 0, 0, 1],
    ]
)


def film(seed=0, **parts):
    pixels = np.random.default_rng(seed).integers(0, 4000, (48, 40)).astype(np.int16)
    return Image.from_picture(pixels, **parts)


def volume():
    array = np.random.default_rng(1).normal(0, 1, (1, 30, 24, 20)).astype(np.float32)
    return Image(array, geometry=Geometry((30, 24, 20), OBLIQUE))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_bundle(folder / "films")
    make_bundle(folder / "volumes", dims=3, shape=(16, 16, 16))
    make_bundle(folder / "flat", network="mlp", arguments={"hidden": 8})
    return folder


@pytest.fixture(scope="module")
def service(models):
    with Service(models=models, device="cpu") as made:
        yield made


# ------------------------------------------------------------------ models


def test_shipped_and_own_models_are_listed_with_what_they_say(service):
    facts = {one["id"]: one for one in service.models()}

    assert set(public.shipped_bundles()) < set(facts)
    films = facts["own/films"]
    assert (films["own"], films["dims"], films["labels"]) == (
        True,
        2,
        ["abnormal", "mass"],
    )
    assert films["operating_points"][0]["flag"] == 0.55
    assert films["has_places"]
    assert not facts["own/flat"]["has_places"]
    assert service.card("own/films").startswith("# Tiny")


def test_a_new_model_appears_and_a_broken_one_says_why(tmp_path):
    shelf = Shelf(tmp_path)
    before = shelf.ids()
    made = make_bundle(tmp_path / "new")
    assert set(shelf.ids()) - set(before) == {"own/new"}

    (made.path / "CARD.md").write_text("changed")
    (fact,) = [one for one in shelf.facts() if one["id"] == "own/new"]
    assert "checksum" in fact["error"]
    assert fact["labels"] == []


def test_a_model_that_changed_is_opened_anew(tmp_path, models):
    with Service(models=tmp_path, device="cpu") as service:
        made = make_bundle(tmp_path / "site")
        before = service.classify(film(), "own/site", Wish(heatmap=False))
        spec = json.loads((made.path / "bundle.json").read_text())
        spec["operating_points"][0]["flag"] = 0.99
        (made.path / "bundle.json").write_text(json.dumps(spec))

        after = service.classify(film(), "own/site", Wish(heatmap=False))

    assert before.thresholds["abnormal"]["flag"] == 0.55
    assert after.thresholds["abnormal"]["flag"] == 0.99


@pytest.mark.parametrize("name", ["nobody", "own/nobody", "own/../films", "/etc", ""])
def test_an_unknown_model_is_refused_with_those_there_are(service, name):
    with pytest.raises(ServiceError, match="There is no model") as refused:
        service.classify(film(), name)
    assert refused.value.kind == "missing"
    assert "own/films" in refused.value.hint


def test_the_models_folder_is_the_given_one_the_variable_or_the_users(monkeypatch):
    monkeypatch.setenv("MEDCNN_MODELS", "/somewhere")
    assert str(models_folder("/given")) == "/given"
    assert str(models_folder()) == "/somewhere"
    monkeypatch.delenv("MEDCNN_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(models_folder()).endswith("medcnn/models")


# ------------------------------------------------------------------ classify


def test_probabilities_bands_and_heatmap_are_those_of_the_public_functions(
    service, models
):
    image = film()
    result = service.classify(image, "own/films", Wish(("all",)))

    model = public.Model.open(models / "films", device="cpu")
    expected = model.predict(image)
    assert result.probabilities == dict(expected.probabilities)
    assert result.sha256 == model.bundle.sha256
    for label, one in zip(result.labels, result.heatmaps, strict=True):
        made = public.explain(model, image, label=label)
        np.testing.assert_array_equal(one.heatmap.array, made.array)
    assert result.bands["abnormal"] == str(model.band(expected))
    assert result.top[1] == max(result.probabilities.values())


def test_a_heatmap_lies_on_the_oblique_grid_of_its_image(service):
    image = volume()
    (one,) = service.classify(image, "own/volumes").heatmaps

    assert one.heatmap.geometry.same_grid(image.geometry)
    facts = one.facts
    peak = np.array([*facts["peak"], 1])
    np.testing.assert_allclose(facts["peak_ras"], (OBLIQUE @ peak)[:3])
    assert one.heatmap.array[tuple(facts["peak"])] == one.heatmap.array.max()


def test_an_image_of_another_world_gets_the_gates_reason_and_no_band(service):
    result = service.classify(film(modality="MR"), "own/films")
    assert "modality MR" in result.out_of_scope
    assert result.bands == {}


def test_other_dimensions_are_refused_in_a_sentence(service):
    with pytest.raises(GeometryError, match="takes 2-D images"):
        service.classify(volume(), "own/films")


def test_a_network_without_places_still_gives_probabilities(service):
    result = service.classify(film(), "own/flat")
    assert result.heatmaps == ()
    assert any("no heatmap" in words for words in result.warnings)
    (one,) = service.classify(film(), "own/flat", Wish(method="occlusion")).heatmaps
    assert one.heatmap.method == "occlusion"


def test_what_was_asked_for_by_name_is_refused_if_it_cannot_be(service):
    with pytest.raises(DataError, match="no label 'other'"):
        service.classify(film(), "own/films", Wish(("other",)))
    with pytest.raises(DataError, match="no map of places"):
        service.classify(film(), "own/flat", Wish(method="cam"))


def test_a_classification_stops_between_two_windows_of_occlusion(service):
    told, stop = [], threading.Event()

    def progress(done, total, words):
        told.append((done, total, words))
        if done == 2:
            stop.set()

    wish = Wish(method="occlusion")
    with pytest.raises(StoppedError):
        service.classify(film(), "own/films", wish, Watch(progress, stop.is_set))
    assert told[-1][0] == 2
    assert told[-1][1] > 2


@pytest.mark.parametrize("method", ["cam", "occlusion", "eigen-cam"])
def test_the_window_for_viewers_draws_what_our_own_pictures_draw(models, method):
    image = film(3)
    model = public.Model.open(models / "films", device="cpu")
    explained = Explainer(model, method=method).explain(image)
    (heatmap,), (hottest,) = explained.heatmaps, explained.hottest

    window = display_window(model, heatmap, hottest)
    ours = shown(model, heatmap, hottest)
    drawn = (heatmap.array - window.low) / (window.high - window.low)
    np.testing.assert_allclose(
        drawn.clip(0, 1), (ours.levels / ours.top).clip(0, 1), atol=1e-5
    )
    assert window.words == ours.words


def test_reading_is_for_allowed_places_alone(tmp_path, models, phantoms):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    data = (phantoms / "chest_clear.dcm").read_bytes()
    (inside / "a.dcm").write_bytes(data)
    (outside / "b.dcm").write_bytes(data)
    (inside / "link.dcm").symlink_to(outside / "b.dcm")
    with Service(models=models, places=Places.of([inside])) as service:
        assert service.load(inside / "a.dcm").dims == 2
        for path in (outside / "b.dcm", inside / "link.dcm", inside / "../out/b.dcm"):
            with pytest.raises(ServiceError, match="outside the folders") as refused:
                service.load(path)
            assert refused.value.kind == "folder"


@pytest.mark.parametrize("path", ["a\0b", "", "..", "~"])
def test_odd_paths_are_outside(tmp_path, path):
    with pytest.raises(ServiceError, match="outside"):
        Places.of([tmp_path]).allowed(path)


def test_a_folder_that_is_none_and_settings_that_name_files_are_refused(tmp_path):
    with pytest.raises(ServiceError, match="no folder"):
        Places.of([tmp_path / "none"])
    places = Places.of([tmp_path])
    places.check_settings({"network.pretrained": str(tmp_path / "w"), "seed": 1})
    for key in ("network.pretrained", "selftest"):
        with pytest.raises(ServiceError, match="outside"):
            places.check_settings({key: "/etc/passwd"})
    with pytest.raises(ServiceError, match="plain value"):
        places.check_settings({"network": {"pretrained": "/etc/passwd"}})


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "x" * 65, "-a", "a b"])
def test_a_name_that_makes_no_folder_is_refused(service, name):
    with pytest.raises(ServiceError, match="cannot be a model's name"):
        service.train(Training("data.csv", name))


def test_a_taken_name_is_refused(service):
    with pytest.raises(ServiceError, match="already") as refused:
        service.train(Training("data.csv", "films"))
    assert refused.value.kind == "state"


# ------------------------------------------------------------------ npz


def npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def info(**facts):
    return np.frombuffer(json.dumps(facts).encode(), np.uint8)


def unpack(tmp_path, content, most=1 << 20):
    path = tmp_path / "upload"
    path.write_bytes(content)
    return unpack_image(path, most_bytes=most)


def test_an_image_survives_packing_without_whose_it_is(tmp_path):
    image = Image(
        np.arange(24, dtype=">i2").reshape(1, 2, 3, 4),
        geometry=Geometry((2, 3, 4), OBLIQUE),
        unit="HU",
        modality="CT",
        facts={"body_part": "CHEST"},
        warnings=("lossy",),
        identity=Identity(patient_id="SECRET-77"),
    )
    packed = pack_image(image)
    again = unpack(tmp_path, packed)

    np.testing.assert_array_equal(again.array, image.array)
    np.testing.assert_array_equal(again.geometry.affine, OBLIQUE)
    assert (again.unit, again.modality, dict(again.facts)) == (
        "HU",
        "CT",
        {"body_part": "CHEST"},
    )
    assert again.warnings == ("lossy",)
    assert b"SECRET-77" not in packed


@pytest.mark.parametrize("axes", ["ijk", "cijk", "kji", "kjic"])
def test_every_order_of_axes_means_the_same_voxels(tmp_path, axes):
    canonical = np.arange(24).reshape(1, 2, 3, 4)  # c, i, j, k
    array = canonical if "c" in axes else canonical[0]
    known = "cijk" if "c" in axes else "ijk"
    turned = array.transpose([known.index(axis) for axis in axes])

    image = unpack(tmp_path, npz(array=turned, affine=OBLIQUE, info=info(axes=axes)))

    np.testing.assert_array_equal(image.array, canonical)
    np.testing.assert_array_equal(image.geometry.affine, OBLIQUE)


def lying_npy(shape):
    head = io.BytesIO()
    facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, facts)
    return head.getvalue() + b"\0" * 16


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return out.getvalue()


HOSTILE = {
    "no zip": (b"PK nothing", "no .npz"),
    "nothing": (b"", "no .npz"),
    "objects": (npz(array=np.array([{}], dtype=object)), "expected numbers"),
    "complex": (npz(array=np.ones((2, 2, 2), complex)), "expected numbers"),
    "text": (npz(array=np.full((2, 2, 2), "a")), "expected numbers"),
    "no array": (npz(affine=OBLIQUE), "An image holds array"),
    "another member": (npz(array=np.ones((2, 2, 2)), other=OBLIQUE), "holds array"),
    "two axes": (npz(array=np.ones((4, 4))), "axes 'ijk'"),
    "empty": (npz(array=np.ones((0, 4, 4))), "no image"),
    "unknown axes": (npz(array=np.ones((2, 2, 2)), info=info(axes="xyz")), "axes"),
    "no JSON": (npz(array=np.ones((2, 2, 2)), info=np.uint8([1, 2])), "no JSON"),
    "a list": (npz(array=np.ones((2, 2, 2)), info=np.uint8(list(b"[]"))), "object"),
    "flat affine": (npz(array=np.ones((2, 2, 2)), affine=np.zeros((4, 4))), "no image"),
    "small affine": (npz(array=np.ones((2, 2, 2)), affine=np.eye(3)), "no image"),
    "too large": (npz(array=np.ones((200, 200, 10))), "the most is"),
    "lies": (archive(array=lying_npy((100, 100, 10))), "says it holds"),
    "lies much": (archive(array=lying_npy((10**9, 10**9, 10**9))), "the most is"),
    "negative": (archive(array=lying_npy((-1, -4, 4))), "says it holds|no image"),
    "bomb": (archive(array=lying_npy((2, 2, 1)) + b"\0" * 10**8, info=b"x"), "no .npz"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_upload_that_is_no_image_is_refused_in_a_sentence(tmp_path, case):
    content, words = HOSTILE[case]
    with pytest.raises(ServiceError, match=words) as refused:
        unpack(tmp_path, content)
    assert refused.value.hint


# ------------------------------------------------------------------ jobs


@pytest.fixture
def jobs():
    made = Jobs(most_waiting=3)
    yield made
    made.close()


def wait_for(job):
    assert job.ended.wait(10)
    return job


def test_jobs_of_a_lane_run_one_after_the_other_and_lanes_side_by_side(jobs):
    first, seen = threading.Event(), []

    def slow(_watch):
        assert first.wait(10)
        seen.append("slow")
        return Outcome({})

    def quick(_watch):
        seen.append("quick")
        return Outcome({"kind": "quick"})

    jobs.submit("load", slow, lane="a")
    after = jobs.submit("load", quick, lane="a")
    beside = wait_for(jobs.submit("load", quick, lane="b"))
    assert seen == ["quick"]
    assert after.state == "queued"
    first.set()
    assert wait_for(after).to_json()["result"] == {"kind": "quick"}
    assert seen == ["quick", "slow", "quick"]
    assert beside.state == "done"


def test_a_full_queue_refuses_and_a_cancelled_job_makes_room(jobs):
    go = threading.Event()

    def work(watch):
        while not go.is_set():
            watch.check()
        return Outcome({})

    started = [jobs.submit("load", work, lane="a") for _ in range(3)]
    with pytest.raises(ServiceError, match="which is the most") as refused:
        jobs.submit("load", work, lane="b")
    assert refused.value.kind == "busy"
    assert "cancel one" in refused.value.hint

    assert jobs.cancel(started[2].id).state == "cancelled"
    jobs.cancel(started[0].id)
    assert wait_for(started[0]).error["kind"] == "stopped"
    jobs.submit("load", work, lane="b")
    go.set()
    assert wait_for(started[1]).state == "done"


def test_a_finished_job_is_forgotten_with_its_files(jobs, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    job = wait_for(
        jobs.submit("evaluate", lambda _: Outcome({}, folder=folder), lane="a")
    )
    jobs.cancel(job.id)
    assert not folder.exists()
    with pytest.raises(ServiceError, match="no such job"):
        jobs.get(job.id)


def test_an_error_that_was_not_foreseen_is_named_by_its_type_alone(jobs):
    def work(_watch):
        raise KeyError("PatientName Doe^Jane")  # noqa: EM101

    job = wait_for(jobs.submit("load", work, lane="a"))
    assert job.state == "failed"
    assert job.error["kind"] == "internal"
    assert "KeyError" in job.error["message"]
    assert "Doe" not in json.dumps(job.to_json())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ReadError("x"), "image"),
        (GeometryError("x"), "image"),
        (DataError("x"), "data"),
        (MissingDependencyError("x"), "dependency"),
        (OutputError("x"), "output"),
        (StoppedError(), "stopped"),
        (MemoryError(), "memory"),
        (PermissionError(13, "Permission denied", "/home/doe"), "system"),
    ],
)
def test_every_error_has_its_kind(error, kind):
    facts = facts_of_error(error)
    assert facts["kind"] == kind
    assert "doe" not in facts["message"]


def test_a_child_that_is_killed_is_told_as_such(service, tmp_path, monkeypatch):
    from medcnn.service import children

    words = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(children, "_COMMAND", (children._COMMAND[0], "-c", words))
    with pytest.raises(ServiceError, match="SIGKILL") as ended:
        service.plan(tmp_path)
    assert ended.value.kind == "child"
    assert "memory" in ended.value.hint


@pytest.mark.slow
def test_a_child_says_what_is_wrong_with_the_data(service, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("path,mass\nmissing.png,1\n")
    with pytest.raises(ServiceError, match=r"missing\.png") as refused:
        service.evaluate(table, "own/films")
    assert refused.value.kind == "data"


@pytest.mark.slow
def test_a_table_may_not_lead_outside(models, tmp_path):
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (inside / "table.csv").write_text("path,mass\n../secret.png,1\n")
    with (
        Service(models=models, places=Places.of([inside])) as service,
        pytest.raises(ServiceError, match="outside") as refused,
    ):
        service.evaluate(inside / "table.csv", "own/films")
    assert refused.value.kind == "folder"


def test_a_plan_is_told_with_its_reasons_and_how_long_it_takes(tmp_path):
    from trainings import write_blobs

    from medcnn.service import child

    table = write_blobs(tmp_path, count=40)
    out = io.StringIO()
    asked = {"data": str(table), "settings": {"labels": ["blob"]}, "device": "cpu"}
    found = child._plan(asked | {"folders": [str(tmp_path)]}, child._Teller(out))

    json.dumps(found)
    assert "40 grey pictures" in found["words"]
    assert {"key", "value", "reason", "by"} <= set(found["decisions"][0])
    assert found["estimate"]["words"].startswith("About")
    told = [json.loads(line)["progress"] for line in out.getvalue().splitlines()]
    assert told == [[0, 2, "Reading the data"], [1, 2, "Timing a few steps"]]
    with pytest.raises(ServiceError, match="outside"):
        child._plan(asked | {"folders": ["/nowhere"]}, child._Teller(out))


def test_progress_of_a_child_is_thinned_but_no_stage_is_lost():
    from medcnn.service import child

    out = io.StringIO()
    teller = child._Teller(out)
    for step in range(1000):
        teller.progress(step, 1000, f"epoch 1/2: loss {step}")
    teller.progress(1000, 1000, "epoch 1/2: loss 0")
    teller.progress(0, 10, "epoch 2/2")
    teller.progress(0, None, "")

    told = [json.loads(line)["progress"] for line in out.getvalue().splitlines()]
    assert len(told) < 20
    assert told[-2:] == [[1000, 1000, "epoch 1/2: loss 0"], [0, 10, "epoch 2/2"]]
