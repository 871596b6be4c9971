"""What is done piece by piece, so that a viewer can do other things in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

__all__ = ["PIECE", "Steps"]

PIECE = 1 << 20
"""Bytes that one step moves at most."""

Steps = Generator[Optional[float], None, Any]
"""Yields how much is done, 0 to 1, or None where another's turn has come; see
`Client.uploading`. What it returns is what was made."""
