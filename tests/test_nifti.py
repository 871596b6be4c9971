"""NIfTI files against nibabel itself."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError

VALUES = np.random.default_rng(2).integers(-900, 900, (5, 4, 3)).astype(np.int16)
AFFINE = np.array(
    [
        [-0.7, 0.1, 0.3, 11.0],
        [0.2, 0.9, -0.2, -22.0],
        [0.1, 0.1, 2.4, 33.0],
        [0, 0, 0, 1],
    ]
)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_values_and_affine_equal_nibabels(kind, name, tmp_path):
    kind(VALUES, AFFINE).to_filename(tmp_path / name)
    image = io.load(tmp_path / name)
    np.testing.assert_array_equal(image.array[0], VALUES)
    np.testing.assert_allclose(image.geometry.affine, AFFINE, atol=1e-6)
    assert image.array.dtype == np.int16
    assert io.describe(tmp_path / name).shape == image.shape


@pytest.mark.parametrize("name", ["scan", "scan.dcm", "scan.png"])
@pytest.mark.parametrize("packed", [False, True])
def test_content_decides_not_the_name(name, packed, tmp_path):
    raw = nib.Nifti1Image(VALUES, AFFINE).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(raw) if packed else raw)
    np.testing.assert_array_equal(io.load(tmp_path / name).array[0], VALUES)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("suffix", [".hdr", ".img"])
def test_pair_is_read_by_either_name(kind, suffix, tmp_path):
    kind(VALUES, AFFINE).to_filename(tmp_path / "a.img")
    image = io.load((tmp_path / "a").with_suffix(suffix))
    np.testing.assert_array_equal(image.array[0], VALUES)


def test_folder_with_a_pair_holds_one_image(tmp_path):
    nib.Nifti1Pair(VALUES, AFFINE).to_filename(tmp_path / "a.img")
    assert io.load(tmp_path).shape == (5, 4, 3)


def test_header_without_its_voxels_is_refused(tmp_path):
    nib.Nifti1Pair(VALUES, AFFINE).to_filename(tmp_path / "a.img")
    (tmp_path / "a.img").unlink()
    with pytest.raises(DecodeError, match="FileNotFoundError"):
        io.load(tmp_path / "a.hdr")


def scaled(slope, offset):
    """Return bytes of an image whose header scales its stored values."""
    nifti = nib.Nifti1Image(VALUES, AFFINE)
    raw = bytearray(nifti.to_bytes())
    raw[112:120] = np.array([slope, offset], "<f4").tobytes()
    return bytes(raw)


def test_scale_is_applied_and_said(tmp_path):
    (tmp_path / "a.nii").write_bytes(scaled(2.5, -10))
    image = io.load(tmp_path / "a.nii")
    np.testing.assert_allclose(image.array[0], VALUES * 2.5 - 10)
    assert image.provenance[1] == "rescale: value = 2.5 * stored + -10"


def test_slope_zero_means_no_scaling(tmp_path):
    (tmp_path / "a.nii").write_bytes(scaled(0, 5))
    np.testing.assert_array_equal(io.load(tmp_path / "a.nii").array[0], VALUES)


def test_big_endian_is_read_in_native_order(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.Nifti1Image(VALUES, AFFINE, header).to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.array[0], VALUES)
    assert image.array.dtype.isnative


def test_sform_wins_over_qform(tmp_path):
    nifti = nib.Nifti1Image(VALUES, AFFINE)
    nifti.set_qform(np.diag([3, 3, 3, 1]), code=1)
    nifti.set_sform(AFFINE, code=2)
    nifti.to_filename(tmp_path / "a.nii")
    geometry = io.load(tmp_path / "a.nii").geometry
    np.testing.assert_allclose(geometry.affine, AFFINE, atol=1e-6)


def test_no_form_is_warned_of(tmp_path):
    nifti = nib.Nifti1Image(VALUES, None)
    nifti.set_sform(None, code=0)
    nifti.set_qform(None, code=0)
    nifti.to_filename(tmp_path / "a.nii")
    assert "neither sform nor qform" in io.load(tmp_path / "a.nii").warnings[0]


def test_nan_and_infinity_are_kept_and_counted(tmp_path):
    values = VALUES.astype(np.float32)
    values[1, 2, 1] = np.nan
    values[0, 0, :2] = np.inf
    nib.Nifti1Image(values, AFFINE).to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.array[0], values)
    assert "3 of 60 values are NaN or infinite" in image.warnings


def test_one_volume_in_four_axes_is_squeezed(tmp_path):
    nib.Nifti1Image(VALUES[..., None], AFFINE).to_filename(tmp_path / "a.nii")
    assert io.load(tmp_path / "a.nii").shape == (5, 4, 3)


def test_several_volumes_are_refused_with_what_to_do(tmp_path):
    nib.Nifti1Image(np.stack([VALUES] * 2, -1), AFFINE).to_filename(tmp_path / "a.nii")
    with pytest.raises(SeveralSeriesError, match="holds 2 images") as caught:
        io.load(tmp_path / "a.nii")
    assert "part=N" in caught.value.hint
    assert caught.value.series == ("part 1: volume 1 of 2", "part 2: volume 2 of 2")


def test_colours_become_channels(tmp_path):
    colours = np.zeros((5, 4, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["G"] = 7
    colours["B"][1, 2, 1] = 9
    nib.Nifti1Image(colours, AFFINE).to_filename(tmp_path / "a.nii")
    image = io.load(tmp_path / "a.nii")
    assert image.channels == 3
    assert image.array[:, 1, 2, 1].tolist() == [0, 7, 9]
    assert io.describe(tmp_path / "a.nii").channels == 3


def test_complex_numbers_are_refused(tmp_path):
    nib.Nifti1Image(VALUES.astype(np.complex64), AFFINE).to_filename(tmp_path / "a.nii")
    with pytest.raises(DecodeError, match="not real numbers"):
        io.load(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_truncated_file_is_refused(name, share, tmp_path):
    values = np.random.default_rng(0).integers(0, 9999, (20, 20, 20)).astype(np.int16)
    path = tmp_path / name
    nib.Nifti1Image(values, AFFINE).to_filename(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError):
        io.load(path)


def with_sizes(*sizes):
    raw = bytearray(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    raw[40:48] = np.array([3, *sizes], "<i2").tobytes()
    return bytes(raw)


@pytest.mark.parametrize("sizes", [(30000, 30000, 30000), (-5, 4, 3), (0, 4, 3)])
def test_impossible_sizes_are_refused_before_anything_is_made(sizes, tmp_path):
    (tmp_path / "a.nii").write_bytes(with_sizes(*sizes))
    with pytest.raises(DecodeError, match=r"at most 268435456|holds nothing"):
        io.load(tmp_path / "a.nii")


def test_packed_bomb_is_not_inflated(tmp_path):
    raw = with_sizes(2000, 2000, 2000) + bytes(2**24)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(DecodeError, match="at most 268435456"):
        io.load(tmp_path / "a.nii.gz")


def test_not_a_number_in_the_affine_is_refused(tmp_path):
    raw = bytearray(nib.Nifti1Image(VALUES, AFFINE).to_bytes())
    raw[280:284] = np.array([np.nan], "<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(bytes(raw))
    with pytest.raises(ReadError, match="affine"):
        io.load(tmp_path / "a.nii")


def test_nibabel_image_in_memory_is_read():
    image = io.load(nib.Nifti1Image(VALUES, AFFINE))
    np.testing.assert_array_equal(image.array[0], VALUES)
    np.testing.assert_allclose(image.geometry.affine, AFFINE)


def test_thing_of_nibabel_without_voxels_is_refused():
    tracks = nib.streamlines.Tractogram(np.zeros((0, 3)), affine_to_rasmm=np.eye(4))
    with pytest.raises((ReadError, TypeError)):
        io.load(nib.streamlines.TckFile(tracks))
