"""medcnn.training.devices: where a training runs, and several processes as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from orthancs import free_port
from safetensors.torch import load_file
from trainings import RECIPE, write_blobs

from medcnn.bundle import open_bundle
from medcnn.errors import RecipeError
from medcnn.training import Recipe, train
from medcnn.training.devices import fabric_for, half_precision, processes
from medcnn.training.loop import LAST


def test_torchrun_slurm_and_the_recipe_say_how_many_processes_there_are():
    assert processes(1, {}) == (1, 1)
    assert processes(4, {}) == (1, 4)
    torchrun = {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}
    assert processes(1, torchrun) == (2, 4)
    slurm = {"SLURM_NTASKS": "6", "SLURM_PROCID": "0", "SLURM_JOB_NUM_NODES": "3"}
    assert processes(1, slurm) == (3, 2)
    alone = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    assert processes(2, alone) == (1, 2)


def test_a_stated_precision_is_kept_and_a_cpu_is_asked_for_its_tiles(monkeypatch):
    assert half_precision("cpu", "bf16", 64)
    assert not half_precision("cuda", "32", 1 << 20)
    assert half_precision("cuda", "auto", 64)
    for tiles in (True, False):
        monkeypatch.setattr(
            "torch.cpu.get_capabilities", lambda tiles=tiles: {"amx_tile": tiles}
        )
        assert half_precision("cpu", "auto", 64 * 64) is tiles
        assert not half_precision("cpu", "auto", 28 * 28)


def test_a_batch_smaller_than_the_processes_is_refused():
    recipe = Recipe.model_validate(
        {"optimiser": {"batch_size": 2}, "run": {"devices": 3}}
    )
    with pytest.raises(RecipeError, match="batch_size 2 is too small for 3 processes"):
        fabric_for("cpu", recipe)


ONE_OF_TWO = """
import sys
from pathlib import Path
from trainings import RECIPE
from medcnn.training import Recipe, train

recipe = Recipe.model_validate_json(sys.argv[3])
train(Path(sys.argv[1]), output=sys.argv[2], recipe=recipe, device="cpu")
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    blobs = write_blobs(tmp_path, count=120)
    raw = json.loads(json.dumps(RECIPE)) | {"progressive": []}
    raw["optimiser"] |= {"epochs": 2, "freeze_norm": True}
    raw["network"]["arguments"] |= {"dropout": 0.0}
    raw["run"] = {"precision": "32"}
    alone = Recipe.model_validate(raw)
    train(blobs, output=tmp_path / "one", recipe=alone, device="cpu", progress=False)
    raw["run"] |= {"devices": 2}
    path = f"{Path.cwd()}:{Path(__file__).parent}"
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment["MASTER_PORT"] = str(free_port())
    script = tmp_path / "two.py"
    script.write_text(ONE_OF_TWO)
    done = subprocess.run(
        [sys.executable, script, blobs, tmp_path / "two", json.dumps(raw)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=840,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stderr
    assert done.stderr.count("The model is in") == 1
    one = load_file(tmp_path / "one.work" / LAST)
    two = load_file(tmp_path / "two.work" / LAST)
    for name in (key for key in one if key.startswith("network.")):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)
    specs = [open_bundle(tmp_path / name).spec for name in ("one", "two")]
    areas = [[score.auroc for score in spec.evaluation] for spec in specs]
    assert areas[1] == pytest.approx(areas[0], abs=0.02)
    assert specs[1].training.environment["processes"] == "2"
