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
from medcnn.errors import (
    BundleError,
    DataError,
    EngineError,
    MedcnnError,
    OutputError,
)
from medcnn.exporting.verifying import probes
from medcnn.gate import GateRules
from medcnn.importing.describing import ImportDescription, read_description
from medcnn.importing.own import is_own_export, read_own_export
from medcnn.importing.sources import Draft, importer_of
from medcnn.model import Answer, Model

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

_LEFT_BEHIND = (
    "An export leaves out the statistics of training features, the sample for drift "
    "and the self-test: the gate knows headers alone."
)


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
    source: str | Path, *, output: str | Path, description: str | Path | None = None
) -> Imported:
    """Make a bundle of somebody else's classifier; nothing of it is executed as code.

    Both networks are run on the same random tensors, and the bundle is refused if it
    answers otherwise than its source.

    Args:
        source: A .onnx file; a .safetensors, .pt or .pth file of weights for a network
            of ours, in TorchXRayVision's names among others; a MONAI bundle's folder.
        description: TOML or JSON: see `ImportDescription`. None for a MONAI bundle that
            `medcnn export` wrote, which says itself what it is.
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
    if folder.exists():
        msg = f"{folder} is there already"
        raise OutputError(msg, hint="Choose another --output, or delete it first.")
    if is_own_export(path):
        return _import_own(path, folder, description)
    if description is None:
        msg = f"{path} does not say what its numbers mean: a description is needed"
        raise DataError(msg, hint="--description FILE; docs/models.md shows one.")
    said = read_description(Path(description))
    with _damaged_in_words(path):
        draft = importer_of(path)(path, said)
        card = _card(path, said, draft)
        is_logit = said.gives == "logits"
        bundle, first, apart = _written(
            folder, _spec(path, said, draft), draft, card, is_logit=is_logit
        )
    warnings = _warnings(said, draft, first.has_places)
    return Imported(bundle, first.has_places, apart, warnings)


def _import_own(path: Path, folder: Path, description: str | Path | None) -> Imported:
    """Bring a MONAI bundle that medcnn wrote back.

    Raises:
        DataError: If it is described all the same.
    """
    if description is not None:
        msg = f"{path} was exported by medcnn and says itself what it is"
        raise DataError(msg, hint="Leave --description out.")
    with _damaged_in_words(path):
        own = read_own_export(path)
        bundle, first, apart = _written(
            folder, own.spec, own.draft, own.card, is_logit=True
        )
    return Imported(bundle, first.has_places, apart, (_LEFT_BEHIND,))


def _written(
    folder: Path, spec: BundleSpec, draft: Draft, card: str, *, is_logit: bool
) -> tuple[Bundle, Answer, float]:
    """Write a bundle, and return what it answers and how far that is from its source.

    Raises:
        BaseException: If it cannot be run, or answers otherwise; nothing is left then.
    """
    bundle = write_bundle(
        folder,
        spec,
        weights=draft.weights,
        graph=draft.graph,
        files={CARD: card.encode()},
    )
    try:
        return bundle, *_compared(bundle, draft, is_logit=is_logit)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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


def _compared(bundle: Bundle, draft: Draft, *, is_logit: bool) -> tuple[Answer, float]:
    """Return the bundle's first answer, and how far its answers are from its source's.

    Raises:
        EngineError: If it is too far.
    """
    spec = bundle.spec
    tensors = probes(spec, _TRIED)
    answers = list(Model.open(bundle.path, device="cpu").stream(tensors))
    if is_logit:
        got = np.array([one.logits for one in answers], np.float64)
    else:
        shares = [one.prediction.probabilities for one in answers]
        got = np.array([[one[name] for name in spec.labels] for one in shares])
    wanted = np.asarray(draft.run(tensors), np.float64)
    scale = max(1.0, float(np.abs(wanted).max()))
    apart = float(np.abs(got - wanted).max())
    if not apart <= WORST_APART * scale:
        msg = f"the bundle answers up to {apart:.2g} beside its source"
        raise EngineError(msg, hint="Report this: the network was not understood.")
    return answers[0], apart


def _spec(path: Path, said: ImportDescription, draft: Draft) -> BundleSpec:
    """Return bundle.json of an imported model."""
    points = tuple(_point(label, said, draft) for label in said.kept)
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
        labels=said.kept,
        activation=said.activation,
        operating_points=points,
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


def _point(label: str, said: ImportDescription, draft: Draft) -> OperatingPoint:
    """Return a label's thresholds: those described, else the source's own, else 0.5."""
    known, own = said.thresholds.get(label), draft.thresholds.get(label)
    flag, review, chosen = 0.5, 0.5, "nothing: 0.5 was taken"
    if known is not None:
        flag, review, chosen = known.flag, known.review, "not stated"
    elif own is not None:
        flag, review, chosen = own, own, "its source (op_threshs)"
    return OperatingPoint(
        label=label, flag=flag, review=review, rule="fixed", chosen_on=chosen
    )


def _warnings(
    said: ImportDescription, draft: Draft, keeps_places: bool
) -> tuple[str, ...]:
    """Return what must be known before it is used."""
    found = ["Its performance on your images is not known: medcnn evaluate."]
    if set(said.kept) - set(said.thresholds) - set(draft.thresholds):
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
