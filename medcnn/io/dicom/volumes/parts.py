"""Records of files to parts: each one image with its grid, or the reason why not."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medcnn.errors import GeometryError, ReadError
from medcnn.geometry import Geometry
from medcnn.io.bounds import bounds
from medcnn.io.dicom.tags import NOT_CONFORMANT
from medcnn.io.dicom.volumes.grid import checked_axes, slice_geometry
from medcnn.io.dicom.volumes.records import FileRecord, Plane
from medcnn.io.dicom.volumes.resampling import Resampling, plan_resampling
from medcnn.io.dicom.volumes.separate import Portion, mixture, separate
from medcnn.io.options import ReadOptions

__all__ = ["Part", "parts_of"]

_COSINE_TOLERANCE = 1e-4
_SPACING_TOLERANCE = 1e-4
_MAX_UPRIGHT = 1 - 1e-3
_FACES = ("sagittal", "coronal", "axial")
_ONE_BY_ONE = "Load the slices one by one."


@dataclass(frozen=True, eq=False)
class Part:
    """One image of a file or series.

    Attributes:
        planes: In order along k.
        name: What tells it from the other parts; "" if there is only one.
        geometry: Its grid; None where nothing says.
        warnings: What a careful reader would want to be told of the grid.
        resampling: What is done to make it even; None if nothing.
        problem: Why it is no image; "" if it is one.
        hint: What to do about the problem.
    """

    planes: tuple[Plane, ...]
    name: str = ""
    geometry: Geometry | None = None
    warnings: tuple[str, ...] = ()
    resampling: Resampling | None = None
    problem: str = ""
    hint: str = ""

    @property
    def title(self) -> str:
        """What tells it from the other parts, and why it is refused if it is."""
        return f"{self.name} (refused: {self.problem})" if self.problem else self.name


def parts_of(records: Sequence[FileRecord], options: ReadOptions) -> list[Part]:
    """Share the planes of files of one series out to images.

    Args:
        records: The files; their planes are numbered by their place here.
        options: What the caller chose.

    Returns:
        At least one part; pictures that are no slices come first.
    """
    found: list[Part] = []
    slices: list[Plane] = []
    for at, record in enumerate(records):
        planes = tuple(replace(plane, file=at) for plane in record.planes)
        if record.is_placed:
            slices += planes
        else:
            columns, rows, _ = planes[0].size
            grid = record.picture_geometry((columns, rows, len(planes)))
            found.append(Part(planes, f"picture {at + 1}", grid))
    groups = _alike(slices)
    places = _group_titles(groups) if len(groups) + len(found) > 1 else [""]
    for group, place in zip(groups, places, strict=False):
        portions = _portions(group, options)
        for portion in portions:
            title = ", ".join(words for words in (place, portion.title) if words)
            found.append(_part(portion, title, options))
    return [replace(found[0], name="")] if len(found) == 1 else found


def _alike(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group planes that can share a grid: one size, spacing, direction, reference."""
    groups: dict[Hashable, list[tuple[Plane, list[Plane]]]] = {}
    for plane in planes:
        exact = (plane.reference, plane.size)
        near = groups.setdefault(exact, [])
        for first, members in near:
            if _is_alike(first, plane):
                members.append(plane)
                break
        else:
            near.append((plane, [plane]))
    return [members for near in groups.values() for _, members in near]


def _is_alike(a: Plane, b: Plane) -> bool:
    """Say whether two planes have one direction and spacing."""
    if a.cosines == b.cosines and a.spacing == b.spacing:
        return True
    if len(a.spacing) != len(b.spacing):
        return False
    turned = max(abs(x - y) for x, y in zip(a.cosines, b.cosines, strict=True))
    return turned <= _COSINE_TOLERANCE and all(
        abs(x - y) <= _SPACING_TOLERANCE * max(x, y)
        for x, y in zip(a.spacing, b.spacing, strict=True)
    )


def _group_titles(groups: Sequence[Sequence[Plane]]) -> list[str]:
    """Describe groups; those that look alike are numbered."""
    titles = [_group_title(group) for group in groups]
    references = {group[0].reference for group in groups}
    word = "coordinate system" if len(references) == len(groups) else "stack"
    return [
        f"{title}, {word} {titles[:at].count(title) + 1}"
        if titles.count(title) > 1
        else title
        for at, title in enumerate(titles)
    ]


