"""A model's card, filled from an evaluation of it."""

from pathlib import Path

from medcnn.bundle import Bundle, open_bundle
from medcnn.bundle_writing import replace_card
from medcnn.errors import DataError
from medcnn.evaluation import Evaluation
from medcnn.report.card_section import card_section, with_section

__all__ = ["update_card"]


def update_card(model: str | Path, evaluation: Evaluation) -> Bundle:
    """Write an evaluation into the card of the model that it is of.

    It becomes a section of CARD.md; one of the same data and split is replaced. Only
    the card and its checksum in bundle.json change.

    Args:
        model: A shipped model's name, or a bundle's directory.
        evaluation: Of this model.

    Raises:
        DataError: If it is of another model.
        OutputError: If the card cannot be written.
    """
    bundle = open_bundle(model)
    if evaluation.model.sha256 != bundle.sha256:
        whose = evaluation.model.name or "no known model"
        msg = f"the evaluation is of {whose}, not of {bundle.spec.name}: "
        msg += "the checksums of their weights differ"
        raise DataError(msg, hint="Evaluate this model, then write its card.")
    return replace_card(bundle, with_section(bundle.card(), card_section(evaluation)))
