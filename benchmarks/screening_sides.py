"""The sides of the benchmark of screening: each reads films and gives its answers.

- `ours`: medcnn screen at fp32; `int8`: the same with an 8-bit network.
- `monai`: what MONAI's documentation leads to: LoadImage, ScaleIntensity, Resize, a
  DataLoader with workers, a forward pass in torch and MONAI's GradCAM for every film.
- `xrv`: what TorchXRayVision's README does, written again here because that package
  needs a torchvision that fits the installed torch: pydicom, its normalisation, centre
  crop and scikit-image's anti-aliased resize, one film after the other. It has no
  heatmaps, and none are asked of it. Needs scikit-image.
- `decode` and `forward`: the floor. Our reader processes without a network; the network
  in OpenVINO without files, a class activation map for every image, both on all
  processors. `forward8` is the 8-bit network.
"""

import json
import sys
from pathlib import Path

import numpy as np

__all__ = ["RUNS"]


def run_ours(films: Path, output: Path, model: str, precision: str = "fp32") -> None:
    """Screen them with medcnn, an overlay for every film."""
    import medcnn

    run = {"output": output, "heatmaps": "all", "report": False}
    medcnn.screen([films], model=model, precision=precision, **run).run()
    painted = len(list((output / "heatmaps").iterdir()))
    count = len(list(films.glob("*.dcm")))
    if painted != count:
        sys.exit(f"only {painted} of {count} films got a heatmap")


def run_int8(films: Path, output: Path, model: str) -> None:
    """The same at 8 bits."""
    run_ours(films, output, model, "int8")


def run_monai(films: Path, output: Path, model: str) -> None:
    """Screen them the usual way, with the same network and weights in torch."""
    import matplotlib as mpl
    import torch
    from monai.data import DataLoader, Dataset
    from monai.transforms import (
        Compose,
        EnsureChannelFirst,
        LoadImage,
        Resize,
        ScaleIntensity,
    )
    from monai.visualize import GradCAM
    from PIL import Image

    network, spec = _in_torch(model)
    prepare = Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            EnsureChannelFirst(),
            ScaleIntensity(),
            Resize(spec.input.shape),
        ]
    )
    files = sorted(str(path) for path in films.glob("*.dcm"))
    loader = DataLoader(Dataset(files, prepare), batch_size=8, num_workers=2)
    gradcam = GradCAM(nn_module=network, target_layers="body")
    output.mkdir(parents=True, exist_ok=True)
    colours = mpl.colormaps["inferno"]
    number = 0
    for batch in loader:
        with torch.no_grad():
            probabilities = network(batch.as_tensor()).sigmoid()
        for film, _ in zip(batch, probabilities, strict=True):
            heat = gradcam(x=film.as_tensor()[None].requires_grad_(), class_idx=0)
            picture = (colours(heat[0, 0].detach().numpy()) * 255).astype(np.uint8)
            Image.fromarray(picture).save(output / f"{number:04d}.png")
            number += 1


def run_xrv(films: Path, output: Path, model: str) -> None:
    """Read, normalise, crop and resize as TorchXRayVision's README does."""
    import pydicom
    import torch
    from skimage.transform import resize

    network, spec = _in_torch(model)
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted(films.glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        pixels = dataset.pixel_array
        most = 2.0**dataset.BitsStored - 1
        scaled = (2 * (pixels.astype(np.float32) / most) - 1.0) * 1024
        side = min(scaled.shape)
        top, left = ((n - side) // 2 for n in scaled.shape)
        square = scaled[top : top + side, left : left + side]
        small = resize(square, spec.input.shape, mode="constant", preserve_range=True)
        with torch.no_grad():
            tensor = torch.from_numpy(small.astype(np.float32))[None, None]
            rows.append(network(tensor).sigmoid()[0].tolist())
    (output / "scores.json").write_text(json.dumps(rows))


def _in_torch(model: str):  # noqa: ANN202 - torch is imported late
    import torch

    from medcnn.bundle import open_bundle
    from medcnn.networks import build

    bundle = open_bundle(model)
    spec = bundle.spec
    network = build(
        spec.network.name,
        dims=2,
        in_channels=spec.input.channels,
        labels=len(spec.labels),
        shape=spec.input.shape,
        **spec.network.arguments,
    )
    weights = {k: torch.from_numpy(v) for k, v in bundle.weights().items()}
    network.load_state_dict(weights)
    return network.eval(), spec


def run_decode(films: Path, output: Path, model: str) -> None:
    """Read and prepare them in reader processes, as many as processors."""
    from medcnn.bundle import open_bundle
    from medcnn.screening import Limits, Options
    from medcnn.screening.crew import Crew

    del output
    files = sorted(films.glob("*.dcm"))
    with Crew(Options().processes, open_bundle(model).spec, Limits()) as crew:
        for number, path in enumerate(files):
            crew.submit(number, path)
        left = len(files)
        while left:
            arrived = crew.poll(0.2)
            if any(reading.tensor is None for _, reading in arrived):
                sys.exit("a film gave no tensor")
            left -= len(arrived)


def run_forward(films: Path, output: Path, model: str, precision: str = "fp32") -> None:
    """Run the network and the class activation map over as many tensors."""
    import medcnn

    del output
    opened = medcnn.Model.open(model, precision=precision)
    rng = np.random.default_rng(0)
    shape = (opened.spec.input.channels, *opened.spec.input.shape)
    tensor = rng.normal(size=shape).astype(np.float32)
    count = len(list(films.glob("*.dcm")))
    for answer in opened.stream(tensor for _ in range(count)):
        opened.relevance(answer.features, opened.labels[0])


def run_forward8(films: Path, output: Path, model: str) -> None:
    """The same at 8 bits."""
    run_forward(films, output, model, "int8")


RUNS = {
    "ours": run_ours,
    "int8": run_int8,
    "monai": run_monai,
    "xrv": run_xrv,
    "decode": run_decode,
    "forward": run_forward,
    "forward8": run_forward8,
}
