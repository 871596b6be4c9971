"""DICOMweb: search an archive, fetch its objects into a spool, store results back.

Only the server that was named is ever asked: no redirect is followed, no other address
that a response names is opened, and every response has a bound.

References:
    [1] DICOM PS3.18 10.4 (retrieve), 10.5 (store), 10.6 (search).
"""

import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset
from requests.auth import AuthBase, HTTPBasicAuth

from medcnn.errors import ArchiveError
from medcnn.pacs.peers import is_loopback
from medcnn.pacs.sending import CLASSES, Sent
from medcnn.pacs.web_answers import (
    NONSENSE,
    answer_of_conflict,
    in_words,
    is_busy,
    is_kept,
    nonsense,
    pause_asked_for,
    refusal_of,
    uid_of,
)

__all__ = ["WebArchive", "base_url", "parse_query"]

_FIELD = re.compile(r"[A-Za-z0-9.]{1,128}")
_STUDY, _SERIES, _OBJECT = "0020000D", "0020000E", "00080018"
_TIMEOUT_S = (10.0, 60.0)
_TRIES, _FIRST_WAIT_S = 4, 1.0
_LIST_BYTES = 64 << 20
_HEAD_BYTES = 1 << 16
_CHUNK = 1 << 20
_MOST_OBJECTS = 50_000
"""Of one series."""
_PAGE = 200
"""Rows that are asked for at a time; some services refuse to be asked for more."""

T = TypeVar("T")


def base_url(text: str) -> str:
    """Return the address of a DICOMweb service, as dicomweb+https://HOST/PATH names it.

    Raises:
        ArchiveError: If it is none, names a user, or is plain HTTP beyond loopback.
    """
    scheme, _, rest = text.partition("+")
    parts = urlsplit(rest)
    is_web = scheme == "dicomweb" and parts.scheme in {"http", "https"}
    if not is_web or not parts.hostname or parts.query or parts.fragment:
        msg = "that is no DICOMweb service, expected dicomweb+https://HOST[:PORT]/PATH"
        raise ArchiveError(msg)
    if parts.username or parts.password:
        msg = "the address holds a user or password, which would end up in logs"
        hint = "Set MEDCNN_DICOMWEB_TOKEN, or MEDCNN_DICOMWEB_USER and _PASSWORD."
        raise ArchiveError(msg, hint=hint)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        msg = f"{parts.hostname} is another machine: plain HTTP is refused"
        raise ArchiveError(msg, hint="Use dicomweb+https://.")
    return rest.rstrip("/")


def parse_query(text: str) -> dict[str, str]:
    """Read KEYWORD=VALUE&KEYWORD=VALUE, such as Modality=CR&StudyDate=20250101-.

    Raises:
        ArchiveError: If it is something else.
    """
    pairs = parse_qsl(text, keep_blank_values=True)
    given = text.split("&") if text else []
    is_whole = len(pairs) == len(given) and all("=" in one for one in given)
    if not is_whole or not all(_FIELD.fullmatch(name) for name, _ in pairs):
        msg = f"{text!r} is no query, expected KEYWORD=VALUE joined by &"
        raise ArchiveError(msg, hint="For example Modality=CR&StudyDate=20250101-.")
    return dict(pairs)


