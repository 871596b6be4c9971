"""The options that mean the same for every verb."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "AllTiles",
    "AllowGaps",
    "Device",
    "Engine",
    "EngineChoice",
    "Identify",
    "Json",
    "Model",
    "NewModel",
    "OutputFolder",
    "Paths",
    "PrecisionOption",
    "Quiet",
    "ResampleTilt",
    "Seed",
    "SlideRule",
    "TileOverlap",
    "TileUm",
    "Workers",
]

EngineChoice = Literal["auto", "openvino", "onnxruntime", "torch"]

Paths = Annotated[
    list[Path],
    typer.Argument(
        help="Files and folders.",
        metavar="PATH",
        readable=False,  # what cannot be read is told by reading, not as wrong usage
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path,
    typer.Option("--output", "-o", help="Folder to write to.", show_default=False),
]
NewModel = Annotated[
    Path,
    typer.Option("--output", "-o", help="The new model's folder.", show_default=False),
]
Model = Annotated[
    str,
    typer.Option(help="Name of a model that medcnn models lists, or a model's folder."),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:N or mps. auto says what it chose; "
        "a device that is not there is an error."
    ),
]
Engine = Annotated[EngineChoice, typer.Option(help="What runs the network.")]
PrecisionOption = Annotated[
    Literal["fp32", "int8"],
    typer.Option(
        "--precision", help="int8: the model's 8-bit network, made by medcnn export."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that read files; default: by the CPU's cores."),
]
Seed = Annotated[int, typer.Option(min=0, help="Start of all random numbers.")]
Identify = Annotated[
    bool,
    typer.Option(
        "--identify",
        help="Keep patients' numbers, not pseudonyms; they and DICOM UIDs go into the "
        "report.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON on stdout.")]
ResampleTilt = Annotated[
    bool,
    typer.Option(
        "--resample-tilt",
        help="Resample slices that a tilted gantry sheared, not refuse them.",
    ),
]
AllowGaps = Annotated[
    bool,
    typer.Option(
        "--allow-gaps",
        help="Resample slices with gaps or uneven distances, not refuse them.",
    ),
]
TileUm = Annotated[
    float | None,
    typer.Option(
        help="Slides: micrometres of a tile's pixel; default: the slide's finest."
    ),
]
TileOverlap = Annotated[
    int, typer.Option(min=0, help="Slides: pixels that neighbouring tiles share.")
]
AllTiles = Annotated[
    bool, typer.Option("--all-tiles", help="Slides: also tiles that show only glass.")
]
SlideRule = Annotated[
    Literal["max", "top-mean"],
    typer.Option(
        help="Slides: the highest tile's probability, or the mean of the ten highest."
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No words and no progress on stderr.")
]
