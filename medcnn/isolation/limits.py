"""What one file may cost before it becomes an error."""

from dataclasses import dataclass

from medcnn.io.bounds import MAX_FRAMES, MAX_SAMPLES

__all__ = ["Limits"]

_LONGEST_S = 86_400.0


@dataclass(frozen=True)
class Limits:
    """What one file may cost before it becomes an error row.

    Attributes:
        timeout_s: Longest time for reading and preparing one file, in seconds.
        memory_bytes: Most memory for it, where the system can limit it.
        samples: Most numbers that its header may declare: columns x rows x slices x
            channels.
        frames: Most frames that the header of a DICOM object may declare.

    Raises:
        ValueError: If one is no amount, or the time is more than a day.
    """

    timeout_s: float = 60.0
    memory_bytes: int = 4 << 30
    samples: int = MAX_SAMPLES
    frames: int = MAX_FRAMES

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= _LONGEST_S:
            msg = f"timeout_s must be above 0 and at most a day, got {self.timeout_s}"
            raise ValueError(msg)
        for name in ("memory_bytes", "samples", "frames"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1, got {getattr(self, name)}"
                raise ValueError(msg)
