"""Where the worker listens, by which names it is called, and the word that opens it."""

import ipaddress
import os
import secrets
import stat
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from medcnn.errors import ServiceError

__all__ = ["TOKEN_VARIABLE", "Address", "new_token_file", "read_token"]

TOKEN_VARIABLE = "MEDCNN_WORKER_TOKEN"  # noqa: S105 - the variable's name
_SHORTEST_TOKEN = 16
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
_HOW_TO_MAKE = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True)
class Address:
    """Where to listen.

    Attributes:
        host: An address, or localhost.
        port: 0 takes a free one.
        names: What clients may call it besides.
        tls_cert: A certificate file; its key is in `tls_key`.
        tls_key: The key's file.

    Raises:
        ServiceError: If it would be plain HTTP beyond loopback.
    """

    host: str = "127.0.0.1"
    port: int = 0
    names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            msg = "A certificate needs its key, and a key its certificate."
            raise ServiceError(msg, hint="Give --tls-cert and --tls-key.")
        for file in (self.tls_cert, self.tls_key):
            if file is not None and not file.is_file():
                msg = f"{file} is no file."
                raise ServiceError(msg, hint="--tls-cert and --tls-key name PEM files.")
        if not self.is_loopback and self.tls_cert is None:
            msg = f"{self.host} can be reached from other computers, and images would "
            msg += "travel there unencrypted."
            hint = "Stay on 127.0.0.1 and use a tunnel (ssh -L 8891:127.0.0.1:8891 HOST"
            hint += "), or give --tls-cert and --tls-key."
            raise ServiceError(msg, hint=hint)

    @property
    def is_loopback(self) -> bool:
        """Whether only this computer can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def scheme(self) -> str:
        """Return http or https."""
        return "http" if self.tls_cert is None else "https"

    def url(self, port: int) -> str:
        """Return what clients ask."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{port}"

    def accepts(self, header: str) -> bool:
        """Say whether a Host header names this worker.

        A page of the web may give its own name this computer's address; the browser
        then sends that name here, and is refused. The port may be a tunnel's.
        """
        known = {self.host.lower(), *(name.lower() for name in self.names)}
        if self.is_loopback:
            known |= set(_LOOPBACK_NAMES)
        return _name_of(header) in known


def read_token(
    file: Path | None, environment: MutableMapping[str, str] | None = None
) -> str | None:
    """Return the token that was handed over, and take it out of the environment.

    Args:
        file: Named by the user, or None.
        environment: That of this process if None.

    Returns:
        None if there is none.

    Raises:
        ServiceError: If the file cannot be read, or others can, or it is short.
    """
    held = os.environ if environment is None else environment
    told = held.pop(TOKEN_VARIABLE, None)
    if file is not None:
        told = _private_text(file)
    if told is None:
        return None
    token = told.strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        msg = f"The token has {len(token)} characters; at least {_SHORTEST_TOKEN} of "
        msg += "plain ASCII are needed."
        raise ServiceError(msg, hint=f"Make one: {_HOW_TO_MAKE}")
    return token


def new_token_file(folder: Path) -> tuple[str, Path]:
    """Make a token, and a file that only this user can read with it."""
    token, path = secrets.token_urlsafe(32), folder / "token"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token)
    return token, path


def _name_of(header: str) -> str:
    """Return the name of a Host header, without its port."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] or text if text.count(":") == 1 else text


def _private_text(file: Path) -> str:
    """Return what a file holds that nobody else may read.

    Raises:
        ServiceError: If it cannot be read, or others can.
    """
    try:
        with file.open(encoding="ascii") as opened:
            status = os.fstat(opened.fileno())
            others = stat.S_IMODE(status.st_mode) & 0o077
            if others and sys.platform != "win32":
                msg = f"Others may read {file} (mode {stat.S_IMODE(status.st_mode):o})."
                raise ServiceError(msg, hint=f"chmod 600 {file}, with a new token.")
            return opened.read(4096)
    except (OSError, ValueError) as error:
        msg = f"The token cannot be read from {file}."
        raise ServiceError(msg, hint="It is a text file of one line.") from error
