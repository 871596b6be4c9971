"""A server for pynetdicom whose connections are watched, and whose handshakes end.

Only hooks that are meant for it are used: a server class, a request handler's `setup`,
and sockets whose `recv` looks at what it returns. Nothing of the library is replaced.
"""

import contextlib
import socket
import socketserver
import ssl
import threading
from typing import Any, Self

from pynetdicom import AE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from medcnn.pacs.stream import ABORT, Bounds, StreamError, Watch

__all__ = ["WatchedEntity", "WatchedServer"]

_HANDSHAKE_S = 10.0
_MOST_THREADS = 200
"""Of this process; an association has two. With more, no connection is taken."""


class _Watched:
    """A socket that judges what it receives before anybody gets it."""

    watch: Watch | None = None

    def recv(self: Any, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive like any socket.

        Raises:
            StreamError: If the sender goes beyond a bound; it is cut off then.
            TimeoutError: If it stalls; it is cut off, too.
        """
        if self.watch is None:
            return bytes(super().recv(buflen, flags))  # type: ignore[misc]
        try:
            self.settimeout(self.watch.seconds_left())
            data = super().recv(buflen, flags)  # type: ignore[misc]
            self.watch.see(data)
        except (StreamError, TimeoutError):
            self._cut_off()
            raise
        self.settimeout(self.watch.bounds.pdu_s)  # for an answer that nobody takes
        return bytes(data)

    def _cut_off(self: Any) -> None:
        """Tell the sender and close the connection."""
        with contextlib.suppress(OSError):
            self.settimeout(1.0)
            self.sendall(ABORT)
            self.shutdown(socket.SHUT_RDWR)
        self.close()


class _PlainLink(_Watched, socket.socket):
    """Without TLS."""


class _SecureLink(_Watched, ssl.SSLSocket):
    """With TLS."""


class _Handler(RequestHandler):
    """Greets a connection in a thread of its own, and has its bytes watched."""

    request: Any
    server: "WatchedServer"

    def setup(self) -> None:
        """Shake hands within a time, so that who stays silent delays nobody."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(_HANDSHAKE_S)
            self.request.do_handshake()
        self.request.watch = Watch(self.server.bounds)


class WatchedEntity(AE):
    """An application entity for which who only connects takes no place from others."""

    @property
    def active_associations(self) -> list[Any]:
        """Those that were asked for; pynetdicom counts these."""
        found = super().active_associations
        return [one for one in found if one.requestor.primitive is not None]


class WatchedServer(ThreadedAssociationServer):
    """Takes associations, each within bounds.

    Args:
        entity: The application entity.
        address: Host and port.
        title: Its AE title.
        contexts: What it takes.
        tls: How connections are secured; None for none.
        bounds: What one connection may do.
        options: `places`, IP addresses that may connect at all (None for any), and
            those of the server of pynetdicom.
    """

    daemon_threads = True

    def __init__(
        self,
        entity: Any,
        address: Any,
        title: str,
        contexts: Any,
        tls: ssl.SSLContext | None = None,
        *,
        bounds: Bounds,
        **options: Any,
    ) -> None:
        self.bounds = bounds
        self._places: frozenset[str] | None = options.pop("places", None)
        if tls is not None:
            tls.sslsocket_class = _SecureLink
        super().__init__(
            entity, address, title, contexts, tls, request_handler=_Handler, **options
        )

    def start(self) -> Self:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Take a connection; the handshake comes later, in its own thread."""
        assert self.socket is not None  # noqa: S101 - it is bound
        plain, address = self.socket.accept()
        link = _PlainLink(plain.family, plain.type, plain.proto, plain.detach())
        if self.ssl_context is None:
            return link, address
        secured = self.ssl_context.wrap_socket(
            link, server_side=True, do_handshake_on_connect=False
        )
        return secured, address

    def verify_request(self, _: Any, address: Any) -> bool:
        """Take no connection from elsewhere, and none while there are too many."""
        if self._places is not None and str(address[0]) not in self._places:
            return False
        return threading.active_count() < _MOST_THREADS

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a connection that failed: it may name a patient."""

    def shutdown(self) -> None:
        """Stop, and close the port."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()
