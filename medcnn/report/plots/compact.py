"""SVG in few bytes: what matplotlib writes, less what no eye can see."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

__all__ = ["compact"]

_NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
_HEAD = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
_TAG = re.compile(r"<(/?)([\w:]+)([^<>]*?)(/?)>")
_ATTRIBUTE = re.compile(r'\s([\w:-]+)="([^"]*)"')
_CLIP = re.compile(r'\sclip-path="[^"]*"')
_TURN = re.compile(r"(rotate|translate)\((.*)\)")
_STEP = re.compile(r"([MLCQZz])([^MLCQZz]*)")
_STYLES = "*{stroke-linejoin:round;stroke-linecap:butt}"
_FONT, _FONTS = "'DejaVu Sans'", "DejaVu Sans,Verdana,sans-serif"
_TEXTS = f"text{{font:9px {_FONTS};fill:#17212b}}"
_OF_TEXTS = (
    f"font-family:{_FONTS};",
    "font-size:9px;",
    "text-anchor:start;",
    "fill:#17212b",
)
"""What most words have, said once; the styles of others come after and win."""

_GRID = "stroke:#dde3e8"
_NEAR, _SHORT = 2.5, 20
"""Tenths of a point that a line may be off, where it has more than so many points."""

_Point = tuple[int, int]
_PLACES = {"x", "y", "width", "height"}


def compact(svg: bytes) -> bytes:
    """Return the same drawing, its places rounded to a tenth of a point.

    Straight lines are written in steps. Of more than twenty corners those within a
    quarter of a point of the line without them are left out, as are groups that group
    for nobody and what lies between elements; styles become classes. Words stay as they
    are.

    Args:
        svg: As matplotlib writes it, UTF-8.
    """
    text = _BETWEEN.sub("><", _HEAD.sub("", svg.decode("utf-8"))).strip()
    used = Counter(_styled(found) for found in re.findall(r'\sstyle="([^"]*)"', text))
    names = {style: f"s{n}" for n, (style, _) in enumerate(used.most_common())}
    text = _TAG.sub(_Slimmer(names), text)
    for n, name in enumerate(dict.fromkeys(re.findall(r"url\(#(\w+)\)|#(\w+)'", text))):
        text = re.sub(rf"\b{name[0] or name[1]}\b", f"i{n}", text)
    classes = "".join(f".{name}{{{_own(style)}}}" for style, name in names.items())
    styles = f"<style>{_STYLES}{_TEXTS}{classes}</style>"
    text = re.sub(r"<style.*?</style>", styles, text)
    if "xlink:href" not in text:
        text = text.replace(" xmlns:xlink='http://www.w3.org/1999/xlink'", "", 1)
    return (text + "\n").encode("utf-8")


def _own(style: str) -> str:
    """Return a style less what the words of a drawing have in common."""
    if "font-family" in style:
        for common in _OF_TEXTS:
            style = style.replace(common, "")
    return style


class _Slimmer:
    """Rewrites one tag after the other; remembers which open groups were dropped.

    Args:
        names: The class of each style.
    """

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._is_kept: list[bool] = []

    def __call__(self, found: re.Match[str]) -> str:
        """Return the tag in few bytes; "" for a group without attributes."""
        end, name, attributes, closed = found.groups()
        if end:
            kept = self._is_kept.pop() if name == "g" else True
            return f"</{name}>" if kept else ""
        if _GRID in _styled(attributes):  # its lines end where the field does
            attributes = _CLIP.sub("", attributes)
        slim = "".join(
            self._slim(name, *pair) for pair in _ATTRIBUTE.findall(attributes)
        )
        if name == "g":
            if not closed:
                self._is_kept.append(bool(slim))
            if not slim:
                return ""
        return f"<{name}{slim}{closed}>"

    def _slim(self, tag: str, name: str, value: str) -> str:
        """Return an attribute in few bytes."""
        if tag == "g" and name == "id":
            return ""
        if name == "style":
            return f" class='{self._names[_styled(value)]}'"
        if name == "d":
            value = _path(value)
        elif name in _PLACES and tag != "svg":
            value = _rounded(value)
        elif name == "transform" and (turned := _TURN.fullmatch(value)):
            if re.match(r"-?0(?:\.0+)? ", turned[2]) and turned[1] == "rotate":
                return ""
            value = f"{turned[1]}({_rounded(turned[2])})"
        quote = '"' if "'" in value else "'"
        return f" {name}={quote}{value}{quote}"


def _styled(text: str) -> str:
    return re.sub(r"([;:]) +", r"\1", text).replace(_FONT, _FONTS)


def _rounded(text: str) -> str:
    return _NUMBER.sub(lambda found: _words(round(float(found[0]) * 10)), text)


def _path(text: str) -> str:
    """Return a path in tenths, straight lines as steps from point to point."""
    parts: list[str] = []
    run: list[_Point] = [
        (0, 0)
    ]  # where the path is, and the points to go to from there
    for command, numbers in _STEP.findall(text):
        tenths = [round(float(n) * 10) for n in _NUMBER.findall(numbers)]
        if command == "L":
            run.append((tenths[0], tenths[1]))
            continue
        parts += _steps(run)
        parts.append("z" if command in "Zz" else command + _joined(tenths))
        run = [(tenths[-2], tenths[-1]) if tenths else run[-1]]
    return "".join(parts + _steps(run))


def _steps(run: Sequence[_Point]) -> list[str]:
    """Return the steps along points, without those that no eye can see."""
    kept = _seen(run) if len(run) > _SHORT else run
    steps = ((x - was_x, y - was_y) for (was_x, was_y), (x, y) in pairwise(kept))
    return [_line(*step) for step in steps if step != (0, 0)]


def _seen(run: Sequence[_Point]) -> list[_Point]:
    """Return as many points as keep a line within `_NEAR` of all of them.

    References:
        [1] Douglas & Peucker, Cartographica 10 (1973) 112-122.
    """
    points = np.array(run, np.float64)
    is_kept = np.zeros(len(points), dtype=bool)
    is_kept[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        within = points[first + 1 : last] - points[first]
        if not len(within):
            continue
        chord = points[last] - points[first]
        along = np.clip(within @ chord / max(chord @ chord, 1.0), 0, 1)
        far = np.hypot(*(within - along[:, None] * chord).T)
        worst = int(far.argmax())
        if far[worst] > _NEAR:
            at = first + 1 + worst
            is_kept[at] = True
            parts += [(first, at), (at, last)]
    return [point for point, kept in zip(run, is_kept, strict=True) if kept]


def _line(across: int, down: int) -> str:
    """Return a step; one along an axis in the short form."""
    if not down:
        return f"h{_words(across)}"
    return f"v{_words(down)}" if not across else "l" + _joined([across, down])


def _joined(tenths: list[int]) -> str:
    """Join numbers; a minus sign parts them well enough."""
    return re.sub(" -", "-", " ".join(_words(n) for n in tenths))


def _words(tenths: int) -> str:
    sign, whole, part = "-" * (tenths < 0), abs(tenths) // 10, abs(tenths) % 10
    if not part:
        return f"{sign}{whole}"
    return f"{sign}{whole or ''}.{part}"
