"""Whose images are: patients' numbers that a run keeps only when it is asked to.

Without `--identify` a pseudonym takes a number's place before anything is written. It
follows from the number and a key that only this run has, so that rows of one patient
have one, in every session of the run, and who tries all numbers finds none.
"""

from dataclasses import replace
from pathlib import Path

from medcnn.errors import DataError, OutputError
from medcnn.pseudonyms import Pseudonyms, read_or_make_key
from medcnn.results import CaseResult
from medcnn.screening.store import Store

__all__ = ["KEY", "Whose", "has_pseudonyms", "settle_whose", "shown_whose"]

KEY = "patients.key"
"""The key's name in the output folder; only its owner may read it."""

_KEPT, _MARK = "patients", "key of pseudonyms"
_NUMBERS, _PSEUDONYMS = "numbers", "pseudonyms"


class Whose:
    """What becomes of the patient's number of a case.

    Args:
        pseudonyms: Take its place; None leaves it.
    """

    def __init__(self, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms

    def of(self, case: CaseResult) -> CaseResult:
        """Return the case as it may be written; one that was stays as it is."""
        number = case.identity.get("patient_id")
        if self._pseudonyms is None or not number:
            return case
        new = self._pseudonyms.marked(number)
        return replace(case, identity={**case.identity, "patient_id": new})


def settle_whose(store: Store, *, identify: bool) -> Whose:
    """Note for good how a run names patients, and return what does it.

    Args:
        store: Of the run, which nobody else has open.
        identify: Whether their numbers are kept.

    Raises:
        OutputError: If the run was begun otherwise, or its key is lost.
    """
    wanted = _NUMBERS if identify else _PSEUDONYMS
    is_begun = store.has_cases()
    # versions that noted nothing kept the numbers
    known = (store.fact(_KEPT) or _NUMBERS) if is_begun else wanted
    if known != wanted:
        told = _told_otherwise(store.path.parent, known)
        raise told
    pseudonyms = None
    if not identify:
        pseudonyms = _pseudonyms(store, must_be_there=is_begun)
    store.note({_KEPT: wanted})
    return Whose(pseudonyms)


def shown_whose(store: Store, *, identify: bool) -> Whose:
    """Return what names patients in files that are made of a store.

    Raises:
        OutputError: If a key is needed and cannot be made.
    """
    if identify or has_pseudonyms(store):
        return Whose()
    return Whose(Pseudonyms(_key(store.path.with_name(KEY))))


def has_pseudonyms(store: Store) -> bool:
    """Say whether a run names patients by pseudonyms, in its store too."""
    return store.fact(_KEPT) == _PSEUDONYMS


def _told_otherwise(folder: Path, known: str) -> OutputError:
    """Return the error of a run that goes on otherwise than it began."""
    if known == _NUMBERS:
        msg = f"{folder} holds a run that keeps patients' numbers, as with --identify."
        hint = "Go on with --identify, or choose another --output; medcnn report DIR "
        hint += "makes its files without numbers."
    else:
        msg = f"{folder} holds a run without --identify: it has pseudonyms, and "
        msg += "patients' numbers cannot be told from them."
        hint = "Go on without --identify, or screen into another --output with it."
    return OutputError(msg, hint=hint)


def _pseudonyms(store: Store, *, must_be_there: bool) -> Pseudonyms:
    """Return those of a run.

    Raises:
        OutputError: If it is begun, and the key is lost or another.
    """
    path = store.path.with_name(KEY)
    hint = f"Put its {KEY} back, or choose another --output; medcnn report DIR works "
    hint += "without it."
    if must_be_there and not path.is_file():
        msg = f"{path} is not there: new images of a patient would get a new pseudonym."
        raise OutputError(msg, hint=hint)
    found = Pseudonyms(_key(path))
    if must_be_there and store.fact(_MARK) != found.mark:
        msg = f"{path} is the key of another run."
        raise OutputError(msg, hint=hint)
    store.note({_MARK: found.mark})
    return found


def _key(path: Path) -> bytes:
    """Return the key of a run.

    Raises:
        OutputError: If it cannot be made or is none.
    """
    if path.is_file() and not path.stat().st_size:
        path.unlink()  # of a process that was killed before it needed one
    try:
        return read_or_make_key(path)
    except DataError as error:
        hint = "Put the file back as it was, or choose another --output."
        raise OutputError(error.message, hint=hint) from error
