"""The files of a screening run: worklist.csv, errors.csv, run.json and pictures.

They are what people and other programs read; `medcnn.screening` writes them and
`medcnn.report` shows them.
"""

from medcnn.worklist.record import (
    Counts,
    HeatmapScale,
    ModelRecord,
    RunRecord,
    Session,
    read_run,
    write_run,
)
from medcnn.worklist.rows import (
    ErrorRow,
    WorklistRow,
    columns,
    plain_text,
    rank_key,
    read_errors,
    read_worklist,
    safe_cell,
    write_errors,
    write_worklist,
)

__all__ = [
    "ERRORS",
    "HEATMAPS",
    "REPORT",
    "RUN",
    "THUMBNAILS",
    "WORKLIST",
    "Counts",
    "ErrorRow",
    "HeatmapScale",
    "ModelRecord",
    "RunRecord",
    "Session",
    "WorklistRow",
    "columns",
    "plain_text",
    "rank_key",
    "read_errors",
    "read_run",
    "read_worklist",
    "safe_cell",
    "write_errors",
    "write_run",
    "write_worklist",
]

WORKLIST = "worklist.csv"
ERRORS = "errors.csv"
RUN = "run.json"
REPORT = "report.html"
HEATMAPS = "heatmaps"
THUMBNAILS = "thumbnails"
