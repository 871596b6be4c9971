"""Who may send, and to whom results go: AE titles, addresses, TLS."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from medcnn.errors import DataError

__all__ = [
    "Allowed",
    "Peer",
    "check_exposure",
    "client_tls",
    "is_loopback",
    "parse_allowed",
    "parse_peer",
    "parse_title",
    "places_of",
    "server_tls",
]

_TITLE = r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?"
_PEER = re.compile(r"(?P<title>[^@]{1,16})@(?P<host>.+):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Allowed:
    """One sender that is allowed.

    Attributes:
        title: Its calling AE title.
        address: Its IP address; None for any.
    """

    title: str
    address: str | None


@dataclass(frozen=True)
class Peer:
    """Where results are sent.

    Attributes:
        title: Its AE title.
        host: Its name or address.
        port: Its port.
    """

    title: str
    host: str
    port: int


def parse_allowed(text: str) -> Allowed:
    """Read AE or AE@ADDRESS.

    Raises:
        DataError: If it is neither.
    """
    title, _, address = text.partition("@")
    if not re.fullmatch(_TITLE, title) or (address and not _is_address(address)):
        msg = f"{text!r} is no sender, expected AE_TITLE or AE_TITLE@IP_ADDRESS"
        raise DataError(msg, hint="An AE title has 1 to 16 characters.")
    place = str(ipaddress.ip_address(address)) if address else None
    return Allowed(title, place)


def parse_title(text: str) -> str:
    """Read an AE title.

    Raises:
        DataError: If it is none.
    """
    if not re.fullmatch(_TITLE, text):
        msg = f"{text!r} is no AE title, expected 1 to 16 characters of ASCII"
        raise DataError(msg, hint="No backslash, and no blank at its ends.")
    return text


def parse_peer(text: str) -> Peer:
    """Read AE@HOST:PORT.

    Raises:
        DataError: If it is not.
    """
    found = _PEER.fullmatch(text)
    port = int(found["port"]) if found else 0
    if (
        found is None
        or not re.fullmatch(_TITLE, found["title"])
        or not 0 < port < 65536
    ):
        msg = f"{text!r} is no peer, expected AE_TITLE@HOST:PORT"
        raise DataError(msg)
    return Peer(found["title"], found["host"].strip("[]"), port)


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    return host == "localhost" or (
        _is_address(host) and ipaddress.ip_address(host).is_loopback
    )


def check_exposure(host: str, allowed: tuple[Allowed, ...], *, has_tls: bool) -> None:
    """Refuse to listen beyond loopback without saying who may send.

    Raises:
        DataError: If nobody is allowed, or beyond loopback there is neither TLS nor an
            address for each sender.
    """
    if not allowed:
        msg = "nobody may send: there is no --allow"
        raise DataError(msg, hint="Name each sender: --allow AE_TITLE[@IP_ADDRESS].")
    if is_loopback(host) or has_tls or all(one.address for one in allowed):
        return
    msg = f"{host} can be reached from other machines, without TLS"
    hint = "Give --tls-cert and --tls-key, or name every sender with its address:"
    raise DataError(msg, hint=f"{hint} --allow AE_TITLE@IP_ADDRESS.")


def places_of(allowed: tuple[Allowed, ...]) -> frozenset[str] | None:
    """Return the addresses that may connect; None if a sender may from any."""
    addresses = frozenset(one.address for one in allowed if one.address)
    is_anywhere = any(one.address is None for one in allowed)
    return None if is_anywhere else addresses


def server_tls(cert: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """Return how connections are taken; with `ca`, only with a certificate of it.

    Raises:
        DataError: If a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(lambda: context.load_cert_chain(cert, key), cert)
    if ca is not None:
        _load(lambda: context.load_verify_locations(ca), ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(ca: Path, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return how a peer is reached: its certificate must be of `ca`.

    Raises:
        DataError: If a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    _load(lambda: context.load_verify_locations(ca), ca)
    if cert is not None:
        _load(lambda: context.load_cert_chain(cert, key), cert)
    return context


def _load(load: object, path: Path) -> None:
    try:
        load()  # type: ignore[operator]
    except (OSError, ssl.SSLError) as error:
        msg = f"{path} cannot be used for TLS: {error}."
        raise DataError(
            msg, hint="Expected are PEM files of a certificate and its key."
        ) from error


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
