"""The weights in a torch.export program, read as plain numbers; the program is not run.

torch.export.load falls back to pickle, which can run code. The archive holds each
tensor as raw bytes beside a JSON list of names, types and shapes: that is read here.
"""

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medcnn.errors import BundleError

__all__ = ["read_program_weights"]

_LIST = "data/weights/model_weights_config.json"
_LARGEST_LIST = 1 << 24
_TYPES: dict[int, np.dtype[Any]] = {5: np.dtype("<i8"), 7: np.dtype("<f4")}
"""Of torch's numbers of types, those that networks of ours have."""

_HINT = "Export the model again, with this version of medcnn."


def read_program_weights(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a .pt2 file by name.

    Args:
        path: A program that `medcnn export` wrote.

    Raises:
        BundleError: If it is no such archive, or holds tensors in another way.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root, said = _listed(archive)
            return {
                name: _tensor(one, archive, root) for name, one in sorted(said.items())
            }
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        msg = f"{path} cannot be read as a program of torch.export: {error}"
        raise BundleError(msg, hint=_HINT) from error


def _listed(archive: zipfile.ZipFile) -> tuple[str, dict[str, Any]]:
    """Return the folder of the weights, and what is said of each.

    Raises:
        ValueError: If nothing is, or parts are compressed, as torch never does.
    """
    parts = [one for one in archive.infolist() if one.filename.endswith("/" + _LIST)]
    if len(parts) != 1 or parts[0].file_size > _LARGEST_LIST:
        msg = "it holds no list of weights that can be read"
        raise ValueError(msg)
    if any(one.compress_type for one in archive.infolist()):
        msg = "its parts are compressed"
        raise ValueError(msg)
    root = parts[0].filename.rpartition("/")[0] + "/"
    return root, json.loads(archive.read(parts[0]))["config"]


def _tensor(
    said: dict[str, Any], archive: zipfile.ZipFile, root: str
) -> npt.NDArray[Any]:
    """Return one tensor.

    Raises:
        ValueError: If it is pickled, of another type, or not simply laid out.
    """
    facts = said["tensor_meta"]
    if said["use_pickle"] or facts is None or facts["dtype"] not in _TYPES:
        msg = "a tensor is a pickle, or of another type"
        raise ValueError(msg)
    shape = [int(side["as_int"]) for side in facts["sizes"]]
    steps = [int(step["as_int"]) for step in facts["strides"]]
    plain = [math.prod(shape[n + 1 :]) for n in range(len(shape))]
    moved = [have for have, want, side in zip(steps, plain, shape, strict=True)
             if side > 1 and have != want]  # fmt: skip
    data = archive.read(root + str(said["path_name"]))
    kind = _TYPES[facts["dtype"]]
    wanted = math.prod(shape) * kind.itemsize
    if moved or facts["storage_offset"]["as_int"] or len(data) != wanted:
        msg = "a tensor is not laid out row by row"
        raise ValueError(msg)
    flat: npt.NDArray[Any] = np.frombuffer(data, kind)
    return flat.reshape(shape).copy()
