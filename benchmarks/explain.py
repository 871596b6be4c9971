"""What heatmaps cost, beside MONAI's GradCAM and pytorch-grad-cam, in one run.

    python benchmarks/explain.py                   # time of all methods, 2-D and 3-D
    python benchmarks/explain.py --quick           # without those of hundreds of passes
    python benchmarks/explain.py --memory          # peak memory at 96 x 96 x 96
    python benchmarks/explain.py --screen FILMS    # medcnn screen with and without

Time is the processor's, of one thread: what others do on the machine counts little.
All sides have the same torch network and the same image, and take turns; shown are
medians. pytorch-grad-cam takes part where it is installed: `pip install --no-deps
grad-cam ttach`. It imports torchvision, of which its Grad-CAM uses nothing, so an empty
stand-in serves where that is missing.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from monai.visualize import GradCAM
from scipy import ndimage

import medcnn
from medcnn.explanation import METHODS, Explainer
from medcnn.networks import build

Sides = dict[str, Callable[[], object]]
ONCE = ("score-cam", "occlusion")
"""Methods of hundreds of passes: timed once."""
BY_LABEL = ("integrated-gradients", "smoothgrad")
"""Methods that begin anew for each label: timed for one, once, and multiplied."""
BOUND_GB = 4.0
PASSES = 24
"""After so many passes the memory of a method of many is at its peak."""


def main() -> None:
    """Parse, measure, print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--screen", type=Path, metavar="FILMS")
    parser.add_argument("--films", type=int, default=150)
    given = parser.parse_args()
    if given.screen is not None:
        screened(given.screen, given.films, given.model, given.rounds)
    elif given.memory:
        memory()
    else:
        if find_spec("pytorch_grad_cam") is None:
            print("pytorch-grad-cam is not installed here: left out.\n")
        slow = () if given.quick else (*ONCE, *BY_LABEL)
        pictures(given.model, given.rounds, slow=slow)
        volumes(given.rounds)


# ------------------------------------------------------------------------- time


def pictures(name: str, rounds: int, *, slow: tuple[str, ...]) -> None:
    """Time a film of 1024 x 1024 through a bundle: its engine, then its torch net."""
    torch.set_num_threads(1)
    model = medcnn.Model.open(name, engine="openvino", threads=1)
    film = phantom((1024, 1024))
    image = medcnn.Image.from_picture((film * 255).astype(np.uint8))
    tensor = model.answer(image)[1].tensor
    cam = Explainer(model, method="cam")
    sides: Sides = {
        "forward": lambda: next(model.stream([tensor])),
        "predict": lambda: model.predict(image),
        "cam, 1 label": lambda: cam.explain(image),
        "cam, all labels": lambda: cam.explain(image, ["all"]),
    }
    count = len(model.labels)
    title = (
        f"OpenVINO, {name}, film of 1024 x 1024 with its way to the network and back"
    )
    print(f"{title}, {count} labels\n\n| what | ms | x predict |\n|---|---|---|")
    found = in_turns(sides, rounds)
    for side, seconds in found.items():
        print(f"| {side} | {1e3 * seconds:.1f} | {seconds / found['predict']:.2f} |")
    network = model.network()
    shape = " x ".join(map(str, tensor.shape[1:]))
    print(f"\nTorch, the same network, {shape}, {count} labels\n")
    compared(network, tensor, model.labels, rounds, slow=slow)


def volumes(rounds: int) -> None:
    """Time a volume through a small 3-D ResNet."""
    tensor = phantom((64, 64, 64))[None]
    print("\nTorch, 3-D ResNet-18, 64 x 64 x 64, 3 labels\n")
    labels = ("a", "b", "c")
    compared(resnet(), tensor, labels, rounds, slow=())


def compared(
    network: Any,
    tensor: np.ndarray,
    labels: tuple[str, ...],
    rounds: int,
    *,
    slow: tuple[str, ...],
) -> None:
    """Print what each side takes for one label and for all."""
    one: Sides = {"forward": forward(network, tensor)}
    every: Sides = {}
    for method in METHODS:
        if method not in (*ONCE, *BY_LABEL):
            explain = Explainer(network, method=method, labels=labels).explain
            one[f"medcnn {method}"] = partial(explain, tensor, labels[:1])
            every[f"medcnn {method}"] = partial(explain, tensor, ["all"])
    for other, ask in others(network, tensor):
        one[other] = partial(ask, [0])
        every[other] = partial(ask, range(len(labels)))
    first, rest = in_turns(one, rounds), in_turns(every, rounds)
    for method in slow:
        explain = Explainer(network, method=method, labels=labels).explain
        side = f"medcnn {method}"
        first[side] = taken(partial(explain, tensor, labels[:1]))
        rest[side] = first[side] * (len(labels) if method in BY_LABEL else 1)
    print("| what | 1 label, ms | x forward | all labels, ms | x forward |")
    print("|---|---|---|---|---|")
    alone = first["forward"]
    for side, seconds in first.items():
        whole = rest.get(side, alone)
        cells = (f"{1e3 * t:.0f} | {t / alone:.2f}" for t in (seconds, whole))
        print("| " + " | ".join([side, *cells]) + " |")


