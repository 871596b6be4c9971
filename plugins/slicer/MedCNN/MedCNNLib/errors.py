"""What the module tells a user who cannot go on: what happened, and what to do."""

__all__ = ["ViewerError"]


class ViewerError(Exception):
    """Something the panel shows in words.

    Attributes:
        hint: What to do about it; empty if nothing can be advised.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def words(self) -> str:
        """Both sentences, for a panel."""
        return f"{self} {self.hint}".strip()
