"""Stop in good order when the user or the system asks for it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["StopAsked", "listening"]


class StopAsked:
    """Whether a signal asked for an end, and which one.

    Attributes:
        number: The signal; None while nobody asked.
        is_listening: Whether signals are noted here at present.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_listening = False

    def __bool__(self) -> bool:
        return self.number is not None

    def deliver(self) -> None:
        """Let whoever handled that signal before act on it, as if it came now.

        Raises:
            KeyboardInterrupt: If nobody did.
        """
        if self.number is not None:
            signal.raise_signal(self.number)
            raise KeyboardInterrupt


@contextmanager
def listening(asked: StopAsked) -> Iterator[None]:
    """Note SIGINT and SIGTERM instead of being broken off by them.

    A second signal does break off. Outside the main thread, where Python handles no
    signals, and within another `listening` to the same, nothing changes.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if asked.is_listening or not in_main:
        yield
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        asked.number = number
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) not in {signal.SIG_IGN, None}:
            before[number] = signal.signal(number, note)
    asked.is_listening = True
    try:
        yield
    finally:
        asked.is_listening = False
        restore()
