"""Train a detector: from normal images and a pretrained network to a bundle."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save

from medcnn.bands import BandScore
from medcnn.bundle import CARD, Bundle, BundleSpec, Score
from medcnn.bundle_writing import write_bundle
from medcnn.dataset import CaseTable, Looks, content_hashes, data_sha256
from medcnn.dataset.looks import look_at
from medcnn.dataset.seen import SEEN, seen_csv
from medcnn.detectors import DETECTOR, DetectorSpec, PadimFit, PatchCoreFit
from medcnn.detectors.contract import Detector
from medcnn.drift import REFERENCE
from medcnn.errors import DataError, OutputError
from medcnn.explanation.scale import measured_span
from medcnn.gate import FeatureModel
from medcnn.io import load
from medcnn.networks import export_graph
from medcnn.planning import Recipe, parse_settings, read_recipe
from medcnn.planning.settings import given_keys, nested
from medcnn.training.answers import Answers
from medcnn.training.body import Body, body_for
from medcnn.training.decide import gate_rules
from medcnn.training.detector_card import detector_card
from medcnn.training.fitting import refuse_output_within
from medcnn.training.maps import Maps
from medcnn.training.measure import bands, scores
from medcnn.training.normals import read_normals
from medcnn.training.percentiles import on_percentiles
from medcnn.training.prepare import Prepared, refuse_early, settle_splits
from medcnn.training.reference import reference_json
from medcnn.training.reporter import Reporter
from medcnn.training.selftest import selftest_files

__all__ = ["FEWEST", "Kind", "train_detector"]

Kind = Literal["padim", "patchcore"]

FEWEST = 20
"""Normal images that training, and the held-out ones, need."""

_TOP = 1.0
"""Share of the places whose mean is an image's score. See docs/detectors.md."""


@dataclass(frozen=True, eq=False)
class _Job:
    """What a training works on."""

    kind: Kind
    percentile: float
    recipe: Recipe
    prepared: Prepared
    hashes: Sequence[str]
    checksum: str
    reporter: Reporter

    @property
    def table(self) -> CaseTable:
        return self.prepared.table

    def part(self, split: str, *, normal: bool = False) -> CaseTable:
        """Return a split's cases of known truth, or its normal ones."""
        part = self.table.part(split)
        truth = part.truth()[:, 0]
        return part.only(truth == 0 if normal else ~np.isnan(truth))


def train_detector(  # noqa: PLR0913 - each is one choice of the caller
    data: str | Path,
    *,
    output: str | Path,
    kind: Kind,
    init: str | Path | None = None,
    weights: str | Path | None = None,
    recipe: str | Path | None = None,
    settings: Sequence[str] | Mapping[str, Any] = (),
    normal: str | None = None,
    percentile: float = 0.95,
    allow_leak: bool = False,
    progress: bool = True,
) -> Path:
    """Learn what normal images look like, and write a bundle that finds what does not.

    Only normal images of train are learnt from; the thresholds are percentiles of the
    normal images of val. Others, where there are any, are only measured.

    Args:
        data: A table, a folder of classes, a folder of normal images, or a data set.
        output: The bundle's directory.
        kind: "padim" or "patchcore".
        init: A model whose network sees; its preprocessing and gate come with it.
        weights: Or a file of pretrained weights; see `network` of the recipe.
        recipe: A TOML file: name, seed, input, network and gate count.
        settings: `key=value` texts, or values by dotted key; they override it.
        normal: Name of the normal class.
        percentile: Share of held-out normals below the flag threshold, 0.5 to 1.
        allow_leak: Train although patients or images are in several splits.
        progress: Whether to show progress on stderr.

    Returns:
        The bundle's directory.

    Raises:
        DataError: If the data are wrong, or too few; LeakageError if they leak.
        RecipeError: If the recipe is wrong, or no pretrained network is named.
        BundleError: If the network or its weights do not fit.
        OutputError: If the output is taken, or cannot be written.
        ValueError: If the percentile has no meaning.
    """
    if not 0.5 < percentile < 1:
        msg = f"percentile is above 0.5 and below 1, got {percentile}"
        raise ValueError(msg)
    target, reporter = Path(output), Reporter(visible=progress)
    refuse_output_within(Path(data), target)
    if target.exists():
        msg = f"{target} is there already"
        raise OutputError(msg, hint="Choose another --output, or delete it first.")
    said = dict(settings) if isinstance(settings, Mapping) else parse_settings(settings)
    chosen = _recipe(recipe, said)
    table = read_normals(Path(data), normal=normal, said=said)
    hashes = content_hashes(table)
    refuse_early(table, hashes, allow_leak=allow_leak)
    prepared = settle_splits(
        table, _looks(table, reporter), chosen, allow_leak=allow_leak
    )
    checksum = data_sha256(table, hashes)
    job = _Job(kind, percentile, chosen, prepared, hashes, checksum, reporter)
    _refuse_few(job)
    body = body_for(chosen, init=init, weights=weights)
    with tempfile.TemporaryDirectory(prefix="medcnn-detector-") as folder:
        return _make(job, body, target, Path(folder) / "draft")


