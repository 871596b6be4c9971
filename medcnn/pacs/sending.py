"""Send results to a peer: a storage SCU that says what the peer said."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.status import code_to_category

from medcnn.pacs.peers import Peer

__all__ = ["CLASSES", "DUPLICATE", "Sent", "send"]

CLASSES = {
    "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive 3D SR",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.30": "Parametric Map",
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation",
}
DUPLICATE = 0x0111
_WARNING = "Warning"
"""PS3.7 C.3: it is kept, and something is said of it."""
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Sent:
    """How sending went.

    Attributes:
        refused: What the peer will not take, in words; trying again does not help.
        failed: Why it should be tried again; "" if all was delivered or refused.
        is_away: Whether that is so for every file: there was no association.
    """

    refused: tuple[str, ...] = ()
    failed: str = ""
    is_away: bool = False


def send(
    files: Sequence[Path], peer: Peer, *, title: str, tls: ssl.SSLContext | None = None
) -> Sent:
    """Send results to a peer; those that it has already are fine.

    Args:
        files: DICOM files.
        peer: Where to.
        title: The own AE title.
        tls: How the connection is secured; None for none.
    """
    entity = AE(ae_title=title)
    entity.network_timeout = entity.dimse_timeout = entity.acse_timeout = _TIMEOUT_S
    entity.connection_timeout = _TIMEOUT_S
    for sop_class in CLASSES:
        syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        entity.add_requested_context(sop_class, syntaxes)
    secured = None if tls is None else (tls, peer.host)
    where = f"{peer.title} at {peer.host}:{peer.port}"
    link = entity.associate(peer.host, peer.port, ae_title=peer.title, tls_args=secured)
    if not link.is_established and len(link.rejected_contexts) == len(CLASSES):
        return Sent(tuple(f"{_kind(file)} is refused" for file in files))
    if not link.is_established:
        why = "refuses the association" if link.is_rejected else "cannot be reached"
        return Sent(failed=f"{where} {why}", is_away=True)
    refused: list[str] = []
    try:
        for file in files:
            words, is_final = _send_one(link, file)
            if words and not is_final:
                return Sent(tuple(refused), f"{where}: {words}")
            if words:
                refused.append(words)
    finally:
        if link.is_established:
            link.release()
    return Sent(tuple(refused))


def _send_one(link: Any, file: Path) -> tuple[str, bool]:
    """Send one file; return why not ("" if it arrived), and whether that is final."""
    dataset, kind = dcmread(file), _kind(file)
    taken = {str(context.abstract_syntax) for context in link.accepted_contexts}
    if str(dataset.SOPClassUID) not in taken:
        return f"{kind} is refused", True
    try:
        answer = link.send_c_store(dataset)
    except (RuntimeError, ValueError) as error:  # the association ended meanwhile
        return f"{kind} was not taken ({type(error).__name__})", False
    status = answer.get("Status")
    if status is None:
        return f"no answer to {kind}", False
    if status in {0, DUPLICATE} or code_to_category(int(status)) == _WARNING:
        return "", True
    is_busy = (int(status) & 0xFF00) == 0xA700
    return f"{kind} was refused with status 0x{int(status):04X}", not is_busy


def _kind(file: Path) -> str:
    """Return what a result is, in words."""
    return CLASSES[str(dcmread(file, specific_tags=["SOPClassUID"]).SOPClassUID)]
