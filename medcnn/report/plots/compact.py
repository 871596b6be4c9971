"""SVG in few bytes: what matplotlib writes, less what no eye can see."""

import re
from collections import Counter

__all__ = ["compact"]

_NUMBER = re.compile(r"-?\d*\.?\d+(?:e-?\d+)?")
_HEAD = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
_BETWEEN = re.compile(r">\s+<")
_TAG = re.compile(r"<(/?)([\w:]+)([^<>]*?)(/?)>")
_ATTRIBUTE = re.compile(r'\s([\w:-]+)="([^"]*)"')
_TURN = re.compile(r"(rotate|translate)\((.*)\)")
_STEP = re.compile(r"([MLCQZz])([^MLCQZz]*)")
_STYLES = "*{stroke-linejoin:round;stroke-linecap:butt}"
_FONT, _FONTS = "'DejaVu Sans'", "DejaVu Sans,Verdana,sans-serif"
_PLACES = {"x", "y", "width", "height"}


def compact(svg: bytes) -> bytes:
    """Return the same drawing, its places rounded to a tenth of a point.

    Straight lines are written in steps; groups that group for nobody and what lies
    between elements are left out; styles become classes. Words stay as they are.

    Args:
        svg: As matplotlib writes it, UTF-8.
    """
    text = _BETWEEN.sub("><", _HEAD.sub("", svg.decode("utf-8"))).strip()
    used = Counter(_styled(found) for found in re.findall(r'\sstyle="([^"]*)"', text))
    names = {style: f"s{n}" for n, (style, _) in enumerate(used.most_common())}
    text = _TAG.sub(_Slimmer(names), text)
    for n, name in enumerate(dict.fromkeys(re.findall(r"url\(#(\w+)\)|#(\w+)'", text))):
        text = re.sub(rf"\b{name[0] or name[1]}\b", f"i{n}", text)
    classes = "".join(f".{name}{{{style}}}" for style, name in names.items())
    text = re.sub(r"<style.*?</style>", f"<style>{_STYLES}{classes}</style>", text)
    return (text + "\n").encode("utf-8")


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
        slim = "".join(
            self._slim(name, *pair) for pair in _ATTRIBUTE.findall(attributes)
        )
        if name == "g" and not closed:
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
    parts, x, y = [], 0, 0
    for command, numbers in _STEP.findall(text):
        tenths = [round(float(n) * 10) for n in _NUMBER.findall(numbers)]
        if command in "Zz":
            parts.append("z")
            continue
        if command != "L":
            parts.append(command + _joined(tenths))
        elif (step := [tenths[0] - x, tenths[1] - y]) != [0, 0]:
            parts.append(_line(*step))
        x, y = tenths[-2:]
    return "".join(parts)


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