def _group_title(planes: Sequence[Plane]) -> str:
    """Describe planes of one direction and size."""
    first = planes[0]
    normal = np.abs(np.cross(first.cosines[:3], first.cosines[3:]))
    face = _FACES[int(normal.argmax())]
    turned = "" if normal.max() > np.cos(np.radians(5)) else "oblique "
    count = "1 slice" if len(planes) == 1 else f"{len(planes)} slices"
    return f"{turned}{face}, {first.size[0]} x {first.size[1]}, {count}"


def _portions(planes: Sequence[Plane], options: ReadOptions) -> list[Portion]:
    """Separate planes where they can be put in order at all."""
    if len(planes) > 1 and planes[0].spacing:
        return separate(planes, with_gaps=options.allow_gaps)
    return [Portion(tuple(planes), "", None)]


def _part(portion: Portion, title: str, options: ReadOptions) -> Part:
    """Give a portion its grid, or say why it has none."""
    part = Part(portion.planes, title)
    try:
        checked_axes(portion.planes[0].cosines, None)
        if len(portion.planes) == 1:
            geometry, notes = slice_geometry(portion.planes[0])
            return replace(part, geometry=geometry, warnings=tuple(notes))
        return _stacked(part, portion, options)
    except ReadError as error:
        return replace(part, problem=error.message, hint=error.hint)
    except GeometryError as error:
        problem = f"its slices make no grid: {error.message}."
        return replace(part, problem=problem, hint=NOT_CONFORMANT)


def _stacked(part: Part, portion: Portion, options: ReadOptions) -> Part:
    """Give several slices their grid, resampled if that is needed and wanted.

    Raises:
        ReadError: If they are no volume.
        GeometryError: If spacing and directions make no grid.
    """
    stack, (columns, rows, _) = portion.stack, part.planes[0].size
    if stack is None:
        msg = "(0028,0030) Pixel Spacing is not two lengths in mm."
        raise ReadError(msg, hint=NOT_CONFORMANT)
    _check_samples(columns * rows * len(part.planes))
    if stack.is_regular:
        grid = Geometry.from_lps((columns, rows, len(part.planes)), stack.affine)
        return replace(part, geometry=grid, warnings=mixture(part.planes))
    is_upright = stack.is_straight and stack.cosine > _MAX_UPRIGHT
    tilt, gaps = not is_upright, not stack.is_even
    refused = (tilt and not options.resample_tilt) or (gaps and not options.allow_gaps)
    if refused or not stack.is_distinct or not (tilt or gaps):
        raise ReadError(stack.why_not(), hint=_hint(stack.is_distinct, tilt, gaps))
    usual = float(np.median(stack.gaps_mm))
    _check_samples(columns * rows * int(stack.gaps_mm.sum() / usual))
    resampling = plan_resampling(stack, (columns, rows), tilt=tilt, gaps=gaps)
    _check_samples(int(np.prod(resampling.geometry.shape, dtype=object)))
    return replace(
        part,
        geometry=resampling.geometry,
        warnings=(*mixture(part.planes), *resampling.warnings),
        resampling=resampling,
    )


def _hint(is_distinct: bool, tilt: bool, gaps: bool) -> str:
    """Say what to do about slices that are no volume."""
    if not is_distinct:
        return f"Nothing in the headers tells them apart as even volumes. {_ONE_BY_ONE}"
    wanted = ["resample_tilt"] * tilt + ["allow_gaps"] * gaps
    if not wanted:
        return _ONE_BY_ONE
    options = ", ".join(f"--{name.replace('_', '-')}" for name in wanted)
    how = f"{' and '.join(wanted)} ({options})"
    return f"Resample them with {how}, or load the slices one by one."


def _check_samples(count: int) -> None:
    """Refuse a volume that is larger than any image.

    Raises:
        ReadError: If it is.
    """
    most = bounds().samples
    if count > most:
        msg = f"its slices make {count} numbers; at most {most} are read."
        raise ReadError(msg, hint="It is either broken or larger than any image.")
