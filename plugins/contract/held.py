"""How long a call holds who makes it, whatever else the machine does."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

__all__ = ["Held"]

_TICK_S = 0.005


class Held:
    """Measure calls by a clock that stands still while this process does.

    On a busy machine a call that waits for nothing may take a second. What a thread
    beside it could do in the meantime is less: that, or the processor's own time, is
    how long the call held its caller.

    Attributes:
        longest: Of all calls, in seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._ticks = 0
        self._is_over = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._clock.join()

    def __call__(self, act: Callable[[], Any]) -> Any:
        """Make a call and return what it returns."""
        ticks, busy = self._ticks, time.thread_time()
        found = act()
        waited = (self._ticks - ticks) * _TICK_S
        self.longest = max(self.longest, waited, time.thread_time() - busy)
        return found

    def _tick(self) -> None:
        while not self._is_over.wait(_TICK_S):
            self._ticks += 1
