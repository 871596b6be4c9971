"""Model directories are written whole, or not at all."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import save_file

from medcnn.bundle import (
    CARD,
    GATE,
    GRAPH,
    INT8,
    INT8_WEIGHTS,
    SPEC,
    WEIGHTS,
    Bundle,
    BundleSpec,
    file_sha256,
    open_bundle,
)
from medcnn.errors import OutputError
from medcnn.gate import FeatureModel
from medcnn.outputs import write_whole

__all__ = ["derive_bundle", "refuse_existing", "replace_card", "write_bundle"]

_READABLE = 0o644


def write_bundle(
    path: Path,
    draft: BundleSpec,
    *,
    weights: Mapping[str, npt.NDArray[Any]],
    graph: Callable[[Path], bytes],
    files: Mapping[str, bytes],
    feature_model: FeatureModel | None = None,
) -> Bundle:
    """Write a model directory whole, or not at all, and open it.

    Args:
        path: The directory; one that is there is replaced.
        draft: bundle.json with an empty `files`.
        weights: Every tensor by name.
        graph: Given the weights file, returns the ONNX graph that refers to it.
        files: CARD.md, selftest/... : name below the directory to content.
        feature_model: Statistics for the input gate.

    Raises:
        OutputError: If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(dict(weights), partial / WEIGHTS)
        (partial / GRAPH).write_bytes(graph(partial / WEIGHTS))
        if feature_model is not None:
            save_file(feature_model.arrays(), partial / GATE)
        _finish_folder(path, partial, draft, files)
    except (OSError, SafetensorError) as error:
        msg = f"the model cannot be written to {path}: {error}"
        raise OutputError(
            msg, hint="Free some space or choose another --output."
        ) from error
    return open_bundle(path)


def refuse_existing(path: Path) -> None:
    """Refuse to write a model where something is already.

    Raises:
        OutputError: If there is.
    """
    if path.exists():
        msg = f"{path} is there already"
        raise OutputError(msg, hint="Choose another --output, or delete it first.")


def derive_bundle(
    path: Path, base: Bundle, draft: BundleSpec, *, files: Mapping[str, bytes]
) -> Bundle:
    """Write a model directory with another bundle's weights, whole or not at all.

    Args:
        path: The directory; there must be none yet.
        base: Whose files are copied, byte for byte.
        draft: bundle.json; its `files` are made anew. The 8-bit network comes along
            only if it says what that costs.
        files: What replaces or joins them, such as CARD.md.

    Raises:
        OutputError: If it cannot be written, or is there already.
    """
    refuse_existing(path)
    partial = path.with_name(f".{path.name}.partial")
    left = () if draft.int8 is not None else (INT8, INT8_WEIGHTS)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name in base.spec.files:
            if name not in files and name not in left:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(base.path / name, partial / name)
        _finish_folder(path, partial, draft, files)
    except OSError as error:
        msg = f"the model cannot be written to {path}: {error}"
        raise OutputError(
            msg, hint="Free some space or choose another --output."
        ) from error
    return open_bundle(path)


def replace_card(bundle: Bundle, card: str) -> Bundle:
    """Write another CARD.md into a model directory; nothing else is changed.

    Raises:
        OutputError: If it cannot be written.
    """
    content = card.encode("utf-8")
    write_whole(bundle.path / CARD, content)
    sums = {**bundle.spec.files, CARD: hashlib.sha256(content).hexdigest()}
    spec = bundle.spec.model_copy(update={"files": dict(sorted(sums.items()))})
    text = spec.model_dump_json(indent=2) + "\n"
    write_whole(bundle.path / SPEC, text.encode("utf-8"))
    return open_bundle(bundle.path)


def _finish_folder(
    path: Path, partial: Path, draft: BundleSpec, files: Mapping[str, bytes]
) -> None:
    """Add files and bundle.json, and give the folder its name."""
    for name, content in files.items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_bytes(content)
    found = sorted(p for p in partial.rglob("*") if p.is_file())
    for file in found:  # safetensors writes for the owner alone
        file.chmod(_READABLE)
    sums = {p.relative_to(partial).as_posix(): file_sha256(p) for p in found}
    spec = draft.model_copy(update={"files": sums})
    text = spec.model_dump_json(indent=2) + "\n"
    (partial / SPEC).write_text(text, encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    partial.replace(path)
