"""Files that are gone are told from a place that is gone."""

from collections.abc import Callable

from medcnn.errors import ReadError
from medcnn.screening.store import Finished

__all__ = ["GONE", "sifted"]

GONE = (
    "What is finished is kept. Connect the drive or network again, then give the same "
    "command: it goes on where it stopped."
)
"""What to do when a place is gone."""

_UNREACHED = {"open", "folder", "timeout"}


def sifted(
    fresh: list[Finished], gone: Callable[[], ReadError | None]
) -> tuple[list[Finished], ReadError | None]:
    """Return the cases that are to be saved, and the error that ends the run.

    Args:
        fresh: New cases.
        gone: Asked for the error if a file was not reached; None while the place is
            there, which makes it the file's own fault.

    Returns:
        All of them; or those before the first that was not reached, and the error.
    """
    unreached = [n for n, one in enumerate(fresh) if one.case.stage in _UNREACHED]
    error = gone() if unreached else None
    return (fresh, None) if error is None else (fresh[: unreached[0]], error)
