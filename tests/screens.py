"""What the tests of screening share: a small model with three bands, and processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bundles import make_bundle

__all__ = ["begin", "folder_bytes", "three_bands", "worklist_bytes"]

ROOT = Path(__file__).parents[1]

_SCRIPT = """
import sys, medcnn
folder, model, output = sys.argv[1:4]
for case in medcnn.screen(folder, model=model, output=output, heatmaps="all",
                          report=False):
    print(case.path.ljust(WIDTH), flush=True)
"""
_PAGE = 4096
"""The least that a pipe holds, in bytes."""


def three_bands(path: Path, **options) -> Path:
    """Write a model that flags some of `films`, reviews some and passes some."""
    make_bundle(path, **{"seed": 5, "spread": 40} | options)
    spec = path / "bundle.json"
    facts = json.loads(spec.read_text())
    for point in facts["operating_points"]:
        point.update(flag=0.40, review=0.33)
    spec.write_text(json.dumps(facts))
    return path


def begin(
    folder: Path,
    model: Path,
    output: Path,
    *,
    script: str = _SCRIPT,
    before: tuple[str, ...] = (),
    in_step: bool = False,
):
    """Start screening in a process of its own; it prints each case that is safe.

    Args:
        folder: What is screened.
        model: The bundle.
        output: Where to.
        script: What the process runs; it pads each line to WIDTH characters.
        before: Words in front of its command.
        in_step: A line is longer than the pipe, so that the process waits at the line
            after the one that is being read, however fast it is.
    """
    script = f"WIDTH = {3 * _PAGE if in_step else 0}\n{script}"
    return subprocess.Popen(
        [*before, sys.executable, "-c", script, str(folder), str(model), str(output)],
        pipesize=_PAGE if in_step else -1,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def worklist_bytes(output: Path) -> bytes:
    """Return worklist.csv as it is on disk, but for pseudonyms, which are each run's.

    A pseudonym becomes the number of the first row that has it: patients stay apart.
    """
    names: dict[bytes, bytes] = {}
    return re.sub(
        rb"pseudonym-[0-9a-f]{8}-[0-9A-F]{16}",
        lambda found: names.setdefault(found[0], b"patient %d" % len(names)),
        (output / "worklist.csv").read_bytes(),
    )


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
