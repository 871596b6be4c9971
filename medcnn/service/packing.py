"""Images and heatmaps as .npz, to and from other processes. See docs/worker.md.

What comes in is nobody's friend: names, types and sizes are looked at before anything
is made of them, and objects are never unpickled.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from medcnn.errors import MedcnnError, ServiceError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.service.records import HeatmapFacts

__all__ = ["AXES", "image_facts", "pack_heatmaps", "pack_image", "unpack_image"]

AXES = ("ijk", "cijk", "kji", "kjic")
"""Orders of axes that an upload may have."""

_MOST_INFO = 1 << 20
_MEMBERS = {"array.npy", "affine.npy", "info.npy"}
_KINDS = "biuf"
_HINT = "docs/worker.md says what such a file holds."


def pack_image(image: Image) -> bytes:
    """Return an image as .npz, axes cijk, without whose it is."""
    info = {
        "axes": "cijk",
        "name": image.source.name if image.source else "",
        "unit": image.unit,
        "modality": image.modality,
        "facts": dict(image.facts),
        "warnings": list(image.warnings),
    }
    return _pack({"array": image.array}, image.geometry, info)


def pack_heatmaps(heatmaps: Sequence[HeatmapFacts]) -> bytes:
    """Return heatmaps of one image as .npz, axes ijk."""
    arrays = {f"heatmap_{n}": one.heatmap.array for n, one in enumerate(heatmaps)}
    info = {"heatmaps": [one.facts for one in heatmaps]}
    grid = heatmaps[0].heatmap.geometry if heatmaps else None
    return _pack(arrays, grid, info)


def image_facts(image: Image, *, name: str = "") -> dict[str, Any]:
    """Return what an image is, as JSON values, without its voxels or whose it is."""
    grid = image.geometry
    return {
        "shape": list(image.shape),
        "channels": image.channels,
        "dtype": str(image.array.dtype),
        "affine": None if grid is None else grid.affine.tolist(),
        "unit": image.unit,
        "modality": image.modality,
        "name": name or (image.source.name if image.source else ""),
        "facts": dict(image.facts),
        "provenance": list(image.provenance),
        "warnings": list(image.warnings),
    }


def unpack_image(path: Path, *, most_bytes: int) -> Image:
    """Read an uploaded .npz.

    Args:
        path: The file.
        most_bytes: The largest array.

    Raises:
        ServiceError: If it is not as docs/worker.md says, or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_others(archive.namelist())
            array = _member(archive, "array.npy", most_bytes)
            info = _info(archive)
            affine = None
            if "affine.npy" in archive.namelist():
                affine = _member(archive, "affine.npy", 1 << 16)
        return _image(array, affine, info)
    except ServiceError:
        raise
    except MedcnnError as error:
        msg = f"The upload is no image: {error.message}."
        raise ServiceError(msg, hint=error.hint or _HINT) from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        msg = f"The upload is no .npz: {error}."
        raise ServiceError(msg, hint=_HINT) from error
    except (NotImplementedError, RuntimeError) as error:  # a coding, a password
        msg = f"The upload is a zip that is not read: {error}."
        raise ServiceError(msg, hint=_HINT) from error


def _pack(
    arrays: Mapping[str, npt.NDArray[Any]],
    grid: Geometry | None,
    info: Mapping[str, Any],
) -> bytes:
    held = dict(arrays)
    if grid is not None:
        held["affine"] = grid.affine
    text = json.dumps(info, ensure_ascii=False).encode("utf-8", "backslashreplace")
    held["info"] = np.frombuffer(text, np.uint8)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **cast(dict[str, Any], held))
    return out.getvalue()


def _refuse_others(names: Sequence[str]) -> None:
    """Refuse an archive that holds something else.

    Raises:
        ServiceError: If it does.
    """
    others = sorted(set(names) - _MEMBERS)
    if others or "array.npy" not in names or len(set(names)) < len(names):
        held = ", ".join(names[:5]) or "nothing"
        msg = f"An image holds array, and may hold affine and info; got {held}."
        raise ServiceError(msg, hint=_HINT)


def _member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> npt.NDArray[Any]:
    """Read one array.

    Raises:
        ServiceError: If it is of a type that is not taken, or too large.
    """
    whole = archive.getinfo(name).file_size
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            msg = f"{name} is of format {version}, expected 1.0 or 2.0."
            raise ServiceError(msg, hint=_HINT)
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = header(file)
        if dtype.kind not in _KINDS or dtype.itemsize > 8:
            msg = f"{name} holds {dtype}, expected numbers of at most 64 bits."
            raise ServiceError(msg, hint=_HINT)
        wanted = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if wanted > most_bytes:
            msg = f"{name} would be {wanted:,} bytes, the most is {most_bytes:,}."
            raise ServiceError(msg, kind="large", hint="Crop or resample the image.")
        if min(shape, default=0) < 0 or wanted > whole:
            msg = f"{name} says it holds {wanted:,} bytes, and is {whole:,} long."
            raise ServiceError(msg, hint=_HINT)
        data = file.read(wanted)
    if len(data) != wanted:
        msg = f"{name} is cut off."
        raise ServiceError(msg, hint=_HINT)
    flat = np.frombuffer(data, dtype)
    array = flat.reshape(shape, order="F" if is_fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _info(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Read what is said of the image.

    Raises:
        ServiceError: If it is no JSON object of the right kinds.
    """
    if "info.npy" not in archive.namelist():
        return {}
    raw = _member(archive, "info.npy", _MOST_INFO)
    try:
        info = json.loads(raw.astype(np.uint8).tobytes())
    except (ValueError, RecursionError) as error:
        msg = f"info is no JSON: {error}."
        raise ServiceError(msg, hint=_HINT) from error
    kinds = {"axes": str, "name": str, "facts": dict, "warnings": list}
    if isinstance(info, dict) and all(
        isinstance(info.get(key, kind()), kind) for key, kind in kinds.items()
    ):
        return info
    msg = "info must be an object with axes, name, unit, modality, facts, warnings."
    raise ServiceError(msg, hint=_HINT)


def _image(
    array: npt.NDArray[Any],
    affine: npt.NDArray[Any] | None,
    info: Mapping[str, Any],
) -> Image:
    """Make the image.

    Raises:
        ServiceError: If the array has not the axes that are named.
    """
    axes = info.get("axes", "ijk")
    if axes not in AXES or array.ndim != len(axes):
        msg = f"axes {axes!r} with an array of shape {array.shape}"
        msg += f"; axes are one of {', '.join(AXES)}."
        raise ServiceError(msg, hint="A 2-D image has a third axis of one slice.")
    if "c" not in axes:
        array, axes = array[None], f"c{axes}"
    turned = array.transpose([axes.index(axis) for axis in "cijk"])
    if turned.dtype == np.bool_:
        turned = turned.astype(np.uint8)
    if turned.dtype == np.float16:
        turned = turned.astype(np.float32)
    i, j, k = turned.shape[1:]
    grid = None
    if affine is not None and turned.size:
        grid = Geometry((i, j, k), affine)
    texts = {key: info.get(key) for key in ("unit", "modality")}
    name = Path(str(info.get("name", ""))).name
    return Image(
        turned,
        geometry=grid,
        unit=texts["unit"] and str(texts["unit"]),
        modality=texts["modality"] and str(texts["modality"]),
        facts={str(k): str(v) for k, v in dict(info.get("facts", {})).items()},
        provenance=("as a viewer holds it",),
        warnings=tuple(str(one) for one in info.get("warnings", ())),
        source=Path(name) if name else None,
    )
