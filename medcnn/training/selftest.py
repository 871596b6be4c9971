"""The self-test that a bundle carries: one input, and what the bundle says of it."""

import json
from pathlib import Path

import cv2
import numpy as np

from medcnn.bundle import Bundle
from medcnn.engines import open_engine
from medcnn.io import load
from medcnn.model import Model

__all__ = ["selftest_files"]

_TOLERANCE = 1e-3


def selftest_files(bundle: Bundle, source: Path | None) -> dict[str, bytes]:
    """Return one input and what this bundle says of it; nothing for plain volumes.

    Without an image from the recipe it is a synthetic pattern, which says whether the
    bundle computes what it computed here, not whether it is right.
    """
    if source is not None:
        name, content = f"input{source.suffix}", source.read_bytes()
    elif bundle.spec.input.dims == 2:
        name, content = "input.png", _pattern()
    else:
        return {}
    path = bundle.path / name
    path.write_bytes(content)
    told = Model(bundle, open_engine(bundle)).predict(load(path))
    expected = {
        "input": name,
        "probabilities": dict(told.probabilities),
        "tolerance": _TOLERANCE,
    }
    text = json.dumps(expected, indent=2) + "\n"
    return {f"selftest/{name}": content, "selftest/expected.json": text.encode()}


def _pattern() -> bytes:
    """Return a 16-bit PNG: two dark fields and a bright middle, with a gradient."""
    y, x = np.mgrid[0:256, 0:256] / 255.0
    fields = sum(
        np.exp(-(((x - at) / 0.16) ** 2) - ((y - 0.45) / 0.3) ** 2)
        for at in (0.28, 0.72)
    )
    values = np.clip(0.8 - 0.6 * fields + 0.1 * y, 0, 1) * 65535
    _, coded = cv2.imencode(".png", values.astype(np.uint16))
    return coded.tobytes()
