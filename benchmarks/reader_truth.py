"""Which reader is right: every case of known truth, every reader that is installed.

    python benchmarks/reader_truth.py
    python benchmarks/reader_truth.py --markdown --json truth.json --groups grey series

The cases are built in a temporary folder (tests/reader_cases). Readers that are not
installed are left out, and said so. `pip install itk dcm2niix SimpleITK monai` and the
Debian package dcmtk bring all of them.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from reader_cases import GROUPS  # noqa: E402 - it lies beside the tests
from reader_cases.case import Group  # noqa: E402
from truth.asking import Asked, Result  # noqa: E402
from truth.peers import PEERS  # noqa: E402
from truth.tables import Results, counts_table, group_table, refusals  # noqa: E402

OURS = {"medcnn": "medcnn", "medcnn-asked": "medcnn, told"}
EVERYWHERE = tuple(group.key for group in GROUPS)


def measure(reader: str, groups: Sequence[Group], seconds: float) -> dict:
    """Ask one reader about every case of the groups: {group: {case: Result}}."""
    asked = Asked(reader, seconds)
    found: dict[str, dict[str, Result]] = {}
    try:
        for group in groups:
            if reader in PEERS and group.key not in PEERS[reader].groups:
                continue
            found[group.key] = {
                case.name: asked(group.key, number)
                for number, case in enumerate(group.cases)
            }
    finally:
        asked.close()
    return found


def versions() -> dict[str, str]:
    """Return the version of every reader; "" for one that is not installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = f"medcnn {project['version']}"
    return {"medcnn": ours} | {key: peer.version() for key, peer in PEERS.items()}


def collect(groups: Sequence[Group], readers: Sequence[str], seconds: float) -> Results:
    """Ask all readers; results by group, case and reader."""
    results: dict = {g.key: {case.name: {} for case in g.cases} for g in groups}
    for reader in readers:
        print(f"asking {reader} ...", file=sys.stderr)
        for group, cases in measure(reader, groups, seconds).items():
            for case, result in cases.items():
                if result.word:
                    results[group][case][reader] = result
    return results


def show(groups: Sequence[Group], titles: dict[str, str], results: Results) -> None:
    """Print the tables as Markdown."""
    print(counts_table(groups, titles, results))
    for group in groups:
        print(f"\n### {group.title}\n\n{group_table(group, titles, results)}")
    print("\n### What medcnn refuses\n")
    for case, sentence in refusals(groups, results):
        print(f"- {case}: `{sentence}`")


def main() -> None:
    """Parse, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write every result to this file")
    parser.add_argument("--markdown", action="store_true", help="print all tables")
    parser.add_argument("--groups", nargs="+", choices=EVERYWHERE, default=EVERYWHERE)
    parser.add_argument("--readers", nargs="+", choices=[*OURS, *PEERS])
    parser.add_argument("--seconds", type=float, default=120, help="limit for a case")
    options = parser.parse_args()
    groups = [group for group in GROUPS if group.key in options.groups]
    known = versions()
    wanted = options.readers or [*OURS, *PEERS]
    readers = [key for key in wanted if key in OURS or known[key]]
    results = collect(groups, readers, options.seconds)
    titles = OURS | {key: peer.title for key, peer in PEERS.items()}
    if options.markdown:
        show(groups, titles, results)
    else:
        print(counts_table(groups, titles, results))
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}")
    for key, version in known.items():
        title = titles[key]
        print(f"{title}: {version or 'not installed'}")
    if options.json:
        plain = {
            group: {
                case: {key: asdict(result) for key, result in answers.items()}
                for case, answers in cases.items()
            }
            for group, cases in results.items()
        }
        text = json.dumps({"versions": known, "results": plain}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
