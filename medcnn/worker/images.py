"""Images that were sent or read, kept in memory until others need the room."""

import secrets
import threading
from collections import OrderedDict
from typing import Any

from medcnn.errors import ServiceError
from medcnn.image import Image
from medcnn.service.packing import image_facts

__all__ = ["Images"]


class Images:
    """Images by id; the ones longest unused go first.

    Args:
        most_bytes: Memory for all of them.
        most: How many.
    """

    def __init__(self, *, most_bytes: int = 4 << 30, most: int = 64) -> None:
        self.most_bytes, self.most = most_bytes, most
        self._images: OrderedDict[str, Image] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, image: Image) -> str:
        """Keep an image, and return its id.

        Raises:
            ServiceError: If it alone is too large.
        """
        if image.array.nbytes > self.most_bytes:
            msg = f"The image is of {image.array.nbytes:,} bytes"
            msg += f"; the most is {self.most_bytes:,}."
            raise ServiceError(msg, kind="large", hint="Crop or resample it.")
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._images[name] = image
            while len(self._images) > self.most or self._held() > self.most_bytes:
                self._images.popitem(last=False)
        return name

    def get(self, name: str) -> Image:
        """Return an image.

        Raises:
            ServiceError: If there is none of that id, or no more.
        """
        with self._lock:
            if name in self._images:
                self._images.move_to_end(name)
                return self._images[name]
        msg = "There is no such image, or no more."
        raise ServiceError(msg, kind="missing", hint="Send it again.")

    def forget(self, name: str) -> None:
        """Let go of an image, if it is there."""
        with self._lock:
            self._images.pop(name, None)

    def facts(self, name: str) -> dict[str, Any]:
        """Return what an image is, as JSON values.

        Raises:
            ServiceError: If there is none of that id, or no more.
        """
        return {"id": name} | image_facts(self.get(name))

    def _held(self) -> int:
        return sum(image.array.nbytes for image in self._images.values())
