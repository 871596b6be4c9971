"""What a DICOMweb service says, in words; it may say anything.

References:
    [1] DICOM PS3.18 10.5.3 (answers of store), 8.5 (statuses), F.2 (DICOM JSON).
"""

import re
from collections.abc import Mapping

import requests
from pydicom.dataset import Dataset

from medcnn.errors import ArchiveError
from medcnn.io.dicom.tags import number, sequence, text
from medcnn.pacs.sending import DUPLICATE

__all__ = [
    "NONSENSE",
    "answer_of_conflict",
    "in_words",
    "is_busy",
    "is_kept",
    "nonsense",
    "pause_asked_for",
    "refusal_of",
    "uid_of",
]

NONSENSE = (
    AttributeError,
    LookupError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What libraries raise on an answer that is none; broken XML is a SyntaxError."""

_UID = re.compile(r"[0-9](?:[0-9.]{0,62}[0-9])?")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})
_CONFLICT = 409
_LONGEST_PAUSE_S = 60.0
_NO_ROOM = 0xA700


def uid_of(row: object, tag: str) -> str:
    """Return a UID of a search result, fit for an address.

    Raises:
        ArchiveError: If it is none.
    """
    entry = row.get(tag) if isinstance(row, Mapping) else None
    values = entry.get("Value") if isinstance(entry, Mapping) else None
    value = str(values[0]) if isinstance(values, list) and values else ""
    if not _UID.fullmatch(value):
        msg = "the archive names an object by something that is no UID"
        raise ArchiveError(msg)
    return value


def in_words(error: requests.RequestException) -> ArchiveError:
    """Say what went wrong, without the address, which may hold identifiers."""
    if isinstance(error, requests.exceptions.JSONDecodeError):
        return nonsense(error)
    status = None if error.response is None else error.response.status_code
    if status in {401, 403}:
        hint = "Set MEDCNN_DICOMWEB_TOKEN, or MEDCNN_DICOMWEB_USER and _PASSWORD."
        msg = f"the archive refuses this login (HTTP {status})"
        return ArchiveError(msg, hint=hint)
    if status is not None:
        msg = f"the archive does not have it any more (HTTP {status})"
        msg = msg if status in _GONE else f"the archive answers with HTTP {status}"
        return ArchiveError(msg, is_final=status not in _BUSY)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        msg = "the archive's certificate is not of an authority that is trusted here"
        hint = "Set MEDCNN_DICOMWEB_CA to the PEM file of your certificate authority."
        return ArchiveError(msg, hint=hint)
    msg = f"the archive cannot be reached ({type(error).__name__})"
    return ArchiveError(msg, hint="Check address and network.", is_final=False)


def nonsense(error: Exception) -> ArchiveError:
    """Say that an answer is none; its text is not passed on, it may be anything."""
    msg = f"the archive's answer is no DICOMweb ({type(error).__name__})"
    hint = "Does the address name the service itself, not a login page before it?"
    return ArchiveError(msg, hint=hint)


def pause_asked_for(error: requests.RequestException) -> float:
    """Return for how many seconds a busy service asks to be left alone, at most 60."""
    headers = {} if error.response is None else error.response.headers
    said = str(headers.get("Retry-After", ""))
    is_number = said.isascii() and said.isdigit()
    return min(_LONGEST_PAUSE_S, float(said)) if is_number else 0.0


def answer_of_conflict(error: ArchiveError) -> Dataset | None:
    """Return what an archive that kept nothing says of it; None if it does not say."""
    response = getattr(error.__cause__, "response", None)
    if response is None or response.status_code != _CONFLICT:
        return None
    try:
        answer = Dataset.from_json(response.json())
    except (requests.RequestException, *NONSENSE):
        return None
    return answer if sequence(answer, "FailedSOPSequence") else None


def refusal_of(answer: Dataset) -> int | None:
    """Return why an archive did not keep an object; None if it does not say no."""
    for failed in sequence(answer, "FailedSOPSequence"):
        reason = int(number(failed, "FailureReason") or 0)
        if reason != DUPLICATE:
            return reason
    return None


def is_kept(answer: Dataset, uid: str) -> bool:
    """Say whether an archive says that it has an object now, or had it already."""
    items = sequence(answer, "ReferencedSOPSequence")
    items += sequence(answer, "FailedSOPSequence")
    named = {text(item, "ReferencedSOPInstanceUID") for item in items}
    return uid in named and refusal_of(answer) is None


def is_busy(reason: int) -> bool:
    """Say whether trying again may help: out of resources."""
    return (reason & 0xFF00) == _NO_ROOM
