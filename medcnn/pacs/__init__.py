"""DICOM over the network: what arrives is kept, screened, and answered to a peer."""

from medcnn.pacs.listener import Listener
from medcnn.pacs.maker import hold_to
from medcnn.pacs.peers import Allowed, Peer, parse_allowed, parse_peer
from medcnn.pacs.spool import Spool, State
from medcnn.pacs.station import Station

__all__ = [
    "Allowed",
    "Listener",
    "Peer",
    "Spool",
    "State",
    "Station",
    "hold_to",
    "parse_allowed",
    "parse_peer",
]
