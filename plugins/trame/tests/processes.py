"""Which processes a process has started; one that has ended meanwhile is none."""

from pathlib import Path

__all__ = ["below", "runs", "said"]


def below(pid):
    """Return the processes that a process started, and those that they did."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    own = [int(each) for path in threads for each in _text(path).split()]
    return own + [far for each in own for far in below(each)]


def said(pid):
    """Return a process's command line."""
    return _text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")


def runs(pid):
    """Say whether a process runs; one that nobody has buried yet does not."""
    stat = _text(Path(f"/proc/{pid}/stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] != "Z"


def _text(path):
    try:
        return path.read_text()
    except OSError:
        return ""
