"""What the adapter of every viewer must do: one suite, run beside each viewer.

A viewer's tests subclass `Contract` and give it an `adapter`. The places that are
compared come from the viewer's own transforms, never from the adapter's.
"""

import json
import os
import subprocess
import sys
from typing import Any, Protocol

import numpy as np
import pytest

__all__ = ["GRIDS", "Adapter", "Contract", "LightStart"]

SHAPE = (6, 5, 4)


class Adapter(Protocol):
    """How the suite asks a viewer.

    Attributes:
        modules: What the viewer imports when it starts the plugin.
    """

    modules: tuple[str, ...]

    def show(self, array: Any, affine: Any) -> Any:
        """Put (I, J, K) at a matrix to RAS+ mm into the viewer; return its handle."""

    def sent(self, shown: Any) -> tuple[Any, Any]:
        """Return array (I, J, K) and matrix that a worker would be sent."""

    def lay(self, values: Any, shown: Any) -> Any:
        """Lay a heatmap (I, J, K) over an image; return its handle."""

    def grid(self, shown: Any) -> tuple[tuple[int, ...], Any]:
        """Return shape and matrix as the viewer itself holds them."""

    def hottest(self, heat: Any) -> Any:
        """Return where the viewer itself has the highest value, RAS+ mm."""


def _matrix(directions: Any, spacing: Any, origin: Any) -> Any:
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions, float) * spacing
    affine[:3, 3] = origin
    return affine


def _tilted() -> Any:
    """Return an orthonormal matrix that is far from every axis."""
    basis, _ = np.linalg.qr([[4.0, 1, -1], [1, 3, 0.5], [0.5, -1, 5]])
    return basis * np.sign(np.diag(basis))


GRIDS = {
    "plain": _matrix(np.diag([-1, -1, 1]), (1, 1, 1), (2, 3, 4)),
    "anisotropic": _matrix(np.diag([-1, -1, 1]), (0.7, 1.3, 5), (-40, 30, 100)),
    "flipped": _matrix(np.diag([1, -1, -1]), (1, 2, 3), (9, -8, 7)),
    "left-handed": _matrix(np.diag([1, 1, -1]), (0.5, 2, 3), (1, 2, 3)),
    "coronal": _matrix([[-1, 0, 0], [0, 0, 1], [0, -1, 0]], (0.9, 0.8, 4), (5, -6, 7)),
    "sagittal": _matrix([[0, 0, -1], [-1, 0, 0], [0, -1, 0]], (0.6, 0.7, 3), (8, 9, 1)),
    "oblique": _matrix(_tilted(), (0.8, 1.1, 2.5), (-120, 44, 8)),
}
"""Voxel (i, j, k) to RAS+ mm."""

VOXELS = ((0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3), (5, 4, 3), (2, 3, 1))


@pytest.mark.parametrize("name", GRIDS)
class Contract:
    """The suite; a subclass has a fixture `adapter`."""

    def test_what_is_sent_is_what_was_shown(self, adapter: Adapter, name: str) -> None:
        """No voxel moves, and none changes its value or its order."""
        values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
        array, affine = adapter.sent(adapter.show(values, GRIDS[name]))
        np.testing.assert_array_equal(array, values)
        np.testing.assert_allclose(affine, GRIDS[name], atol=1e-4)

    def test_a_heatmap_has_the_grid_of_its_image(
        self, adapter: Adapter, name: str
    ) -> None:
        """Shape and matrix are equal as the viewer holds them."""
        image = adapter.show(np.zeros(SHAPE, np.float32), GRIDS[name])
        heat = adapter.lay(np.ones(SHAPE, np.float32), image)
        shape, matrix = adapter.grid(image)
        own_shape, own_matrix = adapter.grid(heat)
        assert own_shape == shape
        np.testing.assert_allclose(own_matrix, matrix, atol=1e-4)

    @pytest.mark.parametrize("voxel", VOXELS)
    def test_the_peak_lies_within_a_voxel_in_the_viewers_world(
        self, adapter: Adapter, name: str, voxel: tuple[int, int, int]
    ) -> None:
        """The viewer's own hottest place is where the worker's peak is."""
        affine = GRIDS[name]
        image = adapter.show(np.zeros(SHAPE, np.float32), affine)
        values = np.zeros(SHAPE, np.float32)
        values[voxel] = 1
        place = adapter.hottest(adapter.lay(values, image))
        off = np.linalg.inv(affine) @ [*place, 1]
        assert np.abs(off[:3] - voxel).max() < 0.5


class LightStart:
    """What a viewer imports at its start brings in nothing heavy."""

    def test_importing_the_plugin_brings_in_no_torch_and_no_medcnn(
        self, adapter: Adapter
    ) -> None:
        """A worker has these, in a process of its own."""
        code = f"import sys, json, {', '.join(adapter.modules)}\n"
        code += "print(json.dumps(sorted(sys.modules)))"
        path = os.pathsep.join(entry for entry in sys.path if entry)
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(json.loads(told.stdout.splitlines()[-1]))
        assert not {"torch", "medcnn", "openvino", "monai"} & loaded
