"""medcnn explain: what moved the score, drawn on the image."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import medcnn
from medcnn.cli.console import answer, printable, progress_bar, say
from medcnn.cli.dicom_choices import DicomChoices
from medcnn.cli.open_model import open_model
from medcnn.cli.options import (
    AllowGaps,
    AllTiles,
    Device,
    Engine,
    Json,
    Model,
    OutputFolder,
    Quiet,
    ResampleTilt,
    SlideRule,
    TileOverlap,
    TileUm,
)
from medcnn.cli.slides import SlideChoices, explain_slide, slide_row, slides_among
from medcnn.errors import DataError

if TYPE_CHECKING:
    from medcnn.explanation import Explained

__all__ = ["explain"]


class Format(StrEnum):
    """What files are written."""

    PNG = "png"
    NIFTI = "nifti"
    DICOM = "dicom"
    DICOM_SEG = "dicom-seg"


def explain(
    path: Annotated[
        Path,
        typer.Argument(
            help="An image or a series' folder.",
            metavar="PATH",
            readable=False,
            show_default=False,
        ),
    ],
    *,
    output: OutputFolder,
    label: Annotated[
        str | None,
        typer.Option(help="Which label; default: the main one; all: every label."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="auto, cam, grad-cam, grad-cam++, hirescam, layercam, score-cam, "
            "eigen-cam, occlusion, integrated-gradients or smoothgrad."
        ),
    ] = "auto",
    layer: Annotated[
        str | None,
        typer.Option(
            help="Whose feature map is taken; default: the last one. A wrong name is "
            "answered with those there are."
        ),
    ] = None,
    feature_maps: Annotated[
        str | None,
        typer.Option(
            help="Draw what the filters of this layer respond to, as a grid.",
            metavar="LAYER",
        ),
    ] = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "--format",
            help="png: overlay; nifti: a volume's values; dicom: report, overlay and "
            "a volume's values as DICOM objects of the same study; dicom-seg: also "
            "the hot region; repeatable. Default: png and nifti.",
        ),
    ] = None,
    identify: Annotated[
        bool,
        typer.Option(
            "--identify",
            help="Copy patient's name, number and dates into DICOM results; without, "
            "only their UIDs tie them to the study.",
        ),
    ] = False,
    codes: Annotated[
        Path | None,
        typer.Option(help="TOML file with your codes for findings in DICOM results."),
    ] = None,
    part: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Which of several images in a file or series, as medcnn inspect "
            "lists them.",
        ),
    ] = None,
    resample_tilt: ResampleTilt = False,
    allow_gaps: AllowGaps = False,
    tile_um: TileUm = None,
    tile_overlap: TileOverlap = 0,
    all_tiles: AllTiles = False,
    slide_rule: SlideRule = "max",
    model: Model = "chest-xray",
    device: Device = "auto",
    engine: Engine = "auto",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write heatmaps: PNG, NIfTI for volumes, DICOM.

    They have the image's own geometry and resolution; those of a whole slide lie on a
    small picture of it, beside a table of its tiles. A heatmap shows what moved the
    score, not a lesion's outline.
    """
    if slides_among([path])[0]:
        _refuse_for_slides(method, layer, feature_maps, formats)
        opened = open_model(model, engine=engine, device=device, quiet=quiet)
        choices = SlideChoices(tile_um, tile_overlap, all_tiles, slide_rule, quiet)
        _explain_slide(opened, path, _labels(opened, label), output, choices, as_json)
        return
    with medcnn.SafeReader() as reader:  # its start and the model's go on side by side
        opened = open_model(model, engine=engine, device=device, quiet=quiet)
        image = reader.load(
            path, part=part, resample_tilt=resample_tilt, allow_gaps=allow_gaps
        )
    wanted: frozenset[Format] = frozenset(formats or (Format.PNG, Format.NIFTI))
    dicom = DicomChoices(
        path=path,
        part=part,
        resample_tilt=resample_tilt,
        allow_gaps=allow_gaps,
        with_region=Format.DICOM_SEG in wanted,
        identify=identify,
        codes=codes,
    )
    how = _Choices(method, layer, feature_maps, quiet, wanted, dicom)
    prediction, heatmaps, files = _explain(
        opened, image, _labels(opened, label), output, how
    )
    if prediction.out_of_scope:
        say(f"Out of scope, do not use it: {prediction.out_of_scope}")
    if as_json:
        answer(
            {
                "path": str(path),
                "files": [str(file) for file in files],
                "labels": [heatmap.label for heatmap in heatmaps],
                "method": heatmaps[0].method,
                "layer": heatmaps[0].layer,
                "unit": heatmaps[0].unit,
                "meaning": heatmaps[0].meaning,
                "limits": heatmaps[0].limits,
                "peaks": {h.label: list(h.peak) for h in heatmaps},
                "prediction": prediction.to_json(),
            }
        )
        return
    for file in files:
        typer.echo(printable(str(file)))


