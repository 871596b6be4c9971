"""The command line as people meet it: in a process of its own."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import make_bundle

import medcnn as package
from medcnn.cli import app

VERBS = (
    "screen",
    "predict",
    "explain",
    "inspect",
    "train",
    "evaluate",
    "compare",
    "calibrate",
    "drift",
    "export",
    "import",
    "reference",
    "report",
    "view",
    "models",
    "describe",
    "samples",
    "deidentify",
    "listen",
    "worker",
    "doctor",
)
HEAVY = {"torch", "openvino", "monai", "matplotlib", "cv2", "numpy", "scipy", "pydicom"}

slow = pytest.mark.slow


def process(*words):
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "medcnn", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture
def picture(tmp_path):
    """A 60 x 80 picture with an edge, as a PNG."""
    path = tmp_path / "film.png"
    pixels = np.tile(np.arange(80, dtype=np.uint8), (60, 1))
    pixels[20:40, 30:] += 100
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def loaded_by(*words):
    """Return which modules a command line leaves loaded."""
    code = (
        "import sys\n"
        "from medcnn.cli import app\n"
        f"try: app({list(words)!r}, prog_name='medcnn')\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


# ------------------------------------------------------------------------ help


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_loads_nothing_heavy(verb):
    loaded = loaded_by(*verb.split(), "--help")

    assert "medcnn" in loaded
    assert not loaded & HEAVY


def processor_seconds(*words):
    """Return the processor time of a command: its time on a machine that is idle."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process(*words).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@slow
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_answers_at_once(verb):
    """0.3 s for the command, 0.5 s for a verb."""
    seconds = min(processor_seconds(*verb.split(), "--help") for _ in range(3))

    assert seconds < (0.5 if verb else 0.3)


def test_no_help_shows_what_is_for_readers_of_the_code():
    for verb in app.registered_commands:
        assert verb.help, verb.callback
        assert "Raises:" not in verb.help, verb.callback
        assert len(verb.help.splitlines()) < 12, verb.callback


def test_help_names_every_verb_and_cuts_no_sentence_short():
    lines = process("--help").stdout.splitlines()

    told = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line]
    assert told[: len(VERBS)] == list(VERBS)
    assert not [line for line in lines if line.endswith("...") and "[" not in line]


def test_unknown_verb_or_option_is_wrong_usage():
    assert process("scren").returncode == 2
    assert process("predict", "--engin", "x", "y").returncode == 2
    assert process("predict").returncode == 2


def test_an_address_without_a_cluster_is_wrong_usage(tmp_path):
    done = process("screen", tmp_path, "-o", tmp_path / "out", "--address", "x:1")

    assert done.returncode == 2
    assert "--cluster ray" in done.stderr


def test_version_is_that_of_the_installed_package_or_says_there_is_none(medcnn):
    done = medcnn("--version")

    assert done.returncode == 0
    assert done.stdout[0].isdigit() or "not installed" in done.stdout


# ---------------------------------------------------------------------- errors


def test_an_error_is_one_sentence_without_a_traceback(medcnn):
    done = medcnn("predict", "x.png", "--model", "no-such-model")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("medcnn: no model 'no-such-model'")
    assert "Traceback" not in done.stderr
    assert "bundle.json. Shipped models" in done.stderr


def test_debug_shows_where_an_error_comes_from(monkeypatch):
    words = ["predict", "x.png", "--model", "no-such-model"]
    asked = process("--debug", *words)
    monkeypatch.setenv("MEDCNN_DEBUG", "1")
    for done in (asked, process(*words)):
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "BundleError" in done.stderr


def test_control_characters_of_a_file_name_do_not_reach_the_terminal(medcnn, tmp_path):
    evil = tmp_path / "a\x1b[31mred\x07.dcm"
    evil.write_text("no image")

    done = medcnn("inspect", evil)

    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert "\x07" not in done.stdout + done.stderr


@slow
def test_an_absent_device_is_an_error_and_no_quiet_change(medcnn, model, picture):
    done = medcnn("predict", picture, "--model", model, "--device", "cuda:99")

    assert done.returncode == 1
    assert "cuda:99" in done.stderr


# ---------------------------------------------------------------------- predict


