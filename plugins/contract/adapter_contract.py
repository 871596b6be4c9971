"""What the adapter of every viewer must do: one suite, run beside each viewer.

A viewer's tests subclass `Contract` and give it an `adapter`. The places that are
compared come from the viewer's own transforms, never from the adapter's.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from MedCNNLib.client import Worker, WorkerError

__all__ = [
    "GRIDS",
    "Adapter",
    "Contract",
    "Desk",
    "Dialogue",
    "FileOrder",
    "LightStart",
    "predicted",
]

SHAPE = (6, 5, 4)
SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
VOLUME = SAMPLES / "vessel_aneurysm.nii"


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


class Desk(Protocol):
    """A viewer as its user has it: with its panel or page, and a real worker."""

    def open(self, path: Path, model: str) -> None:
        """Show a file, and choose a model."""

    def begin(self) -> None:
        """Press what classifies the image."""

    def begin_long(self) -> None:
        """Press what takes seconds; return once the worker is at it."""

    def cancel(self) -> None:
        """Press what cancels."""

    def wait(self) -> None:
        """Wait until nothing is going on any more."""

    def words(self) -> str:
        """Return what the user is told."""

    def has_answer(self) -> bool:
        """Say whether an answer is shown."""

    def probability(self) -> float:
        """Return the main label's, as it is shown: three digits."""

    def worker_pid(self) -> int:
        """Return the worker's process."""


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


@contextmanager
def _slowed(pid: int) -> Iterator[None]:
    """Let a worker run a tenth of the time.

    However fast the machine is, it is still at work when it hears a click.
    """
    is_over = threading.Event()

    def hold() -> None:
        with suppress(ProcessLookupError):
            while not is_over.wait(0.01):
                os.kill(pid, signal.SIGSTOP)
                is_over.wait(0.09)
                os.kill(pid, signal.SIGCONT)

    holding = threading.Thread(target=hold)
    if sys.platform != "win32":
        holding.start()
    try:
        yield
    finally:
        is_over.set()
        if holding.ident is not None:
            holding.join()


class Dialogue:
    """What a user meets when things go wrong; a subclass has a fixture `desk`."""

    def test_cancel_stops_it_and_the_next_question_is_answered(
        self, desk: Desk
    ) -> None:
        """Nothing is shown of what was cancelled, and the viewer says that it was."""
        desk.open(VOLUME, "vessel-3d")
        desk.begin_long()
        with _slowed(desk.worker_pid()):
            desk.cancel()
            desk.wait()
        assert re.search("stopped|cancelled", desk.words(), re.IGNORECASE)
        assert not desk.has_answer()
        desk.begin()
        desk.wait()
        assert desk.has_answer()

    def test_an_error_of_the_worker_is_shown_with_what_to_do(self, desk: Desk) -> None:
        """Both sentences, word by word as the worker says them to anybody."""
        desk.open(VOLUME, "chest-xray")
        desk.begin()
        desk.wait()
        with (
            Worker(os.environ["MEDCNN_PYTHON"], folders=[SAMPLES]) as worker,
            pytest.raises(WorkerError) as refused,
        ):
            worker.classify(VOLUME, "chest-xray")
        assert refused.value.hint
        assert refused.value.message in desk.words()
        assert refused.value.hint in desk.words()
        assert not desk.has_answer()

    @pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
    def test_a_worker_that_is_killed_is_told_and_started_again(
        self, desk: Desk
    ) -> None:
        """The viewer lives on, says what to do, and that is enough."""
        desk.open(VOLUME, "vessel-3d")
        desk.begin_long()
        os.kill(desk.worker_pid(), signal.SIGKILL)
        desk.wait()
        assert "ended" in desk.words()
        assert "again" in desk.words()
        assert not desk.has_answer()
        desk.begin()
        desk.wait()
        assert desk.has_answer()


AXES = {
    "left-handed": np.diag([-0.5, 0.5, 0.5, 1.0]),  # LAS, as many NIfTI files are
    "turned": _matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]], (0.5, 0.6, 0.7), (5, -6, 7)),
    "turned and left-handed": _matrix(
        [[0, 0, -1], [0, -1, 0], [-1, 0, 0]], (0.5, 0.5, 0.5), (1, 2, 3)
    ),
}
"""Voxel to RAS+ mm of files whose axes run otherwise than a viewer's."""


class FileOrder:
    """A model sees the voxels in the order of the file; a subclass has `desk`."""

    @pytest.fixture(params=AXES)
    def axes(self, request: pytest.FixtureRequest) -> str:
        """A name in AXES; a viewer whose every start takes long may take fewer."""
        return str(request.param)

    def test_the_answer_is_that_of_medcnn_predict_on_the_file(
        self, desk: Desk, tmp_path: Path, axes: str
    ) -> None:
        """vessel-3d was never taught to orient: what is turned gets another answer."""
        nibabel = pytest.importorskip("nibabel")
        voxels = np.asarray(nibabel.load(VOLUME).dataobj)
        asked = {
            "scan.nii": (voxels, AXES[axes]),
            "mirrored.nii": (voxels[:, :, ::-1], AXES[axes]),
        }
        for name, (array, affine) in asked.items():
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / name)
        told, mirrored = predicted([tmp_path / name for name in asked], "vessel-3d")
        assert abs(told - mirrored) > 0.01
        desk.open(tmp_path / "scan.nii", "vessel-3d")
        desk.begin()
        desk.wait()
        assert desk.probability() == pytest.approx(told, abs=6e-4)


def predicted(paths: list[Path], model: str) -> list[float]:
    """Return what `medcnn predict` says of files: of each model's main label."""
    command = [os.environ["MEDCNN_PYTHON"], "-m", "medcnn", "predict"]
    command += ["--model", model, "--json", *map(str, paths)]
    told = subprocess.run(command, capture_output=True, check=False)
    return [each["probability"] for each in json.loads(told.stdout)["images"]]


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
