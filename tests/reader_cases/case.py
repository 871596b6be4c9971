"""What a case of the truth table is: a file, and what is true of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
Answer = Mapping[str, Any]
"""What a reader answered: "volumes" is a list of Volume; "values", "voi" and "display"
are pictures (columns, rows); "colour" is (3, columns, rows); "padding" is a mask
(columns, rows); "facts" is a mapping of words."""


@dataclass(frozen=True, eq=False)
class Volume:
    """An answered volume: values (I, J, K), NaN where the reader says "nothing"."""

    array: Array
    affine: Array


@dataclass(frozen=True, eq=False)
class Grid:
    """Acquired planes whose values say where they lie, in LPS mm.

    Attributes:
        origins: Centre of the first voxel of each plane, (K, 3), along the normal.
        across: One step along a row, (3,).
        down: One step along a column, (3,).
        size: (columns, rows).
        offset: Added to the values of this volume.
        tolerance: Largest error that rounding of the stored values explains.
        label: Which of several right answers this is; "" for the only one.
        unreal: Voxels (i, j, k) that hold NaN or an infinity.
        moved: From a place in LPS mm to the place that the value there speaks of.
    """

    origins: Array
    across: Array
    down: Array
    size: tuple[int, int]
    offset: float = 0.0
    tolerance: float = 0.51
    label: str = ""
    unreal: tuple[tuple[int, int, int], ...] = ()
    moved: Array = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True, eq=False)
class Volumes:
    """All of these volumes are in the file or folder.

    Attributes:
        grids: The volumes.
        instead: An answer that is right as well, by another convention.
    """

    grids: tuple[Grid, ...]
    instead: tuple[Grid, ...] = ()


@dataclass(frozen=True, eq=False)
class Grey:
    """A grey picture by the closed forms of PS3.3 C.11.

    Attributes:
        values: Modality values, (rows, columns).
        voi: After the VOI transformation, any scale; None where there is none.
        display: As shown, high is bright, any scale.
        upright: Values turned so that high is bright, without VOI transformation, of
            which a reader with one answer may think that they are wanted; None if they
            are measurements (HU) or the values themselves.
        padding: Where nothing was acquired.
    """

    values: Array
    display: Array | None = None
    voi: Array | None = None
    upright: Array | None = None
    padding: Array | None = None


@dataclass(frozen=True, eq=False)
class Colour:
    """A colour picture, RGB, (rows, columns, 3); levels may differ by `tolerance`.

    Levels of 16 bits may be given as 8 bits.
    """

    rgb: Array
    tolerance: float = 0.0


@dataclass(frozen=True)
class Facts:
    """Words that a gate needs: the reader is to tell all of these."""

    words: Mapping[str, str]


@dataclass(frozen=True)
class Nothing:
    """There is no picture to be had from it: only a refusal is right."""


Truth = Volumes | Grey | Colour | Facts | Nothing


@dataclass(frozen=True)
class Case:
    """One row of a table.

    Attributes:
        name: The row's name.
        build: Write it into an empty folder, and return what is to be read.
        truth: What is true of it.
        ask: What medcnn is told to do with it when it is asked a second time:
            arguments of `load`, or {"study": True} for `load_study`.
    """

    name: str
    build: Callable[[Path], Path]
    truth: Truth
    ask: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """One table.

    Attributes:
        key: Its name on the command line.
        title: Its heading.
        cases: Its rows.
        usual: Name of a case with nothing unusual about it: what a reader warns of
            there, it does not warn of elsewhere.
    """

    key: str
    title: str
    cases: tuple[Case, ...]
    usual: str
