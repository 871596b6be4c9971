"""Screening beside the usual ways: same films, same network, heatmaps for all, one run.

    python benchmarks/screening.py --model-int8 BUNDLE [--write docs/screening.md]

Sides are described in `screening_sides.py`; each runs in its own process, in turn. A
side is run on four films first and then on many: films a second are counted between the
two, so that neither start nor imports count; how long a run of four films takes is told
beside it. The slow sides get fewer films. BUNDLE is what `medcnn export --format
openvino-int8` made.

Every film must get its heatmap, or the run fails: the films are noise, outside the
shipped model's world, so the benchmark lifts its gate. Memory is the proportional set
size summed over a process and its children, sampled five times a second. With --write
the table replaces the one between the marks of that page.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import write_between
from screening_films import SYNTAXES, make_films
from screening_sides import RUNS

MARKS = ("<!-- speed: begin -->", "<!-- speed: end -->")
DEFAULT = ("raw", "ljpeg", "j2k", "rle", "jpeg")
SLOW = {"monai": "MONAI", "xrv": "TorchXRayVision"}
OURS = {"ours": "screen", "int8": "screen at 8 bits"}
_FIRST = 4
AT_8_BITS = {"int8", "forward8"}
NAMES = {
    "raw": "uncompressed",
    "ljpeg": "JPEG lossless",
    "j2k": "JPEG 2000",
    "rle": "RLE",
    "jpeg": "JPEG, 8 bit",
    "htj2k": "HTJ2K",
    "jpegls": "JPEG-LS",
}


@dataclass(frozen=True)
class Speed:
    """What one side did with films of one coding.

    Attributes:
        rate: Films a second, without the start.
        first_s: Seconds of a run of four films.
        peak_mb: Most memory.
    """

    rate: float
    first_s: float
    peak_mb: float


def ungated(source: str, folder: Path) -> Path:
    """Copy a bundle without what would keep noise away from its network."""
    from medcnn.bundle import open_bundle
    from medcnn.bundle_writing import derive_bundle

    bundle = open_bundle(source)
    lifted = dict.fromkeys(("ood_limit", "ood_quantile", "pattern", "pattern_limit"))
    rules = bundle.spec.gate.model_copy(update=lifted)
    spec = bundle.spec.model_copy(update={"gate": rules})
    return derive_bundle(folder, bundle, spec, files={}).path


def measure(side: str, films: Path, model: str, rounds: int) -> Speed:
    """Run one side on four films and on all of a folder; take medians."""
    every = sorted(films.glob("*.dcm"))
    four = films.parent / f"four of {films.name}"
    if not four.exists():
        four.mkdir()
        for film in every[:_FIRST]:
            os.link(film, four / film.name)
    found = []
    for _ in range(rounds):
        first, _ = _run(side, four, model)
        seconds, peak = _run(side, films, model)
        if seconds <= first:
            sys.exit(f"{len(every)} films of {side} are too few to tell its speed")
        found.append(Speed((len(every) - _FIRST) / (seconds - first), first, peak))
    return Speed(
        *(statistics.median(getattr(s, n) for s in found) for n in vars(found[0]))
    )


def _run(side: str, films: Path, model: str) -> tuple[float, float]:
    """Run one side in its own process; return seconds and peak megabytes."""
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
    return seconds, peak[0]


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
) -> dict[str, Speed]:
    """Measure all sides on films of one coding."""
    few, many = folder / "few", folder / "many"
    make_films(many, options.films, syntax)
    few.mkdir()
    for film in sorted(many.glob("*.dcm"))[: options.few]:
        os.link(film, few / film.name)
    found = {}
    for side in options.sides:
        films = few if side in SLOW else many
        model = models["int8" if side in AT_8_BITS else "fp32"]
        found[side] = measure(side, films, model, options.rounds)
        print(f"{syntax} {side}: {found[side]}", file=sys.stderr, flush=True)
    for used in (few, many, *folder.glob("four of *")):
        shutil.rmtree(used)
    return found


def rows(table: dict[str, dict[str, Speed]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a column for each coding."""
    yield "| " + " | ".join(["", *(NAMES[syntax] for syntax in table)]) + " |"
    yield "|---" * (len(table) + 1) + "|"
    columns = list(table.values())
    words = {
        "ours": "`medcnn screen`, films a second",
        "int8": "`medcnn screen --precision int8`",
        "monai": "MONAI's usual way",
        "xrv": "TorchXRayVision's script, without heatmaps",
        "decode": "floor: readers alone",
        "forward": "floor: network and maps alone",
        "forward8": "floor: network and maps alone, 8 bits",
    }
    for side in columns[0]:
        yield _row(words[side], [f"{c[side].rate:.1f}" for c in columns])
    for fast, floor in (("ours", "forward"), ("int8", "forward8")):
        for usual in SLOW:
            if {fast, usual} <= columns[0].keys():
                ratios = [f"{c[fast].rate / c[usual].rate:.1f}" for c in columns]
                yield _row(f"**{OURS[fast]} / {SLOW[usual]}**", ratios)
        if {fast, floor, "decode"} <= columns[0].keys():
            # two kinds of work on one machine: their seconds add up
            both = [1 / (1 / c["decode"].rate + 1 / c[floor].rate) for c in columns]
            shares = zip(columns, both, strict=True)
            cells = [f"{c[fast].rate / most:.2f}" for c, most in shares]
            yield _row(f"{OURS[fast]}, share of both floors together", cells)
    for side, name in (OURS | SLOW).items():
        if side in columns[0]:
            yield _row(f"{name}, peak MB", [f"{c[side].peak_mb:.0f}" for c in columns])
            cells = [f"{c[side].first_s:.1f}" for c in columns]
            yield _row(f"{name}, seconds for four films from start to end", cells)


def _row(name: str, cells: list[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def main() -> None:
    """Parse, run all sides in turn, print the table."""
    options = _options()
    if options.side:
        RUNS[options.side](options.folder, options.output, options.model)
        return
    if options.sides is None:
        left_out = set() if options.model_int8 else AT_8_BITS
        options.sides = [side for side in RUNS if side not in left_out]
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        models = {"fp32": str(ungated(options.model, folder / "fp32"))}
        if options.model_int8:
            models["int8"] = str(ungated(options.model_int8, folder / "int8"))
        table = {s: compare(s, options, folder, models) for s in options.syntax}
    plain = {s: {k: vars(v) for k, v in sides.items()} for s, sides in table.items()}
    print(json.dumps({"films": options.films, "few": options.few, **plain}, indent=1))
    text = "\n".join(rows(table))
    print(text)
    if options.write:
        command = "python benchmarks/screening.py --model-int8 BUNDLE"
        counts = f"{options.films} films for the fast sides, {options.few} for the slow"
        note = f"\n`{command}`: {counts} ones, {os.cpu_count()} processors."
        write_between(options.write, f"{text}\n{note}", MARKS)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=144)
    parser.add_argument("--few", type=int, default=28, help="films for the slow sides")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--syntax", nargs="+", choices=SYNTAXES, default=DEFAULT)
    parser.add_argument("--sides", nargs="+", choices=RUNS)
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--model-int8", help="a bundle with an 8-bit network")
    parser.add_argument("--write", type=Path, help="page that takes the table")
    parser.add_argument("--scratch", type=Path, help="where films are written")
    parser.add_argument("--side", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
