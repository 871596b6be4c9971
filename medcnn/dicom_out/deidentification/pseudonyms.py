"""New names and UIDs in place of the old ones: alike for alike, by a secret key."""

import hmac
import os
import secrets
import uuid
from pathlib import Path

from medcnn.errors import DataError
from medcnn.outputs import cannot_write

__all__ = ["Pseudonyms", "read_or_make_key"]

_KEY_BYTES = 32
_FEWEST_DAYS, _RANGE_DAYS = 365, 3653


class Pseudonyms:
    """New identifiers that follow from the old ones and a key.

    Who has the key and an old identifier can find the new one; nobody can go back.

    Args:
        key: 32 random bytes; None draws them, and forgets them with this object.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(_KEY_BYTES)

    def uid(self, old: str) -> str:
        """Return the new UID for an old one.

        References:
            [1] DICOM PS3.5 B.2, UUID derived UID.
        """
        digest = self._digest("uid", old.strip("\0 "))
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"

    def patient(self, number: str) -> str:
        """Return the new number of a patient; "" stays "", which is nobody's."""
        number = number.strip()
        return self._digest("patient", number).hex()[:16].upper() if number else ""

    def days(self, person: str) -> int:
        """Return by how many days a patient's dates go back: one to eleven years."""
        digest = self._digest("days", person.strip())
        return _FEWEST_DAYS + int.from_bytes(digest[:8]) % _RANGE_DAYS

    def _digest(self, kind: str, old: str) -> bytes:
        text = f"{kind}:{old}".encode(errors="surrogatepass")
        return hmac.digest(self._key, text, "sha256")


def read_or_make_key(path: Path) -> bytes:
    """Read a key of 32 bytes; make the file if there is none.

    Raises:
        DataError: If the file is no key.
        OutputError: If it cannot be made.
    """
    try:
        # only its owner may read it
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        told = cannot_write(path, error)
        raise told from error
    key = secrets.token_bytes(_KEY_BYTES)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    return key


def _read_key(path: Path) -> bytes:
    msg = f"{path} is no key: expected {_KEY_BYTES * 2} hexadecimal digits."
    hint = "Name a file that is not there yet, and a key is made."
    try:
        if path.stat().st_size > _KEY_BYTES * 3:
            raise DataError(msg, hint=hint)
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise DataError(msg, hint=hint) from error
    if len(key) != _KEY_BYTES:
        raise DataError(msg, hint=hint)
    return key
