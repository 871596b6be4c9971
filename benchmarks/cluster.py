"""What handing films to Ray costs: one machine alone beside Ray on the same machine.

    python benchmarks/cluster.py --films 400 --rounds 3 --syntax raw

Both sides screen the same films with the same shipped model, heatmaps for all, each in
a process of its own, in turn: once a quarter of them, once all. The difference is what
films cost, whatever starting costs. Printed for each: films a second by that, the time
computed for each (which other work on the machine hardly changes), the time that
starting takes, until the first film is safe on disk, and in all, and the most
memory of all processes. A worklist that differs by a byte ends it. The films are noise,
so the model's gate is lifted.

With `--price` (of one machine, for an hour) the cost of a million films follows from
the speed: 1,000,000 / films a second / 3600 * price. The price is yours; none is built
in.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screening import make_films, ungated

SIDES = ("alone", "ray")
_MB = 2**20


def main() -> None:
    """Time both sides in turn and print what came of them."""
    asked = _arguments()
    if asked.side:
        print(json.dumps(screened(asked.side, *asked.paths, asked.workers)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_films(root / "films", asked.films, asked.syntax)
        few = root / "few"
        few.mkdir()
        for film in sorted((root / "films").iterdir())[: asked.films // 4]:
            (few / film.name).hardlink_to(film)
        model = ungated(asked.model, root / "model")
        taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for number in range(asked.rounds):
            for side in SIDES:
                output = root / f"{side}{number}"
                part = _apart(side, few, model, root / f"few-{side}{number}", asked)
                every = _apart(side, root / "films", model, output, asked)
                check(root / "alone0", output)
                taken[side].append(_told(part, every))
    print(f"{asked.films} films, {asked.syntax}, {asked.rounds} rounds, {asked.model}")
    for side in SIDES:
        print(side, _line(taken[side], asked.price))
    fast, ray = (_median(taken[side], "rate") for side in SIDES)
    print(f"ray has {ray / fast:.2f} of the speed alone")
    least, more = (_median(taken[side], "each") for side in SIDES)
    print(f"and computes {more / least:.2f} times as much for a film")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--syntax", default="raw")
    parser.add_argument("--model", default="chest-xray")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--price", type=float, help="of one machine for an hour")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _apart(
    side: str, films: Path, model: Path, output: Path, asked: argparse.Namespace
) -> dict[str, float]:
    """Screen in a process of its own; add memory and computing of all below it."""
    command = [sys.executable, __file__, "--side", side, "--workers", asked.workers]
    command += [films, model, output]
    running = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    most = 0
    spent: dict[int, float] = {}
    while running.poll() is None:
        family = (running.pid, *_below(running.pid))
        most = max(most, sum(map(_memory, family)))
        spent |= {one: s for one in family if (s := _computed(one))}
        time.sleep(0.2)
    if running.returncode or running.stdout is None:
        sys.exit(f"{side} failed")
    told = json.loads(running.stdout.read().splitlines()[-1])
    return told | {"memory": most, "computed": sum(spent.values())}


def screened(
    side: str, films: Path, model: Path, output: Path, workers: int
) -> dict[str, float]:
    """Screen; return how many films there were, and when the first was safe."""
    import medcnn

    began = time.perf_counter()
    times = []
    for _ in medcnn.screen(
        films,
        model=model,
        output=output,
        heatmaps="all",
        report=False,
        identify=True,  # pseudonyms of two runs are never alike
        workers=workers,
        cluster="ray" if side == "ray" else None,
    ):
        times.append(time.perf_counter() - began)  # noqa: PERF401 - as each arrives
    whole = time.perf_counter() - began
    return {"films": len(times), "first": times[0], "whole": whole}


def _told(part: dict[str, float], every: dict[str, float]) -> dict[str, float]:
    """Return what two runs of different length say of each film, and of the start."""
    longer = every["whole"] - part["whole"]
    if longer <= 0:
        sys.exit("other work took more time than the films: use more of them")
    rate = (every["films"] - part["films"]) / longer
    more = every["films"] - part["films"]
    each = (every["computed"] - part["computed"]) / more
    start = every["whole"] - every["films"] / rate
    return every | {"rate": rate, "start": start, "each": each}


def check(one: Path, other: Path) -> None:
    """End if two runs did not find the very same."""
    if (one / "worklist.csv").read_bytes() != (other / "worklist.csv").read_bytes():
        sys.exit(f"the worklists of {one.name} and {other.name} differ")


def _memory(process: int) -> int:
    """Return the proportional set size of a process, in bytes."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("Pss:")]
    return sum(1024 * int(line.split()[1]) for line in lines)


def _computed(process: int) -> float:
    """Return the seconds that a process has computed so far, 0 if it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _below(process: int) -> list[int]:
    """Return all descendants of a process."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(one) for one in task.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_below(child)]
    return found


def _median(taken: list[dict[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in taken)


def _line(taken: list[dict[str, float]], price: float | None) -> str:
    rates = [one["rate"] for one in taken]
    rate = statistics.median(rates)
    words = (
        f"{rate:.1f} films/s ({min(rates):.1f} to {max(rates):.1f}); "
        f"{_median(taken, 'each') * 1000:.0f} ms computed a film; "
        f"{_median(taken, 'start'):.1f} s to start; first film after "
        f"{_median(taken, 'first'):.1f} s, all in {_median(taken, 'whole'):.1f} s; "
        f"{_median(taken, 'memory') / _MB:.0f} MiB"
    )
    if price is None:
        return words
    return f"{words}; a million films cost {1e6 / rate / 3600 * price:.2f}"


if __name__ == "__main__":
    main()
