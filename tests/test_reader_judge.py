"""The judge of the truth table is not blind: it must see what is put wrong."""

import numpy as np
import pytest
from dicoms import oblique, self_describing, series
from reader_cases.case import Colour, Grey, Nothing, Volume, Volumes
from reader_cases.judge import judge
from reader_cases.series import grid_of

GRID = grid_of(series(oblique()))
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
RAMP = np.add.outer(np.arange(6.0), 10 * np.arange(8.0))


def volume(*, planes=slice(None), added=0.0, shift_mm=0.0):
    """Return what a right reader makes of GRID, then spoiled."""
    origins = GRID.origins[planes]
    steps = [GRID.across, GRID.down, origins[1] - origins[0], origins[0]]
    affine = np.eye(4)
    affine[:3] = (np.array(steps) * RAS_TO_LPS).T
    shape = (*GRID.size, len(origins))
    points = np.stack(np.indices(shape), -1) @ affine[:3, :3].T + affine[:3, 3]
    array = self_describing(points * RAS_TO_LPS) + added
    affine[2, 3] += shift_mm
    return Volume(array, affine)


def verdict(*volumes, grids=(GRID,)):
    return judge(Volumes(grids), {"volumes": volumes})


def test_a_right_volume_is_right():
    assert verdict(volume()).word == "right"


@pytest.mark.parametrize(
    "spoiled",
    [
        volume(added=0.6),
        volume(shift_mm=0.1),
        Volume(volume().array[::-1], volume().affine),
        Volume(volume().array, np.eye(4)),
        Volume(volume().array, np.diag([1.0, 1.0, 0.0, 1.0])),
        Volume(volume().array, np.full((4, 4), np.nan)),
        Volume(np.full((11, 9, 7), np.nan), volume().affine),
    ],
)
def test_a_spoiled_volume_is_wrong(spoiled):
    assert verdict(spoiled).word == "wrong"


def test_a_single_spoiled_voxel_is_wrong():
    array = volume().array.copy()
    array[3, 4, 5] += 1
    assert verdict(Volume(array, volume().affine)).word == "wrong"


def test_no_volume_at_all_is_wrong():
    assert verdict().word == "wrong"


def test_lacking_planes_are_part():
    found = verdict(volume(planes=slice(0, 4)))
    assert (found.word, found.detail) == ("part", "57% of it")


def test_a_lacking_volume_is_part():
    two = (GRID, grid_of(series(oblique()), offset=3000))
    assert verdict(volume(), grids=two).detail == "1 of 2 volumes"
    assert verdict(volume(), volume(added=3000), grids=two).word == "right"


def test_values_a_reader_does_not_give_are_lacking():
    array = volume().array.copy()
    array[:, :, 2:] = np.nan
    assert verdict(Volume(array, volume().affine)).word == "part"


@pytest.mark.parametrize("name", ["values", "display", "voi"])
def test_grey_that_is_inverted_is_wrong(name):
    truth = Grey(RAMP, display=RAMP, voi=RAMP)
    assert judge(truth, {name: RAMP.T}).word == "right"
    assert judge(truth, {name: 75 - RAMP.T}).word == "wrong"
    assert judge(truth, {name: RAMP}).word == "wrong"


def test_the_scale_of_a_display_is_free_but_its_curve_is_not():
    truth = Grey(RAMP, display=RAMP)
    assert judge(truth, {"display": 3 * RAMP.T + 7}).word == "right"
    assert judge(truth, {"display": RAMP.T**1.05}).word == "wrong"
    assert judge(truth, {"display": np.zeros((8, 6))}).word == "wrong"


def test_measured_values_turned_upside_down_are_wrong():
    assert judge(Grey(RAMP), {"values": 75 - RAMP.T}).word == "wrong"
    lone = Grey(RAMP, display=75 - RAMP, upright=75 - RAMP)
    assert judge(lone, {"values": 75 - RAMP.T}).detail == "upright"


def test_padding_must_be_told():
    truth = Grey(RAMP, padding=RAMP == 0)
    assert judge(truth, {"values": RAMP.T}).word == "part"
    assert judge(truth, {"values": RAMP.T, "padding": RAMP.T == 0}).word == "right"


def test_swapped_colours_are_wrong():
    rgb = np.stack([RAMP, 2 * RAMP, 3 * RAMP], -1)
    assert judge(Colour(rgb), {"colour": rgb.transpose(2, 1, 0)}).word == "right"
    assert judge(Colour(rgb), {"colour": rgb.transpose(2, 1, 0)[::-1]}).word == "wrong"


def test_an_answer_where_there_is_no_picture_is_wrong():
    assert judge(Nothing(), {"volumes": ()}).word == "wrong"
