"""MetaImage against SimpleITK, which writes and reads it."""

import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError
from medcnn.geometry import LPS_TO_RAS

sitk = pytest.importorskip("SimpleITK")

VALUES = np.random.default_rng(4).integers(0, 100, (5, 4, 3))


def rotation(turn):
    angles = np.array(turn)
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        one, c, s = np.eye(3), np.cos(angle), np.sin(angle)
        a, b = (n for n in range(3) if n != axis)
        one[a, a], one[a, b], one[b, a], one[b, b] = c, -s, s, c
        matrix = matrix @ one
    return matrix


def made(kind, *, turn=(0.3, -0.8, 2.0), spacing=(0.7, 1.3, 2.5), place=(9, -8, 7)):
    image = sitk.GetImageFromArray(VALUES.astype(kind).transpose(2, 1, 0))
    image.SetDirection(rotation(turn).ravel().tolist())
    image.SetSpacing([float(n) for n in spacing])
    image.SetOrigin([float(n) for n in place])
    return image


def affine_of(image):
    """The affine to RAS, point by point, out of SimpleITK alone."""
    corners = [
        image.TransformContinuousIndexToPhysicalPoint(p)
        for p in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    ]
    first, *others = np.array(corners)
    lps = np.eye(4)
    lps[:3, :3] = (np.array(others) - first).T
    lps[:3, 3] = first
    return LPS_TO_RAS @ lps


KINDS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd", "nhdr"])
def test_values_and_grid_equal_simpleitks(suffix, packed, kind, tmp_path):
    image = made(kind)
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(image, str(path), useCompression=packed)
    got = io.load(path)
    np.testing.assert_array_equal(got.array[0], VALUES)
    np.testing.assert_allclose(got.geometry.affine, affine_of(image), atol=1e-6)
    assert got.array.dtype == (np.float32 if kind[0] == "f" else np.dtype(kind))
    assert got.warnings == ()
    found = io.describe(path)
    assert found.shape == got.shape
    assert found.spacing_mm == pytest.approx((0.7, 1.3, 2.5))
    study = io.load_study(tmp_path)
    assert len(study.images) == 1
    assert study.problems == ()


angle = st.floats(-3.2, 3.2)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    turn=st.tuples(angle, angle, angle),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    place=st.tuples(*[st.floats(-500, 500)] * 3),
    suffix=st.sampled_from(["mha", "nrrd"]),
)
def test_any_oblique_grid_equals_simpleitks(turn, spacing, place, suffix, tmp_path):
    image = made("i2", turn=turn, spacing=spacing, place=place)
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(image, str(path))
    again = affine_of(sitk.ReadImage(str(path)))
    np.testing.assert_allclose(io.load(path).geometry.affine, again, atol=1e-6)


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
@pytest.mark.parametrize("channels", [2, 3])
def test_vectors_become_channels(channels, suffix, tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (3, 4, 5, channels), np.uint8)
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(values, isVector=True), str(path))
    image = io.load(path)
    np.testing.assert_array_equal(image.array, values.transpose(3, 2, 1, 0))


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
def test_volumes_of_four_axes_are_parts(suffix, tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (2, 3, 4, 5)).astype(np.int16)
    image = sitk.GetImageFromArray(values, isVector=False)
    image.SetSpacing((0.5, 0.6, 0.7, 9))
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(image, str(path))
    if suffix == "nrrd":  # SimpleITK gives the fourth axis a direction in a 4-D space
        raw = path.read_bytes()
        head, _, rest = raw.partition(b"\n\n")
        lines = [
            b"space: left-posterior-superior" if line.startswith(b"space dim") else line
            for line in head.split(b"\n")
        ]
        text = b"\n".join(
            b"space directions: (0.5,0,0) (0,0.6,0) (0,0,0.7) none"
            if line.startswith(b"space directions")
            else b"kinds: domain domain domain list"
            if line.startswith(b"kinds")
            else b"space origin: (0,0,0)"
            if line.startswith(b"space origin")
            else line
            for line in lines
        )
        path.write_bytes(text + b"\n\n" + rest)
    with pytest.raises(SeveralSeriesError, match="holds 2 images"):
        io.load(path)
    for n, one in enumerate(io.load_study(path).images):
        np.testing.assert_array_equal(one.array[0], values[n].transpose(2, 1, 0))
        assert one.geometry.spacing_mm == pytest.approx((0.5, 0.6, 0.7))


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
def test_a_picture_has_its_spacing_only(suffix, tmp_path):
    image = sitk.GetImageFromArray(VALUES[..., 0].T.astype(np.uint8))
    image.SetSpacing((0.2, 0.3))
    sitk.WriteImage(image, str(tmp_path / f"a.{suffix}"))
    got = io.load(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(got.array[0, ..., 0], VALUES[..., 0])
    assert got.geometry.spacing_mm == pytest.approx((0.2, 0.3, 1))
    assert "its place in the patient is not" in got.warnings[0]
    image.SetSpacing((1, 1))
    sitk.WriteImage(image, str(tmp_path / f"b.{suffix}"))
    assert io.load(tmp_path / f"b.{suffix}").geometry is None


def mha(path, body=None, **changes):
    """Write a MetaImage by hand; a field that is None is left out."""
    body = VALUES.astype("<i2").tobytes(order="F") if body is None else body
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "DimSize": "5 4 3",
        "ElementType": "MET_SHORT",
        "ElementSpacing": "1 2 3",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    } | changes
    where = fields.pop("ElementDataFile", "LOCAL")
    lines = [f"{name} = {value}\n" for name, value in fields.items() if value]
    text = "".join(lines) + f"ElementDataFile = {where}\n"
    path.write_bytes(text.encode() + (body if where == "LOCAL" else b""))
    return path


