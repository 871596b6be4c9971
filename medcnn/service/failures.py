"""Errors as viewers are told them: a kind, a sentence, and what to do."""

from medcnn import errors

__all__ = ["facts_of_error", "kind_of_error"]

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (errors.ReadError, "image"),
    (errors.GeometryError, "image"),
    (errors.BundleError, "model"),
    (errors.EngineError, "engine"),
    (errors.MissingDependencyError, "dependency"),
    (errors.OutputError, "output"),
    (errors.MedcnnError, "data"),
    (MemoryError, "memory"),
    (OSError, "system"),
)
_NO_MEMORY = "Close other programs, or use a computer with more memory."


def kind_of_error(error: BaseException) -> str:
    """Return the word that docs/worker.md has for an error."""
    if isinstance(error, errors.ServiceError):
        return error.kind
    return next(
        (kind for known, kind in _KINDS if isinstance(error, known)), "internal"
    )


def facts_of_error(error: BaseException) -> dict[str, str]:
    """Return kind, message and hint of an error.

    What was not foreseen is named by its type alone: its text may hold anything, also
    what a file says of a patient.
    """
    kind = kind_of_error(error)
    if isinstance(error, errors.MedcnnError):
        return {"kind": kind, "message": error.message, "hint": error.hint}
    if isinstance(error, MemoryError):
        return {"kind": kind, "message": "Memory ran out.", "hint": _NO_MEMORY}
    if isinstance(error, OSError):
        message = f"The system refused: {error.strerror or type(error).__name__}."
        return {"kind": kind, "message": message, "hint": "Check disk and permissions."}
    message = f"An error that was not foreseen: {type(error).__name__}."
    hint = "Please report it, with what medcnn doctor prints."
    return {"kind": kind, "message": message, "hint": hint}
