"""Which processes a process has started."""

from pathlib import Path

__all__ = ["below", "said"]


def below(pid):
    """Return the processes that a process started, and those that they did."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    own = [int(each) for path in threads for each in path.read_text().split()]
    return own + [far for each in own for far in below(each)]


def said(pid):
    """Return a process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