@slow
def test_predict_answers_in_json_what_python_answers(medcnn, model, picture):
    done = medcnn("predict", picture, "--model", model, "--json", "--quiet")
    answer = json.loads(done.stdout)
    expected = package.Model.open(model).predict(package.load(picture))

    assert done.returncode == 0
    assert done.stderr == ""
    (image,) = answer["images"]
    assert image["path"] == str(picture)
    assert image["probabilities"] == pytest.approx(dict(expected.probabilities))
    assert image["band"] in {"flag", "review", "no-flag"}
    assert answer["errors"] == []
    assert answer["engine"] == "openvino"


@slow
def test_predict_goes_on_after_an_unreadable_file_and_ends_with_8(
    medcnn, model, picture, tmp_path
):
    broken = tmp_path / "broken.dcm"
    broken.write_text("no image")

    done = medcnn("predict", broken, picture, "--model", model)

    assert done.returncode == 8
    assert "broken.dcm" in done.stderr
    assert "abnormal" in done.stdout
    assert "probability" in done.stdout
    assert medcnn("predict", broken, "--model", model).returncode == 1


@slow
def test_predict_says_when_an_image_is_out_of_scope(medcnn, model, phantoms):
    volume = phantoms / "ct_lesion"
    done = medcnn("predict", *sorted(volume.iterdir())[:1], "--model", model)

    assert done.returncode == 0
    assert "out of scope" in done.stdout


@slow
@pytest.mark.parametrize("verb", ["inspect", "predict"])
def test_what_may_not_be_read_is_no_wrong_usage(
    medcnn, model, picture, tmp_path, monkeypatch, verb
):
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    options = ["--model", model] if verb == "predict" else []

    done = medcnn(verb, tmp_path / "nothing", picture, *options)

    assert done.returncode == 8
    assert "nothing does not exist" in done.stderr
    assert "film.png" in done.stdout


@slow
def test_a_path_that_cannot_be_reached_does_not_keep_others_from_being_predicted(
    medcnn, model, picture, tmp_path
):
    far = tmp_path / ("n" * 300)

    done = medcnn("predict", far, picture, "--model", model)

    assert done.returncode == 8
    assert f"{far} cannot be reached: File name too long. Check" in done.stderr
    assert "film.png" in done.stdout


# ---------------------------------------------------------------------- explain


@slow
def test_explain_writes_the_overlay_in_full_resolution(
    medcnn, model, picture, tmp_path
):
    done = medcnn(
        "explain", picture, "-o", tmp_path / "out", "--model", model, "--label", "all"
    )

    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert done.returncode == 0
    assert names == ["film.abnormal.png", "film.mass.png"]
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in names]


@slow
def test_explain_refuses_a_label_that_the_model_does_not_have(
    medcnn, model, picture, tmp_path
):
    done = medcnn(
        "explain", picture, "-o", tmp_path / "out", "--model", model, "--label", "x"
    )

    assert done.returncode == 1
    assert "has no label 'x'" in done.stderr
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------- inspect


