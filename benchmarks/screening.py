"""Screening beside the usual ways: same films, same network, heatmaps for all, one run.

    python benchmarks/screening.py --films 96 --rounds 3 --syntax raw j2k

Sides, each in its own process, in turn:

- `ours`: medcnn screen at fp32; `int8`: the same with `--model-int8 BUNDLE`, an 8-bit
  network that `medcnn export` made.
- `monai`: what MONAI's documentation leads to: LoadImage, ScaleIntensity, Resize, a
  DataLoader with workers, a forward pass in torch and MONAI's GradCAM for every film.
- `xrv`: what TorchXRayVision's README does, written again here because that package
  needs a torchvision that fits the installed torch: pydicom, its normalisation, centre
  crop and scikit-image's anti-aliased resize, one film after the other. It has no
  heatmaps, and none are asked of it. Needs scikit-image.
- `decode` and `forward`: the floor. Our reader processes without a network; the network
  in OpenVINO without files, a class activation map for every image, both on all
  processors.

Every film must get its heatmap, or the run fails: the films are noise, outside the
shipped model's world, so the benchmark lifts its gate. Memory is the proportional set
size summed over a process and its children, sampled five times a second.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS, COLUMNS = 2500, 2048
SYNTAXES = ("raw", "ljpeg", "j2k", "rle", "jpeg", "htj2k", "jpegls")
SIDES = ("ours", "int8", "monai", "xrv", "decode", "forward")


def make_films(folder: Path, count: int, syntax: str) -> None:
    """Write `count` different radiographs as DICOM: 12 bits in 16, JPEG with 8."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = np.random.default_rng(index)
        coarse = rng.normal(0, 1, (24, 20)).astype(np.float32)
        smooth = cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(0, 120, (ROWS, COLUMNS), dtype=np.uint16)
        pixels = (2000 + 500 * smooth).clip(0, 3900).astype(np.uint16) + noise
        _write(pixels, index, syntax, folder / f"film{index:04d}.dcm")


def _write(pixels: np.ndarray, index: int, syntax: str, path: Path) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
        RLELossless,
    )

    bits = 8 if syntax == "jpeg" else 12
    pixels = (pixels >> 4).astype(np.uint8) if bits == 8 else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.1.{index + 1}"
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = meta.MediaStorageSOPClassUID
    film.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    film.Modality, film.BodyPartExamined = "DX", "CHEST"
    film.Rows, film.Columns, film.SamplesPerPixel = ROWS, COLUMNS, 1
    film.BitsAllocated = 8 * pixels.dtype.itemsize
    film.BitsStored, film.HighBit = bits, bits - 1
    film.PixelRepresentation, film.PhotometricInterpretation = 0, "MONOCHROME2"
    film.PixelData = pixels.tobytes()
    if syntax == "rle":
        film.compress(RLELossless, generate_instance_uid=False)
    elif syntax != "raw":
        uid, encode = _coders()[syntax]
        meta.TransferSyntaxUID = uid
        film.PixelData = encapsulate([encode(pixels)])
        film["PixelData"].VR = "OB"
    film.save_as(path, enforce_file_format=True)


def _coders() -> dict[str, tuple[str, Callable[[np.ndarray], bytes]]]:
    import imagecodecs
    from pydicom import uid

    def j2k(pixels: np.ndarray) -> bytes:
        options = {"codecformat": "J2K", "bitspersample": 12}
        return imagecodecs.jpeg2k_encode(pixels, level=0, **options)

    return {
        "j2k": (uid.JPEG2000Lossless, j2k),
        "htj2k": (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
        "jpegls": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        "ljpeg": (
            uid.JPEGLosslessSV1,
            lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12),
        ),
        "jpeg": (uid.JPEGBaseline8Bit, lambda p: imagecodecs.jpeg8_encode(p, level=92)),
    }


def ungated(source: str, folder: Path) -> Path:
    """Copy a bundle without what would keep noise away from its network."""
    from medcnn.bundle import derive_bundle, open_bundle

    bundle = open_bundle(source)
    lifted = dict.fromkeys(("ood_limit", "ood_quantile", "pattern", "pattern_limit"))
    rules = bundle.spec.gate.model_copy(update=lifted)
    spec = bundle.spec.model_copy(update={"gate": rules})
    return derive_bundle(folder, bundle, spec, files={}).path


