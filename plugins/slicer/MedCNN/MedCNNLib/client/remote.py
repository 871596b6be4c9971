"""A worker that runs already: its address, its certificate, its token."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from MedCNNLib.client.client import Client
from MedCNNLib.client.errors import WorkerError
from MedCNNLib.client.wire import Wire

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["Remote"]


class Remote(Client):
    """A worker that runs already, here or on another machine.

    Args:
        url: Such as http://127.0.0.1:8891 or https://gpu-box:8891.
        token: What it wants to hear.
        ca_file: Authority of its certificate; None is the system's.

    Raises:
        WorkerError: If images would travel unencrypted, or it does not answer.
    """

    def __init__(self, url: str, token: str, *, ca_file: str | None = None) -> None:
        parts, said = _address(url), _token(token)
        _check_encrypted(parts)
        tls = _trusting(ca_file) if parts.scheme == "https" else None
        super().__init__(Wire(parts, said, tls=tls))
        self.info()


def _address(url: str) -> SplitResult:
    """Return the parts of a worker's address.

    Raises:
        WorkerError: If it is none.
    """
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_address = is_address and parts.port != 0  # raises if it is no number
    except ValueError:
        is_address = False
    if not is_address:
        message = f"{url!r} is no address of a worker."
        raise WorkerError(message, "Such as http://127.0.0.1:8891.", "connection")
    return parts


def _token(text: str) -> str:
    """Return a token without the blanks around it.

    Raises:
        WorkerError: If no header can hold it.
    """
    token = text.strip()
    if not (token.isascii() and token.isprintable()):
        message = "The token has characters that no token has."
        hint = "It is one line of letters, digits, - and _: see --token-file."
        raise WorkerError(message, hint, "token")
    return token


def _check_encrypted(url: SplitResult) -> None:
    """Refuse to send images over a network for everybody to read.

    Raises:
        WorkerError: If they would travel unencrypted.
    """
    host = url.hostname or ""
    if url.scheme == "http" and not _is_loopback(host):
        message = f"Images would travel unencrypted to {host}."
        hint = "Use https, or a tunnel: ssh -L 8891:127.0.0.1:8891 "
        hint += f"{host}, then http://127.0.0.1:8891."
        raise WorkerError(message, hint, "connection")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return what checks certificates.

    Raises:
        WorkerError: If the file of the authority cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl's own errors are some
        message = f"{ca_file} holds no certificate that can be read."
        raise WorkerError(message, "Name a PEM file: ca_file.", "connection") from error
