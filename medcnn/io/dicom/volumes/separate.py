"""Planes of one orientation to parts that are one volume each, by what differs.

The smallest set of keys is taken that makes every part an even stack. A set counts only
if its parts repeat the same places, or say by the key itself that they show something
else; so a key that changes from slice to slice never cuts a volume to pieces.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from medcnn.io.dicom.volumes.keys import KINDS, REPEATS, Key, title_of
from medcnn.io.dicom.volumes.records import Plane
from medcnn.io.dicom.volumes.stack import Stack, places_of, stack_of

__all__ = ["Portion", "mixture", "separate"]

IntArray = npt.NDArray[np.intp]
Judge = Callable[[Stack], bool]

_LARGEST_SET = 3
_LEAST_SLICES = 3
_LISTED = 6
_TELLING = frozenset({"component", "image type", "segment", "stack"})
"""Keys of which one value may stand for a single slice, such as a localizer."""

_UNMIXED = ("component", "segment", "metabolite", "velocity", "label", "units")
"""Keys of which no image has two values, even if its slices lie evenly."""

_DOUBTFUL = (
    *("echo time", "echo", "b", "time", "kernel", "contrast", "inversion time"),
    *("flip angle", "kVp"),
)
"""Keys of which one image seldom has two values."""

_SPOKEN = ("component", "echo time", "b", "gradient")
"""Keys that are told of parts also where others were enough to separate them."""

_CLOCKS = ("time", "trigger time", "acquired", "acquisition")
"""Keys whose order within one place counts repeats, where their values differ."""


@dataclass(frozen=True)
class Portion:
    """The planes of one part, and what tells it from the others.

    Attributes:
        planes: In order along their normal.
        title: Such as "echo time 4.92 ms"; "" if there is only one.
        stack: Where they lie; None for one plane or without spacing.
    """

    planes: tuple[Plane, ...]
    title: str
    stack: Stack | None


@dataclass(frozen=True, eq=False)
class _Split:
    """One way to share planes out.

    Attributes:
        labels: For each plane, which part it goes to, from 0.
        names: The keys that it goes by.
        clock: The key that counts repeats; "" if none does.
        ranks: For each plane, which repeat it is, from 0; only with a clock.
    """

    labels: IntArray
    names: tuple[str, ...]
    clock: str = ""
    ranks: IntArray | None = None

    @property
    def count(self) -> int:
        """How many parts it makes."""
        return int(self.labels.max()) + 1


def separate(planes: Sequence[Plane], *, with_gaps: bool = False) -> list[Portion]:
    """Share planes out to parts.

    Args:
        planes: Of one orientation, size and spacing.
        with_gaps: Leave uneven stacks whole where their parts follow each other.

    Returns:
        The parts, or one if nothing tells the planes apart or they are one even stack.
    """
    portions = _by_place(planes, with_gaps=with_gaps)
    return [one for each in portions for one in _unmixed(each, with_gaps=with_gaps)]


def mixture(planes: Sequence[Plane]) -> tuple[str, ...]:
    """Return a warning if the slices of one image were made in different ways.

    A value that is another one in each slice counts slices, and is not told.
    """
    found = []
    for name in _DOUBTFUL:
        values = {plane.keys.get(name) for plane in planes}
        if 1 < len(values) < len(planes):
            found += [title_of(name, value) for value in sorted(values, key=_in_order)]
    if not found:
        return ()
    listed = ", ".join(found[:_LISTED]) + ", ..." * (len(found) > _LISTED)
    return (f"its slices are not all of one kind: {listed}",)


def _unmixed(portion: Portion, *, with_gaps: bool) -> list[Portion]:
    """Share a part out again if it mixes what no image mixes."""
    varying = _varying(portion.planes)
    names = tuple(name for name in _UNMIXED if name in varying)
    if not names:
        return [portion]
    labels = _joined([_codes(portion.planes, name) for name in names])
    found = []
    for part in _portions(portion.planes, _Split(labels, names)):
        for one in separate(part.planes, with_gaps=with_gaps):
            titles = (portion.title, part.title, one.title)
            title = ", ".join(words for words in titles if words)
            found.append(replace(one, title=title))
    return found


def _by_place(planes: Sequence[Plane], *, with_gaps: bool) -> list[Portion]:
    """Share planes out so that every part is an even stack, where that is possible."""
    whole = stack_of(planes)
    if _is_even(whole):
        return [_portion(planes, "")]
    places = places_of(planes)
    found = _best(planes, places, _is_even)
    if with_gaps and found is not None and whole.is_distinct:
        found = None if _is_one_run(planes, found) else found
    if found is None and not whole.is_distinct:
        found = _best(planes, places, _is_distinct)
    if found is None:
        return [_portion(planes, "")]
    return _portions(planes, found)


def _is_even(stack: Stack) -> bool:
    """Say whether a stack is one even volume, rectangular or sheared."""
    return stack.is_even and stack.is_straight


def _is_distinct(stack: Stack) -> bool:
    """Say whether every slice of a stack has a depth of its own."""
    return stack.is_distinct


def _best(planes: Sequence[Plane], places: IntArray, is_good: Judge) -> _Split | None:
    """Return the smallest set of keys that makes every part good, or None.

    Of sets of one size it is that with the fewest parts, then the most telling one.
    """
    most = int(np.bincount(places).max())
    codes = {name: _codes(planes, name) for name in _varying(planes)}
    for size in range(1, _LARGEST_SET + 1):
        sound = [
            split
            for split in _splits(codes, places, size)
            if split.count >= most and _is_sound(planes, split, places, is_good)
        ]
        if sound:
            return min(sound, key=lambda split: split.count)
    return None


def _varying(planes: Sequence[Plane]) -> list[str]:
    """Return the names of keys that differ between planes, most telling first."""
    found = dict.fromkeys(name for plane in planes for name in plane.keys)
    extra = [name for name in found if name not in KINDS and name not in REPEATS]
    return [
        name
        for name in (*KINDS, *extra, *REPEATS)
        if name in found and len({plane.keys.get(name) for plane in planes}) > 1
    ]


def _codes(planes: Sequence[Plane], name: str) -> IntArray:
    """Number the values of a key in their order, (N,)."""
    values = [plane.keys.get(name) for plane in planes]
    ordered = sorted(set(values), key=_in_order)
    numbers = {value: at for at, value in enumerate(ordered)}
    return np.array([numbers[value] for value in values], np.intp)


def _in_order(value: Key | None) -> tuple[int, float, str]:
    """Return what sorts nothing before numbers before texts."""
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, str):
        is_number = value.replace(".", "", 1).isdigit()
        return (1, float(value), "") if is_number else (2, 0.0, value)
    return 1, float(value), ""


def _splits(
    codes: Mapping[str, IntArray], places: IntArray, size: int
) -> Iterable[_Split]:
    """Return every way to share planes out by `size` keys, the last may be a clock."""
    for names in combinations(codes, size):
        yield _Split(_joined([codes[name] for name in names]), names)
    for names in combinations(codes, size - 1):
        group = _joined([places, *(codes[name] for name in names)])
        for clock in _CLOCKS:
            if clock in codes and clock not in names:
                ranks = _ranks(group, codes[clock])
                if ranks is not None:
                    labels = _joined([*(codes[name] for name in names), ranks])
                    yield _Split(labels, names, clock, ranks)


def _joined(columns: Sequence[IntArray]) -> IntArray:
    """Number the combinations of several codes in their order, (N,)."""
    rows = np.stack(columns, axis=1)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def _ranks(group: IntArray, codes: IntArray) -> IntArray | None:
    """Return the rank of each plane within its group; None where two are level."""
    order = np.lexsort((codes, group))
    same = group[order][1:] == group[order][:-1]
    if (same & (codes[order][1:] == codes[order][:-1])).any():
        return None
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    sizes = np.diff([*starts, len(order)])
    ranks = np.empty_like(codes)
    ranks[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    return ranks


def _is_sound(
    planes: Sequence[Plane], split: _Split, places: IntArray, is_good: Judge
) -> bool:
    """Say whether a split makes every part good and cuts no volume to pieces."""
    table = np.zeros((split.count, int(places.max()) + 1), np.intp)
    np.add.at(table, (split.labels, places), 1)
    if table.max() > 1:
        return False
    if table.min() == 1:
        first = _parts(planes, split)[0]
        return is_good(stack_of(first))
    if split.clock or not set(split.names).isdisjoint(REPEATS):
        return False
    if not _TELLING.issuperset(split.names) and table.sum(axis=1).min() < _LEAST_SLICES:
        return False
    return all(is_good(stack_of(part)) for part in _parts(planes, split))


def _parts(planes: Sequence[Plane], split: _Split) -> list[list[Plane]]:
    """Return the planes of each part."""
    parts: list[list[Plane]] = [[] for _ in range(split.count)]
    for plane, label in zip(planes, split.labels.tolist(), strict=True):
        parts[label].append(plane)
    return parts


def _is_one_run(planes: Sequence[Plane], split: _Split) -> bool:
    """Say whether the parts show the same thing and lie one after the other."""
    if not _TELLING.isdisjoint(split.names):
        return False
    normal = stack_of(planes).axes[2]
    spans = []
    for part in _parts(planes, split):
        depths = np.array([plane.position for plane in part]) @ normal
        spans.append((float(depths.min()), float(depths.max())))
    spans.sort()
    return all(a[1] < b[0] for a, b in pairwise(spans))


def _portions(planes: Sequence[Plane], split: _Split) -> list[Portion]:
    """Return the parts of a split with their titles."""
    moments = [plane.keys["acquired"] for plane in planes if "acquired" in plane.keys]
    base = min(moments, key=_in_order) if moments else 0.0
    repeats = 0 if split.ranks is None else int(split.ranks.max()) + 1
    parts = _parts(planes, split)
    names = (*split.names, *_also_telling(parts, split.names))
    found = []
    for label, part in enumerate(parts):
        words = [_words(part, name, base) for name in names]
        if split.ranks is not None:
            at = int(split.ranks[split.labels == label][0]) + 1
            words.append(f"time {at} of {repeats} ({_words(part, split.clock, base)})")
        found.append(_portion(part, ", ".join(words)))
    return found


def _also_telling(parts: Sequence[Sequence[Plane]], names: Sequence[str]) -> list[str]:
    """Return further keys that a person knows the parts by."""
    found = []
    for name in _SPOKEN:
        values = [{plane.keys.get(name) for plane in part} for part in parts]
        is_whole = all(len(inside) == 1 for inside in values)
        if name not in names and is_whole and len(set().union(*values)) > 1:
            found.append(name)
    return found


def _words(part: Sequence[Plane], name: str, base: Key) -> str:
    """Return the lowest value of a key in words; moments count from the first."""
    value = min((plane.keys.get(name) for plane in part), key=_in_order)
    if name == "acquired" and isinstance(value, float) and isinstance(base, float):
        return f"{value - base:g} s after the first"
    return title_of(name, value)


def _portion(planes: Sequence[Plane], title: str) -> Portion:
    """Put planes in order."""
    stack = stack_of(planes)
    return Portion(tuple(planes[at] for at in stack.order), title, stack)
