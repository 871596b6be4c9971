"""New names and UIDs in place of the old ones: alike for alike, by a secret key."""

import hmac
import os
import re
import secrets
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from medcnn.errors import DataError
from medcnn.outputs import cannot_write, sync_folder

__all__ = ["Pseudonyms", "key_mark", "read_or_make_key", "refuse_mixed"]

_KEY_BYTES = 32
_MARKED = re.compile(r"pseudonym-([0-9a-f]{8})-[0-9A-F]{16}")
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

    @property
    def mark(self) -> str:
        """What tells this key from others and does not tell the key: 8 hex digits."""
        return self._digest("mark", "").hex()[:8]

    def marked(self, number: str) -> str:
        """Return a patient's pseudonym that says it is one, and of which key.

        A pseudonym of this key stays as it is.

        Examples:
            >>> Pseudonyms(bytes(32)).marked("4711")
            'pseudonym-21652ff3-58FFB09F98FC364E'
        """
        if key_mark(number) == self.mark:
            return number
        digits = self.patient(number)
        return f"pseudonym-{self.mark}-{digits}" if digits else ""

    def days(self, person: str) -> int:
        """Return by how many days a patient's dates go back: one to eleven years."""
        digest = self._digest("days", person.strip())
        return _FEWEST_DAYS + int.from_bytes(digest[:8]) % _RANGE_DAYS

    def _digest(self, kind: str, old: str) -> bytes:
        text = f"{kind}:{old}".encode(errors="surrogatepass")
        return hmac.digest(self._key, text, "sha256")


def key_mark(number: str) -> str:
    """Return the mark of the key that a patient's number is a pseudonym of, or ""."""
    found = _MARKED.fullmatch(number)
    return found[1] if found else ""


def refuse_mixed(numbers: Iterable[str | None], source: str | Path) -> None:
    """Refuse pseudonyms of `medcnn screen` among real numbers, or those of two keys.

    One patient has then two names, and who is in two splits goes unnoticed.

    Args:
        numbers: Of all cases; None and "" name nobody.
        source: Where they are from, for the error.

    Raises:
        DataError: If they are mixed.
    """
    marks = {key_mark(number) for number in set(numbers) if number}
    if len(marks) > 1:
        what = "pseudonyms of several runs"
        if "" in marks:
            what = "pseudonyms and other numbers"
        msg = f"{source}: patients are named by {what}, which cannot be compared"
        hint = "Name all by their numbers (medcnn screen --identify), or screen all "
        hint += "in one run."
        raise DataError(msg, hint=hint)


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
        file.flush()
        os.fsync(file.fileno())
    with suppress(OSError):  # the key itself is on the disk
        sync_folder(path.parent)
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
