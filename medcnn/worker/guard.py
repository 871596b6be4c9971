"""What stands before the routes: who may ask, how much, and how slowly.

It is an ASGI application around another one. Nothing of a body is read before name,
token and declared length are right.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from medcnn.errors import MedcnnError, ServiceError
from medcnn.service.failures import facts_of_error
from medcnn.worker.address import Address

__all__ = ["HEALTH", "STATUS", "UPLOADS", "Guard", "Limits", "status_of"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HEALTH = "/v1/health"
UPLOADS = "/v1/images"

STATUS = {
    "request": 400,
    "token": 401,
    "host": 403,
    "folder": 403,
    "missing": 404,
    "slow": 408,
    "state": 409,
    "large": 413,
    "type": 415,
    "image": 422,
    "data": 422,
    "model": 422,
    "busy": 503,
}
"""HTTP status of each kind of error; 500 for others."""

_SLOWEST_BYTES = 16 * 1024
"""Bytes a second that a body comes with on average, after the first silence."""


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        upload_bytes: Body of an upload.
        body_bytes: Any other body.
        silence_seconds: Longest time without a byte of a body.
        headers_seconds: Longest time for the headers, and between two requests.
    """

    upload_bytes: int = 4 << 30
    body_bytes: int = 1 << 20
    silence_seconds: float = 30.0
    headers_seconds: float = 10.0


def status_of(facts: dict[str, str]) -> int:
    """Return the HTTP status of an error."""
    return STATUS.get(facts["kind"], 500)


class Guard:
    """Refuse what may not ask, and hand the rest on.

    Args:
        app: The routes.
        address: By which names it may be called.
        token: What callers must know.
        limits: What one request may cost.
    """

    def __init__(self, app: App, address: Address, token: str, limits: Limits) -> None:
        self._app, self._address, self._limits = app, address, limits
        self._token = token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        try:
            self._check(scope)
            body = _Body(receive, self._most(scope), self._limits.silence_seconds)
            handed: Receive = body.receive
            if not _is_upload(scope):
                handed = await body.whole()
            await self._app(scope, handed, answer.send)
        except (MedcnnError, MemoryError, OSError) as error:
            await answer.refuse(facts_of_error(error))
        except Exception as error:  # noqa: BLE001 - a trace may hold what is private
            await answer.refuse(facts_of_error(error))

    def _most(self, scope: Message) -> int:
        limits = self._limits
        return limits.upload_bytes if _is_upload(scope) else limits.body_bytes

    def _check(self, scope: Message) -> None:
        """Refuse by the head alone.

        Raises:
            ServiceError: If it must be.
        """
        heads: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            heads.setdefault(name, []).append(value)
        self._check_host(heads.get(b"host", []))
        if scope["path"] != HEALTH:
            self._check_token(heads.get(b"authorization", []))
        coding = heads.get(b"content-encoding", [b"identity"])
        if coding != [b"identity"]:
            msg = "The body is compressed, and is not unpacked."
            raise ServiceError(msg, kind="type", hint="Send it as it is.")
        length = heads.get(b"content-length", [b"0"])[0]
        if int(length) > self._most(scope):
            error = _too_large(int(length), self._most(scope))
            raise error

    def _check_host(self, given: list[bytes]) -> None:
        """Refuse a request that was meant for another name.

        Raises:
            ServiceError: If it was.
        """
        if len(given) == 1 and self._address.accepts(given[0].decode("latin-1")):
            return
        msg = "This worker is not called by that name."
        hint = "Ask it by its address, or start it with --name for that name."
        raise ServiceError(msg, kind="host", hint=hint)

    def _check_token(self, given: list[bytes]) -> None:
        """Refuse who does not know the token.

        Raises:
            ServiceError: If so.
        """
        wanted = b"Bearer " + self._token
        if len(given) == 1 and hmac.compare_digest(given[0], wanted):
            return
        msg = "The token is wrong." if given else "A token is needed."
        hint = "Send Authorization: Bearer TOKEN; the worker says at its start where "
        hint += "the token is."
        raise ServiceError(msg, kind="token", hint=hint)


class _Body:
    """A body that is counted and timed."""

    def __init__(self, receive: Receive, most: int, silence: float) -> None:
        self._receive, self._most, self._silence = receive, most, silence
        self._came, self._started = 0, time.monotonic()

    async def receive(self) -> Message:
        """Return the next piece.

        Raises:
            ServiceError: If it is too much, or comes too slowly.
        """
        spent = time.monotonic() - self._started
        needed = self._silence + self._came / _SLOWEST_BYTES
        try:
            left = max(min(self._silence, needed - spent), 0.001)
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError as late:
            msg = f"The body came too slowly: {self._came:,} bytes in {spent:.0f} s."
            raise ServiceError(msg, kind="slow", hint="Send it again.") from late
        if message["type"] == "http.request":
            self._came += len(message.get("body", b""))
            if self._came > self._most:
                error = _too_large(self._came, self._most)
                raise error
        return message

    async def whole(self) -> Receive:
        """Read all of it, and return what gives it again.

        Raises:
            ServiceError: If it is too much, or comes too slowly.
        """
        pieces, more = [], True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                break
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        whole: list[Message] = [
            {"type": "http.request", "body": b"".join(pieces), "more_body": False}
        ]

        async def replay() -> Message:
            return whole.pop() if whole else await self._receive()

        return replay


class _Answer:
    """The way back; an error is told unless an answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send, self._begun = send, False

    async def send(self, message: Message) -> None:
        self._begun = True
        await self._send(message)

    async def refuse(self, facts: dict[str, str]) -> None:
        if self._begun:
            return
        body = json.dumps({"error": facts}).encode()
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # a body that was not read is not waited for
        ]
        status = status_of(facts)
        await self.send(
            {"type": "http.response.start", "status": status, "headers": head}
        )
        await self.send({"type": "http.response.body", "body": body})


def _is_upload(scope: Message) -> bool:
    return bool(scope["method"] == "POST" and scope["path"] == UPLOADS)


def _too_large(got: int, most: int) -> ServiceError:
    msg = f"The body is of {got:,} bytes or more; the most is {most:,}."
    hint = "Crop or resample the image, or start the worker with --max-upload-gb."
    return ServiceError(msg, kind="large", hint=hint)
