"""Errors keep their facts, also across a process boundary."""

import pickle
from pathlib import Path

import pytest

from medcnn import errors


def test_an_error_says_what_and_what_to_do():
    error = errors.BundleError("no model 'x'", hint="Shipped models: none.")
    assert str(error) == "no model 'x'. Shipped models: none."
    assert (error.message, error.hint) == ("no model 'x'", "Shipped models: none.")
    assert str(errors.BundleError("It broke.", hint="Mend it.")) == "It broke. Mend it."
    assert str(errors.BundleError("no model 'x'")) == "no model 'x'"


@pytest.mark.parametrize("kind", [errors.ReadError, errors.DecodeError])
def test_a_read_error_keeps_its_facts_in_another_process(kind):
    error = kind("broken", path=Path("a.dcm"), hint="Ask again.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    assert type(again) is kind
    assert (again.message, again.path, again.hint) == (
        "broken",
        Path("a.dcm"),
        "Ask again.",
    )


def test_several_series_stay_listed_in_another_process():
    error = errors.SeveralSeriesError("two", series=("one", "other"), hint="Name one.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    assert again.series == ("one", "other")
    assert again.hint == "Name one."


def test_every_error_is_exported_and_has_one_root():
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, errors.MedcnnError) for kind in kinds)
    assert errors.__all__ == sorted(errors.__all__)
