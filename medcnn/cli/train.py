"""medcnn train: from labelled images to a model with its card."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    detector: Annotated[
        Literal["padim", "patchcore"] | None,
        typer.Option(
            help="Learn normal images only, and find what is unlike them: an anomaly "
            "score, no probability. Needs --init or --weights.",
            show_default=False,
        ),
    ] = None,
    normal: Annotated[
        str | None,
        typer.Option(help="With --detector: the normal class.", metavar="CLASS"),
    ] = None,
    percentile: Annotated[
        float,
        typer.Option(
            min=0.51, max=0.999, help="With --detector: share of normals not flagged."
        ),
    ] = 0.95,
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
    from medcnn.training.detecting import train_detector
    from medcnn.training.start import start_settings

    chosen = parse_settings(settings or [])
    named = {"folds": folds, "seeds": seeds, "seed": seed, "run.workers": workers}
    chosen |= {key: value for key, value in named.items() if value is not None}
    shared: dict[str, Any] = {
        "recipe": recipe,
        "allow_leak": allow_leak,
        "progress": not quiet,
    }
    if detector is not None:
        _refuse_beside_detector(dry_run=dry_run, folds=folds, seeds=seeds)
        start: dict[str, Any] = {"init": init, "weights": weights, "normal": normal}
        bundle = train_detector(
            data,
            output=_needed(output),
            kind=detector,
            settings=chosen,
            percentile=percentile,
            **start,
            **shared,
        )
    else:
        chosen |= start_settings(init=init, weights=weights)
        if dry_run:
            _show_plan(data, recipe, chosen, device, as_json=as_json)
            return
        bundle = train_now(
            data, output=_needed(output), settings=chosen, device=device, **shared
        )
    if as_json:
        answer(medcnn.open_bundle(bundle).spec.model_dump(mode="json"))
    else:
        typer.echo(printable(str(bundle)))


def _needed(output: Path | None) -> Path:
    """Return the output.

    Raises:
        BadParameter: If there is none.
    """
    if output is None:
        msg = "a model needs a folder to be written to"
        raise typer.BadParameter(msg, param_hint="--output")
    return output


def _refuse_beside_detector(
    *, dry_run: bool, folds: int | None, seeds: int | None
) -> None:
    """Refuse what means nothing for a detector: it is fitted once, not trained.

    Raises:
        BadParameter: If something is given.
    """
    given = {"--dry-run": dry_run, "--folds": folds, "--seeds": seeds}
    for name, value in given.items():
        if value:
            msg = "a detector is fitted once, in one pass over the normal images"
            raise typer.BadParameter(msg, param_hint=f"{name} with --detector")


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
