"""Identifiers that follow from what a result is made of: alike for like input."""

import hashlib
import uuid

from pydicom.dataset import Dataset

__all__ = ["derived_uid", "with_derived_uids"]

_STANDARD = "1.2.840.10008."


def derived_uid(*parts: str) -> str:
    """Return a UID that follows from the parts.

    Examples:
        >>> derived_uid("a", "b") == derived_uid("a", "b") != derived_uid("ab")
        True

    References:
        [1] DICOM PS3.5 B.2, UUID derived UID.
    """
    text = "".join(f"{len(part)}:{part}" for part in parts)
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def with_derived_uids(dataset: Dataset, known: frozenset[str], seed: str) -> None:
    """Replace the UIDs that a library drew at random, in place.

    Args:
        dataset: A finished object that nobody else holds.
        known: UIDs that stay.
        seed: What the new ones follow from.
    """
    drawn: dict[str, str] = {}

    def settled(value: str) -> str:
        if not value or value in known or value.startswith(_STANDARD):
            return value
        return drawn.setdefault(value, derived_uid(seed, str(len(drawn))))

    def visit(_: Dataset, element: object) -> None:
        if getattr(element, "VR", "") != "UI" or not element.value:  # type: ignore[attr-defined]
            return
        value = element.value  # type: ignore[attr-defined]
        several = not isinstance(value, str)
        new = [settled(str(part)) for part in value] if several else settled(str(value))
        if new != value:  # a source's own may be none that pydicom would let in
            element.value = new  # type: ignore[attr-defined]

    dataset.walk(visit)
