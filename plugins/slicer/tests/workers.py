"""A worker that says what a test wants, with the client's own records."""

from pathlib import Path

import numpy as np
from MedCNNLib.client import Heatmap, Result, WorkerError

__all__ = ["FakeJob", "FakeWorker", "answer"]

MODELS = [
    {"id": "chest-xray", "name": "chest-xray", "summary": "Films.", "dims": 2,
     "modalities": ["CR", "DX"], "error": ""},
    {"id": "vessel-3d", "name": "vessel-3d", "summary": "Vessels.", "dims": 3,
     "modalities": [], "error": ""},
    {"id": "own/broken", "error": "weights.safetensors is missing."},
]  # fmt: skip


def answer(shape, affine, **changes):
    """Return an answer with a heatmap that is hottest at its last voxel."""
    values = np.zeros(shape, np.float32)
    values[-1, -1, -1] = 4
    values[0, 0, 0] = 2
    facts = {
        "model": "vessel-3d", "version": "1", "sha256": "0", "labels": ["aneurysm"],
        "label": "aneurysm", "number_kind": "probability",
        "probabilities": {"aneurysm": 0.83},
        "thresholds": {"aneurysm": {"review": 0.2, "flag": 0.6}},
        "bands": {"aneurysm": "flag"}, "out_of_scope": "", "seconds": {"total": 0.5},
        "device": "cpu", "engine": "openvino", "warnings": [], "image": {"id": "i"},
    }  # fmt: skip
    heat = {
        "label": "aneurysm", "method": "cam", "layer": "", "unit": "log-odds",
        "meaning": "", "limits": "shows what moved the score, not an outline",
        "peak": [n - 1 for n in shape], "peak_ras": None, "window": [0.0, 4.0],
        "window_words": "log-odds above a flag",
    }  # fmt: skip
    return Result(facts | changes, {"aneurysm": Heatmap(values, affine, heat)})


class FakeJob:
    """A job that ends after so many polls, with a result or an error."""

    id, kind = "job", "classify"

    def __init__(self, result, *, polls=2, error=None):
        self._result, self._left, self._error = result, polls, error
        self.cancelled = False

    @property
    def finished(self):
        return self._left <= 0 or self.cancelled

    @property
    def progress(self):
        return 1, 4, "Heatmap of aneurysm"

    def poll(self):
        self._left -= 1
        if self._error and self._left <= 0:
            raise self._error

    def polling(self):
        self.poll()
        yield None

    def fetching(self):
        yield 0.5

    def cancelling(self):
        self.cancelled = True
        yield 1.0

    def result(self):
        if self.cancelled:
            raise WorkerError("Cancelled.", "", "stopped")
        if isinstance(self._result, WorkerError):
            raise self._result
        return self._result


class FakeWorker:
    """A worker whose jobs are given; it is ready at the second question."""

    def __init__(self, jobs=(), *, refuses=None):
        self.jobs, self.asked, self.closed = list(jobs), [], False
        self.started_with = []
        self._refuses, self._questions = refuses, 0

    def start(self, **options):
        self.started_with.append(options)
        self._questions = 0
        return self

    def ready(self):
        self._questions += 1
        if self._refuses:
            raise self._refuses
        return self._questions > 1

    def ending(self):
        self.closed = True
        yield None

    def models(self):
        return MODELS

    def asking(self, method, where):
        yield None
        methods = [{"name": "cam"}, {"name": "occlusion"}]
        return {"/v1/models": {"models": MODELS}, "/v1/info": {"methods": methods}}[
            where
        ]

    def uploading(self, image):
        yield 0.5
        return image

    def uploading_file(self, path):
        yield 0.5
        return path

    def submitting(self, kind, **request):
        yield None
        self.asked.append((kind, request))
        return self.jobs.pop(0)

    def submit_classify(self, image, model, **choices):
        self.asked.append(("classify", {"image": image, "model": model, **choices}))
        return self.jobs.pop(0)

    def downloading(self, job, name, folder):
        yield 0.5
        path = Path(folder) / name
        path.write_text("report")
        return path
