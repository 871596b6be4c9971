"""Arrays as raw bytes and a few words, without a copy where they lie in one piece."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.isolation.wire import Buffer

__all__ = ["pack", "unpack"]

_PLAIN = re.compile(r"[<>|][buif][1248]")


def pack(array: npt.NDArray[Any]) -> tuple[dict[str, Any], memoryview]:
    """Return how an array lies in memory, and its bytes.

    A transposed view of a whole array, as readers return, is sent in the order of its
    memory and turned again on the other side; only what has gaps is copied.

    Examples:
        >>> facts, part = pack(np.arange(6, dtype=np.int16).reshape(2, 3).T)
        >>> facts["shape"], facts["order"], part.nbytes
        ([2, 3], [1, 0], 12)
        >>> unpack(facts, part).tolist()
        [[0, 3], [1, 4], [2, 5]]
    """
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    plain = np.ascontiguousarray(array.transpose(order))
    facts = {"dtype": plain.dtype.str, "shape": list(plain.shape), "order": order}
    return facts, plain.reshape(-1).view(np.uint8).data


def unpack(facts: Mapping[str, Any], part: Buffer) -> npt.NDArray[Any]:
    """Return the array, which lies in memory as it did on the other side.

    Raises:
        ValueError: If the bytes are no array of plain numbers of that shape.
    """
    kind = str(facts["dtype"])
    if not _PLAIN.fullmatch(kind):
        msg = f"an array of {kind}"
        raise ValueError(msg)
    shape = [int(size) for size in facts["shape"]]
    back = np.argsort([int(axis) for axis in facts["order"]])
    return np.frombuffer(part, np.dtype(kind)).reshape(shape).transpose(back)
