"""What several test files share."""

import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts jobs in the background deaf to Ctrl-C, and their children with them
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def phantoms() -> Path:
    """The folder with the generated phantoms."""
    return ROOT / "sample_data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the repository; the test is skipped where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "needs the real data in ../shared/data, which is not part of medcnn"
        )
    return folder


@pytest.fixture(scope="session")
def tool():
    """Return the path of a command-line tool, or skip the test where it is missing."""

    def find(name: str, package: str) -> str:
        beside = Path(sys.executable).parent
        path = shutil.which(name) or shutil.which(name, path=beside)
        if path is None:
            pytest.skip(f"needs {name} (Debian package {package})")
        return path

    return find


@dataclass
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def medcnn(capsys, monkeypatch):
    """Run the command line in this process, which has its libraries loaded."""
    from medcnn.cli import app

    monkeypatch.delenv("MEDCNN_DEBUG", raising=False)

    def run(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(word) for word in words], prog_name="medcnn")
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run
