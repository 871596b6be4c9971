"""Write the table that the chest-xray model is trained on.

    python recipes/chest_xray_table.py NIH_FOLDER KERMANY_FOLDER OUTPUT.csv

NIH_FOLDER holds images/ and metadata.csv: adult radiographs of NIH ChestX-ray14 with
the report-mined labels, the RSNA pneumonia challenge's radiologist class where there is
one, radiologists' boxes (NIH: one finding each; RSNA: lung opacities), and a
patient-level split into train and val. KERMANY_FOLDER holds train/, test/
and metadata.csv: children's radiographs, normal or pneumonia, the official test split,
and train / val by patient. Paths are written relative to the table.
"""

import argparse
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

from medcnn.dataset import Box, boxes_cell

LABELS = {
    "abnormal": (),
    "lung_opacity": (),
    "infiltration": ("Infiltration",),
    "atelectasis": ("Atelectasis",),
    "effusion": ("Effusion",),
    "cardiomegaly": ("Cardiomegaly",),
    "nodule_or_mass": ("Nodule", "Mass"),
    "pneumothorax": ("Pneumothorax",),
    "edema": ("Edema",),
    "consolidation": ("Consolidation",),
}
"""Each label, and the NIH labels any of which makes it true."""

BOXED = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "effusion",
    "Infiltrate": "infiltration",
    "Mass": "nodule_or_mass",
    "Nodule": "nodule_or_mass",
    "Pneumothorax": "pneumothorax",
}
"""The label of each finding that NIH's radiologists drew boxes of.

A pneumonia is none of the labels: its boxes are places of abnormal alone.
"""

PLACES = tuple(f"bbox:{x}" for x in ("abnormal", "lung_opacity", *BOXED.values()))
PLACES = tuple(dict.fromkeys(PLACES))
FACTS = ("split", "patient_id", "site", "view", "age_group", "sex", "rsna_class")
AGE_GROUPS = ((18, "under 18"), (40, "18 to 39"), (60, "40 to 59"), (999, "60 or more"))
Row = dict[str, str | int]


def nih_rows(folder: Path) -> Iterator[Row]:
    """Yield a row for each adult radiograph.

    lung_opacity is known only where a radiologist of the RSNA challenge graded it; the
    other findings are mined from the report, and noisy. A training image whose mined
    label and whose radiologist's grade contradict each other does not teach what is
    abnormal; validation keeps the mined label, right or wrong.
    """
    for case in _read(folder / "metadata.csv"):
        mined = set(case["nih_labels"].split("|"))
        row: Row = {
            label: int(any(name in mined for name in names))
            for label, names in LABELS.items()
        }
        opacity = case["rsna_opacity"]
        row["abnormal"] = "" if _contradicts(case) else int(case["abnormal"])
        row["lung_opacity"] = int(float(opacity)) if opacity else ""
        row |= _places(case)
        yield row | {
            "path": str(folder / "images" / case["image"]),
            "split": case["split"],
            "patient_id": f"nih-{case['patient_id']}",
            "site": "nih",
            "view": case["view"],
            "age_group": next(
                name for above, name in AGE_GROUPS if int(case["age"]) < above
            ),
            "sex": case["sex"],
            "rsna_class": case["rsna_class"],
        }


def _places(case: dict[str, str]) -> Row:
    """Return where a film's findings are: blank where nobody drew a box.

    What is abnormal is wherever a box of any finding is. Boxes were drawn of some
    findings only, so that a film may show more than its boxes say.
    """
    drawn = json.loads(case["bboxes_nih"])
    opacities = [_box(numbers) for numbers in json.loads(case["bboxes_rsna"])]
    boxes: dict[str, list[Box]] = {"lung_opacity": opacities}
    for name, *numbers in drawn:
        boxes.setdefault(BOXED.get(name, ""), []).append(_box(numbers))
    boxes["abnormal"] = [box for some in boxes.values() for box in some]
    return {
        column: boxes_cell(found) if found else ""
        for column in PLACES
        for found in (boxes.get(column.removeprefix("bbox:"), []),)
    }


def _box(numbers: list[float]) -> Box:
    x0, y0, x1, y1 = numbers
    return Box((x0, y0), (x1, y1))


def _contradicts(case: dict[str, str]) -> bool:
    """Say whether a training image's grade and its mined label disagree."""
    if case["split"] != "train" or not case["rsna_class"]:
        return False
    return (case["rsna_class"] != "Normal") != (case["abnormal"] == "1")


def kermany_rows(folder: Path) -> Iterator[Row]:
    """Yield a row for each child's radiograph.

    A pneumonia is abnormal and an opacity; which of the other findings it shows is not
    known. A normal image shows none.
    """
    for case in _read(folder / "metadata.csv"):
        ill = int(case["label"])
        row: Row = dict.fromkeys(LABELS, "" if ill else 0)
        row["abnormal"] = row["lung_opacity"] = ill
        yield row | {
            "path": str(folder / case["image"]),
            "split": case["split"],
            "patient_id": f"kermany-{case['patient_id']}",
            "site": "kermany",
            "view": "",
            "age_group": "1 to 5",
            "sex": "",
            "rsna_class": "",
        }


def write_table(nih: Path, kermany: Path, output: Path) -> int:
    """Write the table of both; returns the number of rows."""
    rows = [*nih_rows(nih), *kermany_rows(kermany)]
    root = output.resolve().parent
    for row in rows:
        row["path"] = os.path.relpath(Path(str(row["path"])).resolve(), root)
    with output.open("w", encoding="utf-8", newline="") as file:
        header = ["path", *FACTS, *LABELS, *PLACES]
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _read(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Read the arguments and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("nih", "kermany", "output"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    print(write_table(given.nih, given.kermany, given.output), "rows")


if __name__ == "__main__":
    main()
