"""The generated phantoms: reproducible, valid, and the same in every format."""

import hashlib
import json
import subprocess
import sys

import cv2
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from scipy import ndimage

import medcnn.io
from medcnn.geometry import Frame


@pytest.fixture(scope="module")
def expected(phantoms):
    return json.loads((phantoms / "expected.json").read_text())


@pytest.fixture(scope="module")
def itk_volume(phantoms):
    reader = SimpleITK.ImageSeriesReader()
    folder = str(phantoms / "ct_lesion")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    return reader.Execute()


def brightness_of_lesion(picture, lesion):
    """Mean inside the lesion minus mean of the ring around it; picture (rows, cols)."""
    rows, columns = np.indices(picture.shape)
    apart = np.hypot(columns - lesion["column"], rows - lesion["row"])
    radius = lesion["radius_px"]
    ring = (apart > 1.2 * radius) & (apart < 1.8 * radius)
    return picture[apart < 0.8 * radius].mean() - picture[ring].mean()


@pytest.mark.slow
def test_making_them_again_gives_the_same_bytes(phantoms, tmp_path):
    script = str(phantoms / "make_phantoms.py")
    subprocess.run([sys.executable, script, str(tmp_path)], check=True, timeout=300)
    made = {p.relative_to(tmp_path): p for p in tmp_path.rglob("*") if p.is_file()}
    assert len(made) == 32
    for name, path in made.items():
        assert path.read_bytes() == (phantoms / name).read_bytes(), name


def test_every_listed_checksum_holds(phantoms):
    lines = (phantoms / "checksums.sha256").read_text().splitlines()
    assert len(lines) == 31
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((phantoms / name).read_bytes()).hexdigest() == digest


def test_the_folder_stays_below_two_megabytes(phantoms):
    sizes = [p.stat().st_size for p in phantoms.rglob("*") if "__py" not in str(p)]
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("name", ["chest_nodule", "chest_clear", "ct_lesion/slice_01"])
def test_the_standard_has_nothing_against_them(phantoms, tool, name):
    path = str(phantoms / f"{name}.dcm")
    command = [tool("dciodvfy", "dicom3tools"), path]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in found.stderr.splitlines() if "Error" in line]
    assert (found.returncode, complaints) == (0, [])


def test_dicom_and_nifti_hold_the_same_voxels(phantoms, itk_volume):
    nifti = nib.load(phantoms / "ct_lesion.nii")
    dicom = SimpleITK.GetArrayFromImage(itk_volume).T
    np.testing.assert_array_equal(dicom, nifti.get_fdata())


def test_dicom_and_nifti_lie_at_the_same_place(phantoms, itk_volume):
    affine = nib.load(phantoms / "ct_lesion.nii").affine
    for voxel in [(0, 0, 0), (63, 0, 0), (0, 63, 0), (0, 0, 23), (63, 63, 23)]:
        x, y, z = itk_volume.TransformIndexToPhysicalPoint(voxel)
        world = (affine @ [*voxel, 1])[:3]
        np.testing.assert_allclose([-x, -y, z], world, atol=2e-3)


def test_other_readers_find_the_expected_values_at_points(itk_volume, expected):
    for point in expected["ct"]["points"]:
        x, y, z = point["ras_mm"]
        index = itk_volume.TransformPhysicalPointToIndex((-x, -y, z))
        assert list(index) == point["voxel"], point["what"]
        assert itk_volume[index] == point["hu"], point["what"]


def test_the_lesion_lies_where_it_should(phantoms, expected):
    nifti = nib.load(phantoms / "ct_lesion.nii")
    centre_mm = np.array(expected["ct"]["lesion"]["centre_ras_mm"])
    near = np.linalg.inv(nifti.affine) @ [*centre_mm, 1]
    blobs, _ = ndimage.label(nifti.get_fdata() > -300)
    own = blobs == blobs[tuple(np.rint(near[:3]).astype(int))]
    centroid = nifti.affine @ [*ndimage.center_of_mass(own), 1]
    semi_axes = expected["ct"]["lesion"]["semi_axes_mm"]
    volume_mm3 = own.sum() * abs(np.linalg.det(nifti.affine))
    np.testing.assert_allclose(centroid[:3], centre_mm, atol=2.5)
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * np.prod(semi_axes), rel=0.3)


def test_only_the_nodule_film_shows_a_nodule(phantoms, expected):
    lesion = expected["films"]["lesion"]
    with_it = pydicom.dcmread(phantoms / "chest_nodule.dcm").pixel_array.astype(float)
    clear = 4095.0 - pydicom.dcmread(phantoms / "chest_clear.dcm").pixel_array
    assert brightness_of_lesion(with_it, lesion) > 150
    assert abs(brightness_of_lesion(clear, lesion)) < 75


def test_both_polarities_are_displayed_alike(phantoms, tool, tmp_path, expected):
    pictures = []
    for name in ("chest_nodule", "chest_clear"):
        shown = tmp_path / f"{name}.pgm"
        command = [tool("dcm2pnm", "dcmtk"), "+Wi", "1", phantoms / f"{name}.dcm"]
        subprocess.run([*map(str, command), str(shown)], check=True)
        pictures.append(cv2.imread(str(shown), cv2.IMREAD_GRAYSCALE).astype(float))
    assert np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1] > 0.98
    added = brightness_of_lesion(pictures[0] - pictures[1], expected["films"]["lesion"])
    assert added > 10


def test_the_png_is_the_film_times_sixteen(phantoms):
    png = cv2.imread(str(phantoms / "chest_nodule.png"), cv2.IMREAD_UNCHANGED)
    stored = pydicom.dcmread(phantoms / "chest_nodule.dcm").pixel_array
    np.testing.assert_array_equal(png, stored * 16)


@pytest.mark.parametrize("name", ["chest_nodule.dcm", "chest_clear.dcm"])
def test_medcnn_reads_a_film_as_expected(phantoms, expected, name):
    image, films = medcnn.io.load(phantoms / name), expected["films"]
    assert image.shape == (films["columns"], films["rows"], 1)
    assert image.geometry.frame is Frame.DETECTOR
    assert image.geometry.spacing_mm[:2] == tuple(films["spacing_mm"])
    assert (image.facts["view"], image.facts["body_part"]) == ("PA", "CHEST")


@pytest.mark.parametrize(
    ("name", "center", "is_inverted"),
    [("chest_nodule.dcm", 2000, False), ("chest_clear.dcm", 2095, True)],
)
def test_medcnn_windows_a_film_by_the_formula(
    phantoms, expected, name, center, is_inverted
):
    image = medcnn.io.load(phantoms / name)
    for column, row, stored in expected["films"]["files"][name]["column_row_value"]:
        # PS3.3 C.11.2.1.2.1, LINEAR, window width 2200, to 16 bits
        share = np.clip((stored - (center - 0.5)) / 2199 + 0.5, 0, 1)
        shown = 65535 * (1 - share if is_inverted else share)
        assert image.array[0, column, row, 0] == pytest.approx(shown, abs=1.0)


@pytest.mark.parametrize("name", ["ct_lesion", "ct_lesion.nii"])
def test_medcnn_reads_the_ct_as_expected(phantoms, expected, name):
    image, ct = medcnn.io.load(phantoms / name), expected["ct"]
    np.testing.assert_allclose(image.geometry.affine, ct["affine_ras"], atol=1e-4)
    assert image.shape == tuple(ct["shape"])
    for point in ct["points"]:
        voxel = np.rint(image.geometry.to_voxel(point["ras_mm"])).astype(int)
        assert image.array[(0, *voxel)] == point["hu"], point["what"]
