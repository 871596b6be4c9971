"""A small model with weights set by hand, and a CT phantom for it.

The model answers to small dense things in air.
"""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import torch
from bundles import draft_spec
from scipy.ndimage import affine_transform

import medcnn
from medcnn.bundle_writing import write_bundle
from medcnn.gate import GateRules
from medcnn.networks import build, export_graph
from medcnn.preprocessing import Normalise, Orient, Preprocessing, Resize, Window

__all__ = ["nodule_finder", "square_ct"]

SHAPE = (12, 32, 32)
PIXEL_MM = 1.6
"""224 x 248 pixels; their number is whole bytes of bits, as OHIF needs of a SEG."""

THRESHOLD = 0.5
"""What a place must be brighter by than the mean of the 26 around it, of 0 to 1."""


def nodule_finder(folder: Path) -> medcnn.Model:
    """Write a bundle for CT below `folder` and open it.

    Its first label rises with places that are dense, as tissue is, among lung; its
    second falls with them.
    """
    # tissue becomes 0, so that what a convolution sees beyond the border is tissue
    window = Window(center=-400, width=1000), Normalise(mean=1, std=1)
    steps = (Orient(), Resize(shape=SHAPE), *window)
    spec = draft_spec(dims=3, shape=SHAPE, labels=("nodule", "normal")).model_copy(
        update={
            "name": "nodules",
            "preprocessing": Preprocessing(steps=steps),
            "gate": GateRules(modalities=("CT",), min_side=1),
        }
    )
    spec = spec.model_copy(
        update={
            "network": spec.network.model_copy(
                update={"arguments": {"width": 1, "depth": 1}}
            )
        }
    )
    network = build(
        spec.network.name,
        dims=3,
        in_channels=1,
        labels=2,
        shape=SHAPE,
        width=1,
        depth=1,
    )
    kernel = torch.full((3, 3, 3), -1 / 26)
    kernel[1, 1, 1] = 1.0
    places = float(np.prod(SHAPE))
    with torch.no_grad():
        convolution = network.body.block1.convolution
        convolution.weight.copy_(kernel[None, None])
        convolution.bias.fill_(-THRESHOLD)
        network.head.weight.copy_(torch.tensor([[7.0], [-7.0]]) * places)
        network.head.bias.copy_(torch.tensor([-1.0, 1.0]))
    weights = {k: v.numpy() for k, v in network.state_dict().items()}
    bundle = write_bundle(
        folder / "nodules",
        spec,
        weights=weights,
        graph=lambda file: export_graph(network.eval(), (1, *SHAPE), file),
        files={"CARD.md": b"# Nodules\n\nWeights set by hand, for tests.\n"},
    )
    return medcnn.Model.open(bundle.path)


def square_ct(phantoms: Path, folder: Path) -> Path:
    """Write the CT phantom with square, finer pixels, a file for each slice.

    Args:
        phantoms: The folder with the generated phantoms.
        folder: Where to, made anew.
    """
    image = nibabel.load(phantoms / "ct_lesion.nii")
    spacing = np.array(image.header.get_zooms())
    step = np.array([PIXEL_MM, PIXEL_MM, spacing[2]]) / spacing
    shape = np.rint(np.array(image.shape) / step).astype(int)
    values = affine_transform(
        np.asarray(image.dataobj, float),
        np.diag(step),
        output_shape=tuple(shape),
        order=1,
        mode="nearest",
    )
    folder.mkdir(parents=True)
    for k, path in enumerate(sorted((phantoms / "ct_lesion").iterdir())):
        dataset = pydicom.dcmread(path)
        stored = values[:, :, k].T - float(dataset.RescaleIntercept)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
        dataset.PixelData = np.rint(stored).astype("<u2").tobytes()
        del dataset.VOILUTFunction  # OHIF 3.13.2 draws nothing of an image that has one
        dataset.save_as(folder / path.name)
    return folder
