"""HTTP to one worker: a question and its answer, at once or in steps."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from MedCNNLib.client import sockets
from MedCNNLib.client.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from MedCNNLib.client.aliases import Facts
    from MedCNNLib.client.steps import Steps

__all__ = ["Wire", "from_json", "size_of"]

_JSON = "application/json"


class Wire:
    """The way to one worker.

    Args:
        url: Parts of its address; None until that is known.
        token: What it wants to hear.
        tls: What checks its certificate.
        reason: Says why it does not answer; None where it does not know.

    Attributes:
        url: Parts of its address; empty until that is known.
        token: What it wants to hear.
        limit: Bytes of the largest upload; None until it was asked.
    """

    def __init__(
        self,
        url: SplitResult | None = None,
        token: str = "",
        *,
        tls: ssl.SSLContext | None = None,
        reason: Callable[[], WorkerError | None] | None = None,
    ) -> None:
        self.url = urlsplit("") if url is None else url
        self.token = token
        self.limit: int | None = None
        self._tls, self._reason = tls, reason

    def ask(
        self,
        method: str,
        where: str,
        body: Facts | None = None,
        *,
        seconds: float | None = None,
    ) -> Facts:
        """Ask a route of JSON; return what it answers, within so many seconds."""
        sent = None if body is None else json.dumps(body).encode()
        return from_json(self.ask_bytes(method, where, sent, seconds=seconds))

    def asking(
        self,
        method: str,
        where: str,
        body: Facts | None = None,
        *,
        seconds: float | None = None,
    ) -> Steps:
        """As `ask`, in steps."""
        sent = None if body is None else io.BytesIO(json.dumps(body).encode())
        answer = io.BytesIO()
        yield from self.exchanging(method, where, sent, into=answer, seconds=seconds)
        return from_json(answer.getvalue())

    def ask_bytes(
        self,
        method: str,
        where: str,
        body: Any = None,
        kind: str = _JSON,
        *,
        seconds: float | None = None,
    ) -> bytes:
        """Ask any route; return the bytes that it answers.

        Raises:
            WorkerError: If it refuses, or there is no answer.
        """
        with self._connected(seconds) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, where, body, self._heads(body, kind))
                # refused before all was sent: the answer is there nevertheless
            response = connection.getresponse()
            content = response.read()
        _check(response.status, content)
        return content

    def exchanging(
        self,
        method: str,
        where: str,
        body: Any = None,
        kind: str = _JSON,
        *,
        into: Any,
        seconds: float | None = None,
    ) -> Steps:
        """As `ask_bytes`, in steps that never wait; the answer goes into a file.

        Raises:
            WorkerError: If it refuses, or there is no answer.
        """
        with self._connected(seconds) as connection:
            connection.putrequest(method, where)
            for name, value in self._heads(body, kind).items():
                connection.putheader(name, value)
            connection.endheaders()
            socket = connection.sock
            if body is not None:
                yield from sockets.sending(socket, body, size_of(body))
            yield from sockets.until(socket, sockets.READ, seconds)
            with connection.getresponse() as response:
                yield from sockets.receiving(socket, response, into)
        into.seek(0)
        if response.status >= 400:
            _check(response.status, into.read())

    def _heads(self, body: Any, kind: str) -> dict[str, str]:
        """Return what is said before a body."""
        heads = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            heads["Content-Type"] = kind
            heads["Content-Length"] = str(size_of(body))
        return heads

    @contextlib.contextmanager
    def _connected(self, seconds: float | None) -> Iterator[http.client.HTTPConnection]:
        """Give a connection, and close it; http.client asks no proxy.

        Raises:
            WorkerError: If there is no answer.
        """
        connection = self._connection(seconds or sockets.ANSWER_SECONDS)
        try:
            yield connection
        except (OSError, http.client.HTTPException) as error:
            told = self._no_answer(error)
            raise told from error
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self.url.hostname or "", self.url.port
        if self.url.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=seconds, context=self._tls
            )
        return http.client.HTTPConnection(host, port, timeout=seconds)

    def _no_answer(self, error: BaseException) -> WorkerError:
        """Return the error of a worker that does not answer."""
        known = None if self._reason is None else self._reason()
        if known is not None:
            return known
        where = self.url.netloc
        if isinstance(error, ssl.SSLError):
            message = f"The certificate of {where} is not trusted."
            return WorkerError(message, "Name its authority: ca_file.", "connection")
        message = f"The worker at {where} does not answer ({type(error).__name__})."
        return WorkerError(message, "Start it again, then repeat this.", "connection")


def from_json(raw: bytes) -> Facts:
    """Read an answer of JSON.

    Raises:
        WorkerError: If it is none.
    """
    try:
        answer: Facts = json.loads(raw)
    except ValueError as error:
        message = "What answers there is no medcnn worker."
        raise WorkerError(message, "Check the address.", "connection") from error
    return answer


def size_of(body: Any) -> int:
    """Return the bytes that a body has: bytes, or a file from where it stands."""
    if isinstance(body, bytes):
        return len(body)
    at: int = body.tell()
    end: int = body.seek(0, os.SEEK_END)
    body.seek(at)
    return end - at


def _check(status: int, content: bytes) -> None:
    """Refuse what is no answer but a refusal.

    Raises:
        WorkerError: As the worker tells it.
    """
    if status < 400:
        return
    try:
        told = json.loads(content)["error"]
        refusal = WorkerError(told["message"], told["hint"], told["kind"], status)
    except (ValueError, KeyError, TypeError):
        message = f"What answers there is no medcnn worker (HTTP status {status})."
        refusal = WorkerError(message, "Check the address.", "connection", status)
    raise refusal
