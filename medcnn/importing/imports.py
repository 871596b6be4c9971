"""`import_model`: a file of somebody else's, and a description, to a bundle."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from medcnn.bundle import (
    CARD,
    Bundle,
    BundleSpec,
    OperatingPoint,
    TrainingFacts,
    file_sha256,
)
from medcnn.bundle_writing import write_bundle
from medcnn.errors import BundleError, EngineError, MedcnnError, OutputError
from medcnn.gate import GateRules
from medcnn.importing.describing import ImportDescription, read_description
from medcnn.importing.sources import Draft, importer_of
from medcnn.model import Model

__all__ = ["WORST_APART", "Imported", "import_model"]

WORST_APART = 1e-3
"""Largest difference from the source's output, in parts of it if above 1."""

_TRIED = 4
_FOREIGN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What onnx, NumPy, torch and the engines raise on damaged graphs."""


@dataclass(frozen=True)
class Imported:
    """A foreign model as a bundle.

    Attributes:
        bundle: The new model.
        keeps_places: Whether it has class activation maps.
        max_difference: The largest difference between what the source's network gives
            and what the bundle's gives, on seeded random tensors.
        warnings: What must be known before it is used.
    """

    bundle: Bundle
    keeps_places: bool
    max_difference: float
    warnings: tuple[str, ...]


def import_model(
    source: str | Path, *, description: str | Path, output: str | Path
) -> Imported:
    """Make a bundle of somebody else's classifier; nothing of it is executed as code.

    Both networks are run on the same random tensors, and the bundle is refused if it
    answers otherwise than its source.

    Args:
        source: A .onnx file; a .safetensors, .pt or .pth file of weights for a network
            of ours, in TorchXRayVision's names among others; a MONAI bundle's folder.
        description: TOML or JSON: see `ImportDescription`.
        output: The new model's directory; there must be none yet.

    Raises:
        BundleError: If the source is a pickle, cannot be read, or is not what is said.
        DataError: If the description is wrong.
        EngineError: If the bundle answers otherwise than its source.
        MedcnnError: If the bundle cannot be run.
        MissingDependencyError: If what reads the source is not installed.
        OutputError: If the directory is there already or cannot be written.
    """
    path, folder = Path(source), Path(output)
    said = read_description(Path(description))
    if folder.exists():
        msg = f"{folder} is there already"
        raise OutputError(msg, hint="Choose another --output, or delete it first.")
    with _damaged_in_words(path):
        draft = importer_of(path)(path, said)
        spec = _spec(path, said, draft)
        bundle = write_bundle(
            folder,
            spec,
            weights=draft.weights,
            graph=draft.graph,
            files={CARD: _card(path, said, draft).encode()},
        )
        try:
            apart, keeps_places = _compared(bundle, said, draft)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return Imported(bundle, keeps_places, apart, _warnings(said, keeps_places))


@contextmanager
def _damaged_in_words(path: Path) -> Iterator[None]:
    """Say that a source is damaged where a library gives up on it.

    Raises:
        BundleError: In place of what it raises; its text may hold anything.
        MedcnnError: As it came.
    """
    try:
        yield
    except MedcnnError:
        raise
    except _FOREIGN_ERRORS as error:
        msg = f"{path} cannot be made a model of ({type(error).__name__})"
        hint = "It is damaged, or gives something else than one row of numbers for an "
        raise BundleError(msg, hint=hint + "image.") from error


def _compared(
    bundle: Bundle, said: ImportDescription, draft: Draft
) -> tuple[float, bool]:
    """Return how far the bundle is from its source, and whether it keeps places.

    Raises:
        EngineError: If it is too far.
    """
    size = _TRIED, said.input.channels, *said.input.shape
    tensors = list(np.random.default_rng(0).normal(size=size).astype(np.float32))
    answers = list(Model.open(bundle.path, device="cpu").stream(tensors))
    if said.gives == "logits":
        got = np.array([one.logits for one in answers], np.float64)
    else:
        shares = [one.prediction.probabilities for one in answers]
        got = np.array([[one[name] for name in said.labels] for one in shares])
    wanted = np.asarray(draft.run(tensors), np.float64)
    scale = max(1.0, float(np.abs(wanted).max()))
    apart = float(np.abs(got - wanted).max())
    if not apart <= WORST_APART * scale:
        msg = f"the bundle answers up to {apart:.2g} beside its source"
        raise EngineError(msg, hint="Report this: the network was not understood.")
    return apart, answers[0].has_places


def _spec(path: Path, said: ImportDescription, draft: Draft) -> BundleSpec:
    """Return bundle.json of an imported model."""
    points = []
    for label in said.labels:
        known = said.thresholds.get(label)
        flag, review = (0.5, 0.5) if known is None else (known.flag, known.review)
        chosen = "nothing: 0.5 was taken" if known is None else "not stated"
        points.append(
            OperatingPoint(
                label=label, flag=flag, review=review, rule="fixed", chosen_on=chosen
            )
        )
    digest = file_sha256(draft.file)
    recipe = {"imported_from": path.name, "sha256": digest, "origin": said.origin}
    return BundleSpec(
        name=said.name,
        version=said.version,
        summary=said.summary,
        network=draft.network,
        head=draft.head,
        input=said.input,
        preprocessing=said.preprocessing,
        labels=said.labels,
        activation=said.activation,
        operating_points=tuple(points),
        gate=said.gate or GateRules(colour=said.input.channels == 3),
        training=TrainingFacts(
            date=datetime.now(UTC).date().isoformat(),
            commit="not known",
            data_sha256="not known",
            seed=0,
            recipe=recipe,
            environment={"medcnn-imaging": version("medcnn-imaging")},
        ),
        files={},
    )


def _warnings(said: ImportDescription, keeps_places: bool) -> tuple[str, ...]:
    """Return what must be known before it is used."""
    found = ["Its performance on your images is not known: medcnn evaluate."]
    if set(said.labels) - set(said.thresholds):
        found.append("Thresholds of 0.5 mean nothing yet: medcnn calibrate sets them.")
    if not keeps_places:
        found.append(
            "No class activation map: its head is not laid on a mean over all places."
        )
    return tuple(found)


def _card(path: Path, said: ImportDescription, draft: Draft) -> str:
    return "\n".join(
        [
            f"# {said.name}",
            "",
            said.summary,
            "",
            f"Imported from `{path.name}`, {draft.words}. Origin: {said.origin}. "
            f"Licence: {said.licence}.",
            "",
            "It was not trained by medcnn. Its training data, its performance and its "
            "failures are not known here; there is no statistic of training features, "
            "so images unlike those that it was made for are recognised by their "
            "headers alone. For research use only: no diagnosis.",
            "",
        ]
    )
