"""Screening beside the usual way: same films, same network, heatmaps for all, one run.

    python benchmarks/screening.py --films 200

The usual way is what MONAI's documentation leads to: LoadImage, ScaleIntensity, Resize,
a DataLoader with workers, a forward pass in torch and MONAI's GradCAM for every film,
written as PNG. The films are noise, which the shipped model's gate refuses: it is
lifted, and a film without a heatmap ends the run. Each side runs in its own process;
memory is the proportional set size summed over that process and its children, sampled
five times a second.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROWS, COLUMNS = 2500, 2048


def make_films(folder: Path, count: int) -> None:
    """Write `count` different 16-bit radiographs, uncompressed, as DICOM."""
    import cv2
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import (
        DigitalXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
    )

    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        rng = np.random.default_rng(index)
        coarse = rng.normal(0, 1, (24, 20)).astype(np.float32)
        smooth = cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
        noise = rng.integers(0, 120, (ROWS, COLUMNS), dtype=np.uint16)
        pixels = (2000 + 500 * smooth).clip(0, 3900).astype(np.uint16) + noise
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
        meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.1.{index + 1}"
        film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        film.SOPClassUID = meta.MediaStorageSOPClassUID
        film.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
        film.Modality, film.BodyPartExamined = "DX", "CHEST"
        film.Rows, film.Columns, film.SamplesPerPixel = ROWS, COLUMNS, 1
        film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
        film.PixelRepresentation, film.PhotometricInterpretation = 0, "MONOCHROME2"
        film.PixelData = pixels.tobytes()
        film.save_as(folder / f"film{index:04d}.dcm", enforce_file_format=True)


def run_ours(films: Path, output: Path, model: str) -> None:
    """Screen them with medcnn, an overlay for every film."""
    import medcnn

    opened = medcnn.Model.open(model)
    cases = medcnn.screen(
        [films], model=opened, output=output, heatmaps="all", report=False
    )
    without = [case.path for case in cases if not case.heatmap]
    if without:
        sys.exit(f"{len(without)} films have no heatmap, such as {without[0]}")


def ungated(model: str, folder: Path) -> Path:
    """Write a copy of a model that takes noise for films, or no map would be drawn."""
    from medcnn.bundle import derive_bundle, open_bundle

    base = open_bundle(model)
    lifted = dict.fromkeys(("ood_limit", "ood_quantile", "pattern", "pattern_limit"))
    gate = base.spec.gate.model_copy(update=lifted)
    spec = base.spec.model_copy(update={"gate": gate})
    return derive_bundle(folder, base, spec, files={}).path


def run_usual(films: Path, output: Path, model: str) -> None:
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

    from medcnn.bundle import open_bundle
    from medcnn.networks import build

    bundle = open_bundle(model)
    spec = bundle.spec
    network = build(
        spec.network.name,
        dims=2,
        in_channels=spec.input.channels,
        labels=len(spec.labels),
        **spec.network.arguments,
    )
    weights = {k: torch.from_numpy(v) for k, v in bundle.weights().items()}
    network.load_state_dict(weights)
    network.eval()
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


def main() -> None:
    """Parse, run both sides in turn, print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--side", choices=["ours", "usual"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.side:
        run = run_ours if options.side == "ours" else run_usual
        run(options.folder, options.output, options.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder) / "films"
        make_films(films, options.films)
        model = str(ungated(options.model, Path(folder) / "model"))
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "usual": []}
        for _ in range(options.rounds):
            for side, results in runs.items():
                results.append(measure(side, films, model))
    table = {
        side: {key: statistics.median(r[key] for r in results) for key in results[0]}
        for side, results in runs.items()
    }
    table["ratio"] = {
        "films_per_s": table["ours"]["films_per_s"] / table["usual"]["films_per_s"],
        "peak_mb": table["ours"]["peak_mb"] / table["usual"]["peak_mb"],
    }
    print(json.dumps({"films": options.films, **table}, indent=2))


if __name__ == "__main__":
    main()
