"""An Orthanc of one's own on loopback, and what is asked of it."""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

__all__ = ["Orthanc", "free_port"]

PLUGINS = Path("/usr/share/orthanc/plugins")


class Orthanc:
    """Orthanc with DICOMweb in a folder; started, killed and started again.

    Args:
        folder: Its storage and configuration.
        settings: Other settings of it.
        script: A Python plugin; None for none.
    """

    def __init__(self, folder, *, settings=None, script=None):
        if shutil.which("Orthanc") is None or not PLUGINS.is_dir():
            pytest.skip(
                "needs Orthanc with plugins (Debian packages orthanc, "
                "orthanc-dicomweb, orthanc-python)"
            )
        self.http, self.dicom = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        folder.mkdir(parents=True)
        plugins = [str(PLUGINS / "libOrthancDicomWeb.so")]
        own = {}
        if script is not None:
            plugins.append(str(PLUGINS / "libOrthancPython.so"))
            own["PythonScript"] = str(script)
        self.config = folder / "orthanc.json"
        self.config.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(folder / "db"),
                    "IndexDirectory": str(folder / "db"),
                    "TemporaryDirectory": str(folder),
                    "Plugins": plugins,
                    "HttpPort": self.http,
                    "DicomPort": self.dicom,
                    "DicomAet": "ORTHANC",
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "StableAge": 1,
                    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
                    **own,
                    **(settings or {}),
                }
            )
        )
        self.log = folder / "log"
        self.process = None

    def start(self):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["Orthanc", str(self.config)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            try:
                requests.get(f"{self.url}/system", timeout=10).raise_for_status()
            except requests.RequestException:
                assert self.process.poll() is None, self.log.read_text()[-2000:]
                time.sleep(0.1)
            else:
                return self
        pytest.fail("Orthanc did not start: " + self.log.read_text()[-2000:])

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def get(self, path):
        answer = requests.get(self.url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def find(self, **query):
        body = {"Level": "Series", "Query": query, "Expand": True}
        answer = requests.post(f"{self.url}/tools/find", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()


def free_port():
    """Find a port that no connection of this machine is given by chance.

    One that the system picks could be picked again before a server takes it, or while
    one is started anew.
    """
    for port in random.SystemRandom().sample(range(12_000, 32_000), 200):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is free here")
