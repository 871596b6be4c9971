"""Images and files to a worker, at once or in steps."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from MedCNNLib.client.arrays import write, writing
from MedCNNLib.client.errors import WorkerError
from MedCNNLib.client.handshake import greet, greeting
from MedCNNLib.client.wire import from_json, size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from MedCNNLib.client.aliases import Place
    from MedCNNLib.client.records import Image
    from MedCNNLib.client.steps import Steps
    from MedCNNLib.client.wire import Wire

__all__ = ["upload", "upload_file", "uploading", "uploading_file"]

_NPZ = "application/x-npz"
_ANY_FILE = "application/octet-stream"
_IMAGES = "/v1/images"


def upload(wire: Wire, image: Image) -> str:
    """Send an image; return its id."""
    _check_size(wire, image.array.nbytes)  # before it is written anywhere
    with tempfile.TemporaryFile() as file:
        write(image, file)
        return _post(wire, file, _IMAGES, _NPZ)


def upload_file(wire: Wire, path: Place, choices: Mapping[str, Any]) -> str:
    """Send a file that medcnn reads; return its id."""
    with _opened(path) as file:
        return _post(wire, file, _route(path, choices), _ANY_FILE)


def uploading(wire: Wire, image: Image) -> Steps:
    """As `upload`, in steps."""
    if wire.limit is None:
        yield from greeting(wire)
    _check_size(wire, image.array.nbytes)
    with tempfile.TemporaryFile() as file:
        yield from writing(image, file)
        return (yield from _posting(wire, file, _IMAGES, _NPZ))


def uploading_file(wire: Wire, path: Place, choices: Mapping[str, Any]) -> Steps:
    """As `upload_file`, in steps."""
    with _opened(path) as file:
        return (yield from _posting(wire, file, _route(path, choices), _ANY_FILE))


def _post(wire: Wire, file: Any, where: str, kind: str) -> str:
    """Send a file; return the image's id."""
    _check_size(wire, size_of(file))
    return str(from_json(wire.ask_bytes("POST", where, file, kind))["id"])


def _posting(wire: Wire, file: Any, where: str, kind: str) -> Steps:
    """As `_post`, in steps."""
    if wire.limit is None:
        yield from greeting(wire)
    _check_size(wire, size_of(file))
    answer = io.BytesIO()
    yield from wire.exchanging("POST", where, file, kind, into=answer)
    return str(from_json(answer.getvalue())["id"])


def _check_size(wire: Wire, size: int) -> None:
    """Refuse what the worker would refuse.

    Raises:
        WorkerError: If it is too large.
    """
    if wire.limit is None:
        greet(wire)
    if wire.limit is not None and size > wire.limit:
        message = f"The image is of {size:,} bytes; the worker takes {wire.limit:,}."
        hint = "Crop or resample it, or start the worker with --max-upload-gb."
        raise WorkerError(message, hint, "large")


def _route(path: Place, choices: Mapping[str, Any]) -> str:
    given = {key: value for key, value in choices.items() if value is not None}
    asked = urlencode({"name": Path(path).name, **given}, errors="replace")
    return f"{_IMAGES}?{asked}"


def _opened(path: Place) -> Any:
    """Open a file that is to be sent.

    Raises:
        WorkerError: If it cannot be read.
    """
    try:
        return open(path, "rb")  # noqa: PTH123 - closed by the caller
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise WorkerError(message, "", "image") from error
