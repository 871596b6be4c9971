"""Pages of docs/ that take a benchmark's table."""

from pathlib import Path

__all__ = ["write_between"]


def write_between(page: Path, text: str, marks: tuple[str, str]) -> None:
    """Replace what stands between the two marks of a page.

    Raises:
        SystemExit: If the page has no such marks.
    """
    begin, end = marks
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        msg = f"{page} has no {begin} ... {end}"
        raise SystemExit(msg)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
