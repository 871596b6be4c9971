"""SafeReader beside forks, deleted folders and killed parents."""

import os
import signal
import subprocess
import sys
import time

import pytest
from dicoms import RAMP_12, picture, save

from medcnn import SafeReader
from medcnn.errors import IsolationError
from medcnn.isolation import process as process_module

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
]

_WAIT_S = 30


def wait_for(process_id):
    """Return the exit status of a child; kill it if it hangs."""
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        found, status = os.waitpid(process_id, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.kill(process_id, signal.SIGKILL)
    os.waitpid(process_id, 0)
    return "it hangs"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("verb", ["load", "close"])
def test_a_reader_serves_a_forked_process_and_the_one_it_was_forked_from(
    verb, tmp_path
):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    with SafeReader() as reader:
        reader.load(path)
        child = os.fork()
        if not child:
            try:
                reader.load(path) if verb == "load" else reader.close()
                reader.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert wait_for(child) == 0
        assert (reader.load(path).picture() == RAMP_12).all()


def test_a_reader_starts_in_a_folder_that_was_deleted(tmp_path, monkeypatch):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.syspath_prepend("")
    gone.rmdir()
    with SafeReader() as reader:
        assert (reader.load(path).picture() == RAMP_12).all()


def test_a_worker_that_answers_with_endless_brackets_is_one_that_died(
    tmp_path, monkeypatch
):
    script = (
        "import struct, sys\n"
        "from medcnn.isolation.wire import receive_bytes, send_bytes\n"
        "receive_bytes(sys.stdin.buffer)\n"
        "send_bytes(sys.stdout.buffer, b'ready')\n"
        "receive_bytes(sys.stdin.buffer)\n"
        "text = b'[' * 1000000\n"
        "sys.stdout.buffer.write(struct.pack('<II', len(text), 0) + text)\n"
        "sys.stdout.buffer.flush()\n"
        "sys.stdin.buffer.read()\n"
    )
    command = (sys.executable, "-P", "-c", script)
    monkeypatch.setattr(process_module, "WORKER_COMMAND", command)
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    with SafeReader() as reader, pytest.raises(IsolationError, match="died"):
        reader.load(path)


def test_a_worker_whose_parent_was_killed_ends_and_removes_its_folder(tmp_path):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    script = (
        "import sys, time\n"
        "from medcnn import SafeReader\n"
        "reader = SafeReader()\n"
        "reader.load(sys.argv[1])\n"
        "print('read', flush=True)\n"
        "time.sleep(1000)\n"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert parent.stdout.readline() == b"read\n"
    assert list(temporary.iterdir())
    parent.kill()
    parent.communicate()
    end = time.monotonic() + _WAIT_S
    while list(temporary.iterdir()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(temporary.iterdir())