class WebArchive:
    """A DICOMweb service.

    Args:
        url: As `base_url` returns it.
        most_bytes: Of one object.

    Raises:
        ArchiveError: If the login in the environment is half there, or the certificate
            authority in it is no file.
    """

    def __init__(self, url: str, *, most_bytes: int = 4 << 30) -> None:
        self._url = url
        self._most_bytes = most_bytes
        self._session = _Guarded(url)
        self._session.auth = _login(os.environ)
        self._session.verify = _authority(os.environ)
        self._client = DICOMwebClient(url, session=self._session, timeout=_TIMEOUT_S)
        self._client.set_http_retry_params(retry=False)  # tried again here, with words
        # it would print what a server says, which may be anything
        logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)

    def find(self, query: Mapping[str, str], *, most: int) -> list[tuple[str, str]]:
        """Return the (study, series) that match, at most so many.

        Raises:
            ArchiveError: If the archive cannot be asked.
        """
        search = self._client.search_for_series
        return self._pages(
            lambda limit, offset: search(
                search_filters=dict(query), limit=limit, offset=offset
            ),
            lambda row: (uid_of(row, _STUDY), uid_of(row, _SERIES)),
            most,
        )

    def objects(self, study: str, series: str) -> list[str]:
        """Return the SOP Instance UIDs of a series.

        Raises:
            ArchiveError: If the archive cannot be asked.
        """
        search = self._client.search_for_instances
        return self._pages(
            lambda limit, offset: search(study, series, limit=limit, offset=offset),
            lambda row: uid_of(row, _OBJECT),
            _MOST_OBJECTS,
        )

    @contextmanager
    def fetched(self, study: str, series: str, sop_uid: str) -> Iterator[Path]:
        """Fetch an object as it is stored; the file is gone afterwards.

        Raises:
            ArchiveError: If it cannot be had, or is too large.
        """
        url = f"{self._url}/studies/{study}/series/{series}/instances/{sop_uid}"
        with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
            self._again(lambda: self._download(url, file))
            yield Path(file.name)

    def deliver(self, files: Sequence[Path]) -> Sent:
        """Store results; those that it has already are fine."""
        refused: list[str] = []
        for file in files:
            dataset = dcmread(file)
            kind = CLASSES[str(dataset.SOPClassUID)]
            words, is_final = self._store(dataset)
            if words and not is_final:
                return Sent(tuple(refused), f"{kind}{words}")
            if words:
                refused.append(f"{kind}{words}")
        return Sent(tuple(refused))

    def _store(self, dataset: Dataset) -> tuple[str, bool]:
        """Store a result; return why not ("" if it is kept), and whether that is final.

        An archive that takes it without a word is asked whether it has it.
        """
        uid = str(dataset.SOPInstanceUID)
        try:
            answer = self._again(lambda: self._client.store_instances([dataset]))
        except ArchiveError as error:
            answer = answer_of_conflict(error)
            if answer is None:
                return f": {error.message}", error.is_final
        reason = refusal_of(answer)
        if reason is not None:
            return f" was refused with reason 0x{reason:04X}", not is_busy(reason)
        if is_kept(answer, uid) or self._has(dataset):
            return "", True
        return ": the archive does not say that it kept it, and does not have it", False

    def _has(self, dataset: Dataset) -> bool:
        """Say whether the archive finds an object."""
        uids = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID)
        try:
            return str(dataset.SOPInstanceUID) in self.objects(*uids)
        except ArchiveError:
            return False

    def _pages(
        self,
        ask: Callable[[int, int], Any],
        read: Callable[[object], T],
        most: int,
    ) -> list[T]:
        """Return what a search finds: services answer with so many rows at a time.

        It ends when an answer brings nothing new: at the end, or when a service says
        the same again and again.

        Raises:
            ArchiveError: If the archive cannot be asked, or an answer is none.
        """
        found: dict[T, None] = {}
        asked = 0
        while len(found) < most:
            before = len(found)
            rows = self._again(lambda: list(ask(min(_PAGE, most), asked)))  # noqa: B023
            found |= dict.fromkeys(read(row) for row in rows)
            asked += len(rows)
            if len(found) == before:
                break
        return list(found)[:most]

    def _download(self, url: str, file: IO[bytes]) -> None:
        """Write the one part of a multipart answer to a file.

        Raises:
            ArchiveError: If the answer is none, or too large.
        """
        file.seek(0)
        file.truncate()
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        with self._session.get(url, headers={"Accept": accept}, stream=True) as answer:
            answer.raise_for_status()
            kind = answer.headers.get("Content-Type", "")
            boundary = re.search(r'boundary="?([^";,]+)"?', kind)
            if boundary is None:
                msg = "the archive answers with no multipart DICOM"
                raise ArchiveError(msg)
            for size, chunk in _counted(answer.iter_content(_CHUNK)):
                if size > self._most_bytes:
                    msg = f"an object is larger than {self._most_bytes} bytes"
                    raise ArchiveError(msg)
                file.write(chunk)
        file.flush()
        _only_part(file, boundary[1].encode())

    def _again(self, ask: Callable[[], Any]) -> Any:
        """Ask, and ask again with growing pauses where that helps.

        Raises:
            ArchiveError: If it did not help.
        """
        for attempt in range(_TRIES):
            try:
                return ask()
            except requests.RequestException as error:
                told = in_words(error)
                if told.is_final or attempt == _TRIES - 1:
                    raise told from error
                own = _FIRST_WAIT_S * 2**attempt
                time.sleep(max(own, pause_asked_for(error)))
            except NONSENSE as error:
                told = nonsense(error)
                raise told from error
        return None


