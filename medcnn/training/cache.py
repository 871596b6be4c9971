"""Decode every image once, into one memory map at the network's size."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.dataset import CaseTable, Look, Looks, look_at, read_looks, write_looks
from medcnn.errors import DataError, MedcnnError, OutputError
from medcnn.io import load
from medcnn.planning.sections import Input
from medcnn.preprocessing import Preprocessing

__all__ = ["Pixels", "build_cache"]

Pixels = npt.NDArray[Any]
_NAMED = 5
_CHUNK = 64
_MEND = "Mend these rows or take them out of the table."


def build_cache(
    table: CaseTable,
    hashes: Sequence[str],
    spec: Input,
    folder: Path,
    *,
    tick: Callable[[int], None] = lambda _: None,
) -> tuple[Pixels, Looks]:
    """Return all images as the network sees them, before normalisation.

    What they look like is noted on the way, to find copies. The cache's name is a
    checksum of all contents and of the preprocessing, so a changed file or recipe makes
    another one; a finished one is used again.

    Args:
        table: Cases.
        hashes: Their `content_hashes`.
        spec: The recipe's input.
        folder: Where the cache lies.
        tick: Told how many more images are done.

    Returns:
        A read-only memory map, (N, C, rows, columns) or (N, C, slices, rows, columns);
        0 is 0 and the largest integer is 1. And what the images look like.

    Raises:
        DataError: If images cannot be read; it names the first of them.
        OutputError: If the cache cannot be written.
    """
    steps = spec.unit_range()
    dtype = np.dtype(np.uint8 if spec.cache_bits == 8 else np.uint16)
    text = "\n".join((*hashes, steps.model_dump_json(), dtype.name))
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
    seen = path.with_suffix(".looks.npz")
    looks = read_looks(seen, len(table.cases)) if path.is_file() else None
    if looks is None:
        shape = (len(table.cases), spec.channels, *spec.shape)
        files = [case.path for case in table.cases]
        looks = _write(path, files, steps, (shape, dtype), tick)
        write_looks(seen, looks)
    else:
        tick(len(table.cases))
    pixels: Pixels = np.load(path, mmap_mode="r")
    return pixels, looks


def _write(
    path: Path,
    files: Sequence[Path],
    steps: Preprocessing,
    layout: tuple[tuple[int, ...], np.dtype[Any]],
    tick: Callable[[int], None],
) -> Looks:
    """Fill a new cache under another name, and give it its own when it is whole.

    Raises:
        DataError: If images cannot be read.
        OutputError: If the disk refuses.
    """
    shape, dtype = layout
    top = np.iinfo(dtype).max
    partial = path.with_suffix(".partial")
    found: list[Look | str] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = np.lib.format.open_memmap(partial, "w+", dtype=dtype, shape=shape)
        _reserve(partial)

        def fill(index: int) -> Look | str:
            try:
                image = load(files[index])
                target[index] = np.rint(steps.apply(image).tensor * top)
            except MedcnnError as error:
                return f"{files[index]}: {error}"
            return look_at(image)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(files), _CHUNK):
                chunk = range(start, min(start + _CHUNK, len(files)))
                found += pool.map(fill, chunk)
                tick(len(chunk))
        target.flush()
    except OSError as error:
        partial.unlink(missing_ok=True)
        msg = f"the cache of decoded images cannot be written: {error.strerror}"
        raise OutputError(msg, hint="Free space, or choose another output.") from error
    bad = [problem for problem in found if isinstance(problem, str)]
    if bad:
        partial.unlink()
        some = "; ".join(bad[:_NAMED])
        msg = f"{len(bad)} of {len(files)} images cannot be used: {some}"
        raise DataError(msg, hint=_MEND)
    partial.rename(path)
    return Looks.of([look for look in found if isinstance(look, Look)])


def _reserve(path: Path) -> None:
    """Take the file's room on the disk now.

    Writing to a memory map whose disk is full kills the process by a signal; asking for
    the room first is an error that can be told.

    Raises:
        OSError: If there is too little room.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
