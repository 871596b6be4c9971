"""What findings are called in an archive: coded concepts, which a site may map.

Labels without a code of their own get one of the private scheme 99MEDCNN, whose meaning
is the label itself: nothing is guessed to mean a disease.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from medcnn.errors import DataError
from medcnn.toml_file import read_toml

__all__ = ["PRIVATE_SCHEME", "Code", "Codes", "LabelCodes", "plain_text", "read_codes"]

PRIVATE_SCHEME = "99MEDCNN"

_LONGEST_VALUE = 16
_PLAIN = r"^[^\x00-\x1f\x7f\\]+$"
_Short = Annotated[
    str, StringConstraints(min_length=1, max_length=_LONGEST_VALUE, pattern=_PLAIN)
]
_Long = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=_PLAIN)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Code(_Record):
    """A coded concept: value, scheme, meaning.

    References:
        [1] DICOM PS3.3 8.8, and PS3.5 6.2: SH of 16 and LO of 64 characters.
    """

    value: _Short
    scheme: _Short
    meaning: _Long


class LabelCodes(_Record):
    """What one label is, and where it lies."""

    finding: Code | None = None
    site: Code | None = None


CERTAINTY = Code(value="122157", scheme="DCM", meaning="Probability")
_IMAGING = Code(value="363679005", scheme="SCT", meaning="Imaging procedure")


class Codes(_Record):
    """The codes of a site.

    Attributes:
        procedure: What was done to the patient.
        probability: What the number is called; its unit is 1, from 0 to 1.
        labels: For some of a model's labels.
    """

    procedure: Code = _IMAGING
    probability: Code = CERTAINTY
    labels: dict[str, LabelCodes] = Field(default_factory=dict)

    def finding(self, label: str) -> Code:
        """Return what a label is called."""
        found = self.labels.get(label, LabelCodes()).finding
        return found or private(label, label)

    def site(self, label: str) -> Code | None:
        """Return where a label's finding lies; None where nothing says."""
        return self.labels.get(label, LabelCodes()).site


def private(value: str, meaning: str) -> Code:
    """Return a code of the scheme that is medcnn's own.

    What a code value cannot hold becomes a checksum, so that labels which begin alike,
    or are written in other letters, have codes of their own.

    Examples:
        >>> private("Mass, left", "Mass, left").value
        'mass-left'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    if not 0 < len(plain) <= _LONGEST_VALUE or not value.isascii():
        plain = (
            (plain[:9] or "label")
            + "-"
            + hashlib.sha256(value.encode()).hexdigest()[:6]
        )
    return Code(
        value=plain, scheme=PRIVATE_SCHEME, meaning=plain_text(meaning) or "label"
    )


def plain_text(words: str) -> str:
    r"""Return words as an attribute of one line may hold them, at most 64 characters.

    Examples:
        >>> plain_text("left\\right\n")
        'left right'

    References:
        [1] DICOM PS3.5 6.2, LO: no backslash, which parts values, and no controls.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\\]+", " ", words).strip()[:64].strip()


def read_codes(path: Path) -> Codes:
    """Read a site's codes from a TOML file.

    Raises:
        DataError: If it cannot be read, or is not what it should be.
    """
    try:
        return Codes.model_validate(read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"{path}: {where}: {first['msg']}."
        hint = "Known are procedure, probability and labels.NAME.finding and .site,"
        hint += " each {value, scheme, meaning}."
        raise DataError(msg, hint=hint) from error
