"""NIfTI files whose values say where they lie."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from dicoms import self_describing

from reader_cases.case import Case, Grid, Group, Nothing, Volumes

SHAPE = (11, 9, 7)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def turned(angle_z, sizes, start):
    """Return an affine without shear: a turn about z, then spacings, then a place."""
    c, s = np.cos(angle_z), np.sin(angle_z)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(sizes)
    affine[:3, 3] = start
    return affine


MAIN = turned(0.3, (0.8, 0.6, 2.5), (-12.5, 3.25, 40.0))
OTHER = turned(-0.2, (0.8, 0.6, 2.5), (5.0, -8.0, 10.0))
SHEARED = MAIN @ np.array(
    [[1, 0.3, 0.2, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]
)


def values_of(affine):
    """Return the values that voxels of a grid have by their place, float."""
    points = np.stack(np.indices(SHAPE), -1) @ affine[:3, :3].T + affine[:3, 3]
    return self_describing(points @ RAS_TO_LPS)


def grid_of(affine, **parts):
    """Return the planes of an affine."""
    lps = RAS_TO_LPS @ affine[:3]
    origins = lps[:, 3] + np.arange(SHAPE[2])[:, None] * lps[:, 2]
    normal = np.cross(lps[:, 0], lps[:, 1])
    order = np.argsort(origins @ normal)
    return Grid(origins[order], lps[:, 0], lps[:, 1], SHAPE[:2], **parts)


def to_lps(affine):
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def nifti(values, *, sform=MAIN, qform=MAIN, kind=nib.Nifti1Image, header=None):
    """Return an image; a form that is None gets code 0."""
    image = kind(values, MAIN, header)
    image.set_qform(MAIN if qform is None else qform, code=int(qform is not None))
    image.set_sform(MAIN if sform is None else sform, code=2 * (sform is not None))
    return image


def stored(affine=MAIN):
    return np.rint(values_of(affine)).astype(np.int16)


def case(name, make, truth=None, *, suffix="nii", patch=None, ask=None):
    """Return a case; `patch` is (offset, bytes) written over the header."""

    def build(folder: Path) -> Path:
        raw = bytearray(make().to_bytes())
        if patch:
            raw[patch[0] : patch[0] + len(patch[1])] = patch[1]
        path = folder / f"volume.{suffix}"
        packed = gzip.compress(raw, mtime=0) if suffix.endswith("gz") else raw
        path.write_bytes(packed)
        return path

    return Case(name, build, truth or Volumes((grid_of(MAIN),)), ask or {})


def cut(name, suffix, *, share):
    """Return a case of a file of which only a share is there."""

    def build(folder: Path) -> Path:
        whole = case(name, lambda: nifti(noise), suffix=suffix).build(folder)
        raw = whole.read_bytes()
        whole.write_bytes(raw[: int(len(raw) * share)])
        return whole

    noise = np.random.default_rng(0).integers(0, 9999, SHAPE).astype(np.int16)
    return Case(name, build, Nothing())


def pair(folder: Path) -> Path:
    nifti(stored(), kind=nib.Nifti1Pair).to_filename(folder / "volume.img")
    return folder / "volume.hdr"


def big_endian():
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    return nifti(stored(), header=header)


def quarrelling():
    """Return an image of sform alone, whose pixdim says other lengths."""
    image = nifti(stored(), qform=None)
    image.header["pixdim"][1:4] = 1
    return image


def unreal():
    values = values_of(MAIN).astype(np.float32)
    values[1, 2, 3], values[4, 4, 4] = np.nan, np.inf
    return nifti(values)


def several(*sizes):
    """Return an image with further axes; each volume is 3000 above the one before."""
    count = int(np.prod(sizes))
    values = np.stack([values_of(MAIN) + 3000 * n for n in range(count)], -1)
    rounded = np.rint(values).astype(np.int16)
    return nifti(rounded.reshape((*SHAPE, *sizes), order="F"))


def rgb():
    levels = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 251
    values = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    values["R"] = levels
    return nifti(values)


def _cases():
    one = grid_of(MAIN)
    two = Volumes((one, replace(one, offset=3000.0)))
    moved = to_lps(MAIN) @ np.linalg.inv(to_lps(OTHER))
    by_sform = Volumes((one,), (grid_of(OTHER, label="by qform", moved=moved),))
    holes = grid_of(MAIN, unreal=((1, 2, 3), (4, 4, 4)))
    scaled = Volumes((replace(one, tolerance=1.3),))
    study = {"study": True}
    return (
        case(".nii", lambda: nifti(stored())),
        case(".nii.gz", lambda: nifti(stored()), suffix="nii.gz"),
        Case(".hdr and .img", pair, Volumes((one,))),
        case("NIfTI-2", lambda: nifti(stored(), kind=nib.Nifti2Image)),
        case("Big endian", big_endian),
        case("qform alone", lambda: nifti(stored(), sform=None)),
        case("sform alone", lambda: nifti(stored(), qform=None)),
        case("sform alone, pixdim says otherwise", quarrelling),
        case(
            "Sheared sform",
            lambda: nifti(stored(SHEARED), sform=SHEARED, qform=None),
            Volumes((grid_of(SHEARED),)),
        ),
        case("sform and qform differ", lambda: nifti(stored(), qform=OTHER), by_sform),
        case(
            "NaN in the sform, qform sound",
            lambda: nifti(stored()),
            patch=(280, struct.pack("<f", np.nan)),
        ),
        case(
            "scl_slope 2, scl_inter -10",
            lambda: nifti(np.rint((values_of(MAIN) + 10) / 2).astype(np.int16)),
            scaled,
            patch=(112, struct.pack("<ff", 2, -10)),
        ),
        case(
            "scl_slope 0, scl_inter 5",
            lambda: nifti(stored()),
            patch=(112, struct.pack("<ff", 0, 5)),
        ),
        case("NaN and infinity among the voxels", unreal, Volumes((holes,))),
        case("4-D: two volumes", lambda: several(2), two, ask=study),
        case("5-D: two volumes", lambda: several(1, 2), two, ask=study),
        cut("Cut off, .nii", "nii", share=0.7),
        cut("Cut off, .nii.gz", "nii.gz", share=0.7),
        case(
            "Says 30000 x 30000 x 30000 voxels",
            lambda: nifti(stored()),
            Nothing(),
            patch=(42, struct.pack("<3h", 30000, 30000, 30000)),
        ),
        case(
            "Says -11 voxels",
            lambda: nifti(stored()),
            Nothing(),
            patch=(42, struct.pack("<h", -11)),
        ),
    )


NIFTI = Group("nifti", "NIfTI", _cases(), ".nii")
