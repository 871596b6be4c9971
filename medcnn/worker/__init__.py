"""The viewers' service over HTTP, for other processes. See docs/worker.md."""

from medcnn.worker.address import Address, read_token
from medcnn.worker.server import Settings, serve

__all__ = ["Address", "Settings", "read_token", "serve"]
