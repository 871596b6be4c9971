"""What a client cannot do, in words: what happened, and what to do about it."""

from __future__ import annotations

__all__ = ["WorkerError"]


class WorkerError(Exception):
    """The only error of a client.

    Attributes:
        message: What is wrong.
        hint: What to do about it; may be empty.
        kind: In a word, see docs/worker.md: "stopped", "busy", "image", "start", ...
        status: The HTTP status; None if there was no answer.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        kind: str = "internal",
        status: int | None = None,
    ) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message, self.hint, self.kind, self.status = message, hint, kind, status
