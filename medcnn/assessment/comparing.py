"""`compare`: two models, or two tables of predictions, on the same cases."""

from pathlib import Path

from medcnn.assessment.evaluating import Run, run_model
from medcnn.evaluation import (
    COMPARISON,
    Comparison,
    Design,
    Predictions,
    compare_predictions,
    read_predictions,
    write_comparison,
)
from medcnn.model import Model
from medcnn.outputs import make_folder

__all__ = ["compare"]


def compare(  # noqa: PLR0913 - a main entry; all but two have a default
    a: Model | str | Path,
    b: Model | str | Path,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    scores: bool = False,
    output: str | Path | None = None,
    run: Run | None = None,
) -> Comparison:
    """Compare two models on the same cases: DeLong's paired test, by patient.

    Args:
        a: A model, if there are data; else a table of predictions.
        b: Another.
        data: Labelled images, or None.
        split: Which split, or "all"; None: test if there is one.
        scores: Whether the values of tables are no probabilities.
        output: The folder for comparison.json; None writes nothing.
        run: How models are run.

    Raises:
        DataError: If the data are wrong, or the cases of both differ.
        LeakageError: If one of them was trained on some of the images.
        OutputError: If the output cannot be written.
    """
    if data is None:
        tables = [read_predictions(_path(x), scores=scores) for x in (a, b)]
        names = (str(_path(a)), str(_path(b)))
    else:
        tables, names = _answers(a, b, data, split, run or Run())
    found = compare_predictions(tables[0], tables[1], names=names, split=split)
    if output is not None:
        make_folder(Path(output))
        write_comparison(found, Path(output) / COMPARISON)
    return found


def _answers(
    a: Model | str | Path,
    b: Model | str | Path,
    data: str | Path,
    split: str | None,
    run: Run,
) -> tuple[list[Predictions], tuple[str, str]]:
    """Run both models; return what they say, and their names."""
    found, names = [], []
    for model in (a, b):
        opened = run.open(model)
        material = run_model(opened, data, Design(split=split), run)
        found.append(material.answered.predictions)
        names.append(f"{opened.spec.name} {opened.spec.version}")
    if names[0] == names[1]:
        names = [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=True)]
    return found, (names[0], names[1])


def _path(given: Model | str | Path) -> Path:
    """Return a table's path.

    Raises:
        TypeError: If it is an open model, which needs data.
    """
    if isinstance(given, Model):
        msg = "two models need data; two tables of predictions need none"
        raise TypeError(msg)
    return Path(given)
