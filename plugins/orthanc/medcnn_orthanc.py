"""Orthanc sends every series that is complete to `medcnn listen`, which answers.

Orthanc's own Python runs this file; it needs nothing but the standard library, and no
network runs in here. What was sent is noted on the series, so that whatever is killed,
each series is sent once, and one that was not is sent at the next start.

Routes:
    POST /medcnn/series/{id}    send a series again
    GET  /medcnn/waiting        how many series are not sent yet
"""

import json
import threading
from typing import Any

import orthanc

_SENT = 4711
"""The user-defined metadata of a series: it was handed over."""

_RESULT = "Research use"
_MANUFACTURER = "medcnn"
_SETTINGS = {"Peer": "medcnn", "Modalities": ["CR", "DX", "CT", "MR"]}
_SETTINGS.update(json.loads(orthanc.GetConfiguration()).get("MedCNN", {}))
_RETRY_S = 5

_waiting: set[str] = set()
_lock = threading.Lock()
_wake = threading.Event()
_ended = threading.Event()


def _on_change(change: Any, _level: Any, resource: str) -> None:
    """Note what is complete; the work is done by a thread of its own."""
    if change == orthanc.ChangeType.ORTHANC_STARTED:
        threading.Thread(target=_work, name="medcnn", daemon=True).start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        _ended.set()
        _wake.set()
    elif change == orthanc.ChangeType.STABLE_SERIES:
        with _lock:
            _waiting.add(resource)
        _wake.set()


def _work() -> None:
    """Send what waits, for ever; what fails is tried again."""
    _find_unsent()
    while not _ended.is_set():
        _wake.wait(_RETRY_S)
        _wake.clear()
        with _lock:
            series = sorted(_waiting)
        for one in series:
            if _ended.is_set():
                return
            if _is_done(one):
                with _lock:
                    _waiting.discard(one)


def _find_unsent() -> None:
    """Take up the series that a killed Orthanc did not send."""
    for one in json.loads(orthanc.RestApiGet("/series")):
        with _lock:
            _waiting.add(one)


def _is_done(series: str) -> bool:
    """Send a series unless it is sent; say whether nothing is left to do."""
    try:
        facts = json.loads(orthanc.RestApiGet("/series/" + series))
        if not facts.get("IsStable", True):
            return False
        if not _is_wanted(facts["MainDicomTags"]) or _is_sent(series):
            return True
        body = json.dumps({"Resources": [series], "Synchronous": True})
        peer = "/modalities/" + _SETTINGS["Peer"] + "/store"
        orthanc.RestApiPost(peer, body)
        orthanc.RestApiPut(f"/series/{series}/metadata/{_SENT}", b"1")
    except orthanc.OrthancException as error:
        code = error.args[0] if error.args else None
        if code == orthanc.ErrorCode.UNKNOWN_RESOURCE:  # deleted meanwhile
            return True
        orthanc.LogWarning("medcnn: a series could not be sent, it is tried again")
        return False
    return True


def _is_wanted(tags: dict[str, str]) -> bool:
    """Leave out what is no image, and medcnn's own results."""
    is_own = tags.get("Manufacturer") == _MANUFACTURER or tags.get(
        "SeriesDescription", ""
    ).startswith(_RESULT)
    return tags.get("Modality") in _SETTINGS["Modalities"] and not is_own


def _is_sent(series: str) -> bool:
    """Say whether a series was handed over."""
    return str(_SENT) in json.loads(orthanc.RestApiGet(f"/series/{series}/metadata"))


def _send_again(output: Any, _uri: str, **request: Any) -> None:
    """POST /medcnn/series/{id}."""
    if request["method"] != "POST":
        output.SendMethodNotAllowed("POST")
        return
    series = request["groups"][0]
    try:
        orthanc.RestApiGet("/series/" + series)
    except orthanc.OrthancException:
        output.SendHttpStatusCode(404)
        return
    if _is_sent(series):
        orthanc.RestApiDelete(f"/series/{series}/metadata/{_SENT}")
    with _lock:
        _waiting.add(series)
    _wake.set()
    output.AnswerBuffer(json.dumps({"series": series}), "application/json")


def _count(output: Any, _uri: str, **request: Any) -> None:
    """GET /medcnn/waiting."""
    if request["method"] != "GET":
        output.SendMethodNotAllowed("GET")
        return
    with _lock:
        count = len(_waiting)
    output.AnswerBuffer(json.dumps({"waiting": count}), "application/json")


orthanc.RegisterOnChangeCallback(_on_change)
orthanc.RegisterRestCallback("/medcnn/series/([0-9a-f-]{44})", _send_again)
orthanc.RegisterRestCallback("/medcnn/waiting", _count)