def test_big_endian_voxels(tmp_path):
    body = VALUES.astype(">i2").tobytes(order="F")
    path = mha(tmp_path / "a.mha", body, ElementByteOrderMSB="True")
    np.testing.assert_array_equal(io.load(path).array[0], VALUES)


def test_voxels_at_the_end_of_another_file(tmp_path):
    body = VALUES.astype("<i2").tobytes(order="F")
    (tmp_path / "a.raw").write_bytes(b"some header" + body)
    for size in ("-1", "11"):
        path = mha(tmp_path / "a.mhd", HeaderSize=size, ElementDataFile="a.raw")
        np.testing.assert_array_equal(io.load(path).array[0], VALUES)


def test_modality_and_units_are_read(tmp_path):
    path = mha(tmp_path / "a.mha", Modality="MET_MOD_CT", DistanceUnits="um")
    image = io.load(path)
    assert image.modality == "CT"
    assert image.geometry.spacing_mm == pytest.approx((0.001, 0.002, 0.003))


def test_a_missing_direction_is_told(tmp_path):
    image = io.load(mha(tmp_path / "a.mha", TransformMatrix=None))
    assert image.geometry.axis_codes == "LPS"
    assert "no direction of its axes is given" in image.warnings[0]


@pytest.mark.parametrize("name", ["../secret.raw", "/etc/passwd", "C:\\x", "link.raw"])
def test_voxels_outside_the_folder_are_refused(name, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(1000))
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(DecodeError, match="outside its folder"):
        io.load(mha(folder / "a.mhd", ElementDataFile=name))


def test_missing_voxels_are_told(tmp_path):
    with pytest.raises(DecodeError, match=r"a\.raw, is not there"):
        io.load(mha(tmp_path / "a.mhd", ElementDataFile="a.raw"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ObjectType": "Mesh"}, "holds a Mesh"),
        ({"NDims": "7"}, "has 7 axes"),
        ({"BinaryData": "False"}, "written as text"),
        ({"ElementDataFile": "LIST"}, "spread over many files"),
        ({"ElementDataFile": "a%03d.raw 1 3 1"}, "spread over many files"),
        ({"ElementToIntensityFunctionSlope": "2"}, "intensity function"),
        ({"DistanceUnits": "parsec"}, "lengths in parsec"),
        ({"ElementType": "MET_STRING"}, "ElementType STRING"),
        ({"DimSize": "5 4"}, "3 numbers are needed"),
        ({"DimSize": "0 4 3"}, "holds nothing"),
        ({"DimSize": "-5 4 3"}, "holds nothing"),
        ({"DimSize": "90000 90000 3"}, "at most 268435456"),
        ({"DimSize": "500 400 300"}, "voxels are cut off"),
        ({"ElementSpacing": "nan 1 1"}, "3 numbers are needed"),
        ({"ElementSpacing": "0 1 1"}, "makes no grid"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "makes no grid"),
        ({"ElementNumberOfChannels": "1e9"}, "ValueError"),
        ({"NDims": None, "Comment": "NDims"}, "KeyError"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(change, words, tmp_path):
    with pytest.raises(ReadError, match=words):
        io.load(mha(tmp_path / "a.mha", **change))


@pytest.mark.parametrize("declared", ["5 4 3", "5 4 2", "5 4 4", "400 400 300"])
def test_a_stream_must_hold_what_is_declared(declared, tmp_path):
    body = zlib.compress(VALUES.astype("<i2").tobytes(order="F"))
    path = mha(tmp_path / "a.mha", body, CompressedData="True", DimSize=declared)
    if declared == "5 4 3":
        np.testing.assert_array_equal(io.load(path).array[0], VALUES)
    else:
        with pytest.raises(DecodeError, match=r"packed voxels|cannot be in"):
            io.load(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(share, suffix, packed, tmp_path):
    noise = np.random.default_rng(0).integers(0, 9999, (9, 9, 9)).astype(np.int16)
    path = tmp_path / f"a.{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), useCompression=packed)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError):
        io.load(path)
