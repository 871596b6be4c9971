"""The Python that medcnn lives in: found, or made by venv and pip beside Slicer's own.

Nothing is ever installed into Slicer's Python. What is made lies in one folder, which
`remove` takes away again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from MedCNNLib.errors import ViewerError

__all__ = [
    "SIZES",
    "Making",
    "base_pythons",
    "default_folder",
    "find_python",
    "is_made",
    "python_in",
    "remove",
]

SIZES = {
    "serve": "about 0.8 GB on disk",
    "serve,train": "about 1.6 GB on disk; 6 GB or more where pip brings CUDA",
}
"""What each choice of extras needs."""

_MARK = "made-by-the-medcnn-extension"
_BENT = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def default_folder() -> Path:
    """Return where the environment is made unless another place is chosen."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    elif sys.platform == "darwin":
        root = Path.home() / "Library/Application Support"
    else:
        root = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share"))
    return root / "medcnn" / "python"


def python_in(folder: Path) -> Path:
    """Return an environment's Python."""
    place = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return folder / place


def find_python(remembered: str = "") -> str:
    """Return the Python to use: the one chosen before, named, made, or of `medcnn`.

    Returns:
        Its path; "" if there is none.
    """
    command = shutil.which("medcnn")
    candidates = [
        remembered,
        os.environ.get("MEDCNN_PYTHON", ""),
        str(python_in(default_folder())),
        str(Path(command).parent / python_in(Path()).name) if command else "",
    ]
    return next((path for path in candidates if path and Path(path).is_file()), "")


def base_pythons(slicer_home: str = "") -> list[str]:
    """Return Pythons that an environment may be made with, the likeliest first."""
    names = ("python3.13", "python3.12", "python3.11", "python3", "python")
    found = [shutil.which(name) for name in names]
    if slicer_home:
        own = Path(slicer_home) / "bin" / "PythonSlicer"
        found += [str(p) for p in (own, own.with_suffix(".exe")) if p.is_file()]
    return list(dict.fromkeys(path for path in found if path))


def is_made(folder: Path) -> bool:
    """Say whether a folder holds an environment that was made here."""
    try:
        return (folder / _MARK).is_file()
    except OSError:  # of another user
        return False


def remove(folder: Path) -> None:
    """Delete an environment that was made here.

    Raises:
        ViewerError: If the folder was not made by `Making`, or cannot be deleted.
    """
    if not is_made(folder):
        msg = f"{folder} was not made by this extension, and is left alone."
        raise ViewerError(msg, hint="Delete it yourself if it is not needed.")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        msg = f"{folder} could not be deleted: {error.strerror}."
        raise ViewerError(msg, hint="Close what uses it, then try again.") from error


class Making:
    """Make an environment by venv and pip; `step` moves it on and never waits.

    Args:
        base: A Python of 3.11 or newer.
        folder: Where it is made; must be new, empty, or made here before.
        extras: A key of `SIZES`.
        wheels: A folder of wheels, for machines without the internet; "" asks PyPI.
        surroundings: Environment variables; None is this process's own.

    Raises:
        ViewerError: If the folder holds something else, or cannot be written.
    """

    def __init__(
        self,
        base: str,
        folder: Path,
        *,
        extras: str = "serve",
        wheels: str = "",
        surroundings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        _claim(folder)
        self._surroundings = dict(os.environ if surroundings is None else surroundings)
        for name in _BENT:
            self._surroundings.pop(name, None)
        source = ["--no-index", "--find-links", wheels] if wheels else []
        python = str(python_in(folder))
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
        pip += ["--no-input", "--progress-bar", "off"]
        self._commands = [
            [base, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
            [base, "-m", "venv", str(folder)],
            [*pip, *source, f"medcnn-imaging[{extras}]"],
            [python, "-P", "-c", "import medcnn.service"],
        ]
        self._steps = len(self._commands)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it ends
        self._process: subprocess.Popen | None = None
        self.words = "Starting ..."
        self.finished = False

    @property
    def share(self) -> float:
        """How many of the steps are done, 0 to 1."""
        return 1 - len(self._commands) / self._steps

    def step(self) -> None:
        """Look how far it is.

        Raises:
            ViewerError: If a step failed, with pip's or Python's last words.
        """
        if self.finished:
            return
        if self._process is None:
            self._begin()
            return
        self.words = self._last_line() or self.words
        status = self._process.poll()
        if status is None:
            return
        if status != 0:
            failed = self._commands[0]
            said = self._last_line("ERROR:")
            self.stop()
            error = _told(failed, said, status)
            raise error
        self._commands.pop(0)
        self._process = None
        if not self._commands:
            self.finished = True
            self._log.close()

    def stop(self) -> None:
        """End it, and delete what was made so far."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.finished = True
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        command = self._commands[0]
        self._log.seek(0)
        self._log.truncate()
        options = {"creationflags": 0x08000000} if sys.platform == "win32" else {}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the Python that was chosen
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=self._surroundings,
                **options,
            )
        except OSError as error:
            self.stop()
            msg = f"{command[0]} cannot be started: {error.strerror}."
            raise ViewerError(msg, hint="Choose another Python.") from error

    def _last_line(self, wanted: str = "") -> str:
        """Return the last line that the running step has written.

        Args:
            wanted: How it begins, if there is such a line.
        """
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        lines = [line for line in lines if line.startswith(wanted)] or lines
        return lines[-1].strip()[:300] if lines else ""


def _claim(folder: Path) -> None:
    """Make the folder, and mark it as made here.

    Raises:
        ViewerError: If it holds something else, or cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()) and not is_made(folder):
            msg = f"{folder} is not empty, and was not made by this extension."
            raise ViewerError(msg, hint="Move it away, or delete it, then try again.")
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / _MARK).write_text("May be deleted.\n", encoding="utf-8")
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}."
        hint = "Close what uses it, or let yourself write there, then try again."
        raise ViewerError(msg, hint=hint) from error


def _told(command: list[str], said: str, status: int) -> ViewerError:
    """Return the error of a step that failed."""
    if "venv" in command:
        return ViewerError(
            f"{command[0]} could not make an environment: {said or status}.",
            hint="On Debian and Ubuntu: apt install python3-venv. Or choose another.",
        )
    if "pip" in command:
        return ViewerError(
            f"pip could not install medcnn: {said or status}",
            hint="Without the internet, name a folder of wheels that holds "
            "medcnn-imaging and what it needs.",
        )
    if "medcnn" in command[-1]:
        return ViewerError(f"medcnn was installed and does not start: {said}")
    return ViewerError(
        f"{command[0]} is older than Python 3.11, or does not run.",
        hint="Choose another Python.",
    )