def test_inspect_tells_geometry_steps_and_problems(medcnn, phantoms, tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_text("no image")
    folder = phantoms / "ct_lesion"

    done = medcnn("inspect", folder, broken, "--json")
    answer = json.loads(done.stdout)

    assert done.returncode == 8
    (series,) = answer["images"]
    assert series["files"] == len(list(folder.glob("*")))
    assert series["shape"][2] == series["files"]
    assert series["unit"] == "HU"
    assert any("rescale" in step for step in series["steps"])
    assert answer["errors"][0]["path"] == str(broken)
    assert answer["errors"][0]["stage"] == "format"


def test_inspect_shows_the_same_in_words(medcnn, phantoms):
    done = medcnn("inspect", phantoms / "ct_lesion")

    assert done.returncode == 0
    assert "HU" in done.stdout
    assert "mm" in done.stdout
    assert "slices" in done.stdout


@pytest.mark.parametrize("verb", ["inspect", "predict"])
def test_an_empty_folder_is_told_and_not_passed_over(medcnn, model, tmp_path, verb):
    options = ["--model", model] if verb == "predict" else []

    done = medcnn(verb, tmp_path, *options)

    assert done.returncode == 1
    assert f"{tmp_path} holds no image." in done.stderr


# ------------------------------------------------------------- models, samples


def test_models_shows_a_card_and_its_facts(medcnn, model):
    card = medcnn("models", model)
    facts = json.loads(medcnn("models", model, "--json").stdout)

    assert "A random network for tests." in card.stdout
    assert facts["labels"] == ["abnormal", "mass"]
    assert facts["card"].startswith("# Tiny")
    assert isinstance(json.loads(medcnn("models", "--json").stdout), list)


def test_models_lists_ones_own_and_tells_those_that_are_broken(
    medcnn, model, tmp_path, monkeypatch
):
    monkeypatch.setenv("MEDCNN_MODELS", str(tmp_path))
    shutil.copytree(model, tmp_path / "site")
    shutil.copytree(model, tmp_path / "torn")
    (tmp_path / "torn" / "weights.safetensors").write_bytes(b"torn")

    listed = medcnn("models")
    facts = json.loads(medcnn("models", "--json").stdout)

    assert {"chest-xray", "own/site"} <= {one["model"] for one in facts}
    assert "own/site" in listed.stdout
    assert str(tmp_path) in listed.stdout.replace("\n", "")
    assert "own/torn" not in listed.stdout
    assert "weights.safetensors has checksum" in listed.stderr.replace("\n", " ")
    shown = medcnn("predict", "no.png", "--model", "own/site")
    assert "no model" not in shown.stderr


def test_samples_are_written_and_listed(medcnn, tmp_path):
    pytest.importorskip("data_store", reason="needs pydicom-data")
    done = medcnn("samples", tmp_path / "s", "--json")

    paths = [one["path"] for one in json.loads(done.stdout)]
    assert done.returncode == 0
    assert paths
    assert all(Path(path).stat().st_size for path in paths)


# --------------------------------------------------------------- screen, report


@slow
def test_screen_ranks_reports_and_ends_with_8_if_a_file_was_unreadable(
    medcnn, model, picture, tmp_path
):
    films = tmp_path / "films"
    films.mkdir()
    picture.rename(films / "film.png")
    (films / "broken.dcm").write_text("no image")
    out = tmp_path / "out"

    done = medcnn("screen", films, "-o", out, "--model", model, "--workers", "1")
    again = medcnn(
        "screen", films, "-o", out, "--model", model, "--workers", "1", "--json", "-q"
    )

    assert done.returncode == again.returncode == 8
    assert str(out / "report.html") in done.stdout
    assert json.loads(again.stdout)["counts"]["images"] == 2
    assert again.stderr == ""
    (out / "report.html").unlink()
    rebuilt = medcnn("report", out)
    assert rebuilt.stdout.strip() == str(out / "report.html")
    assert "film.png" in (out / "report.html").read_text()
    told = json.loads(medcnn("report", out, "--json").stdout)
    assert told == {"report": str(out / "report.html")}


@slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_stopped_screening_tells_so_by_its_exit_code(
    number, code, model, picture, tmp_path
):
    films = tmp_path / "films"
    films.mkdir()
    for n in range(2000):  # so many that it is at work for long
        (films / f"{n}.png").symlink_to(picture)
    words = [
        "screen",
        films,
        "-o",
        tmp_path / "out",
        "--model",
        model,
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "medcnn", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any((tmp_path / "out" / "thumbnails").glob("*/*")) and not any(
        (tmp_path / "out" / "thumbnails").glob("*.jpg")
    ):
        assert process.poll() is None
        time.sleep(0.01)

    process.send_signal(number)
    _, told = process.communicate(timeout=60)

    assert process.returncode == code
    assert "Stopped" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out" / "report.html").exists()


def test_report_of_a_folder_without_a_run_says_what_is_missing(medcnn, tmp_path):
    done = medcnn("report", tmp_path)

    assert done.returncode == 1
    assert "run.json" in done.stderr
    assert "medcnn screen" in done.stderr


# ------------------------------------------------------------------------ train


def test_train_refuses_data_that_is_not_there(medcnn, tmp_path):
    pytest.importorskip("lightning")
    done = medcnn("train", tmp_path / "none", "-o", tmp_path / "model", "--quiet")

    assert done.returncode == 1
    assert "neither a table nor a folder" in done.stderr


# ----------------------------------------------------------------------- doctor


@slow
def test_doctor_tells_versions_and_the_command_for_what_is_missing(medcnn):
    done = medcnn("doctor", "--json")
    found = json.loads(done.stdout)

    assert found["packages"]["numpy"] == np.__version__
    assert found["devices"][0] == "cpu"
    missing = [name for name, version in found["packages"].items() if version is None]
    assert sorted(found["add"]) == sorted(missing)
    assert all("-m pip install" in command for command in found["add"].values())
