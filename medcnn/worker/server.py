"""The server: listens, announces itself, and ends with whoever started it."""

import asyncio
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from medcnn.engines import EngineName
from medcnn.errors import ServiceError
from medcnn.service import Jobs, Places, Service
from medcnn.worker.address import Address, new_token_file
from medcnn.worker.app import make_app
from medcnn.worker.core import API, Core, medcnn_version
from medcnn.worker.guard import Guard, Limits
from medcnn.worker.leftovers import lives, new_folder

__all__ = ["Settings", "serve"]

_MOST_CONNECTIONS = 100
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 2


@dataclass(frozen=True)
class Settings:
    """How a worker is.

    Attributes:
        address: Where it listens.
        token: What callers must know; None makes one, in a private file.
        folders: Below which paths may be read.
        models: One's own models; None is the user's folder.
        device: As everywhere.
        engine: As everywhere.
        limits: What one request may cost.
        queue: Most jobs that are not finished.
        parent_pid: Ends with this process; None with none.
        watch_stdin: Ends when stdin is closed.
    """

    address: Address = field(default_factory=Address)
    token: str | None = field(default=None, repr=False)
    folders: tuple[Path, ...] = ()
    models: Path | None = None
    device: str = "auto"
    engine: EngineName = "auto"
    limits: Limits = field(default_factory=Limits)
    queue: int = 16
    parent_pid: int | None = None
    watch_stdin: bool = False


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until it is told to end, or whoever started it has ended.

    Args:
        settings: How.
        announce: Told one line of JSON once it listens.

    Raises:
        ServiceError: If it cannot listen there, or a folder is none.
    """
    places = Places.of(settings.folders)
    folder = new_folder()
    service = Service(
        models=settings.models,
        device=settings.device,
        engine=settings.engine,
        places=places,
        work=folder,
    )
    jobs = Jobs(most_waiting=settings.queue)
    core = Core(service, jobs, folder, settings.queue, limits=settings.limits)
    token, token_file = settings.token, None
    if token is None:
        token, token_file = new_token_file(folder)
    guard = Guard(make_app(core), settings.address, token, settings.limits)
    server = _Server(_config(guard, settings), settings.address)

    def tell(port: int) -> None:
        announce(_announcement(settings.address, port, token_file))

    server.on_listening = tell
    _end_with_parent(settings, lambda: _leave(server, folder))
    try:
        server.run()
    finally:
        jobs.close()
        service.close()
        shutil.rmtree(folder, ignore_errors=True)
    if not server.started:
        msg = f"{settings.address.host}:{settings.address.port} cannot be listened on."
        hint = "Another program may use the port: --port 0 takes a free one."
        raise ServiceError(msg, kind="start", hint=hint)


class _Protocol(H11Protocol):
    """HTTP whose headers must come in time."""

    headers_seconds = Limits.headers_seconds
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_idle():
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        """Whether no request is being answered: its headers have not come."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or bool(cycle.response_complete)

    def _arm(self) -> None:
        self._disarm()
        self._timer = self.loop.call_later(self.headers_seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """A server that says where it listens."""

    def __init__(self, config: uvicorn.Config, address: Address) -> None:
        super().__init__(config)
        self._address = address
        self.on_listening: Callable[[int], None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # how uvicorn says that the port is taken
            self.should_exit = True
            return
        if self.started and self.on_listening is not None:
            self.on_listening(self.servers[0].sockets[0].getsockname()[1])


def _config(app: Guard, settings: Settings) -> uvicorn.Config:
    address, seconds = settings.address, settings.limits.headers_seconds
    return uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        http=type("Protocol", (_Protocol,), {"headers_seconds": seconds}),
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=max(1, int(seconds)),
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=address.tls_cert,
        ssl_keyfile=address.tls_key,
    )


def _announcement(address: Address, port: int, token_file: Path | None) -> str:
    facts = {
        "medcnn": "worker",
        "api": API,
        "version": medcnn_version(),
        "url": address.url(port),
        "host": address.host,
        "port": port,
        "pid": os.getpid(),
        "token_file": None if token_file is None else str(token_file),
    }
    return json.dumps(facts)


def _leave(server: uvicorn.Server, folder: Path) -> None:
    """End the process; in order if that is quick, else as it stands."""
    server.should_exit = True
    time.sleep(_GRACE_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _end_with_parent(settings: Settings, leave: Callable[[], None]) -> None:
    """Watch whoever started this process, in threads.

    Raises:
        ServiceError: If the system cannot tell whether a process lives.
    """

    def watch_stdin() -> None:
        while os.read(0, 4096):
            pass
        leave()

    if settings.watch_stdin:
        threading.Thread(target=watch_stdin, daemon=True).start()
    pid = settings.parent_pid
    if pid is None:
        return
    if sys.platform == "win32":
        msg = "--parent-pid is not known on Windows."
        raise ServiceError(msg, hint="Use --stdin: it ends when stdin is closed.")
    is_parent = os.getppid() == pid

    def watch_pid() -> None:
        while os.getppid() == pid if is_parent else lives(pid):
            time.sleep(_LOOK_SECONDS)
        leave()

    threading.Thread(target=watch_pid, daemon=True).start()