class _Guarded(requests.Session):
    """Asks one service only, follows no redirect, and bounds what it reads."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False  # no password of .netrc, no proxy that nobody named
        self._base = url

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:  # type: ignore[override]
        """Ask, within the service.

        Raises:
            ArchiveError: If it is outside, redirects, or says too much.
        """
        if not url.startswith(f"{self._base}/"):
            msg = "an address outside the archive was not opened"
            raise ArchiveError(msg)
        wants_stream = options.pop("stream", False)
        options |= {"allow_redirects": False, "stream": True}
        options.setdefault("timeout", _TIMEOUT_S)
        answer = super().request(method, url, *args, **options)
        if 300 <= answer.status_code < 400:
            answer.close()
            msg = "the archive answers with a redirect, which is not followed"
            raise ArchiveError(msg, hint="Name the address that it redirects to.")
        if not wants_stream:
            content = bytearray()
            for size, chunk in _counted(answer.iter_content(_CHUNK)):
                if size > _LIST_BYTES:
                    answer.close()
                    msg = f"the archive answers with more than {_LIST_BYTES} bytes"
                    raise ArchiveError(msg, hint="Narrow the --query.")
                content += chunk
            answer._content = bytes(content)  # noqa: SLF001 - read within the bound
        return answer


def _counted(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield chunks with the number of bytes so far."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield size, chunk


def _only_part(file: IO[bytes], boundary: bytes) -> None:
    """Cut a file of one multipart part down to the part's content.

    Raises:
        ArchiveError: If it is no such file.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    start = head.find(b"\r\n\r\n") + 4
    end = file.seek(0, os.SEEK_END)
    file.seek(max(start, end - len(boundary) - 64))
    tail = file.read()
    cut = tail.rfind(b"\r\n--" + boundary)
    if start < 4 or cut < 0 or b"--" + boundary not in head[:start]:
        msg = "the archive's answer is cut off or no multipart DICOM"
        raise ArchiveError(msg)
    stop = end - len(tail) + cut
    at = 0
    while start + at < stop:  # forward in pieces: the target lies before the source
        file.seek(start + at)
        piece = file.read(min(_CHUNK, stop - start - at))
        file.seek(at)
        file.write(piece)
        at += len(piece)
    file.truncate(at)
    file.flush()


def _login(environment: Mapping[str, str]) -> AuthBase | None:
    """Return the login of the environment; None for none.

    Raises:
        ArchiveError: If it is half there.
    """
    token = environment.get("MEDCNN_DICOMWEB_TOKEN")
    if token:
        return _Bearer(token)
    user = environment.get("MEDCNN_DICOMWEB_USER")
    password = environment.get("MEDCNN_DICOMWEB_PASSWORD")
    if (user is None) != (password is None):
        msg = "one of MEDCNN_DICOMWEB_USER and MEDCNN_DICOMWEB_PASSWORD is missing"
        raise ArchiveError(msg)
    return None if user is None or password is None else HTTPBasicAuth(user, password)


def _authority(environment: Mapping[str, str]) -> str | bool:
    """Return the file of a site's own certificate authority; True for the public ones.

    Raises:
        ArchiveError: If it is no file.
    """
    file = environment.get("MEDCNN_DICOMWEB_CA")
    if not file:
        return True
    if not Path(file).is_file():
        msg = f"MEDCNN_DICOMWEB_CA names {file}, which is no file"
        raise ArchiveError(msg, hint="Name a PEM file of your certificate authority.")
    return file


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
