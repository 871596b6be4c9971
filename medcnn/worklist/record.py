"""run.json: what was run, with what, and what came of it."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from medcnn.bands import BandScore
from medcnn.drift import Comparison, Sample
from medcnn.errors import DataError
from medcnn.outputs import write_whole
from medcnn.results import NumberKind

__all__ = [
    "Counts",
    "HeatmapScale",
    "ModelRecord",
    "RunRecord",
    "Session",
    "read_run",
    "write_run",
]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRecord(_Record):
    """Which model answered.

    Attributes:
        thresholds: Flag threshold of each label, the main label first.
        reviews: Review threshold of each label.
        card: Text of its CARD.md; empty if it has none.
        bands: What both thresholds of the main label achieved on held-out cases.
        auroc: The main label's area under the ROC curve there, with its interval;
            None if the bundle does not say it.
        auroc_data: The cases it was measured on.
        number_kind: What its numbers from 0 to 1 are.
        held_out_normals: Normal images that an anomaly score is a share of.
    """

    name: str
    version: str
    summary: str
    sha256: str
    labels: tuple[str, ...]
    thresholds: dict[str, float]
    reviews: dict[str, float]
    ood_limit: float | None
    card: str
    bands: tuple[BandScore, ...] = ()
    auroc: tuple[float, float, float] | None = None
    auroc_data: str = ""
    number_kind: NumberKind = "probability"
    held_out_normals: int | None = None


class HeatmapScale(_Record):
    """What the colours of every heatmap of the run mean; the same for each image.

    Attributes:
        label: Whose map it is.
        unit: Of `low` and `high`.
        low: Where colour begins.
        high: From where on the colour is the last one.
        meaning: The legend, in a sentence.
        colours: From `low` to `high` as "#rrggbb", evenly spaced.
        opacity: Of the colour at `low` and at `high`, 0 to 1, linear between.
    """

    label: str
    unit: str
    low: float
    high: float
    meaning: str
    colours: tuple[str, ...]
    opacity: tuple[float, float]


class Counts(_Record):
    """How many images came to what; the parts add up to `images`."""

    images: int
    flag: int
    review: int
    no_flag: int
    out_of_scope: int
    error: int


class Session(_Record):
    """One stretch of work; a run that was broken off and continued has several.

    Attributes:
        started: ISO 8601, UTC.
        seconds: Until its last commit.
        files: Files it finished.
        ended: "done", "stopped", or "broken off" where nothing could be noted.
    """

    started: str
    seconds: float
    files: int
    ended: Literal["done", "stopped", "broken off"]


class RunRecord(_Record):
    """All of run.json.

    Attributes:
        root: The folder that the worklist's relative paths are relative to.
        paths: What was asked for, by the last session.
        options: heatmaps, workers, timeout_s, memory_bytes, samples, frames.
        notes: What somebody should look into, such as files that share a SOP Instance
            UID but not their pixels.
        seconds: Sum over all sessions.
        files_per_second: Over all sessions; None before anything was finished.
        patients: What the run keeps of patients: "numbers", or pseudonyms in their
            place; "" from versions that did not say, and kept numbers.
        statistics: Scores, distances and acquisition of the run's images.
        drift: Those beside the model's own, and beside earlier runs.
        environment: Versions of Python, the system and the libraries that matter.
    """

    format: Literal[1] = 1
    medcnn: str
    model: ModelRecord
    engine: str
    device: str
    root: str
    paths: tuple[str, ...]
    options: dict[str, str | int | float]
    counts: Counts
    notes: tuple[str, ...] = ()
    heatmap: HeatmapScale
    sessions: tuple[Session, ...]
    seconds: float
    files_per_second: float | None
    environment: dict[str, str]
    patients: Literal["numbers", "pseudonyms", ""] = ""
    statistics: Sample | None = None
    drift: tuple[Comparison, ...] = ()


def write_run(path: Path, record: RunRecord) -> None:
    """Write run.json whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_whole(path, text.encode() + b"\n")


def read_run(path: Path) -> RunRecord:
    """Read run.json.

    Raises:
        DataError: If it is missing or not as `write_run` writes it.
    """
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise DataError(msg, hint="Is this the output of medcnn screen?") from error
    except ValidationError as error:
        where = "; ".join(".".join(map(str, p["loc"])) for p in error.errors())
        msg = f"{path} is not the record of a run: {where or 'it is no JSON'}."
        raise DataError(msg, hint="Make it again: medcnn report DIR.") from error