def others(
    network: Any, tensor: np.ndarray
) -> Iterator[tuple[str, Callable[[Iterable[int]], object]]]:
    """Yield the Grad-CAM of each other library: a function of the labels."""
    batch = torch.from_numpy(tensor[None])
    apart = deepcopy(network)  # hooks stay in it
    theirs = GradCAM(nn_module=apart, target_layers="body")
    yield "MONAI GradCAM", lambda labels: [theirs(batch, class_idx=n) for n in labels]
    if tensor.ndim == 3 and find_spec("pytorch_grad_cam"):
        if find_spec("torchvision") is None:
            stand_in_for_torchvision()
        from pytorch_grad_cam import GradCAM as Usual
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        apart = deepcopy(network)  # hooks stay in it, too
        usual = Usual(apart, [apart.get_submodule("body")])
        yield (
            "pytorch-grad-cam GradCAM",
            lambda labels: [usual(batch, [ClassifierOutputTarget(n)]) for n in labels],
        )


def stand_in_for_torchvision() -> None:
    """Let pytorch-grad-cam be imported, without what it takes from torchvision."""
    for name in ("torchvision", "torchvision.transforms"):
        sys.modules[name] = ModuleType(name)
    functional = ModuleType("torchvision.transforms.functional")
    functional.resize = None
    sys.modules[functional.__name__] = functional
    for name in ("Compose", "Normalize", "ToTensor"):
        setattr(sys.modules["torchvision.transforms"], name, None)


def forward(network: Any, tensor: np.ndarray) -> Callable[[], object]:
    """Return a forward pass that keeps nothing."""
    batch = torch.from_numpy(tensor[None])

    def ask() -> object:
        with torch.no_grad():
            return network(batch)

    return ask


def in_turns(sides: Sides, rounds: int) -> dict[str, float]:
    """Return the median seconds of each side; they take turns, after a warm-up."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side, do in sides.items():
            seconds = taken(do)
            if number:
                found[side].append(seconds)
    return {side: statistics.median(times) for side, times in found.items()}


def taken(do: Callable[[], object]) -> float:
    """Return the processor seconds of one call."""
    begun = time.process_time()
    do()
    return time.process_time() - begun


def phantom(shape: tuple[int, ...]) -> np.ndarray:
    """Return smooth blobs, float32, 0 to 1."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 1, tuple(n // 16 for n in shape))
    smooth = ndimage.zoom(coarse, np.divide(shape, coarse.shape), order=1)
    low, high = smooth.min(), smooth.max()
    return np.asarray((smooth - low) / (high - low), np.float32)


def resnet() -> Any:
    """Return a 3-D ResNet-18 of three labels with random weights."""
    torch.set_num_threads(1)
    return build("resnet18", dims=3, in_channels=1, labels=3).eval()


# ----------------------------------------------------------------------- memory


def memory() -> None:
    """Print each method's peak memory at 96 x 96 x 96, eight images at once."""
    network, tensor = resnet(), phantom((96, 96, 96))[None]
    labels = ("a", "b", "c")

    def stop(done: int, _total: int | None) -> None:
        if done >= PASSES:
            raise KeyboardInterrupt

    print("3-D ResNet-18, 96 x 96 x 96, 3 labels; the whole process, with torch\n")
    print("| method | peak, GB |\n|---|---|")
    forward(network, tensor)()
    highest = 0.0
    for method in METHODS:
        Path("/proc/self/clear_refs").write_text("5")  # begin the peak anew
        settings = {"progress": stop} if method in ONCE else {}
        with suppress(KeyboardInterrupt):
            found = Explainer(network, method=method, labels=labels, **settings)
            found.explain(tensor, labels if method not in BY_LABEL else labels[:1])
        status = Path("/proc/self/status").read_text()
        line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
        peak = int(line.split()[1]) / 1e6
        highest = max(highest, peak)
        print(f"| {method} | {peak:.2f} |", flush=True)
    if highest > BOUND_GB:
        sys.exit(f"more than {BOUND_GB:.0f} GB")


# -------------------------------------------------------------------- screening


def screened(folder: Path, films: int, model: str, rounds: int) -> None:
    """Time screening without maps, with those of flagged films, and with all."""
    kinds = ("none", "flagged", "all")
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as place:
        some = Path(place) / "films"
        some.mkdir()
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files[:: max(1, len(files) // films)][:films]:
            shutil.copy(path, some / path.name)
        for number in range(rounds):
            for kind in kinds:
                output = Path(place) / f"{kind}{number}"
                found[kind].append(one_run(some, output, kind, model))
                drawn = len(list((output / "heatmaps").glob("*")))
                print(kind, drawn, "maps", *found[kind][-1], file=sys.stderr)
        count = len(list(some.iterdir()))
    print(f"{count} films, medians of {rounds} alternating runs\n")
    print("| heatmaps | processor, s | x none | wall clock, s | x none |")
    print("|---|---|---|---|---|")
    middle = {
        k: [statistics.median(x) for x in zip(*v, strict=True)]
        for k, v in found.items()
    }
    for kind, (cpu, wall) in middle.items():
        ratios = cpu / middle["none"][0], wall / middle["none"][1]
        print(
            f"| {kind} | {cpu:.1f} | {ratios[0]:.2f} | {wall:.1f} | {ratios[1]:.2f} |"
        )


def one_run(films: Path, output: Path, kind: str, model: str) -> tuple[float, float]:
    """Screen in a process of its own; processor and wall seconds with its children."""
    command = [sys.executable, "-m", "medcnn", "screen", str(films), "--quiet"]
    command += ["--output", str(output), "--heatmaps", kind, "--model", model]
    begun = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"medcnn screen failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - begun


if __name__ == "__main__":
    main()
