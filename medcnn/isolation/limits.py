"""What one file may cost before it becomes an error."""

from dataclasses import dataclass

__all__ = ["Limits"]

_LONGEST_S = 86_400.0


@dataclass(frozen=True)
class Limits:
    """What one file may cost before it becomes an error row.

    Attributes:
        timeout_s: Longest time for reading and preparing one file, in seconds.
        memory_bytes: Most memory for it, where the system can limit it.

    Raises:
        ValueError: If one is no amount, or the time is more than a day.
    """

    timeout_s: float = 60.0
    memory_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= _LONGEST_S:
            msg = f"timeout_s must be above 0 and at most a day, got {self.timeout_s}"
            raise ValueError(msg)
        if self.memory_bytes < 1:
            msg = f"memory_bytes must be at least 1, got {self.memory_bytes}"
            raise ValueError(msg)
