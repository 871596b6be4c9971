"""Output folders of screening runs, built without screening, to test reports with."""

from pathlib import Path

import cv2
import numpy as np

from medcnn.results import Band, Status
from medcnn.worklist import (
    ERRORS,
    HEATMAPS,
    RUN,
    THUMBNAILS,
    WORKLIST,
    Counts,
    ErrorRow,
    HeatmapScale,
    ModelRecord,
    RunRecord,
    Session,
    WorklistRow,
    write_errors,
    write_run,
    write_worklist,
)

__all__ = ["CARD", "FLAG", "LABELS", "REVIEW", "make_row", "make_run"]

LABELS = ("abnormal", "mass")
FLAG, REVIEW = 0.6, 0.3
CARD = """# Chest model

Trained on **adults**. <script>document.title = "owned"</script>

| data | AUC |
|---|---|
| here | 0.80 |

![picture](https://example.org/x.png) [link](javascript:alert(1))
"""


def make_row(rank, *, probability=None, path=None, **parts):
    """Make a row; its band follows from the probability, None is out of scope."""
    if probability is None:
        parts = {"status": Status.OUT_OF_SCOPE, "reason": "modality MR"} | parts
    else:
        band = Band.FLAG if probability >= FLAG else Band.REVIEW
        parts = {
            "status": Status.OK,
            "band": band if probability >= REVIEW else Band.NO_FLAG,
            "probability": probability,
            "threshold": FLAG,
            "label": "abnormal",
            "probabilities": {"abnormal": probability, "mass": probability / 2},
        } | parts
    return WorklistRow(
        rank=rank,
        path=path or f"films/{rank:05d}.dcm",
        model="chest",
        model_sha256="ab" * 32,
        **parts,
    )


def make_run(output: Path, rows, *, errors=(), pictures=True) -> Path:
    """Write worklist.csv, errors.csv, run.json and generated pictures."""
    output.mkdir(parents=True, exist_ok=True)
    rows = [_with_pictures(output, row) if pictures else row for row in rows]
    write_worklist(output / WORKLIST, rows, labels=LABELS)
    write_errors(output / ERRORS, [ErrorRow(*parts) for parts in errors])
    write_run(output / RUN, _record(rows))
    return output


def _with_pictures(output: Path, row: WorklistRow) -> WorklistRow:
    """Draw a thumbnail, and a heatmap if it is flagged."""
    if row.status is Status.ERROR:
        return row
    names = {"thumbnail": f"{THUMBNAILS}/{row.rank:05d}.jpg"}
    ramp = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (80, 1))
    _write(output / names["thumbnail"], ramp)
    if row.band is Band.FLAG:
        names["heatmap"] = f"{HEATMAPS}/{row.rank:05d}.png"
        red = np.dstack([ramp // 3, ramp // 3, np.full_like(ramp, 250)])
        _write(output / names["heatmap"], red)
    return WorklistRow(**{**vars(row), **names})


def _write(path: Path, pixels) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def _record(rows) -> RunRecord:
    """Make a run record whose counts are those of the rows."""
    bands = [row.band for row in rows]
    states = [row.status for row in rows]
    return RunRecord(
        medcnn="0.1.0",
        model=ModelRecord(
            name="chest",
            version="1",
            summary="Scores adult chest radiographs for anything abnormal.",
            sha256="ab" * 32,
            labels=LABELS,
            thresholds=dict.fromkeys(LABELS, FLAG),
            reviews=dict.fromkeys(LABELS, REVIEW),
            ood_limit=1.5,
            card=CARD,
        ),
        engine="openvino",
        device="cpu",
        root="/data/films",
        paths=("/data/films",),
        options={"heatmaps": "flagged", "workers": 2},
        counts=Counts(
            images=len(rows),
            flag=bands.count(Band.FLAG),
            review=bands.count(Band.REVIEW),
            no_flag=bands.count(Band.NO_FLAG),
            out_of_scope=states.count(Status.OUT_OF_SCOPE),
            error=states.count(Status.ERROR),
        ),
        heatmap=HeatmapScale(
            label="abnormal",
            unit="log-odds",
            low=0.0,
            high=4.0,
            meaning="Hot is high. It shows what moved the score, not a lesion's "
            "outline.",
            colours=("#000004", "#bb3754", "#fcffa4"),
            opacity=(0.0, 0.6),
        ),
        sessions=(
            Session(started="2026-11-02T10:00:00Z", seconds=2, files=4, ended="done"),
        ),
        seconds=2.0,
        files_per_second=2.0,
        environment={"python": "3.11", "openvino": "2026.4"},
    )
