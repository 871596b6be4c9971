"""A storage SCP: what arrives is acknowledged when it is on disk, and not before.

Its handlers are medcnn's own. File names are hashes; an object that is a result of
medcnn is acknowledged and left alone, so that results never come round.

References:
    [1] DICOM PS3.4 B.2.3, statuses of C-STORE; PS3.8 9.3, association.
"""

import ssl
from pathlib import Path
from typing import Any, Self

from pynetdicom import ALL_TRANSFER_SYNTAXES, _config, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from medcnn.dicom_out import is_own_result
from medcnn.errors import ArchiveError, OutputError, ReadError
from medcnn.io.dicom.parse import parse, quiet
from medcnn.io.dicom.tags import text
from medcnn.pacs.peers import Allowed, places_of
from medcnn.pacs.server import WatchedEntity, WatchedServer
from medcnn.pacs.spool import FullError, Spool
from medcnn.pacs.stream import Bounds

__all__ = ["Listener"]

_SUCCESS, _NO_ROOM, _MISMATCH, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_MOST_ASSOCIATIONS = 16
_PDU_BYTES = 1 << 17
_TIMEOUT_S = 60
_ASSOCIATE_S = 10
"""Until who connected asks for an association."""


class Listener:
    """Takes objects from allowed senders into a spool.

    Args:
        spool: Where they are kept.
        title: Its own AE title.
        address: Host and port; port 0 takes a free one.
        allowed: Who may send.
        tls: How connections are secured; None for none.
        most_bytes: Of one object.

    Attributes:
        port: On which it listens.

    Raises:
        ArchiveError: If it cannot listen there.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        title: str,
        address: tuple[str, int],
        allowed: tuple[Allowed, ...],
        tls: ssl.SSLContext | None = None,
        most_bytes: int = 4 << 30,
    ) -> None:
        self._spool = spool
        self._allowed = allowed
        _config.STORE_RECV_CHUNKED_DATASET = True  # to a file, not to memory
        entity = WatchedEntity(ae_title=title)
        entity.maximum_associations = _MOST_ASSOCIATIONS
        entity.maximum_pdu_size = _PDU_BYTES
        entity.network_timeout = entity.dimse_timeout = _TIMEOUT_S
        entity.acse_timeout = min(_TIMEOUT_S, _ASSOCIATE_S)
        entity.require_called_aet = True
        entity.require_calling_aet = sorted({one.title for one in allowed})
        entity.add_supported_context(Verification)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(
                str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES
            )
        handlers: list[Any] = [
            (evt.EVT_ACCEPTED, self._check_address),
            (evt.EVT_CONN_CLOSE, self._forget),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            server: Any = entity.make_server(
                address,
                evt_handlers=handlers,
                ssl_context=tls,
                server_class=WatchedServer,
                bounds=Bounds(_PDU_BYTES, most_bytes, spool.has_room, pdu_s=_TIMEOUT_S),
                places=places_of(allowed),
            )
        except OSError as error:
            host, port = address
            msg = f"cannot listen on {host}, port {port}: {error.strerror or error}"
            hint = "Choose another --port, and for --host an address of this machine."
            raise ArchiveError(msg, hint=hint) from error
        self._server = server.start()
        self.port = int(server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take nothing any more."""
        self._server.shutdown()

    def _check_address(self, event: Any) -> None:
        """End the association of an allowed title from an address that is not its."""
        title = str(event.assoc.requestor.ae_title).strip()
        address = str(event.assoc.requestor.address)
        places = {one.address for one in self._allowed if one.title == title}
        if None not in places and address not in places:
            event.assoc.abort()

    def _forget(self, event: Any) -> None:
        """Remove what arrived of an object that never ended; pynetdicom leaves it."""
        message = getattr(event.assoc.dimse, "message", None)
        part = getattr(message, "_data_set_file", None)
        if part is not None:
            part.close()
            Path(part.name).unlink(missing_ok=True)

    def _store(self, event: Any) -> int:
        """Keep an object and return the status of it."""
        path = Path(event.dataset_path)
        try:
            with quiet():
                header = parse(path, header_only=True)[0]
        except ReadError:
            return _NOT_UNDERSTOOD
        sop_uid = text(header, "SOPInstanceUID")
        if sop_uid != str(event.request.AffectedSOPInstanceUID):
            return _MISMATCH
        if is_own_result(header):
            return _SUCCESS
        keywords = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        whose = tuple(text(header, keyword) for keyword in keywords)
        try:
            self._spool.keep(whose, sop_uid, path)
        except (FullError, OutputError):
            return _NO_ROOM
        return _SUCCESS
