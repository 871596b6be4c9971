"""medcnn listen as a process that is killed again and again while studies arrive."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE, evt

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_cases import tiny_models
from test_pacs import (
    RESULTS,
    _sockets_that_pynetdicom_leaves,  # noqa: F401 - used by every test
    films,
    storescu,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STUDIES, KILLS = 12, 3


@pytest.fixture
def archive():
    """An archive that keeps every result it gets by its identifier."""
    kept, lock = [], threading.Lock()

    def store(event):
        with lock:
            kept.append(event.dataset)
        return 0x0000

    entity = AE("ARCHIVE")
    for sop_class in RESULTS:
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    yield kept, server.server_address[1]
    server.shutdown()


def start(folder, model, port, to):
    words = ["listen", "-o", folder, "--allow", "SENDER", "--model", model, "--port"]
    words += [port, "--peer", f"ARCHIVE@127.0.0.1:{to}", "--wait", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "medcnn", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return process, json.loads(line)["port"]


def test_each_study_has_one_result_however_often_it_is_killed(archive, tool, tmp_path):
    kept, to = archive
    model = tiny_models(tmp_path / "models")[2].bundle.path
    paths = films(tmp_path / "films", STUDIES)
    spool = tmp_path / "spool"
    process, port = start(spool, model, 0, to)
    unsent = list(paths)
    for round_ in range(KILLS + 1):
        count = STUDIES // (KILLS + 1)
        for path in list(unsent[:count]):
            if storescu(tool, port, path) == 0:  # acknowledged: it must not be lost
                unsent.remove(path)
        if round_ < KILLS:
            time.sleep(0.7 * round_)
            process.kill()
            process.wait()
            process, port = start(spool, model, port, to)
    for path in unsent:
        assert storescu(tool, port, path) == 0
    wanted = {pydicom.dcmread(path).StudyInstanceUID for path in paths}
    deadline = time.monotonic() + 120
    while reported(kept).keys() != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]

    results = reported(kept)
    assert results.keys() == wanted, said
    assert {len(uids) for uids in results.values()} == {1}
    assert process.returncode == 143
    assert not any(f"p{number}\n" in said for number in range(STUDIES))
    assert list((spool / "arriving").iterdir()) == []


def reported(kept):
    """The identifiers of the reports of each study."""
    found = {}
    for one in list(kept):
        if one.Modality == "SR":
            found.setdefault(one.StudyInstanceUID, set()).add(one.SOPInstanceUID)
    return found
