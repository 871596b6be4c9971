"""Odd NIfTI files: each kind of header and coding against nibabel or SimpleITK."""

import gzip
import subprocess

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError
from medcnn.geometry import Geometry
from medcnn.io.nifti import save_nifti

RNG = np.random.default_rng(5)
VALUES = RNG.integers(0, 100, (5, 4, 3)).astype(np.int16)
AFFINE = np.array(
    [
        [-0.7, 0.1, 0.3, 11.0],
        [0.2, 0.9, -0.2, -22.0],
        [0.1, 0.1, 2.4, 33.0],
        [0, 0, 0, 1],
    ]
)


def patched(path, at, kind, *values, image=None):
    """Write an image whose header is changed at a byte."""
    raw = bytearray((image or nib.Nifti1Image(VALUES, AFFINE)).to_bytes())
    new = np.array(values, kind).tobytes()
    raw[at : at + len(new)] = new
    path.write_bytes(bytes(raw))
    return path


def theirs(path):
    return nib.load(path)


TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("version", [nib.Nifti1Image, nib.Nifti2Image])
def test_every_number_type_in_both_byte_orders(version, kind, order, tmp_path):
    header = version.header_class(endianness=order)
    header.set_data_dtype(order + kind)
    version(VALUES, AFFINE, header).to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.array[0], VALUES)
    assert image.array.dtype.isnative
    assert image.array.dtype == (np.float32 if kind[0] == "f" else np.dtype(kind))


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(0, 5), (np.nan, 5), (np.inf, 5), (1, 0), (2.5, -1024), (-1, 0), (1e-7, 3)],
)
@pytest.mark.parametrize("kind", ["i2", "i4", "f4"])
def test_scaling_equals_nibabels(slope, intercept, kind, tmp_path):
    image = nib.Nifti1Image(VALUES.astype(kind), AFFINE)
    path = patched(tmp_path / "a.nii", 112, "<f4", slope, intercept, image=image)
    np.testing.assert_allclose(
        io.load(path).array[0], theirs(path).get_fdata(), rtol=1e-6
    )


