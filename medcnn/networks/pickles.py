"""Which classes a pickled torch file would load, told without loading it."""

import io
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["LEGACY_TORCH", "classes_named_in", "is_legacy_torch"]

LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file of torch.save before 1.6 begins: a pickle of 0x1950a86a20f9469cfc6c."""

_LARGEST = 1 << 24
_MOST = 200_000
_PLAIN = ("collections", "torch._utils", "torch.storage", "_codecs", "numpy")
_LEGACY_PARTS = 4  # the mark, the protocol, the machine, the object


def is_legacy_torch(path: Path) -> bool:
    """Say whether torch wrote a file before it wrote zip archives."""
    with path.open("rb") as file:
        return file.read(len(LEGACY_TORCH)) == LEGACY_TORCH


def classes_named_in(path: Path) -> tuple[str, ...]:
    """Return the classes beyond tensors that a torch file names, in their order.

    Args:
        path: .pt or .pth; nothing of it is executed.

    Returns:
        Such as "torchxrayvision.models.DenseNet"; none if it cannot be told.
    """
    found: dict[str, None] = {}
    try:
        for name in _named(path):
            if not name.startswith(_PLAIN) and not _is_storage(name):
                found[name] = None
    except Exception:  # noqa: BLE001 - a damaged pickle fails in any way
        return tuple(found)
    return tuple(found)


def _is_storage(name: str) -> bool:
    return name.startswith("torch.") and name.endswith("Storage")


def _named(path: Path) -> Iterator[str]:
    """Yield module and name of whatever the pickles in a file look up."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_LEGACY_PARTS):
                yield from _looked_up(file)
        return
    with zipfile.ZipFile(path) as archive:
        for part in archive.infolist():
            if part.filename.endswith("data.pkl") and part.file_size <= _LARGEST:
                yield from _looked_up(io.BytesIO(archive.read(part)))


def _looked_up(file: BinaryIO) -> Iterator[str]:
    """Yield what one pickle looks up, and leave the file behind it."""
    texts: list[str] = []
    for count, (operation, value, _) in enumerate(pickletools.genops(file)):
        if count > _MOST:
            return
        if operation.name == "GLOBAL":
            yield str(value).replace(" ", ".")
        elif operation.name == "STACK_GLOBAL" and len(texts) > 1:
            yield ".".join(texts[-2:])
        elif isinstance(value, str):
            texts.append(value)
