"""NRRD headers by hand; values and grids against SimpleITK are in test_metaimage."""

import gzip

import numpy as np
import pytest

from medcnn import io
from medcnn.errors import DecodeError, ReadError

VALUES = np.random.default_rng(4).integers(0, 200, (5, 4, 3))


def nrrd(path, body=None, **changes):
    """Write an NRRD by hand; a field that is None is left out."""
    body = VALUES.astype("<i2").tobytes(order="F") if body is None else body
    fields = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "5 4 3",
        "space directions": "(1,0,0) (0,2,0) (0,0,3)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(7,8,9)",
    } | {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}\n" for name, value in fields.items() if value]
    text = "NRRD0004\n# a comment\n" + "".join(lines) + "key:=value\n\n"
    path.write_bytes(text.encode() + body)
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("LAS", (-1, 1, 1)),
    ],
)
def test_every_space_of_a_patient_becomes_ras(space, signs, tmp_path):
    image = io.load(nrrd(tmp_path / "a.nrrd", space=space))
    expected = np.diag([*signs, 1]) @ np.array(
        [[1, 0, 0, 7], [0, 2, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1]]
    )
    np.testing.assert_allclose(image.geometry.affine, expected)
    np.testing.assert_array_equal(image.array[0], VALUES)


def test_big_endian_voxels(tmp_path):
    body = VALUES.astype(">i2").tobytes(order="F")
    path = nrrd(tmp_path / "a.nrrd", body, endian="big")
    np.testing.assert_array_equal(io.load(path).array[0], VALUES)


@pytest.mark.parametrize("skip", ["-1", "5"])
def test_bytes_before_the_voxels_are_skipped(skip, tmp_path):
    body = b"12345" + VALUES.astype("<i2").tobytes(order="F")
    path = nrrd(tmp_path / "a.nrrd", body, byte_skip=skip)
    np.testing.assert_array_equal(io.load(path).array[0], VALUES)


@pytest.mark.parametrize("packed", [False, True])
def test_voxels_in_a_file_beside(packed, tmp_path):
    body = VALUES.astype("<i2").tobytes(order="F")
    (tmp_path / "a.raw").write_bytes(gzip.compress(body) if packed else body)
    path = nrrd(
        *(tmp_path / "a.nhdr", b""),
        data_file="a.raw",
        encoding="gzip" if packed else "raw",
    )
    np.testing.assert_array_equal(io.load(path).array[0], VALUES)
    assert len(io.load_study(tmp_path).images) == 1


@pytest.mark.parametrize(
    ("kind", "first"), [("list", False), ("time", True), ("vector", True)]
)
def test_axes_outside_space_are_parts_or_channels(kind, first, tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (2, 5, 4, 3)).astype("<i2")
    stored = values if first else np.moveaxis(values, 0, 3)
    sizes, directions = ["5", "4", "3"], ["(1,0,0)", "(0,1,0)", "(0,0,1)"]
    kinds = ["domain"] * 3
    at = 0 if first else 3
    sizes.insert(at, "2")
    directions.insert(at, "none")
    kinds.insert(at, kind)
    path = nrrd(
        *(tmp_path / "a.nrrd", stored.tobytes(order="F")),
        dimension="4",
        sizes=" ".join(sizes),
        space_directions=" ".join(directions),
        kinds=" ".join(kinds),
    )
    images = io.load_study(path).images
    if kind == "vector":
        np.testing.assert_array_equal(images[0].array, values)
    else:
        np.testing.assert_array_equal([one.array[0] for one in images], values)


def test_spacing_alone_is_told(tmp_path):
    path = nrrd(
        tmp_path / "a.nrrd",
        space=None,
        space_directions=None,
        space_origin=None,
        spacings="0.5 0.6 0.7",
    )
    image = io.load(path)
    assert image.geometry.spacing_mm == pytest.approx((0.5, 0.6, 0.7))
    assert "no place in the patient" in image.warnings[0]


def test_no_spacing_means_no_grid(tmp_path):
    path = nrrd(
        tmp_path / "a.nrrd", space=None, space_directions=None, space_origin=None
    )
    assert io.load(path).geometry is None


def test_other_units_become_millimetres(tmp_path):
    image = io.load(nrrd(tmp_path / "a.nrrd", space_units='"cm" "cm" "cm"'))
    assert image.geometry.spacing_mm == pytest.approx((10, 20, 30))
    assert "multiplied by 10" in image.warnings[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "bzip2"}, "written as bzip2"),
        ({"encoding": "ascii"}, "written as ascii"),
        ({"encoding": None}, "KeyError"),
        ({"type": "block"}, "blocks"),
        ({"type": "quaternion"}, "type 'quaternion'"),
        ({"endian": None}, "byte order ''"),
        ({"space": "3D-right-handed"}, "which is not the patient's"),
        ({"space": None}, "not named, which is not the patient's"),
        ({"sizes": "5 4"}, "sizes has 2 entries; 3 are needed"),
        ({"sizes": "5 4 0"}, "holds nothing"),
        ({"sizes": "90000 90000 9"}, "at most 268435456"),
        ({"sizes": "500 400 300"}, "voxels are cut off"),
        ({"space directions": "(1,0,0) (0,nan,0) (0,0,3)"}, "no vector of 3"),
        ({"space directions": "(1,0,0) (1,0,0) (0,0,3)"}, "makes no grid"),
        ({"space directions": "(1,0,0) (0,1,0) none"}, "axes are of the kinds"),
        ({"space units": '"mm" "mm" "furlong"'}, "space units"),
        ({"line skip": "3"}, "skips 3 lines"),
        ({"byte skip": "3", "encoding": "gzip"}, "skips bytes of packed voxels"),
        ({"data file": "a%d.raw 1 3 1"}, "spread over many files"),
        ({"data file": "../a.raw"}, "outside its folder"),
        ({"data file": "none.raw"}, "is not there"),
        ({"dimension": "9"}, "has not 2 to 5 axes"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(change, words, tmp_path):
    with pytest.raises(ReadError, match=words):
        io.load(nrrd(tmp_path / "a.nrrd", **change))


def test_a_header_without_an_end_is_refused(tmp_path):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    with pytest.raises(DecodeError, match="has no end"):
        io.load(tmp_path / "a.nrrd")


@pytest.mark.parametrize("order", ["Little", "LITTLE"])
def test_the_byte_order_is_named_in_any_case(order, tmp_path):
    path = nrrd(tmp_path / "a.nrrd", endian=order)
    np.testing.assert_array_equal(io.load(path).array[0], VALUES)


def test_one_slice_in_a_space_lies_where_it_says(tmp_path):
    path = nrrd(
        tmp_path / "a.nrrd",
        VALUES[:, :, 0].astype("<i2").tobytes(order="F"),
        dimension="2",
        sizes="5 4",
        kinds="domain domain",
        space_directions="(0,2,0) (0,0,-3)",
    )
    image = io.load(path)
    lps = [[0, 0, -1, 7], [2, 0, 0, 8], [0, -3, 0, 9], [0, 0, 0, 1]]
    np.testing.assert_allclose(
        image.geometry.affine, np.diag([-1, -1, 1, 1]) @ np.array(lps), atol=1e-12
    )
    np.testing.assert_array_equal(image.array[0, :, :, 0], VALUES[:, :, 0])
    assert any("thickness is not given" in note for note in image.warnings)
    assert io.describe(path).spacing_mm == pytest.approx((2, 3, 1))
