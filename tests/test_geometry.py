"""Grids in world millimetres; nibabel is the oracle."""

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medcnn.errors import GeometryError
from medcnn.geometry import Frame, Geometry


def _oblique(seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    # up to 35 degrees off any of the 48 axis-aligned frames: beyond 45 there is no
    # one right answer, and nibabel's depends on the order of the axes
    axis = rng.normal(0, 1, 3)
    degrees = rng.uniform(0, 35)
    turn = Rotation.from_rotvec(
        axis / np.linalg.norm(axis) * degrees, degrees=True
    ).as_matrix()
    flips = np.diag(rng.choice([-1.0, 1.0], 3))[:, rng.permutation(3)]
    affine[:3, :3] = turn @ flips @ np.diag([0.7, 1.3, 2.9])
    affine[:3, 3] = rng.normal(0, 50, 3)
    return Geometry((11, 7, 5), affine)


@pytest.mark.parametrize("seed", range(20))
def test_axis_codes_agree_with_nibabel(seed):
    grid = _oblique(seed)
    assert grid.axis_codes == "".join(nib.aff2axcodes(grid.affine))


@pytest.mark.parametrize("seed", range(20))
def test_reorientation_agrees_with_nibabel(seed):
    grid = _oblique(seed)
    turn = grid.reorientation_to("LPS")
    start = nib.io_orientation(grid.affine)
    end = nib.orientations.axcodes2ornt("LPS")
    oracle = nib.orientations.ornt_transform(start, end)
    for old, (new, sign) in enumerate(oracle):
        assert turn.axes[int(new)] == old
        assert turn.flips[int(new)] == (sign < 0)
    back = nib.orientations.inv_ornt_aff(oracle, grid.shape)
    assert np.array_equal(turn.to_old(grid.shape), back)


@pytest.mark.parametrize("seed", range(20))
def test_any_rotation_has_three_different_axis_codes(seed):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    codes = Geometry((2, 2, 2), affine).axis_codes
    assert {code in "RL" for code in codes} == {True, False}
    assert sorted(
        "RAS"[["RL", "AP", "SI"].index(p)]
        for c in codes
        for p in ("RL", "AP", "SI")
        if c in p
    ) == ["A", "R", "S"]


def test_voxels_go_to_the_world_and_back():
    grid = _oblique(3)
    voxels = np.array([[0, 0, 0], [10, 6, 4], [2.5, 1.25, 3.0]])
    world = grid.to_world(voxels)
    oracle = nib.affines.apply_affine(grid.affine, voxels)
    assert np.allclose(world, oracle)
    assert np.allclose(grid.to_voxel(world), voxels)


def test_spacing_and_extent_are_in_millimetres():
    grid = _oblique(4)
    assert grid.spacing_mm == pytest.approx((0.7, 1.3, 2.9))
    assert grid.extent_mm == pytest.approx((7.7, 9.1, 14.5))


def test_lps_becomes_ras_by_turning_x_and_y():
    grid = Geometry.from_lps((2, 2, 2), np.diag([1.0, 2.0, 3.0, 1.0]))
    assert grid.axis_codes == "LPS"
    assert grid.to_world([1, 1, 1]).tolist() == [-1, -2, 3]


def test_a_radiograph_hangs_as_it_is_read():
    grid = Geometry.from_spacing((9, 8, 1), (0.2, 0.1, 1), frame=Frame.DETECTOR)
    assert grid.axis_codes == "LIA"
    assert grid.frame is Frame.DETECTOR


def test_same_grid_is_within_a_tolerance_at_the_corners():
    grid = _oblique(5)
    near_affine, far_affine = np.array(grid.affine), np.array(grid.affine)
    near_affine[:3] += 1e-5
    near = Geometry(grid.shape, near_affine)
    far_affine[0, 0] += 0.01
    assert grid.same_grid(near)
    assert not grid.same_grid(Geometry(grid.shape, far_affine))
    assert not grid.same_grid(Geometry((11, 7, 6), grid.affine))


@pytest.mark.parametrize(
    ("shape", "affine", "words"),
    [
        ((0, 1, 1), np.eye(4), "shape must be"),
        ((1, 1), np.eye(4), "shape must be"),
        ((1, 1, 1), np.eye(3), "finite"),
        ((1, 1, 1), np.full((4, 4), np.nan), "finite"),
        ((1, 1, 1), np.zeros((4, 4)), "last|row"),
        ((1, 1, 1), np.diag([1.0, 1.0, 0.0, 1.0]), "invertible"),
    ],
)
def test_impossible_grids_are_refused(shape, affine, words):
    with pytest.raises(GeometryError, match=words):
        Geometry(shape, affine)


@pytest.mark.parametrize("codes", ["LPX", "LLS", "LP", "LPSI"])
def test_an_orientation_names_each_axis_once(codes):
    with pytest.raises(GeometryError, match="R/L, A/P and S/I"):
        _oblique(0).reorientation_to(codes)


def test_a_grid_cannot_be_written_into():
    with pytest.raises(ValueError, match="read-only"):
        _oblique(0).affine[0, 0] = 1


def test_a_slide_has_axes_of_its_own_and_is_never_turned_to_a_patient():
    affine = np.eye(4)
    affine[:2] = [[0, 0.5, 0, 3], [-0.5, 0, 0, 4]]  # i falls along y, j grows along x
    grid = Geometry((3, 2, 1), affine, Frame.SLIDE)

    assert grid.axis_codes == "yXZ"
    with pytest.raises(GeometryError, match="a slide cannot be turned"):
        grid.reorientation_to("LPS")
