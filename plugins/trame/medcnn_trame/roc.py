"""An ROC curve as a small picture for the panel."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["roc_svg"]

_SIDE, _EDGE = 300, 42
_BLUE, _GREY, _ORANGE = "#56b4e9", "#999999", "#e69f00"


def roc_svg(label: str, result: Mapping[str, Any]) -> str:
    """Draw a label's ROC curve with its 95 % band and operating points.

    Args:
        label: Whose curve it is; any text.
        result: `labels[label]` of evaluation.json.

    Returns:
        SVG; a sentence where a class has no cases and thus no curve.
    """
    curve, area = result.get("roc"), result.get("auroc")
    if not curve or not area:
        ill, healthy = result["n_positive"], result["n_negative"]
        words = f"{label}: no curve, {ill} cases with it and {healthy} without."
        return f"<p>{escape(words)}</p>"
    low, high = area["ci95"]
    title = f"{label}: AUC {area['value']:.3f} (95 % CI {low:.3f} to {high:.3f})"
    band = [*zip(curve["band_x"], curve["high"], strict=True)]
    band += [*zip(curve["band_x"], curve["low"], strict=True)][::-1]
    parts = [
        f'<polygon points="{_points(band)}" fill="{_BLUE}" opacity="0.25"/>',
        _line([(0, 0), (1, 1)], _GREY, 'stroke-dasharray="4"'),
        _line([*zip(curve["x"], curve["y"], strict=True)], _BLUE, 'stroke-width="2"'),
        *[_mark(point) for point in result.get("operating_points", [])],
        _text(_SIDE / 2 + _EDGE / 2, _SIDE + _EDGE - 6, "1 - specificity"),
        _text(12, _SIDE / 2, "sensitivity", turned=True),
    ]
    return (
        f'<p class="roc-title">{escape(title)}</p>'
        f'<svg class="roc" viewBox="0 0 {_SIDE + _EDGE + 10} {_SIDE + _EDGE}" '
        f'role="img" aria-label="{escape(title)}">'
        f'<rect x="{_EDGE}" y="10" width="{_SIDE}" height="{_SIDE - 10}" fill="none" '
        f'stroke="{_GREY}"/>{"".join(parts)}</svg>'
    )


def _place(x: float, y: float) -> tuple[float, float]:
    return _EDGE + x * _SIDE, 10 + (1 - y) * (_SIDE - 10)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join("{:.1f},{:.1f}".format(*_place(*place)) for place in places)


def _line(places: Sequence[tuple[float, float]], colour: str, more: str) -> str:
    drawn = _points(places)
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" {more}/>'


def _mark(point: Mapping[str, Any]) -> str:
    if not point.get("sensitivity") or not point.get("specificity"):
        return ""
    sensitivity, specificity = (
        point[rate]["value"] for rate in ("sensitivity", "specificity")
    )
    x, y = _place(1 - specificity, sensitivity)
    words = (
        f"{point['name']}: threshold {point['threshold']:.3g}, "
        f"sensitivity {sensitivity:.3f}, specificity {specificity:.3f}"
    )
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_ORANGE}">'
        f"<title>{escape(words)}</title></circle>"
    )


def _text(x: float, y: float, words: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x} {y})"' if turned else ""
    style = 'fill="currentColor" font-size="13" text-anchor="middle"'
    return f'<text x="{x}" y="{y}" {style}{turn}>{escape(words)}</text>'
