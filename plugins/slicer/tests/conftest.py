"""A MRML scene of real Slicer classes, without Slicer's application."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
MODULE = Path(__file__).parents[1] / "MedCNN"
sys.path.insert(0, str(MODULE))
sys.path.insert(0, str(Path(__file__).parent))

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed here")
if not hasattr(slicer, "vtkMRMLScene"):
    pytest.skip("this slicer is not slicer-core", allow_module_level=True)

import cores


@pytest.fixture
def scene():
    with cores.open_scene() as opened:
        yield opened


@pytest.fixture(params=sorted(cores.GRIDS))
def grid(request):
    """A voxel-to-world matrix: oblique, flipped, anisotropic, sheared by none."""
    return cores.GRIDS[request.param]


@pytest.fixture
def array():
    """Values that differ in every voxel, (I, J, K), all three sizes different."""
    return np.arange(5 * 7 * 4, dtype=np.float32).reshape(5, 7, 4)


@pytest.fixture(scope="session")
def real_python():
    """A Python with medcnn; its worker is asked for real."""
    python = os.environ.get("MEDCNN_PYTHON", "")
    if not Path(python).is_file():
        pytest.skip("MEDCNN_PYTHON names no Python with medcnn")
    return python
