"""Say how many tests of the viewers ran and how many were skipped, and why."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def main() -> None:
    """Read pytest's JUnit files, named on the command line."""
    ran, reasons = 0, []
    for name in sys.argv[1:]:
        for case in ET.parse(Path(name)).iter("testcase"):  # noqa: S314 - pytest's own
            skipped = case.find("skipped")
            ran += skipped is None
            if skipped is not None:
                reasons.append(f"{case.get('name')}: {skipped.get('message')}")
    for reason in reasons:
        print(f"skipped {reason}")
    print(f"Viewers: {ran} tests ran, {len(reasons)} were skipped.")


if __name__ == "__main__":
    main()
