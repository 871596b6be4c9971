"""medcnn view: look at a study in the browser, with a model's answer over it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from medcnn.errors import DataError, MissingDependencyError, ServiceError

__all__ = ["view"]

_PLUGINS = Path(__file__).parents[2] / "plugins"
_PACKAGES = ("MedCNNLib", "medcnn_trame")


def view(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="An image, or a folder with a series; may be opened in the browser.",
            show_default=False,
        ),
    ] = None,
    *,
    model: Annotated[str, typer.Option(help="The model that is chosen at first.")] = "",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Table or folder of labelled images for the ROC curve.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes a free one.")
    ] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
    python: Annotated[
        Path | None,
        typer.Option(
            help="Another Python, in which trame-slicer is installed.",
            envvar="MEDCNN_VIEW_PYTHON",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Look at a study and its heatmap in the browser.

    Slicer's views are drawn here and shown on a page of this machine alone. The model
    runs in this Python, the views in one that has trame-slicer.

    Raises:
        DataError: If PATH or DATA is not there.
        Exit: With the viewer's own status.
    """
    for given in (path, data):
        if given is not None and not given.exists():
            msg = f"{given} does not exist"
            raise DataError(msg, hint="Name a file, or a folder with one series.")
    _check_port(port)
    command = [_python_with_views(python), "-m", "medcnn_trame", "--stdin"]
    command += ["--medcnn-python", sys.executable, "--port", str(port)]
    command += ["--model", model] if model else []
    command += ["--data-folder", str(data)] if data else []
    command += [] if browser else ["--no-browser"]
    command += ["--", str(path)] if path else []
    with _importable(command[0]) as places:
        raise typer.Exit(_run(command, _surroundings(places)))


def _run(command: list[str], surroundings: dict[str, str]) -> int:
    """Run the viewer until it ends; it ends with this process, however that ends."""
    with subprocess.Popen(  # noqa: S603 - made above
        command, env=surroundings, stdin=subprocess.PIPE
    ) as viewer:
        return viewer.wait()


def _check_port(port: int) -> None:
    """Refuse a port of this machine that cannot be had; 0 always can.

    Raises:
        ServiceError: If another program listens on it, or it is not for this user.
    """
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError as error:
        reason = error.strerror or error
        msg = f"Port {port} of this machine cannot be listened on: {reason}"
        hint = "Leave --port out: a free one is taken."
        raise ServiceError(msg, kind="start", hint=hint) from error


def _python_with_views(named: Path | None) -> str:
    """Return the Python to draw with.

    Raises:
        MissingDependencyError: If it has no trame-slicer, or is none.
    """
    if named is None:
        if find_spec("trame_slicer") is not None:
            return sys.executable
        where = "this Python"
    else:
        where, ask = str(named), "import trame_slicer"
        try:
            code = subprocess.run(  # noqa: S603 - the Python that the user named
                [where, "-c", ask], check=False, capture_output=True
            ).returncode
        except OSError as error:
            msg = f"{named} cannot be started: {error.strerror}"
            raise MissingDependencyError(msg, hint="Name a Python.") from error
        if code == 0:
            return where
    msg = f"{where} has no trame-slicer, which draws the views"
    hint = (
        'pip install "trame-slicer[standalone]>=2,<3", here or in an environment of '
        "its own, which --python or MEDCNN_VIEW_PYTHON then names"
    )
    raise MissingDependencyError(msg, hint=hint)


@contextmanager
def _importable(python: str) -> Iterator[list[Path]]:
    """Give folders in which a Python finds the viewer's own files, and nothing else."""
    if _PLUGINS.is_dir():  # a checkout
        yield [_PLUGINS / "trame", _PLUGINS / "slicer" / "MedCNN"]
    elif python == sys.executable:
        yield []
    else:  # installed: another Python must not see what else lies beside them
        with TemporaryDirectory(prefix="medcnn-view-") as folder:
            for name in _PACKAGES:
                spec = find_spec(name)
                if spec is not None and spec.origin is not None:
                    copytree(Path(spec.origin).parent, Path(folder) / name)
            yield [Path(folder)]


def _surroundings(places: list[Path]) -> dict[str, str]:
    """Return the environment, with folders to import from."""
    paths = [*map(str, places), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})