def _make(job: _Job, body: Body, target: Path, work: Path) -> Path:
    """Fit, decide, measure, and write the bundle."""
    spec = body.spec(job.table, job.checksum, job.recipe)
    draft = _write(work, body, spec, {}, None)
    maps = Maps(draft, job.reporter)
    detector, train = _fit(job, draft, maps, body)
    gate, spec = _gate(job, body, spec, train)
    parts: dict[str, Answers] = {
        name: maps.answers(job.part(name), detector, spec.gate, what=name)
        for name in ("val", "test")
        if name in job.table.column("split") and job.part(name).cases
    }
    val = parts["val"]
    spec = on_percentiles(spec, val, job.percentile)
    spec, told = _measure(job, spec, draft, parts)
    files = {
        CARD: detector_card(spec, detector.spec, job.prepared, parts),
        SEEN: seen_csv(job.table, job.hashes, job.prepared.checksums, None),
        REFERENCE: reference_json(spec, val, told["val"], gate, "val"),
        DETECTOR: save(detector.arrays()),
    }
    spec = spec.model_copy(update={"detector": detector.spec})
    again = _write(work, body, spec, files, gate)
    files |= selftest_files(again, None)
    _write(target, body, spec, files, gate)
    job.reporter.say(f"The model is in {target}.")
    return target


def _fit(job: _Job, draft: Bundle, maps: Maps, body: Body) -> tuple[Detector, Answers]:
    """Fit the detector to the normal images of train; return what was seen of them."""
    table = job.part("train", normal=True)
    rng = np.random.default_rng((job.recipe.seed, 5))
    places = maps.places()
    size = draft.head()[0].shape[1]
    fit: PadimFit | PatchCoreFit
    if job.kind == "padim":
        fit = PadimFit(size, places.count, rng)
    else:
        fit = PatchCoreFit(size, len(table.cases), rng)
    seen = maps.each(table, draft.spec.gate, lambda f: fit.add(places.of(f)), "train")
    spec = DetectorSpec(
        kind=job.kind,
        grid=places.grid,
        step=places.step,
        top=_TOP,
        normals=len(table.cases),
        held_out=len(job.part("val", normal=True).cases),
        percentile=job.percentile,
        body=body.origin,
    )
    return Detector(spec, fit.fitted()), seen


def _gate(
    job: _Job, body: Body, spec: BundleSpec, train: Answers
) -> tuple[FeatureModel | None, BundleSpec]:
    """Return the gate: the one that the network had, or facts and pixels only.

    A distance of features from normal images alone would be an anomaly score of its
    own, and put the ill out of scope.
    """
    if body.bundle is not None:
        rules = body.bundle.spec.gate
        return body.bundle.feature_model(), spec.model_copy(update={"gate": rules})
    rules = gate_rules(job.recipe, train)
    return None, spec.model_copy(update={"gate": rules})


def _measure(
    job: _Job, spec: BundleSpec, draft: Bundle, parts: Mapping[str, Answers]
) -> tuple[BundleSpec, dict[str, Any]]:
    """Measure val and test where they hold others than normal images."""
    found: list[Score] = []
    counted: list[BandScore] = []
    told: dict[str, Any] = {}
    for name, answers in parts.items():
        told[name] = answers.probabilities(spec, draft)
        found += scores(answers, told[name], job.recipe, name)
        counted += bands(
            answers, told[name], job.recipe, spec.operating_points[0], name
        )
    val = parts["val"]
    flagged = told["val"][:, 0] >= spec.operating_points[0].flag
    span = measured_span(spec, 0.0, val.peaks[flagged])
    for score in found:
        low, high = score.ci95
        words = f"AUC {score.auroc:.3f} ({low:.3f} to {high:.3f})"
        job.reporter.say(f"{score.data}, {score.subgroup}: {words}.")
    changes = {"evaluation": tuple(found), "bands": tuple(counted)}
    return spec.model_copy(update={**changes, "heatmap_span": span}), told


def _write(
    path: Path,
    body: Body,
    spec: BundleSpec,
    files: Mapping[str, bytes],
    gate: FeatureModel | None,
) -> Bundle:
    shape = (spec.input.channels, *spec.input.shape)
    return write_bundle(
        path,
        spec,
        weights=body.weights(),
        graph=lambda file: export_graph(body.network, shape, file),
        files=files,
        feature_model=gate,
    )


def _recipe(recipe: str | Path | None, said: Mapping[str, Any]) -> Recipe:
    """Return the recipe with what was said."""
    given = {} if recipe is None else given_keys(read_recipe(recipe))
    return Recipe.model_validate(nested({**given, **said, "base": "defaults"}))


def _looks(table: CaseTable, reporter: Reporter) -> Looks:
    """Look at every image for copies."""
    found = []
    with reporter.bar("reading images", len(table.cases)) as tick:
        for case in table.cases:
            found.append(look_at(load(case.path)))
            tick(1, "")
    return Looks.of(found)


def _refuse_few(job: _Job) -> None:
    """Refuse too few normal images.

    Raises:
        DataError: If there are.
    """
    for split in ("train", "val"):
        count = len(job.part(split, normal=True).cases)
        if count < FEWEST:
            msg = f"{job.table.source}: {count} normal images in {split}, "
            msg += f"{FEWEST} are needed"
            raise DataError(msg, hint="Add normal images.")
