"""Images in two files, a header and its voxels beside it, by the usual names."""

from pathlib import Path

__all__ = ["VOXELS", "other_halves"]

VOXELS = (".img", ".img.gz", ".raw", ".raw.gz", ".zraw", ".bin", ".dat")
"""How files are called that hold the voxels of a header beside them."""

_HEADERS = (".hdr", ".hdr.gz", ".mhd", ".nhdr")


def other_halves(path: Path) -> tuple[Path, ...]:
    """Return where the voxels of a header may lie, or the header of voxels.

    Only names are compared, nothing is opened.

    Args:
        path: Any file.

    Returns:
        Paths beside it, which may not be there; none if it is not called like a half.
    """
    name = path.name.lower()
    for endings, others in ((_HEADERS, VOXELS), (VOXELS, _HEADERS)):
        ending = next((one for one in endings if name.endswith(one)), None)
        if ending is not None:
            stem = path.name[: -len(ending)]
            both = (*others, *(other.upper() for other in others))
            return tuple(path.with_name(stem + other) for other in both)
    return ()