def test_slope_without_an_intercept_is_refused(tmp_path):
    path = patched(tmp_path / "a.nii", 112, "<f4", 2, np.nan)
    with pytest.raises(DecodeError, match=r"scaling is 2 \* stored \+ nan"):
        io.load(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("extra", [(6,), (2, 3), (1, 4), (2, 1, 3)])
def test_each_volume_is_a_part(extra, packed, tmp_path):
    values = RNG.integers(0, 99, (5, 4, 3, *extra)).astype(np.int16)
    path = tmp_path / ("a.nii.gz" if packed else "a.nii")
    nib.Nifti1Image(values, AFFINE).to_filename(path)
    volumes = values.reshape(5, 4, 3, -1, order="F")
    count = volumes.shape[3]
    with pytest.raises(SeveralSeriesError, match=f"holds {count} images"):
        io.load(path)
    study = io.load_study(path)
    assert len(study.images) == count
    for number, image in enumerate(study.images):
        np.testing.assert_array_equal(image.array[0], volumes[..., number])
        again = io.load(path, part=number + 1)
        np.testing.assert_array_equal(again.array, image.array)
        assert again.provenance[0] == f"volume {number + 1} of {count}"
    found, _ = io.describe_study(path)
    assert [one.part for one in found] == list(range(1, count + 1))
    assert {one.parts for one in found} == {count}


def test_volumes_tell_their_time(tmp_path):
    image = nib.Nifti1Image(np.stack([VALUES] * 3, -1), AFFINE)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 1500
    image.header["toffset"] = 200
    image.to_filename(tmp_path / "a.nii")
    found, _ = io.describe_study(tmp_path / "a.nii")
    assert [one.title for one in found] == [
        "volume 1 of 3, at 200 ms",
        "volume 2 of 3, at 1700 ms",
        "volume 3 of 3, at 3200 ms",
    ]


def test_a_part_that_is_not_there_is_refused(tmp_path):
    nib.Nifti1Image(VALUES, AFFINE).to_filename(tmp_path / "a.nii")
    with pytest.raises(ReadError, match="no part 2: it holds 1"):
        io.load(tmp_path / "a.nii", part=2)


def test_all_volumes_unpack_the_file_once(tmp_path, monkeypatch):
    values = np.stack([VALUES] * 4, -1)
    nib.Nifti1Image(values, AFFINE).to_filename(tmp_path / "a.nii.gz")
    from medcnn.io import packed

    calls = []
    decode = packed.imagecodecs.gzip_decode
    monkeypatch.setattr(
        packed.imagecodecs,
        "gzip_decode",
        lambda *a, **k: calls.append(1) or decode(*a, **k),
    )
    assert len(io.load_study(tmp_path / "a.nii.gz").images) == 4
    assert len(calls) == 1


def test_vector_becomes_channels(tmp_path):
    values = RNG.normal(size=(5, 4, 3, 2, 3)).astype(np.float32)
    image = nib.Nifti1Image(values, AFFINE)
    image.header.set_intent("vector")
    image.to_filename(tmp_path / "a.nii")
    for number, one in enumerate(io.load_study(tmp_path / "a.nii").images):
        assert one.channels == 3
        np.testing.assert_array_equal(
            one.array, np.moveaxis(values[..., number, :], 3, 0)
        )


@pytest.mark.parametrize(
    "name", ["displacement vector", "symmetric matrix", "pointset"]
)
def test_what_is_no_image_is_refused(name, tmp_path):
    image = nib.Nifti1Image(np.zeros((5, 4, 3, 1, 3), np.float32), AFFINE)
    image.header["intent_code"] = nib.nifti1.intent_codes.code[name]
    image.to_filename(tmp_path / "a.nii")
    with pytest.raises(ReadError, match="not an image"):
        io.load(tmp_path / "a.nii")


def test_alpha_is_dropped_from_rgba(tmp_path):
    colours = np.zeros((5, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    colours["R"], colours["A"] = VALUES, 200
    nib.Nifti1Image(colours, AFFINE).to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    assert image.channels == 3
    np.testing.assert_array_equal(image.array[0], VALUES)
    assert "alpha channel dropped" in image.provenance


@pytest.mark.parametrize("code", [0, 1, 32, 1536, 1792, 2048, 77])
def test_number_types_that_are_not_read_are_refused(code, tmp_path):
    with pytest.raises(DecodeError, match=r"data type|not real numbers"):
        io.load(patched(tmp_path / "a.nii", 70, "<i2", code))


def test_a_quarrel_of_sform_and_qform_is_told_with_numbers(tmp_path):
    image = nib.Nifti1Image(VALUES, AFFINE)
    image.set_sform(np.diag([2, 2, 2, 1]), code=1)
    image.set_qform(np.diag([3, 2, 2, 1]), code=1)
    image.to_filename(tmp_path / "a.nii")
    got = io.load(tmp_path / "a.nii")
    np.testing.assert_allclose(got.geometry.affine, theirs(tmp_path / "a.nii").affine)
    told = " ".join(got.warnings)
    assert "sform (scanner) and qform (scanner) put a corner 4 mm apart" in told
    assert "the sform's voxels are 2 x 2 x 2, pixdim says 3 x 2 x 2" in told
    assert got.warnings == io.describe(tmp_path / "a.nii").warnings


def test_a_sheared_sform_is_kept(tmp_path):
    sheared = np.array([[1, 0.5, 0, 1], [0, 1, 0.3, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(VALUES, None)
    image.set_sform(sheared, code=2)
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_allclose(io.load(tmp_path / "a.nii").geometry.affine, sheared)


def test_qform_counts_where_no_sform_is_set(tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    turned = np.diag([-2.0, 3, 4, 1])
    turned[:3, 3] = 5, 6, 7
    image.set_qform(turned, code=1)
    image.set_sform(np.diag([9, 9, 9, 1]), code=0)
    image.to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    np.testing.assert_allclose(image.geometry.affine, turned, atol=1e-6)


def test_sizes_alone_give_nibabels_affine_and_a_warning(tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    image.header.set_zooms((2, 3, 4))
    image.header["sform_code"] = image.header["qform_code"] = 0
    image.to_filename(tmp_path / "a.nii")
    got = io.load(tmp_path / "a.nii")
    np.testing.assert_allclose(got.geometry.affine, theirs(tmp_path / "a.nii").affine)
    assert any("neither sform nor qform" in line for line in got.warnings)


@pytest.mark.parametrize("at", [256, 260, 264])
def test_an_impossible_quaternion_is_refused_where_it_counts(at, tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    image.set_qform(np.eye(4), code=1)
    image.header["sform_code"] = 0
    with pytest.raises(ReadError, match=r"makes no grid.*[Mm]end"):
        io.load(patched(tmp_path / "a.nii", at, "<f4", 9, image=image))


@pytest.mark.parametrize("row", [280, 296, 312])
def test_a_singular_sform_is_refused(row, tmp_path):
    with pytest.raises(ReadError, match="its affine makes no grid"):
        io.load(patched(tmp_path / "a.nii", row, "<f4", 0, 0, 0, 0))


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001)])
def test_lengths_become_millimetres(unit, factor, tmp_path):
    image = nib.Nifti1Image(VALUES, np.diag([2.0, 3, 4, 1]) / factor)
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    got = io.load(tmp_path / "a.nii")
    assert np.allclose(got.geometry.spacing_mm, (2, 3, 4))
    assert any("to millimetres" in line for line in got.warnings)


def test_an_unset_unit_is_told(tmp_path):
    nib.Nifti1Image(VALUES, AFFINE).to_filename(tmp_path / "a.nii")
    told = io.load(tmp_path / "a.nii").warnings
    assert told == ("its unit of length is not set: millimetres are assumed",)


@pytest.mark.parametrize("count", [-1, 0, 8, 30000])
def test_an_impossible_number_of_axes_is_refused(count, tmp_path):
    with pytest.raises(DecodeError, match=r"declares -?\d+ axes"):
        io.load(patched(tmp_path / "a.nii", 40, "<i2", count))


def test_a_list_of_numbers_is_refused(tmp_path):
    with pytest.raises(DecodeError, match="a list of 5 numbers"):
        io.load(patched(tmp_path / "a.nii", 40, "<i2", 1))


@pytest.mark.parametrize("offset", [0, 100, -8, np.nan, np.inf, 1e30])
def test_voxels_inside_the_header_or_nowhere_are_refused(offset, tmp_path):
    with pytest.raises(DecodeError, match="begin at byte"):
        io.load(patched(tmp_path / "a.nii", 108, "<f4", offset))


def test_a_picture_has_one_slice(tmp_path):
    nib.Nifti1Image(VALUES[..., 0], AFFINE).to_filename(tmp_path / "a.nii")
    assert io.load(tmp_path / "a.nii").shape == (5, 4, 1)


def test_bytes_after_the_voxels_do_no_harm(tmp_path):
    raw = gzip.compress(nib.Nifti1Image(VALUES, AFFINE).to_bytes() + b"more")
    (tmp_path / "a.nii.gz").write_bytes(raw)
    np.testing.assert_array_equal(io.load(tmp_path / "a.nii.gz").array[0], VALUES)


def test_several_gzip_streams_are_one_file(tmp_path):
    raw = nib.Nifti1Image(VALUES, AFFINE).to_bytes()
    packed = gzip.compress(raw[:400]) + gzip.compress(raw[400:])
    (tmp_path / "a.nii.gz").write_bytes(packed)
    np.testing.assert_array_equal(io.load(tmp_path / "a.nii.gz").array[0], VALUES)


@pytest.mark.parametrize("at", [-1, -5])
@pytest.mark.parametrize("more", [b"", gzip.compress(b"", mtime=0)])
def test_a_wrong_checksum_or_size_of_gzip_is_refused(at, more, tmp_path):
    noise = RNG.integers(0, 999, (50, 40, 30)).astype(np.int16)
    raw = bytearray(gzip.compress(nib.Nifti1Image(noise, AFFINE).to_bytes()))
    raw[at] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(bytes(raw) + more)
    with pytest.raises(DecodeError, match="cannot be read"):
        io.load(tmp_path / "a.nii.gz")


def test_a_size_that_the_file_cannot_hold_takes_no_memory(tmp_path):
    import tracemalloc

    raw = bytearray(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    raw[40:48] = np.array([3, 600, 600, 600], "<i2").tobytes()
    for name, content in (("a.nii", bytes(raw)), ("b.nii.gz", gzip.compress(raw))):
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DecodeError, match="432000352 bytes are declared"):
            io.load(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("names", [("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz")])
def test_packed_pair_is_read_by_either_name(kind, names, tmp_path):
    kind(VALUES, AFFINE).to_filename(tmp_path / "b.img")
    for name, plain in zip(names, ("b.hdr", "b.img"), strict=True):
        raw = (tmp_path / plain).read_bytes()
        packed = gzip.compress(raw) if name.endswith(".gz") else raw
        (tmp_path / name).write_bytes(packed)
        (tmp_path / plain).unlink()
    for name in names:
        np.testing.assert_array_equal(io.load(tmp_path / name).array[0], VALUES)
    assert len(io.load_study(tmp_path).images) == 1


def test_all_parts_of_an_image_in_memory():
    values = np.stack([VALUES, VALUES + 1], -1)
    nifti = nib.Nifti1Image(values, AFFINE)
    with pytest.raises(SeveralSeriesError, match="holds 2 images"):
        io.load(nifti)
    np.testing.assert_array_equal(io.load(nifti, part=2).array[0], VALUES + 1)


def rotation(quaternion):
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


number = st.floats(-1, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(
    turn=st.tuples(number, number, number, number).filter(
        lambda q: np.linalg.norm(q) > 0.1
    ),
    sizes=st.tuples(*[st.floats(0.125, 8, width=32)] * 3),
    place=st.tuples(*[st.floats(-300, 300, width=32)] * 3),
    flip=st.booleans(),
)
def test_any_oblique_grid_goes_out_and_comes_back(
    turn, sizes, place, flip, tmp_path_factory
):
    affine = np.eye(4)
    affine[:3, :3] = rotation(turn) @ np.diag(sizes)
    affine[:3, 0] *= -1 if flip else 1
    affine[:3, 3] = place
    path = tmp_path_factory.mktemp("grid") / "a.nii"
    save_nifti(VALUES, Geometry((5, 4, 3), affine), path)
    image = io.load(path)
    np.testing.assert_allclose(image.geometry.affine, theirs(path).affine, atol=1e-6)
    np.testing.assert_allclose(image.geometry.affine, affine, atol=1e-4)
    assert image.warnings == ()


def test_what_is_written_is_good_for_the_standards_own_tool(tool, tmp_path):
    program = tool("nifti_tool", "nifti-bin")
    save_nifti(VALUES, Geometry((5, 4, 3), AFFINE), tmp_path / "a.nii")
    done = subprocess.run(
        [program, "-check_hdr", "-check_nim", "-infiles", str(tmp_path / "a.nii")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "header IS GOOD" in done.stdout
    assert "nifti_image IS GOOD" in done.stdout


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_pair_named_in_capitals_is_a_pair(ending, tmp_path):
    nib.Nifti1Pair(VALUES, AFFINE).to_filename(tmp_path / f"a.img{ending}")
    for half in ("hdr", "img"):
        path = tmp_path / f"a.{half}{ending}"
        path.rename(tmp_path / path.name.upper())
    for name in ("A.HDR", "A.IMG", "."):
        path = tmp_path / (name if name == "." else f"{name}{ending.upper()}")
        np.testing.assert_array_equal(io.load(path).array[0], VALUES)


def test_a_header_that_is_alone_is_never_read_as_voxels(tmp_path):
    nib.Nifti1Pair(VALUES, AFFINE).to_filename(tmp_path / "a.img")
    alone = (tmp_path / "a.hdr").rename(tmp_path / "b.nii")
    alone.write_bytes(alone.read_bytes() + (tmp_path / "a.img").read_bytes())
    with pytest.raises(DecodeError, match="begin at byte 0; from 348"):
        io.load(alone)


def test_a_negative_size_turns_nothing_round(tmp_path):
    image = nib.Nifti1Image(VALUES, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    got = io.load(patched(tmp_path / "a.nii", 80, "<f4", -2.0, image=image))
    np.testing.assert_allclose(got.geometry.affine, theirs(tmp_path / "a.nii").affine)


def test_colours_as_a_vector_become_channels(tmp_path):
    values = RNG.normal(size=(5, 4, 3, 1, 3)).astype(np.float32)
    image = nib.Nifti1Image(values, AFFINE)
    image.header["intent_code"] = 2003
    image.to_filename(tmp_path / "a.nii")
    np.testing.assert_array_equal(
        io.load(tmp_path / "a.nii").array, np.moveaxis(values[..., 0, :], 3, 0)
    )
