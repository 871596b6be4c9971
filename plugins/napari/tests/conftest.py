"""A worker in the Python that has medcnn, for the napari that has not."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from medcnn_napari.session import PYTHON_VARIABLE, Session

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def repository():
    return ROOT


@pytest.fixture(scope="session")
def session():
    """The shared session; skipped where no Python with medcnn is named."""
    python = os.environ.get(PYTHON_VARIABLE)
    if python is None or shutil.which(python) is None:
        pytest.skip(
            f"needs {PYTHON_VARIABLE}, a Python that has medcnn (make test-napari)"
        )
    shared = Session.shared()
    shared.worker()
    yield shared
    shared.close()


@pytest.fixture
def viewer(request):
    """A viewer that need not be seen; skipped where there is no screen."""
    return _viewer(request, show=False)


@pytest.fixture
def shown_viewer(request):
    """A viewer that is drawn; skipped where there is no screen."""
    return _viewer(request, show=True)


def _viewer(request, *, show):
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        pytest.skip("needs a screen: xvfb-run -a (Debian packages xvfb, xauth)")
    return request.getfixturevalue("make_napari_viewer")(show=show)
