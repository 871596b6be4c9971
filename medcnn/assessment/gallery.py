"""Pictures of the cases that a model got badly wrong, with what moved its score."""

from collections.abc import Mapping
from pathlib import Path

from medcnn.assessment.answers import Reader
from medcnn.evaluation import Evaluation
from medcnn.model import Answer, Model
from medcnn.outputs import cannot_write, make_folder, write_whole
from medcnn.screening.heat import HeatPainter
from medcnn.screening.names import picture_stem
from medcnn.screening.wire import Reading

__all__ = ["GALLERY", "draw_gallery", "remove_gallery"]

GALLERY = "gallery"
"""Folder of the pictures below the output folder."""


def draw_gallery(
    evaluation: Evaluation,
    model: Model,
    reader: Reader,
    paths: Mapping[str, Path],
    output: Path,
) -> Evaluation:
    """Write the pictures of all galleries, and return the evaluation that names them.

    Args:
        evaluation: Its galleries name cases.
        model: The open model.
        reader: Reads the images once more.
        paths: Where each case is.
        output: The output folder.

    Raises:
        OutputError: If a picture cannot be written.
    """
    wanted = sorted(
        {shown.case for found in evaluation.labels.values() for shown in found.gallery}
    )
    labels = {
        case: [
            label
            for label, found in evaluation.labels.items()
            if any(shown.case == case for shown in found.gallery)
        ]
        for case in wanted
    }
    if wanted:
        make_folder(output / GALLERY)
    painters = {label: HeatPainter(model, label) for label in evaluation.labels}
    drawn: dict[tuple[str, str], tuple[str, str]] = {}
    answers = reader.answers([paths[case] for case in wanted])
    for case, (reading, answer) in zip(wanted, answers, strict=True):
        for label in labels[case]:
            names = _draw(painters[label], case, label, (reading, answer), output)
            drawn[label, case] = names
    return _with_names(evaluation, drawn)


def remove_gallery(output: Path) -> None:
    """Remove the pictures of an earlier run.

    Raises:
        OutputError: If one cannot be removed.
    """
    for path in sorted((output / GALLERY).glob("*.*")):
        if path.suffix in {".jpg", ".png"}:
            try:
                path.unlink()
            except OSError as error:
                told = cannot_write(path, error)
                raise told from error


def _draw(
    painter: HeatPainter,
    case: str,
    label: str,
    found: tuple[Reading, Answer | None],
    output: Path,
) -> tuple[str, str]:
    """Write a case's picture and heatmap; return their names, "" for none."""
    reading, answer = found
    if not reading.pictures:
        return "", ""
    place, painted = len(reading.pictures) // 2, None
    if answer is not None and answer.has_places:
        levels = painter.levels(answer.features, reading)
        if levels.any():
            place = int(levels.max(axis=(0, 1)).argmax())
        painted = painter.paint(reading.pictures[place], levels[..., place])
    stem = f"{GALLERY}/{picture_stem(f'{label} {case}')}"
    write_whole(output / f"{stem}.jpg", reading.pictures[place])
    if painted is None:
        return f"{stem}.jpg", ""
    write_whole(output / f"{stem}-heat.png", painted)
    return f"{stem}.jpg", f"{stem}-heat.png"


def _with_names(
    evaluation: Evaluation, drawn: Mapping[tuple[str, str], tuple[str, str]]
) -> Evaluation:
    """Return the evaluation whose galleries name their pictures."""
    labels = {}
    for label, found in evaluation.labels.items():
        shown = []
        for case in found.gallery:
            picture, heatmap = drawn.get((label, case.case), ("", ""))
            changes = {"picture": picture, "heatmap": heatmap}
            shown.append(case.model_copy(update=changes))
        labels[label] = found.model_copy(update={"gallery": tuple(shown)})
    return evaluation.model_copy(update={"labels": labels})
