"""Cases of DICOM results for tests: sources on disk, explained by tiny bundles."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bundles import make_bundle
from dicoms import oblique, picture, save, save_series, series
from multiframe import enhanced
from pydicom.uid import MRImageStorage

import medcnn
from medcnn.dicom_out import KINDS, Case, case_of, read_source, results_of
from medcnn.explanation import Explainer
from medcnn.gate import GateRules
from medcnn.io import ReadOptions

__all__ = [
    "Explained",
    "errors_of",
    "explained",
    "groups_of",
    "items",
    "make_source",
    "probabilities_of",
    "tiny_models",
]


@dataclass(frozen=True)
class Explained:
    """A case, and its results by kind and label."""

    case: Case
    path: Path
    results: dict


def tiny_models(folder: Path) -> dict:
    """Make and open one bundle for pictures and one for volumes."""
    flat = make_bundle(folder / "flat")
    solid = make_bundle(folder / "solid", dims=3, shape=(8, 16, 16))
    models = {2: medcnn.Model.open(flat.path), 3: medcnn.Model.open(solid.path)}
    rules = GateRules(modalities=("CT", "MR"), min_side=1)
    models[3].spec = models[3].spec.model_copy(update={"gate": rules})
    return models


def make_source(kind: str, folder: Path) -> Path:
    """Write a source of a kind: cr, ct, mr (oblique) or enhanced."""
    if kind == "cr":
        rng = np.random.default_rng(5)
        film = picture(rng.integers(0, 4096, (60, 80)).astype("<u2"))
        film.PatientOrientation = ["L", "F"]
        film.ImagerPixelSpacing = [0.2, 0.2]
        folder.mkdir(parents=True, exist_ok=True)
        return save(_whose(film), folder / "film.dcm")
    slices = series(oblique() if kind != "ct" else (1.0, 0, 0, 0, 1.0, 0))
    for dataset in slices:
        _whose(dataset)
        if kind == "mr":
            dataset.Modality = "MR"
            dataset.SOPClassUID = MRImageStorage
            dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    if kind == "enhanced":
        folder.mkdir(parents=True, exist_ok=True)
        whole = enhanced(slices, order=[3, 0, 6, 1, 5, 2, 4])
        return save(whole, folder / "whole.dcm")
    return save_series(slices, folder)


def explained(
    model, path: Path, *, with_patient=True, kinds=KINDS, codes=None, **choices
) -> Explained:
    """Read, explain and turn into results."""
    image = medcnn.load(path, **choices)
    options = ReadOptions(**choices)
    source = read_source(path, image, options, identify_patient=with_patient)
    answer = Explainer(model, method="cam").explain(image, model.labels)
    case = case_of(model, image, source, answer, codes)
    results = {(r.kind, r.label): r for r in results_of(case, kinds)}
    return Explained(case, path, results)


def errors_of(dciodvfy: str, path: Path) -> set[str]:
    """Return what dciodvfy calls errors in a file."""
    command = [dciodvfy, path]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    return {line for line in said.stderr.splitlines() if line.startswith("Error")}


def items(dataset, value_type):
    """All content items of a type, wherever they are in the tree."""
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item] if item.ValueType == value_type else []
        found += items(item, value_type)
    return found


def groups_of(report):
    """The measurement group of each finding, by what the finding is called."""
    groups = {}
    for item in items(report, "CONTAINER"):
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group":
            (finding,) = (
                one.ConceptCodeSequence[0].CodeMeaning
                for one in items(item, "CODE")
                if one.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
            )
            groups[finding] = item
    return groups


def probabilities_of(report):
    """The number of each finding that has one."""
    found = {}
    for finding, group in groups_of(report).items():
        for number in items(group, "NUM"):
            found[finding] = float(number.MeasuredValueSequence[0].NumericValue)
    return found


def _whose(dataset):
    dataset.PatientName = "Muster^Erika"
    dataset.PatientBirthDate, dataset.PatientSex = "19400305", "F"
    dataset.StudyID, dataset.AccessionNumber = "S1", "A1"
    dataset.StudyDate, dataset.StudyTime = "20250102", "030405"
    dataset.ReferringPhysicianName = "Doctor^Secret"
    dataset.SeriesNumber = 1
    return dataset
