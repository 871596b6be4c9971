"""medcnn train: from labelled images to a model with its card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import medcnn
from medcnn.cli.console import answer, printable, say
from medcnn.cli.options import Device, Json, Quiet

if TYPE_CHECKING:
    from medcnn.training.planned import Estimate, Planned

__all__ = ["train"]


def train(
    data: Annotated[
        Path,
        typer.Argument(
            help="A table with path and labels, a folder with one sub-folder for each "
            "class, or a data set in a .npz.",
            metavar="DATA",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The model's folder.", show_default=False),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="A TOML file; what it says overrides the plan."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value, such as optimiser.epochs=20; repeatable."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the plan and about how long it takes."),
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option(min=1, help="Train so many networks, each with a part held out."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Train so many networks that differ by chance."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of pretrained weights to start from.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="A model to start from, with its network.", metavar="MODEL"),
    ] = None,
    allow_leak: Annotated[
        bool,
        typer.Option(
            "--allow-leak",
            help="Train although patients or images are in several splits; the model's "
            "card says so.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare batches.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Start of all random numbers; default: the recipe's."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on labelled images, and write it with its card.

    The data is read once and a plan is made; the recipe and --set override it.
    Stopped at any moment, the same command goes on where it stood.

    Raises:
        BadParameter: If there is no output, and a model is to be written.
    """
    train_now = medcnn.train
    from medcnn.planning import parse_settings
    from medcnn.training.start import start_settings

    chosen = parse_settings(settings or [])
    named = {"folds": folds, "seeds": seeds, "seed": seed, "run.workers": workers}
    chosen |= {key: value for key, value in named.items() if value is not None}
    chosen |= start_settings(init=init, weights=weights)
    if dry_run:
        _show_plan(data, recipe, chosen, device, as_json=as_json)
        return
    if output is None:
        msg = "a model needs a folder to be written to"
        raise typer.BadParameter(msg, param_hint="--output")
    bundle = train_now(
        data,
        output=output,
        recipe=recipe,
        settings=chosen,
        device=device,
        allow_leak=allow_leak,
        progress=not quiet,
    )
    if as_json:
        answer(medcnn.open_bundle(bundle).spec.model_dump(mode="json"))
    else:
        typer.echo(printable(str(bundle)))


def _show_plan(
    data: Path,
    recipe: Path | None,
    chosen: dict[str, Any],
    device: str,
    *,
    as_json: bool,
) -> None:
    """Print the plan, and how long it takes about."""
    import json

    from medcnn.training.planned import estimate, plan_training

    planned = plan_training(data, recipe=recipe, settings=chosen, device=device)
    guess = estimate(planned)
    if as_json:
        answer(json.loads(planned.plan.to_json()) | {"estimate": guess.__dict__})
    else:
        _print(planned, guess)


def _print(planned: "Planned", guess: "Estimate") -> None:
    """Print a plan for a person."""
    from medcnn.training.planned import told

    typer.echo(printable(told(planned.plan.fingerprint)))
    for line in planned.plan.lines():
        typer.echo(printable(f"  {line}"))
    typer.echo(printable(guess.words()))
    say(
        "Nothing was trained (--dry-run); copies and patients across splits are looked "
        "for when the images are read."
    )
