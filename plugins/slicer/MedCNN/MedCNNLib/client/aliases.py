"""Types that many calls share, each under one name."""

from __future__ import annotations

import os
from typing import Any, Callable, Optional, Union

__all__ = ["Cancel", "Facts", "Place", "Progress"]

Facts = dict[str, Any]
"""An object of JSON, as docs/worker.md describes it."""

Place = Union[str, "os.PathLike[str]"]
"""Where a file or folder is."""

Progress = Callable[[int, Optional[int], str], None]
"""Told (done, total, words); a total of None is not known."""

Cancel = Union[Callable[[], bool], Any]
"""A function, or a threading.Event, that says whether to cancel."""
