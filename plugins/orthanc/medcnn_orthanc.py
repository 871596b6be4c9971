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
import time
from typing import Any

import orthanc

_SENT = 4711
"""The user-defined metadata of a series: it was handed over."""

_RESULT = "Research use"
_MANUFACTURER = "medcnn"
_DEFAULTS = {"Peer": "medcnn", "Modalities": ["CR", "DX", "CT", "MR"]}
_RETRY_S, _LONGEST_RETRY_S = 5, 600

_waiting: dict[str, tuple[float, float]] = {}
"""Series to be sent: when (seconds of a clock that only goes on) and the last pause."""
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
        _wait_for(resource)
        _wake.set()


def _wait_for(series: str) -> None:
    """Note that a series is to be sent, now."""
    with _lock:
        _waiting[series] = (time.monotonic(), 0.0)


def _work() -> None:
    """Send what waits, for ever; what fails is tried again, ever more rarely."""
    are_found = False
    while not _ended.is_set():
        are_found = are_found or _are_unsent_found()
        _wake.wait(_RETRY_S)
        _wake.clear()
        now = time.monotonic()
        with _lock:
            due = sorted(one for one, (when, _) in _waiting.items() if when <= now)
        for one in due:
            if _ended.is_set():
                return
            with _lock:
                noted = _waiting[one]
            _settle(one, noted, is_done=_is_done_or_told(one))


def _settle(series: str, noted: tuple[float, float], *, is_done: bool) -> None:
    """Forget a series, or note when it is tried again; unless it was noted anew."""
    pause = min(_LONGEST_RETRY_S, max(_RETRY_S, 2 * noted[1]))
    with _lock:
        if _waiting.get(series) is not noted:
            return
        if is_done:
            del _waiting[series]
        else:
            _waiting[series] = (time.monotonic() + pause, pause)


def _is_done_or_told(series: str) -> bool:
    """Send a series; what nobody thought of must not end the thread."""
    try:
        return _is_done(series)
    except Exception as error:  # noqa: BLE001 - the next series is not to blame
        words = f"medcnn: a series could not be sent ({type(error).__name__})"
        orthanc.LogError(words + ", it is tried again")
        return False


def _are_unsent_found() -> bool:
    """Take up the series that a killed Orthanc did not send; say whether it worked."""
    try:
        unsent = json.loads(orthanc.RestApiGet("/series"))
    except Exception as error:  # noqa: BLE001 - the thread must go on
        words = f"medcnn: the series cannot be listed ({type(error).__name__})"
        orthanc.LogWarning(words + ", it is tried again")
        return False
    for one in unsent:
        _wait_for(one)
    return True


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
    except orthanc.OrthancException:
        if _is_gone(series):
            return True
        orthanc.LogWarning("medcnn: a series could not be sent, it is tried again")
        return False
    return True


def _is_gone(series: str) -> bool:
    """Say whether a series was deleted meanwhile."""
    try:
        orthanc.RestApiGet("/series/" + series)
    except orthanc.OrthancException as error:
        code = error.args[0] if error.args else None
        return bool(code == orthanc.ErrorCode.UNKNOWN_RESOURCE)
    return False


def _settings() -> dict[str, Any]:
    """Return what the configuration says; refuse what cannot be meant.

    Raises:
        ValueError: Orthanc does not start then, and prints it.
    """
    whole = json.loads(orthanc.GetConfiguration())
    said = whole.get("MedCNN", {})
    settings = {**_DEFAULTS, **said} if isinstance(said, dict) else {}
    peer, kinds = settings.get("Peer"), settings.get("Modalities")
    are_kinds = isinstance(kinds, list) and all(isinstance(k, str) for k in kinds)
    if not isinstance(peer, str) or not are_kinds or settings.keys() - _DEFAULTS.keys():
        msg = f"MedCNN in the configuration is {json.dumps(said)}, expected "
        raise ValueError(msg + json.dumps(_DEFAULTS))
    is_known = peer in whole.get("DicomModalities", {})
    if not is_known and not whole.get("DicomModalitiesInDatabase"):
        words = f"medcnn: MedCNN.Peer {json.dumps(peer)} is none of DicomModalities"
        orthanc.LogError(words + ": no series can be sent")
    return settings


def _is_wanted(tags: dict[str, str]) -> bool:
    """Leave out what is no image, and medcnn's own results."""
    says_so = tags.get("SeriesDescription", "").startswith(_RESULT)
    is_own = says_so and tags.get("Manufacturer") == _MANUFACTURER
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
    _wait_for(series)
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


_SETTINGS = _settings()
orthanc.RegisterOnChangeCallback(_on_change)
orthanc.RegisterRestCallback("/medcnn/series/([0-9a-f-]{44})", _send_again)
orthanc.RegisterRestCallback("/medcnn/waiting", _count)
