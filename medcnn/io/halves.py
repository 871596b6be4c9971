"""Images in two files, a header and its voxels beside it, by the usual names."""

from pathlib import Path

__all__ = ["VOXELS", "other_halves"]

VOXELS: tuple[str, ...] = (
    ".img",
    ".img.gz",
    ".raw",
    ".raw.gz",
    ".zraw",
    ".bin",
    ".dat",
)
"""How files are called that hold the voxels of a header beside them."""

_HEADERS: tuple[str, ...] = (".hdr", ".hdr.gz", ".mhd", ".nhdr")


def other_halves(path: Path) -> tuple[Path, ...]:
    """Return where the voxels of a header may lie, or the header of voxels.

    Only names are compared, nothing is opened.

    Args:
        path: Any file.

    Returns:
        Paths beside it, which may not be there; none if it is not called like a half.

    Examples:
        >>> [one.name for one in other_halves(Path("brain.IMG.GZ"))][:3]
        ['brain.hdr', 'brain.hdr.gz', 'brain.mhd']
        >>> other_halves(Path("film.dcm"))
        ()
    """
    name = path.name.lower()
    if name.endswith(_HEADERS):
        endings, others = _HEADERS, VOXELS
    elif name.endswith(VOXELS):
        endings, others = VOXELS, _HEADERS
    else:
        return ()
    ending = next(one for one in endings if name.endswith(one))
    stem = path.name[: -len(ending)]
    both = (*others, *(other.upper() for other in others))
    return tuple(path.with_name(stem + other) for other in both)
