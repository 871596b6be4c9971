"""Which pictures lie in the page itself, and which beside it."""

import base64
import re
from pathlib import Path

from medcnn.worklist import HEATMAPS, THUMBNAILS

__all__ = ["Embedder", "beside"]

_BESIDE = re.compile(
    rf"(?:{HEATMAPS}|{THUMBNAILS})/[\w-][\w.-]*\.(?:png|jpg)", re.ASCII
)
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


def beside(name: str) -> str:
    """Return the name of a picture below the output folder; "" for any other text.

    Examples:
        >>> beside("thumbnails/3f2a.jpg")
        'thumbnails/3f2a.jpg'
        >>> beside("../secret.png")
        ''
    """
    return name if _BESIDE.fullmatch(name) else ""


class Embedder:
    """Puts pictures into the page until a budget is used up; the rest are linked.

    Args:
        output: The run's output folder.
        budget: Most bytes of pictures in the page.

    Attributes:
        embedded: Number of pictures in the page so far.
    """

    def __init__(self, output: Path, *, budget: int) -> None:
        self._output = output
        self._left = budget
        self.embedded = 0

    def source(self, name: str) -> str:
        """Return what an img's src is: the picture itself, its name, or "" if none."""
        safe = beside(name)
        path = self._output / safe
        if not safe or not path.is_file():
            return ""
        size = path.stat().st_size
        if size > self._left:
            return safe
        self._left -= size
        self.embedded += 1
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        return f"data:{_TYPES[path.suffix]};base64,{data}"