@dataclass(frozen=True)
class _Choices:
    """How heatmaps are made."""

    method: str
    layer: str | None
    feature_maps: str | None
    quiet: bool
    formats: frozenset[Format]
    dicom: DicomChoices

    @property
    def suffix(self) -> str:
        """What tells the files of one method from another's."""
        return "" if self.method == "auto" else f".{self.method}"


def _explain(
    model: "medcnn.Model",
    image: "medcnn.Image",
    labels: tuple[str, ...],
    output: Path,
    choices: _Choices,
) -> tuple["medcnn.Prediction", tuple["medcnn.Heatmap", ...], list[Path]]:
    """Make the maps of all wanted labels and write them."""
    from medcnn.cli.feature_files import write_features
    from medcnn.cli.heatmap_files import file_stem
    from medcnn.explanation import Explainer
    from medcnn.outputs import make_folder

    with progress_bar("Explaining", unit="passes", quiet=choices.quiet) as advance:
        explainer = Explainer(
            model, method=choices.method, layer=choices.layer, progress=advance
        )
        explained = explainer.explain(image, labels)
        wanted = choices.feature_maps
        drawn = None if wanted is None else explainer.features(image, wanted)
    make_folder(output)
    files = list(_write(model, image, explained, output, choices))
    if drawn is not None:
        features, name = drawn
        files.append(output / f"{file_stem(image.source)}.features.{name}.png")
        write_features(files[-1], features, f"{model.spec.name}, layer {name}")
    return explained.answered, explained.heatmaps, files


def _write(
    model: "medcnn.Model",
    image: "medcnn.Image",
    explained: "Explained",
    output: Path,
    choices: _Choices,
) -> Iterator[Path]:
    """Write the maps in the wanted formats and yield their files."""
    from medcnn.cli.heatmap_files import write_heatmap
    from medcnn.explanation import shown

    hottest = explained.hottest or (None,) * len(explained.heatmaps)
    for heatmap, most in zip(explained.heatmaps, hottest, strict=True):
        yield from write_heatmap(
            output,
            image,
            heatmap,
            explained.answered,
            suffix=choices.suffix,
            shown=shown(model, heatmap, most),
            formats=choices.formats,
        )
    if choices.formats & {Format.DICOM, Format.DICOM_SEG}:
        from medcnn.cli.dicom_files import write_dicom

        yield from write_dicom(
            model, image, explained, output, choices.dicom, suffix=choices.suffix
        )


def _refuse_for_slides(
    method: str,
    layer: str | None,
    feature_maps: str | None,
    formats: list[Format] | None,
) -> None:
    """Refuse what is not made of whole slides.

    Raises:
        DataError: If it is asked for.
    """
    if method not in {"auto", "cam"} or layer or feature_maps:
        msg = "of a whole slide only the method cam is made, of the last layer"
        raise DataError(msg, hint="Leave --method, --layer and --feature-maps out.")
    if formats:
        msg = "of a whole slide there are only its own files, no --format to choose"
        raise DataError(msg, hint="Leave --format out.")


def _labels(model: "medcnn.Model", label: str | None) -> tuple[str, ...]:
    """Return the labels whose maps are wanted."""
    return model.labels if label == "all" else (label or model.labels[0],)


def _explain_slide(
    model: "medcnn.Model",
    path: Path,
    labels: tuple[str, ...],
    output: Path,
    choices: SlideChoices,
    as_json: bool,
) -> None:
    """Write a slide's maps and its table of tiles."""
    result, files = explain_slide(model, path, labels, output, choices)
    if result.prediction.out_of_scope:
        say(f"Out of scope, do not use it: {result.prediction.out_of_scope}")
    if as_json:
        answer(slide_row(model, result) | {"files": [str(file) for file in files]})
        return
    for file in files:
        typer.echo(printable(str(file)))
