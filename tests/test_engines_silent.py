"""No engine sends anything anywhere."""

import os
import subprocess
import sys
import textwrap

import pytest

WATCH = """
import sys
from pathlib import Path
import openvino_telemetry.main as telemetry

def send_event(self, *words, **more):
    Path(sys.argv[1]).write_text(repr(words))

telemetry.Telemetry.send_event = send_event
"""

ASK = """
from medcnn.model import Model
model = Model.open("chest-xray")
assert model.engine.name == "openvino"
import openvino_telemetry  # whoever wants it still has it
"""


@pytest.mark.slow
@pytest.mark.parametrize(("code", "sent"), [("import openvino", True), (ASK, False)])
def test_openvino_tells_nobody_of_itself(tmp_path, code, sent):
    pytest.importorskip("openvino_telemetry")
    environment = {k: v for k, v in os.environ.items() if k != "CI"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WATCH + code), tmp_path / "sent"],
        check=True,
        timeout=120,
        env=environment,
    )
    assert (tmp_path / "sent").exists() is sent  # the first shows that the watch works
