"""medcnn describe: a network taken apart, layer by layer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import medcnn
from medcnn.cli.console import answer, say, show
from medcnn.cli.extras import imports_of
from medcnn.cli.options import Json
from medcnn.errors import BundleError

if TYPE_CHECKING:
    from medcnn.networks import Classifier
    from medcnn.networks.description import Description, Layer

__all__ = ["describe"]

_DEFAULT_SIDES = {2: (224, 224), 3: (64, 64, 64)}


def describe(
    name: Annotated[
        str,
        typer.Argument(
            help="A model, a model's folder, or the name of a network.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    *,
    dims: Annotated[
        int | None,
        typer.Option(
            min=2, max=3, help="A network's name: its dimensions.", show_default="2"
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(
            help="A network's name: rows,columns or slices,rows,columns.",
            show_default="224,224 or 64,64,64",
        ),
    ] = None,
    channels: Annotated[
        int, typer.Option(min=1, help="A network's name: 1 for grey, 3 for colour.")
    ] = 1,
    labels: Annotated[
        int, typer.Option(min=1, help="A network's name: number of labels.")
    ] = 2,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A network's name: its arguments."
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="MM", help="Of the input's pixels: rows,columns or slices first."
        ),
    ] = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="One row for each stage of the network.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what each layer computes, costs, sees and saves.

    A layer sees its receptive field: so many pixels of the input. What it saves are
    parameters, by using the same weights everywhere, against a fully connected layer of
    the same input and output.
    """
    if name in _networks().NETWORKS:
        image = (channels, *_sides(dims, shape))
        network = _built(name, image, labels, _arguments(settings or []))
        known = None
    else:
        spec = _open(name).spec
        image = (spec.input.channels, *spec.input.shape)
        found = spec.network
        network = _built(found.name, image, len(spec.labels), found.arguments)
        known = _spacing(spec)
    spacing_mm = known if spacing is None else _millimetres(spacing, len(image) - 1)
    from medcnn.networks.description import describe_network

    told = describe_network(network, image, spacing_mm=spacing_mm)
    if as_json:
        answer({"model": name} | told.to_json())
        return
    _show(told, told.stages() if stages else told.layers)


def _open(name: str) -> "medcnn.Bundle":
    """Open a model; what is neither model nor network is told the names of both.

    Raises:
        BundleError: If it cannot be opened.
    """
    try:
        return medcnn.open_bundle(name)
    except BundleError as error:
        if Path(name).exists():
            raise
        networks = ", ".join(_networks().NETWORKS)
        hint = f"{error.hint} Networks: {networks}."
        raise BundleError(error.message, hint=hint) from error


def _networks() -> Any:
    """Return medcnn.networks, which builds what is described."""
    with imports_of("medcnn describe", extra="train"):
        import medcnn.networks
    return medcnn.networks


def _built(
    name: str, image: tuple[int, ...], labels: int, arguments: dict[str, Any]
) -> "Classifier":
    """Build a network for images of one shape, channels first."""
    network: Classifier = _networks().build(
        name,
        dims=len(image) - 1,
        in_channels=image[0],
        labels=labels,
        shape=image[1:],
        **arguments,
    )
    return network


def _spacing(spec: Any) -> tuple[float, ...] | None:
    """Return the spacing that a model brings its images to; None if it does not."""
    found = [getattr(step, "spacing_mm", None) for step in spec.preprocessing.steps]
    known = [spacing for spacing in found if spacing]
    return tuple(known[-1]) if known else None


def _sides(dims: int | None, shape: str | None) -> tuple[int, ...]:
    """Read the sides of a network's input.

    Raises:
        BadParameter: If they are no such numbers.
    """
    if shape is None:
        return _DEFAULT_SIDES[dims or 2]
    try:
        sides = tuple(int(part) for part in shape.split(","))
    except ValueError:
        sides = ()
    if len(sides) not in ({dims} if dims else {2, 3}):
        msg = f"--shape takes {dims or '2 or 3'} whole numbers, got {shape!r}"
        raise typer.BadParameter(msg)
    if min(sides) < 1:
        msg = f"--shape takes numbers above 0, got {shape!r}"
        raise typer.BadParameter(msg)
    return sides


def _millimetres(text: str, dims: int) -> tuple[float, ...]:
    """Read a spacing; one number is for all axes.

    Raises:
        BadParameter: If it is none.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        msg = f"--spacing takes millimetres such as 0.7,0.7, got {text!r}"
        raise typer.BadParameter(msg) from error
    values = values * dims if len(values) == 1 else values
    if len(values) != dims or min(values) <= 0:
        msg = f"--spacing takes 1 or {dims} numbers above 0, got {text!r}"
        raise typer.BadParameter(msg)
    return values


def _arguments(settings: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE; numbers, true and false are what they look like.

    Raises:
        BadParameter: If one is not of that form.
    """
    arguments = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals):
            msg = f"--set takes KEY=VALUE, got {setting!r}"
            raise typer.BadParameter(msg)
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return arguments


def _show(told: "Description", rows: tuple["Layer", ...]) -> None:
    """Show one row for each layer, and what all of them come to."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("layer", "what it does"):
        table.add_column(title, overflow="fold")
    in_mm = any(row.sees_mm for row in rows)
    numbers = [
        "output",
        "parameters",
        "sees",
        *(["sees, mm"] if in_mm else []),
        "saved",
    ]
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        sees = "all" if row.sees is None else " x ".join(map(str, row.sees))
        mm = " x ".join(f"{n:.3g}" for n in row.sees_mm) if row.sees_mm else "all"
        cells = (
            row.name.removeprefix("body."),
            row.does,
            " x ".join(map(str, row.output)),
            f"{row.parameters:,}" if row.parameters else "",
            sees,
            *([mm] if in_mm else []),
            _short(row.saved),
        )
        table.add_row(*(Text(cell) for cell in cells))
    show(table)
    image = " x ".join(map(str, told.input))
    shown = f"{told.multiply_adds / 1e9:.3g} G"
    show(f"\nInput {image}: {told.parameters:,} parameters, {shown} multiply-adds.")
    say("sees: receptive field in input pixels; saved: parameters, by sharing them.")


def _short(count: int) -> str:
    """Write a large number with a letter; nothing for 0."""
    if count < 1:
        return ""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)
