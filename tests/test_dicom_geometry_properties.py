"""Any orientation, spacing, order and rescale: each voxel lies where its value says."""

import numpy as np
from dicoms import decimal, save_series, self_describing, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_dicom_series import worst_error

from medcnn import io
from medcnn.geometry import Geometry

turns = st.tuples(*[st.floats(-3.14, 3.14)] * 3)
lengths = st.floats(0.2, 5.0)
FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def rotation(angles):
    """Return Rz @ Ry @ Rx of three angles."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return z @ y @ x


def redrawn(slices, row_mm, column_mm, gains):
    """Give a phantom another spacing and each slice its own rescale."""
    rows, columns = np.mgrid[:9, :11]
    for dataset, gain in zip(slices, gains, strict=True):
        across, down = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        points = np.array(dataset.ImagePositionPatient, float)
        points = points + column_mm * columns[..., None] * across
        points = points + row_mm * rows[..., None] * down
        dataset.PixelSpacing = [decimal(row_mm), decimal(column_mm)]
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{gain:.6g}", -4000
        slope = float(dataset.RescaleSlope)
        stored = np.rint((self_describing(points) + 4000) / slope)
        dataset.PixelData = stored.astype("<u2").tobytes()
    return slices


@FEW
@given(
    angles=turns,
    sizes=st.tuples(lengths, lengths, lengths),
    order=st.permutations(range(5)),
    gains=st.lists(st.floats(0.25, 1.0), min_size=5, max_size=5),
)
def test_every_volume_lies_where_its_values_say(
    angles, sizes, order, gains, tmp_path_factory
):
    turn = rotation(angles)
    cosines = (*turn[:, 0], *turn[:, 1])
    normal = np.cross(turn[:, 0], turn[:, 1])
    slices = series(cosines, count=5, slice_step=lambda k: sizes[2] * k * normal)
    slices = redrawn(slices, sizes[0], sizes[1], gains)
    folder = save_series([slices[at] for at in order], tmp_path_factory.mktemp("s"))
    image = io.load(folder)
    # half of the largest step of the stored values, and of rounding in the header
    assert worst_error(image) <= 0.5 * max(gains) + 0.01
    assert np.allclose(image.geometry.spacing_mm, (sizes[1], sizes[0], sizes[2]))


@given(angles=turns, sizes=st.tuples(lengths, lengths, lengths))
def test_lps_and_back_is_the_same_grid(angles, sizes):
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) * sizes
    affine[:3, 3] = (-12.5, 3.25, 40.0)
    grid = Geometry.from_lps((3, 4, 5), affine)
    back = Geometry.from_lps((3, 4, 5), grid.affine)
    assert np.allclose(back.affine, affine)
    voxels = np.array([[0, 0, 0], [2, 3, 4], [1, 0, 4]])
    assert np.allclose(grid.to_voxel(grid.to_world(voxels)), voxels, atol=1e-9)
    assert np.allclose(
        grid.to_world(voxels) * [-1, -1, 1], voxels @ affine[:3, :3].T + affine[:3, 3]
    )


@FEW
@given(angles=turns, degrees=st.floats(4, 35), step=st.floats(0.5, 6))
def test_every_tilt_is_corrected(angles, degrees, step, tmp_path_factory):
    turn = rotation(angles)
    cosines = (*turn[:, 0], *turn[:, 1])
    way = np.cross(turn[:, 0], turn[:, 1]) + np.tan(np.radians(degrees)) * turn[:, 1]
    slices = series(cosines, count=4, slice_step=lambda k: step * k * way)
    folder = save_series(slices, tmp_path_factory.mktemp("t"))
    image = io.load(folder, resample_tilt=True)
    i, j, k = np.indices(image.shape)
    world = image.geometry.to_world(np.stack([i, j, k], axis=-1)) * [-1, -1, 1]
    off = np.abs(image.array[0] - self_describing(world))[~image.padding]
    assert off.size > 0
    assert off.max() <= 0.51
