"""Plain records of files and of the planes in them.

They hold nothing but numbers, text and tuples of them, so that they can be made in
other processes and sent as JSON. All that is decided about series is decided on them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from medcnn.geometry import Frame, Geometry
from medcnn.image import Identity
from medcnn.io.dicom.volumes.keys import Key

__all__ = ["FileRecord", "Numbers", "Plane"]

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Plane:
    """One slice: a single-frame file, a frame, or a tile of a mosaic.

    Attributes:
        file: Which of a group's files it is in, from 0.
        frame: Which frame or tile of it, from 0.
        size: (columns, rows, samples).
        position: Centre of the first pixel in LPS mm; () where nothing says.
        cosines: Directions of a row and a column in LPS; () where nothing says.
        spacing: Between rows, between columns in mm; () where nothing says.
        thickness_mm: Slice thickness; None where nothing says.
        depth_mm: Spacing between slices, else thickness; None where nothing says.
        reference: Frame of Reference UID.
        sop_uid: SOP Instance UID.
        form: Which of the file's forms of steps its pixels take.
        keys: What tells it from others in its place, see `volumes.keys`.
    """

    file: int
    frame: int
    size: tuple[int, int, int]
    position: Numbers
    cosines: Numbers
    spacing: Numbers
    thickness_mm: float | None
    depth_mm: float | None
    reference: str
    sop_uid: str
    form: int
    keys: Mapping[str, Key]


@dataclass(frozen=True)
class FileRecord:
    """One file as its header describes it.

    Attributes:
        path: Where it is; "" for a data set that never was a file.
        series_uid: Series Instance UID; "" where nothing says.
        series_number: (0020,0011) Series Number; "" where nothing says.
        modality: DICOM code; "" where nothing says.
        channels: 1 for grey, 3 for colour.
        planes: Each slice in it.
        forms: What is done to the pixels, in words, in each way that occurs.
        units: What the values mean after each of the forms.
        warnings: What a careful reader would want to be told.
        oddities: In how many places the header departs from the standard.
        facts: What an input gate wants to know.
        identity: Whose it is; personal data.
        affine: Upper three rows to RAS mm of a picture that is no slice; () if none.
        measured: "patient" or "detector", for the affine.
        is_placed: Whether every plane says where it lies.
    """

    path: str
    series_uid: str
    series_number: str
    modality: str
    channels: int
    planes: tuple[Plane, ...]
    forms: tuple[tuple[str, ...], ...]
    units: tuple[str | None, ...]
    warnings: tuple[str, ...]
    oddities: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    affine: Numbers = ()
    measured: str = Frame.PATIENT.value
    is_placed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Make a record of what `to_json` gave, also after a way through JSON."""
        planes = tuple(Plane(**_tuples(plane)) for plane in kept["planes"])
        identity = Identity(**kept["identity"])
        return cls(**(_tuples(kept) | {"planes": planes, "identity": identity}))

    def picture_geometry(self, shape: tuple[int, int, int]) -> Geometry | None:
        """Return the grid of a picture that is no slice."""
        if not self.affine:
            return None
        rows = [*self.affine, 0.0, 0.0, 0.0, 1.0]
        affine = [rows[start : start + 4] for start in range(0, 16, 4)]
        return Geometry(shape, affine, Frame(self.measured))  # type: ignore[arg-type]


def _tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON's lists back into tuples, also inside them."""
    return {name: _as_tuple(value) for name, value in kept.items()}


def _as_tuple(value: Any) -> Any:
    """Turn a list and the lists in it into tuples."""
    if isinstance(value, list | tuple):
        return tuple(_as_tuple(part) for part in value)
    return value
