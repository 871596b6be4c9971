"""Seconds per epoch beside the usual MONAI loop: same network, images, augmentation.

    python benchmarks/training.py --dims 2 --side 64 --network resnet18
    python benchmarks/training.py --dims 3 --side 32 --network resnet18 --device cuda

Each side runs in a process of its own, in turn, several times; an epoch is a pass over
the training images and a validation. The first epoch of each run is left out: it fills
caches and warms up. The usual loop is the one of MONAI's tutorials: dictionary
transforms, CacheDataset, DataLoader, AdamW, 32 bits. Its number of loader workers is
the better one of 0 and 2.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import nibabel
import numpy as np

SIDES = ("medcnn", "medcnn-32", "monai-0", "monai-2")
BATCH = 32


def write_images(folder: Path, *, dims: int, side: int, count: int) -> Path:
    """Write noise with a bright block in every second image, and the table."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        values = rng.normal(90, 20, (side,) * dims)
        if number % 2:
            at = rng.integers(0, side // 2, dims)
            values[tuple(slice(a, a + side // 3) for a in at)] += 60
        pixels = values.clip(0, 255).astype(np.uint8)
        name = f"{number}.png" if dims == 2 else f"{number}.nii.gz"
        if dims == 2:
            cv2.imwrite(str(folder / name), pixels)
        else:
            nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), folder / name)
        split = "val" if number % 5 == 0 else "train"
        rows.append({"path": name, "split": split, "ill": number % 2})
    table = folder / "table.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def run_medcnn(table: Path, wanted: argparse.Namespace) -> list[float]:
    """Train as `medcnn train` does, up to the measuring at its end."""
    from medcnn.dataset import content_hashes, read_cases
    from medcnn.networks import build
    from medcnn.planning.recipe import Recipe
    from medcnn.training.cache import build_cache
    from medcnn.training.devices import fabric_for
    from medcnn.training.loop import Loop
    from medcnn.training.material import Material
    from medcnn.training.reporter import Reporter

    recipe = Recipe.model_validate(
        {
            "base": "defaults",
            "network": {"name": wanted.network},
            "input": {"shape": [wanted.side] * wanted.dims, "fit": "stretch"},
            "optimiser": {"epochs": wanted.epochs, "batch_size": BATCH},
            "run": {"precision": "32" if wanted.worker == "medcnn-32" else "auto"},
        }
    )
    cases = read_cases(table)
    work = table.parent / f"{wanted.worker}-{time.time_ns()}"
    work.mkdir()
    pixels, _ = build_cache(cases, content_hashes(cases), recipe.input, work / "cache")
    fabric = fabric_for(wanted.device, recipe)
    fabric.launch()
    reporter = Reporter(visible=False)
    network = build(wanted.network, dims=wanted.dims, in_channels=1, labels=1)
    material = Material(recipe, cases, pixels, work, fabric, reporter)
    record = Loop(network, material).run()
    return [float(row["seconds"] or 0) for row in record.history]


def run_monai(table: Path, wanted: argparse.Namespace) -> list[float]:
    """Train as MONAI's tutorials do."""
    import torch
    from monai.data import CacheDataset, DataLoader
    from monai.metrics import ROCAUCMetric

    from medcnn.networks import build

    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {
        split: [
            {"image": str(table.parent / row["path"]), "label": float(row["ill"])}
            for row in rows
            if row["split"] == split
        ]
        for split in ("train", "val")
    }
    chains = {split: monai_transforms(split, wanted) for split in parts}
    workers = int(wanted.worker.partition("-")[2])
    loaders = {
        split: DataLoader(
            CacheDataset(parts[split], chains[split], num_workers=2, progress=False),
            batch_size=BATCH,
            shuffle=split == "train",
            drop_last=split == "train",
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=wanted.device.startswith("cuda"),
        )
        for split in parts
    }
    place = torch.device(wanted.device)
    network = build(wanted.network, dims=wanted.dims, in_channels=1, labels=1).to(place)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
    loss_of, seconds = torch.nn.BCEWithLogitsLoss(), []
    for _ in range(wanted.epochs):
        started = time.perf_counter()
        network.train()
        for batch in loaders["train"]:
            images, truth = batch["image"].to(place), batch["label"].to(place)
            optimiser.zero_grad()
            loss = loss_of(network(images)[:, 0], truth.float())
            loss.backward()
            optimiser.step()
            loss.item()
        network.eval()
        metric = ROCAUCMetric()
        with torch.no_grad():
            for batch in loaders["val"]:
                told = network(batch["image"].to(place))[:, 0]
                metric(told.cpu(), batch["label"])
        metric.aggregate()
        seconds.append(time.perf_counter() - started)
    return seconds


def monai_transforms(split: str, wanted: argparse.Namespace) -> object:
    """Return what MONAI does to an image; the first steps are cached."""
    from monai import transforms as m

    steps = [
        m.LoadImaged("image"),
        m.EnsureChannelFirstd("image"),
        m.ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0, 1, clip=True),
        m.Resized("image", (wanted.side,) * wanted.dims),
    ]
    if split == "train":
        turn = (np.deg2rad(10),) if wanted.dims == 2 else (0, 0, np.deg2rad(10))
        move = [0.05 * wanted.side] * 2 + [0] * (wanted.dims - 2)
        grow = [0.1] * 2 + [0] * (wanted.dims - 2)
        steps += [
            m.RandAffined(
                "image",
                prob=1,
                rotate_range=turn,
                translate_range=move,
                scale_range=grow,
                padding_mode="zeros",
            ),
            m.RandAdjustContrastd("image", prob=1, gamma=(0.82, 1.22)),
            m.RandScaleIntensityd("image", factors=0.2, prob=1),
            m.RandShiftIntensityd("image", offsets=0.1, prob=1),
            m.RandGaussianNoised("image", prob=1, std=0.02),
        ]
    steps.append(m.NormalizeIntensityd("image", subtrahend=0.449, divisor=0.226))
    return m.Compose(steps)


def work(wanted: argparse.Namespace) -> None:
    """Run one side, and print what it took."""
    import torch

    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    run = run_monai if wanted.worker.startswith("monai") else run_medcnn
    told = {"seconds": run(Path(wanted.table), wanted)}
    told["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if wanted.device.startswith("cuda"):
        told["device_mb"] = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps(told))


def compare(wanted: argparse.Namespace, arguments: list[str]) -> None:
    """Run the sides in turn, and print medians and ratios."""
    found: dict[str, list[dict[str, object]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        table = write_images(
            Path(name), dims=wanted.dims, side=wanted.side, count=wanted.count
        )
        for _ in range(wanted.rounds):
            for side in SIDES:
                command = [sys.executable, __file__, *arguments]
                command += ["--worker", side, "--table", str(table)]
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True
                )
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
    epochs = {
        side: median(t for run in runs for t in run["seconds"][1:])
        for side, runs in found.items()
    }
    usual = min(epochs["monai-0"], epochs["monai-2"])
    train = wanted.count - wanted.count // 5
    print(f"{wanted.network}, {wanted.dims}-D, {wanted.side} a side, {train} images")
    for side, seconds in epochs.items():
        most = max(run["memory_mb"] for run in found[side])
        line = f"{side:10} {seconds:8.2f} s an epoch {train / seconds:8.0f} images/s"
        print(f"{line}  {usual / seconds:5.2f} x the usual loop  {most:6.0f} MB")
        if wanted.device.startswith("cuda"):
            print(
                f"{'':10} {max(run['device_mb'] for run in found[side]):.0f} MB there"
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, choices=(2, 3), default=2)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.worker:
        work(wanted)
    else:
        compare(wanted, sys.argv[1:])


if __name__ == "__main__":
    main()