def run_ours(films: Path, output: Path, model: str, precision: str = "fp32") -> None:
    """Screen them with medcnn, an overlay for every film."""
    import medcnn

    run = {"output": output, "heatmaps": "all", "report": False}
    medcnn.screen([films], model=model, precision=precision, **run).run()
    painted = len(list((output / "heatmaps").glob("*.png")))
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


def run_forward(films: Path, output: Path, model: str) -> None:
    """Run the network and the class activation map over as many tensors."""
    import medcnn

    del output
    opened = medcnn.Model.open(model)
    rng = np.random.default_rng(0)
    shape = (opened.spec.input.channels, *opened.spec.input.shape)
    tensor = rng.normal(size=shape).astype(np.float32)
    count = len(list(films.glob("*.dcm")))
    for answer in opened.stream(tensor for _ in range(count)):
        opened.relevance(answer.features, opened.labels[0])


_RUNS = {
    "ours": run_ours,
    "int8": run_int8,
    "monai": run_monai,
    "xrv": run_xrv,
    "decode": run_decode,
    "forward": run_forward,
}


def measure(side: str, films: Path, model: str) -> dict[str, float]:
    """Run one side in its own process; seconds, films a second and peak megabytes."""
    count = len(list(films.glob("*.dcm")))
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, __file__, "--side", side, "--folder", str(films)]
        command += ["--model", model, "--output", str(Path(output) / "out")]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        peak = [0.0]
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peak, stop))
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - start
        stop.set()
        watcher.join()
        if code:
            sys.exit(f"the {side} side ended with exit code {code}")
    return {"seconds": seconds, "films_per_s": count / seconds, "peak_mb": peak[0]}


def _watch(pid: int, peak: list[float], stop: threading.Event) -> None:
    while not stop.wait(0.2):
        peak[0] = max(peak[0], sum(_pss_mb(p) for p in [pid, *_children(pid)]))


def _children(pid: int) -> list[int]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            direct = [int(word) for word in listing.read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *_children(child)]
    return found


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next((part for part in text.splitlines() if part.startswith("Pss:")), "0 0")
    return float(line.split()[1]) / 1024


def compare(
    syntax: str, options: argparse.Namespace, folder: Path, models: dict[str, str]
) -> dict[str, object]:
    """Measure all sides on one syntax in turn; return medians and ratios."""
    films = folder / syntax
    make_films(films, options.films, syntax)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in options.sides}
    for _ in range(options.rounds):
        for side, results in runs.items():
            model = models["int8"] if side == "int8" else models["fp32"]
            results.append(measure(side, films, model))
    table: dict[str, dict[str, float]] = {
        side: {key: statistics.median(r[key] for r in results) for key in results[0]}
        for side, results in runs.items()
    }
    return {"syntax": syntax, "sides": table, "ratios": _ratios(table)}


def _ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return how many times as fast, and which share of the floor."""
    speed = {side: row["films_per_s"] for side, row in table.items()}
    ratios = {
        f"{fast} / {usual}": speed[fast] / speed[usual]
        for fast in ("ours", "int8")
        for usual in ("monai", "xrv")
        if fast in speed and usual in speed
    }
    if {"ours", "decode", "forward"} <= speed.keys():
        # one machine does both: their seconds add up
        both = 1 / (1 / speed["decode"] + 1 / speed["forward"])
        ratios["share of decode and forward in sum"] = speed["ours"] / both
        slower = min(speed["decode"], speed["forward"])
        ratios["share of the slower alone"] = speed["ours"] / slower
    return ratios


def main() -> None:
    """Parse, run all sides in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--syntax", nargs="+", choices=SYNTAXES, default=["raw", "j2k"])
    parser.add_argument("--sides", nargs="+", choices=SIDES)
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--model-int8", help="a bundle with an 8-bit network")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        _RUNS[options.side](options.folder, options.output, options.model)
        return
    if options.sides is None:
        sides = set(SIDES) - (set() if options.model_int8 else {"int8"})
        options.sides = [side for side in SIDES if side in sides]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {"fp32": str(ungated(options.model, folder / "fp32"))}
        if options.model_int8:
            models["int8"] = str(ungated(options.model_int8, folder / "int8"))
        for syntax in options.syntax:
            found = compare(syntax, options, folder, models)
            print(json.dumps({"films": options.films, **found}, indent=2), flush=True)


if __name__ == "__main__":
    main()
