"""The Orthanc plugin end to end: stored in an archive, answered, read back."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

sys.path.insert(0, str(Path(__file__).parents[1]))

from dicom_cases import probabilities_of, tiny_models
from orthancs import Orthanc, free_port
from test_pacs import (
    _sockets_that_pynetdicom_leaves,  # noqa: F401 - used by every test
    films,
)

import medcnn as package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

STUDIES = int(os.environ.get("MEDCNN_PACS_STUDIES", "10"))
"""500 in the long form: MEDCNN_PACS_STUDIES=500."""

KILLS = 2


class Listening:
    """`medcnn listen` beside an Orthanc; killed and started again."""

    def __init__(self, folder, model, port, archive):
        words = ["listen", "-o", folder, "--allow", "ORTHANC", "--port", port]
        words += ["--peer", f"ORTHANC@127.0.0.1:{archive}", "--wait", "0.5"]
        words += ["--model", model, "-q"]
        self.command = [sys.executable, "-m", "medcnn", *map(str, words)]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert json.loads(self.process.stdout.readline())["medcnn"] == "listen"
        return self

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


def shipped(file):
    """The plugin's own configuration, without what a test chooses."""
    settings = json.loads(file.read_text())
    chosen = ("StorageDirectory", "IndexDirectory", "Plugins", "HttpPort", "DicomPort",
              "StableAge", "PythonScript")  # fmt: skip
    for name in chosen:
        del settings[name]
    return settings


@pytest.fixture
def pair(repository, tmp_path):
    """An Orthanc with the plugin, and its listener."""
    model = tiny_models(tmp_path / "models")[2]
    port = free_port()
    plugin = repository / "plugins" / "orthanc"
    settings = shipped(plugin / "orthanc.json")
    settings["DicomModalities"]["medcnn"][2] = port
    script = plugin / "medcnn_orthanc.py"
    orthanc = Orthanc(tmp_path / "orthanc", settings=settings, script=script).start()
    listening = Listening(tmp_path / "spool", model.bundle.path, port, orthanc.dicom)
    listening.start()
    yield orthanc, listening, model
    orthanc.kill()
    listening.kill()


def stow(orthanc, path):
    """Store a file by DICOMweb; try again while Orthanc is away."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client = DICOMwebClient(f"{orthanc.url}/dicom-web")
            client.set_http_retry_params(retry=False)
            client.store_instances([pydicom.dcmread(path)])
        except requests.RequestException:
            time.sleep(0.3)
        else:
            return
    pytest.fail("Orthanc did not take it")


def wait_for_reports(orthanc, studies, seconds):
    """Wait until each study has a report, and return their series by study."""
    deadline = time.monotonic() + seconds
    reports = {}
    while time.monotonic() < deadline:
        try:
            series = orthanc.find(Modality="SR")
        except requests.RequestException:
            series = []
        reports = {}
        for one in series:
            study = orthanc.get(f"/studies/{one['ParentStudy']}")
            uid = study["MainDicomTags"]["StudyInstanceUID"]
            reports.setdefault(uid, []).append(one)
        if reports.keys() == studies:
            break
        time.sleep(0.5)
    return reports


def look_like_results(paths):
    """Give two films one mark each of what together says that it is a result."""
    marks = {"SeriesDescription": "Research use of Xe", "Manufacturer": "medcnn"}
    for path, (keyword, text) in zip(paths[:2], marks.items(), strict=True):
        film = pydicom.dcmread(path)
        setattr(film, keyword, text)
        film.save_as(path)


def test_each_study_has_one_result_though_both_are_killed(pair, tmp_path):
    orthanc, listening, model = pair
    paths = films(tmp_path / "films", STUDIES)
    look_like_results(paths)
    studies = {pydicom.dcmread(path).StudyInstanceUID for path in paths}
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(stow, orthanc, path) for path in paths]
        for _ in range(KILLS):
            time.sleep(2)
            listening.kill()
            orthanc.kill()
            orthanc.start()
            listening.start()
        for one in sent:
            one.result()

    reports = wait_for_reports(orthanc, studies, 120 + STUDIES)

    assert reports.keys() == studies
    assert {len(series) for series in reports.values()} == {1}
    assert {len(s["Instances"]) for one in reports.values() for s in one} == {1}
    client = DICOMwebClient(f"{orthanc.url}/dicom-web")
    for path in paths[:3]:
        source = pydicom.dcmread(path)
        found = client.search_for_series(
            source.StudyInstanceUID, search_filters={"Modality": "SR"}
        )
        (report,) = client.retrieve_series(
            source.StudyInstanceUID, found[0]["0020000E"]["Value"][0]
        )
        expected = model.predict(package.load(path)).probabilities
        assert probabilities_of(report) == pytest.approx(expected, abs=1e-6)
        assert report.PatientID == source.PatientID
    ask_again(orthanc, studies)


def ask_again(orthanc, studies):
    """The route sends a series once more; the archive still has one result."""
    (series,) = orthanc.find(Modality="CR")[:1]
    url = f"{orthanc.url}/medcnn/series/{series['ID']}"
    assert requests.get(url, timeout=30).status_code == 405
    assert requests.post(url[:-1] + "0", timeout=30).status_code in {200, 404}
    answer = requests.post(url, timeout=30)
    assert answer.json() == {"series": series["ID"]}
    deadline = time.monotonic() + 30
    while orthanc.get("/medcnn/waiting")["waiting"] and time.monotonic() < deadline:
        time.sleep(0.2)
    reports = wait_for_reports(orthanc, studies, 5)
    assert {len(one) for one in reports.values()} == {1}
