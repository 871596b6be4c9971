"""medcnn models: which models are there, and what each says of itself."""

from typing import Annotated, Any

import typer

import medcnn
from medcnn.bundle_places import models_folder
from medcnn.cli.console import answer, complain, printable, show
from medcnn.cli.options import Json
from medcnn.errors import BundleError

__all__ = ["models"]


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="Show the card of this model, or of a model's folder."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List medcnn's models and your own, or show one's card.

    Your own lie in the folder that MEDCNN_MODELS names, else in the user's data folder.
    """
    if name is not None:
        _show_card(medcnn.open_bundle(name), name, as_json=as_json)
        return
    bundles = _bundles()
    if as_json:
        answer([_facts(bundle, known) for known, bundle in bundles.items()])
        return
    if bundles:
        _show_list(bundles)
    else:
        show("No model comes with this installation, and there is none of your own.")
    show(f"Your own lie in {printable(str(models_folder()))}.")


def _bundles() -> dict[str, "medcnn.Bundle"]:
    """Open every model that has a name; say on stderr which cannot be opened."""
    found = {}
    for known in (*medcnn.shipped_bundles(), *medcnn.own_bundles()):
        try:
            found[known] = medcnn.open_bundle(known)
        except BundleError as error:
            complain(error)
    return found


def _facts(bundle: "medcnn.Bundle", known: str) -> dict[str, Any]:
    """Return the key facts of a bundle, and what --model calls it, as JSON values."""
    spec = bundle.spec
    return {
        "model": known,
        "name": spec.name,
        "version": spec.version,
        "summary": spec.summary,
        "path": str(bundle.path),
        "sha256": bundle.sha256,
        "labels": list(spec.labels),
        "network": spec.network.name,
        "input": spec.input.model_dump(),
        "modalities": list(spec.gate.modalities),
        "operating_points": [p.model_dump() for p in spec.operating_points],
        "evaluation": [score.model_dump() for score in spec.evaluation],
        "trained": spec.training.date,
    }


def _show_list(bundles: dict[str, "medcnn.Bundle"]) -> None:
    """Show one row for each bundle."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("model", "version", "what it does", "labels", "input", "AUC"):
        table.add_column(title, overflow="fold")
    for known, bundle in bundles.items():
        spec = bundle.spec
        size = " x ".join(str(n) for n in spec.input.shape)
        cells = (
            known,
            spec.version,
            spec.summary,
            ", ".join(spec.labels),
            f"{'/'.join(spec.gate.modalities) or 'any'}, {size}",
            _scores(bundle),
        )
        table.add_row(*(Text(cell) for cell in cells))
    show(table)
    show("\nOne model's card: medcnn models NAME. To use it: --model NAME.")


def _scores(bundle: "medcnn.Bundle") -> str:
    """Return the main label's area under the ROC curve on each data set."""
    main = bundle.spec.labels[0]
    scores = [
        f"{score.auroc:.3f} ({score.ci95[0]:.3f} to {score.ci95[1]:.3f}) {score.data}"
        for score in bundle.spec.evaluation
        if score.label == main and score.subgroup == "all"
    ]
    return "\n".join(scores) or "not measured"


def _show_card(bundle: "medcnn.Bundle", known: str, *, as_json: bool) -> None:
    """Show CARD.md, or all facts as JSON."""
    from medcnn.bundle import CARD

    card = bundle.card()
    if as_json:
        answer(_facts(bundle, known) | {"card": card})
        return
    if not card:
        show(f"{bundle.spec.name} {bundle.spec.version}: {bundle.spec.summary}")
        show(f"It carries no {CARD}.")
        return
    from rich.markdown import Markdown

    show(Markdown(card, hyperlinks=False))
