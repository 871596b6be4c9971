"""medcnn describe, as people meet it."""

import json
import re
import subprocess
import sys

import pytest
from bundles import draft_spec, make_bundle
from typer.testing import CliRunner

from medcnn.cli import app
from medcnn.preprocessing import Preprocessing, Resize


def run(*words):
    return CliRunner().invoke(app, ["describe", *map(str, words)])


def test_a_network_is_described_by_its_name():
    done = run("basic_cnn", "--shape", "64,64", "--spacing", "0.5")
    assert done.exit_code == 0, done.output
    assert "looks for 16 patterns of 3 x 3" in done.stdout
    assert "97,890 parameters" in done.stdout
    assert "19 x 19" in done.stdout  # 38 pixels of 0.5 mm
    assert "receptive field" in done.stderr


def test_json_holds_all_that_is_known_of_each_layer():
    options = ("--dims", 3, "--set", "acs=true", "--set", "stem=small")
    done = run("resnet18", *options, "--shape", "16,16,16", "--labels", 3, "--json")
    facts = json.loads(done.stdout)
    assert facts["input"] == [1, 16, 16, 16]
    assert facts["layers"][0]["sees"] == [3, 3, 3]
    assert facts["layers"][0]["saved"] > 1e6
    assert facts["layers"][-1]["output"] == [3]
    assert facts["parameters"] == 11_168_706 + 513


def test_a_bundle_is_described_as_it_is_and_in_its_millimetres(tmp_path):
    bundle = make_bundle(tmp_path / "b")
    facts = json.loads(run(bundle.path, "--json").stdout)
    assert facts["input"] == [1, 32, 32]
    assert facts["layers"][0]["output"] == [4, 32, 32]
    assert facts["layers"][0]["sees_mm"] is None
    step = Resize(shape=(32, 32), fit="spacing", spacing_mm=(0.5, 0.25))
    spec = draft_spec().model_copy(
        update={"preprocessing": Preprocessing(steps=(step,)), "files": {}}
    )
    other = tmp_path / "mm"
    other.mkdir()
    for file in bundle.path.iterdir():
        if file.name != "bundle.json":
            (other / file.name).write_bytes(file.read_bytes())
    spec = spec.model_copy(update={"files": bundle.spec.files})
    (other / "bundle.json").write_text(spec.model_dump_json())
    facts = json.loads(run(other, "--json").stdout)
    assert facts["layers"][0]["sees_mm"] == [1.5, 0.75]


def test_stages_are_told_in_one_row_each():
    done = run("resnet50", "--stages")
    names = [line.split()[0] for line in done.stdout.splitlines()[1:7]]
    assert names == ["stem", "layer1", "layer2", "layer3", "layer4", "mean"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nothing"], 1, "Networks: basic_cnn, densenet121"),
        (["resnet18", "--set", "wings=2"], 1, "does not take these arguments"),
        (["resnet18", "--set", "wings"], 2, "--set takes KEY=VALUE"),
        (["resnet18", "--shape", "a,b"], 2, "2 or 3 whole numbers"),
        (["resnet18", "--shape", "0,8"], 2, "numbers above 0"),
        (["resnet18", "--dims", "3", "--shape", "8,8"], 2, "takes 3 whole numbers"),
        (["resnet18", "--spacing", "a"], 2, "takes millimetres"),
        (["resnet18", "--spacing", "1,2,3"], 2, "takes 1 or 2 numbers"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(words, code, told):
    done = run(*words)
    assert done.exit_code == code
    flat = " ".join(done.stderr.replace("│", " ").split())
    assert told in flat


def test_without_torch_it_says_what_to_install():
    code = """
import sys
sys.modules["torch"] = None
sys.argv = ["medcnn", "describe", "resnet18"]
from medcnn.cli import main
main()
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs torch, which is not installed" in done.stderr
    assert "pip install 'medcnn-imaging[train]'" in done.stderr


SHOWN = re.compile(
    r"^```text\n\$ medcnn describe (.*?)\n(.*?)^```", re.DOTALL | re.MULTILINE
)


def test_the_page_on_networks_shows_what_is_said(repository):
    page = (repository / "docs" / "networks.md").read_text(encoding="utf-8")
    shown = SHOWN.findall(page)
    assert shown
    for words, text in shown:
        said = run(*words.split()).stdout
        lines = [line.rstrip() for line in said.splitlines()]
        assert lines == text.splitlines()
