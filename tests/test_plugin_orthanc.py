"""The Orthanc plugin's own code, in front of a stand-in for Orthanc's module."""

import importlib.util
import json
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest
from orthancs import Orthanc

SERIES = "0123abcd-" * 4 + "01234567"
GOOD = {"MedCNN": {"Peer": "m", "Modalities": ["CR"]}, "DicomModalities": {"m": []}}


class OrthancError(Exception):
    """As Orthanc raises it: a code and words."""


def fake_orthanc(configuration, *, posts=None):
    """Orthanc's module, with one radiograph in it; `posts` answers POST requests."""
    kinds = SimpleNamespace(ORTHANC_STARTED=1, ORTHANC_STOPPED=2, STABLE_SERIES=3)
    module = ModuleType("orthanc")
    module.ChangeType = kinds
    module.ErrorCode = SimpleNamespace(UNKNOWN_RESOURCE=17)
    module.OrthancException = OrthancError
    module.said, module.metadata = [], {}

    def get(path):
        if path.endswith("/metadata"):
            return json.dumps(list(module.metadata))
        if path == f"/series/{SERIES}":
            return json.dumps({"IsStable": True, "MainDicomTags": {"Modality": "CR"}})
        raise OrthancError(17, "Unknown resource")

    module.GetConfiguration = lambda: json.dumps(configuration)
    module.RestApiGet = get
    module.RestApiPost = posts or (lambda *_: "{}")
    module.RestApiPut = lambda path, _: module.metadata.update({path[-4:]: "1"})
    module.LogError = module.LogWarning = module.said.append
    module.RegisterOnChangeCallback = module.RegisterRestCallback = lambda *_: None
    return module


@pytest.fixture
def plugin(repository, monkeypatch):
    """Load the plugin in front of a stand-in."""

    def load(configuration=GOOD, **options):
        orthanc = fake_orthanc(configuration, **options)
        monkeypatch.setitem(sys.modules, "orthanc", orthanc)
        path = repository / "plugins" / "orthanc" / "medcnn_orthanc.py"
        spec = importlib.util.spec_from_file_location("medcnn_orthanc", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, orthanc

    return load


@pytest.mark.parametrize(
    "said",
    [[1], {"Peer": 5}, {"Modalities": "CR"}, {"Modalities": [1]}, {"Peers": "m"}],
)
def test_a_configuration_that_cannot_be_meant_is_refused(plugin, said):
    with pytest.raises(ValueError, match=r"MedCNN in the configuration is .*expected"):
        plugin(GOOD | {"MedCNN": said})


@pytest.mark.parametrize(
    ("more", "is_told"),
    [({}, True), ({"DicomModalitiesInDatabase": True}, False)],
)
def test_a_peer_that_orthanc_does_not_know_is_told(plugin, more, is_told):
    _, orthanc = plugin(GOOD | {"DicomModalities": {}} | more)
    assert ["none of DicomModalities" in words for words in orthanc.said] == (
        [True] * is_told
    )


def settled(module, times):
    """Try to send the series so many times; return the pauses."""
    module._wait_for(SERIES)
    pauses = []
    for _ in range(times):
        noted = module._waiting[SERIES]
        is_done = module._is_done_or_told(SERIES)
        module._settle(SERIES, noted, is_done=is_done)
        if is_done:
            break
        pauses.append(module._waiting[SERIES][1])
    return pauses


def test_what_is_refused_is_tried_again_ever_more_rarely(plugin):
    def refuse(*_):
        raise OrthancError(17, "a modality that was removed says so, too")

    module, orthanc = plugin(posts=refuse)

    assert settled(module, 9) == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    assert SERIES in module._waiting
    assert orthanc.metadata == {}


def test_what_nobody_thought_of_ends_nothing(plugin):
    answers = iter([KeyError("a name^of somebody"), None])

    def stumble(*_):
        error = next(answers)
        if error is not None:
            raise error
        return "{}"

    module, orthanc = plugin(posts=stumble)

    assert settled(module, 5) == [5]
    assert module._waiting == {}
    assert orthanc.metadata == {"4711": "1"}
    assert any("KeyError" in words for words in orthanc.said)
    assert not any("somebody" in words for words in orthanc.said)


def test_a_series_that_is_deleted_is_forgotten(plugin):
    module, _ = plugin()
    assert module._is_done_or_told("f" * 44)


def test_what_comes_anew_while_it_is_sent_is_sent_again(plugin):
    module, _ = plugin()
    module._wait_for(SERIES)
    noted = module._waiting[SERIES]
    module._wait_for(SERIES)
    module._settle(SERIES, noted, is_done=True)
    assert SERIES in module._waiting


def test_orthanc_says_why_it_does_not_start(repository, tmp_path):
    script = repository / "plugins" / "orthanc" / "medcnn_orthanc.py"
    orthanc = Orthanc(tmp_path / "o", settings={"MedCNN": [1]}, script=script)
    command = ["Orthanc", str(orthanc.config)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "MedCNN in the configuration is [1], expected" in done.stdout + done.stderr


def test_series_that_cannot_be_listed_at_the_start_are_listed_later(plugin):
    module, orthanc = plugin()
    get, asked = orthanc.RestApiGet, []

    def get_at_last(path):
        if path != "/series":
            return get(path)
        asked.append(path)
        if len(asked) < 3:
            raise OrthancError(8, "Bad JSON")
        return json.dumps([SERIES])

    orthanc.RestApiGet = get_at_last
    module._RETRY_S = 0.01
    thread = threading.Thread(target=module._work)
    thread.start()
    until = time.monotonic() + 60
    while "4711" not in orthanc.metadata and time.monotonic() < until:
        time.sleep(0.01)
    module._ended.set()
    module._wake.set()
    thread.join(60)
    assert "4711" in orthanc.metadata
    assert len(asked) == 3
    assert "cannot be listed (OrthancError), it is tried again" in orthanc.said[0]
