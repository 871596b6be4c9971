"""What is sent to the worker: a volume's voxels, or the DICOM file it came from."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import slicer

from MedCNNLib.client import Image
from MedCNNLib.file_order import as_in_file
from MedCNNLib.volumes import VolumeImage, image_from_node

__all__ = ["dicom_facts", "dicom_files", "image_of", "misfit", "single_file"]

_MODALITY = "0008,0060"
_HEATMAP = "MedCNN.Label"
_FACTS = {
    "body_part": "0018,0015",
    "view": "0018,5101",
    "laterality": "0020,0062",
    "presentation_intent": "0008,0068",
    "photometric_interpretation": "0028,0004",
}


def dicom_files(node: slicer.vtkMRMLVolumeNode) -> list[str]:
    """Return the files in Slicer's DICOM database that a volume was made of."""
    return list(_files(node))


def _files(node: slicer.vtkMRMLVolumeNode) -> Iterator[str]:
    """Yield the files of a volume, each asked for when it is wanted."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    for uid in uids if database is not None else ():
        path = database.fileForInstance(uid)
        if path:
            yield path


def dicom_facts(node: slicer.vtkMRMLVolumeNode) -> tuple[str | None, dict[str, str]]:
    """Return a volume's modality and what a model's gate asks for.

    They are read from the first file of the DICOM database; None of who the patient is.
    """
    file = next(_files(node), None)
    if file is None:
        return None, {}
    read: Callable[[str, str], str] = slicer.dicomDatabase.fileValue
    facts = {name: read(file, tag) for name, tag in _FACTS.items()}
    return read(file, _MODALITY) or None, {k: v for k, v in facts.items() if v}


def single_file(node: slicer.vtkMRMLVolumeNode) -> Path | None:
    """Return the DICOM file of a volume that came from one alone, such as a film.

    The file says more than the voxels: its grey scale's direction, its view, how it was
    processed. None if there are several files, none that is still there, or if the
    volume was changed since it was read.
    """
    storage = node.GetStorageNode()
    if storage is not None and node.GetModifiedSinceRead():
        return None
    files = dicom_files(node)
    if not files and storage is not None and storage.GetFileName():
        if storage.GetNumberOfFileNames() > 1:
            return None
        files = [storage.GetFileName()]
    if len(files) != 1 or not Path(files[0]).is_file():
        return None
    with Path(files[0]).open("rb") as file:
        file.seek(128)
        return Path(files[0]) if file.read(4) == b"DICM" else None


def image_of(node: slicer.vtkMRMLVolumeNode | None) -> Image:
    """Return a volume as the worker takes it, its voxels in the order of their file.

    Raises:
        ViewerError: As `image_from_node` says.
    """
    image: VolumeImage = as_in_file(node, image_from_node(node))
    modality, facts = dicom_facts(node)
    unit = image.unit or ("HU" if modality == "CT" else None)
    return Image(
        image.array,
        image.affine,
        name="volume",
        unit=unit,
        modality=modality,
        facts=facts,
    )


def misfit(model: Mapping[str, Any], node: slicer.vtkMRMLVolumeNode | None) -> str:
    """Say why a model is not made for a volume; "" if nothing speaks against it."""
    if node is None or node.GetImageData() is None or not model.get("dims"):
        return ""
    if node.GetAttribute(_HEATMAP):
        return f"{node.GetName()} is a heatmap, no image: choose the image itself."
    name = model.get("name") or model["id"]
    return _other_dims(model, name, node) or _other_modality(model, name, node)


def _other_dims(
    model: Mapping[str, Any], name: str, node: slicer.vtkMRMLVolumeNode
) -> str:
    slices = node.GetImageData().GetDimensions()[2]
    if model["dims"] == 2 and slices > 1:
        return f"{name} reads pictures; this volume has {slices} slices."
    if model["dims"] == 3 and slices == 1:
        return f"{name} reads volumes; this is one picture."
    return ""


def _other_modality(
    model: Mapping[str, Any], name: str, node: slicer.vtkMRMLVolumeNode
) -> str:
    modality, _ = dicom_facts(node)
    wanted = model.get("modalities") or []
    if modality and wanted and modality not in wanted:
        return f"{name} was made for {', '.join(wanted)}; this is {modality}."
    return ""
