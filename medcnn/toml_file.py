"""Settings in TOML, read within bounds: nothing in them runs.

TOML has neither aliases nor tags, so a small file cannot become a large table. YAML,
which has both, is never read.
"""

import tomllib
from pathlib import Path
from typing import Any

from medcnn.errors import DataError

__all__ = ["MOST_BYTES", "read_toml"]

MOST_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 1 MiB.

    Raises:
        DataError: If it cannot be read, is larger, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}."
        raise DataError(msg) from error
    if len(content) > MOST_BYTES:
        msg = f"{path} is larger than {MOST_BYTES:,} bytes, no file of settings."
        raise DataError(msg)
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        msg = f"{path} is no TOML: {error}."
        raise DataError(msg) from error
