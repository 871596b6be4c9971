"""Where labels are: boxes and masks in tables, and on images."""

import cv2
import nibabel as nib
import numpy as np
import pytest

from medcnn.dataset import (
    Box,
    Place,
    boxes_cell,
    content_hashes,
    data_sha256,
    read_cases,
)
from medcnn.errors import DataError
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io import load

WHERE = "bbox:nodule"


@pytest.fixture
def table(tmp_path):
    """Write a table of two pictures, the first with these cells; returns a reader."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 40), 90, np.uint8))

    def read(labels=(), **cells):
        header = ["path", "nodule", "effusion", *cells]
        rows = [["a.png", "1", "0", *cells.values()], ["b.png", "0", "1"]]
        rows[1] += [""] * len(cells)
        quoted = [
            ",".join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in row)
            for row in [header, *rows]
        ]
        (tmp_path / "t.csv").write_text("\n".join(quoted))
        return read_cases(tmp_path / "t.csv", labels=labels)

    return read


@pytest.mark.parametrize(
    "cell",
    [
        "0.1 0.2 0.3 0.4; 0.5 0.5 1 1",
        "0.1, 0.2, 0.3, 0.4; .5, .5, 1, 1;",
        "[[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 1, 1]]",
    ],
)
def test_boxes_are_read_in_each_of_their_forms(table, cell):
    cases = table(**{WHERE: cell}).cases
    boxes = Box((0.1, 0.2), (0.3, 0.4)), Box((0.5, 0.5), (1, 1))
    assert cases[0].places == {"nodule": Place(boxes)}
    assert cases[1].places == {}
    assert table(**{WHERE: boxes_cell(boxes)}).cases[0].places == cases[0].places


def test_none_is_known_and_blank_is_not(table):
    cases = table(**{WHERE: "none", "mask:effusion": "none"}).cases
    assert cases[0].places == {"nodule": Place(), "effusion": Place()}
    assert cases[0].places["nodule"].is_nowhere
    assert boxes_cell(()) == "none"
    assert table(**{WHERE: "", "mask:effusion": ""}).cases[0].places == {}


def test_columns_of_places_are_neither_labels_nor_attributes(table):
    read = table(**{WHERE: "", "mask:effusion": "", "age": "61"})
    assert read.labels == ("nodule", "effusion")
    assert set(read.cases[0].attributes) == {"age"}


def test_places_of_labels_that_are_not_used_are_left_out(table):
    places = {WHERE: "0 0 1 1", "bbox:effusion": "none"}
    read = table(labels=("effusion",), **places)
    assert set(read.cases[0].places) == {"effusion"}


def test_classes_have_places_too(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.ones((9, 9), np.uint8))
    text = "path,label,bbox:ill\na.png,ill,0 0 .5 .5\nb.png,well,\n"
    (tmp_path / "t.csv").write_text(text)
    cases = read_cases(tmp_path / "t.csv").cases
    assert [dict(case.places) for case in cases] == [
        {"ill": Place((Box((0, 0), (0.5, 0.5)),))},
        {},
    ]


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        ("0.1 0.2 0.3", "expected boxes 'x0 y0 x1 y1'"),
        ("0.1 0.2 0.3 0.4 0.5", "expected boxes"),
        ("left lung", "expected boxes"),
        (";", "expected boxes"),
        ("0.1 0.2 0.3 0.4;; 0.1 0.2 0.3 0.4", "expected boxes"),
        ("[]", "expected boxes"),
        ("[0.1, 0.2", "expected boxes"),
        ('[["Nodule", 0.1, 0.2, 0.3]]', "expected boxes"),
        ("[[0.1, 0.2, 0.3, 0.4], 5]", "expected boxes"),
        ("[[0.1, 0.2, 0.3, [0.4]]]", "expected boxes"),
        ("0 0 .5 .5; 0 0 0 1 1 1", "expected boxes"),
        ("12 30 80 90", "fractions of the image, 0 to 1"),
        ("-0.1 0 0.5 0.5", "0 to 1"),
        ("nan 0 0.5 0.5", "0 to 1"),
        ("[NaN, 0, 0.5, 0.5]", "0 to 1"),
        ("0.5 0.1 0.2 0.4", "end behind where it begins"),
        ("0.1 0.4 0.2 0.4", "end behind where it begins"),
    ],
)
def test_wrong_boxes_are_refused_by_row_and_column(table, cell, what):
    with pytest.raises(DataError, match=what) as caught:
        table(**{WHERE: cell})
    assert f"t.csv, row 2, column '{WHERE}'" in caught.value.message
    assert "'none' that there is none" in caught.value.hint


def test_places_of_an_unknown_label_are_refused(table):
    with pytest.raises(DataError, match=r"'bbox:nodul' and no label 'nodul'") as caught:
        table(**{"bbox:nodul": "0 0 1 1"})
    assert "nodule, effusion" in caught.value.hint


def test_a_mask_that_is_not_there_or_one_too_many_is_refused(table):
    with pytest.raises(DataError, match=r"row 2, column 'mask:nodule'.*no file"):
        table(**{"mask:nodule": "m.png"})
    with pytest.raises(DataError, match="got a mask and boxes too"):
        table(**{"mask:nodule": "a.png", WHERE: "0 0 1 1"})


def test_a_changed_box_or_mask_is_other_data(table, tmp_path):
    def checksum(**cells):
        read = table(**cells)
        return data_sha256(read, content_hashes(read))

    mask = tmp_path / "m.png"
    cv2.imwrite(str(mask), np.zeros((20, 40), np.uint8))
    found = [
        checksum(**{WHERE: cell, "mask:effusion": ""})
        for cell in ("", "none", "0 0 1 1", "0 0 1 .5")
    ]
    found.append(checksum(**{"mask:nodule": "m.png"}))
    cv2.imwrite(str(mask), np.full((20, 40), 255, np.uint8))
    found.append(checksum(**{"mask:nodule": "m.png"}))
    assert len(set(found)) == len(found)
    assert found[0] == checksum()


def _fractions(box, shape):
    """Say by the definition, voxel by voxel, what is inside a box."""
    centres = [(np.arange(n) + 0.5) / n for n in shape]
    inside = [
        (c >= a) & (c <= b) for c, a, b in zip(centres, box.low, box.high, strict=False)
    ]
    inside += [np.ones(n, bool) for n in shape[len(inside) :]]
    return np.einsum("i,j,k->ijk", *inside)


def test_boxes_cover_the_voxels_whose_centres_they_hold():
    rng = np.random.default_rng(0)
    for dims in (2, 3):
        shape = (40, 25, 1) if dims == 2 else (12, 15, 9)
        image = Image(np.zeros((1, *shape), np.uint8))
        for _ in range(40):
            ends = np.sort(rng.uniform(0, 0.85, (2, dims)), axis=0)
            ends[1] += 0.15  # holds a centre along every axis
            boxes = Box(*map(tuple, ends)), Box((0,) * dims, (0.2,) * dims)
            found = Place(boxes).on(image)
            wanted = _fractions(boxes[0], shape) | _fractions(boxes[1], shape)
            assert (found == wanted).all()


def test_a_box_thinner_than_a_voxel_is_not_lost():
    image = Image(np.zeros((1, 10, 10, 1), np.uint8))
    found = Place((Box((0.31, 0.99), (0.33, 1)),)).on(image)
    assert np.argwhere(found).tolist() == [[3, 9, 0]]


def test_an_edge_on_a_centre_is_not_lost_to_rounding():
    image = Image(np.zeros((1, 10, 1, 1), np.uint8))
    found = Place((Box((0.35, 0), (0.55, 1)),)).on(image)
    assert np.flatnonzero(found).tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("numbers", "depth", "what"),
    [(3, 1, "6 numbers on a picture of 4 x 5"), (2, 6, "4 numbers on a volume of 4 x")],
)
def test_boxes_of_other_dimensions_are_refused(numbers, depth, what):
    image = Image(np.zeros((1, 4, 5, depth), np.uint8))
    with pytest.raises(DataError, match=what):
        Place((Box((0,) * numbers, (1,) * numbers),)).on(image)


def test_nowhere_is_no_voxel():
    assert not Place().on(Image(np.zeros((1, 4, 5, 1), np.uint8))).any()


def test_a_drawn_mask_lies_where_it_was_drawn(tmp_path):
    drawn = np.zeros((20, 40), np.uint8)
    drawn[3:7, 30:35] = 255
    cv2.imwrite(str(tmp_path / "m.png"), drawn)
    image = Image.from_picture(np.zeros((20, 40), np.uint8))
    found = Place(mask=tmp_path / "m.png").on(image)
    assert np.array_equal(found[..., 0].T, drawn > 0)


@pytest.mark.parametrize("part", [slice(None), slice(2, 7)])
def test_a_mask_stored_in_another_order_or_cut_lies_at_the_same_millimetres(
    tmp_path, part
):
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] * (0.7, 0.9, 2.5)
    affine = np.vstack([np.column_stack([turn, [10, -20, 30]]), [0, 0, 0, 1]])
    image = Image(np.zeros((1, 8, 9, 7), np.uint8), Geometry((8, 9, 7), affine))
    inside = np.zeros((8, 9, 7), bool)
    inside[3:6, 2:4, 4:6] = True
    stored = nib.Nifti1Image(inside.astype(np.uint8), affine).slicer[:, :, part]
    other = nib.as_closest_canonical(stored)
    nib.save(other, tmp_path / "m.nii.gz")
    assert (Place(mask=tmp_path / "m.nii.gz").on(image) == inside).all()


def test_masks_of_another_grid_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((10, 20), np.uint8))
    picture = Image.from_picture(np.zeros((20, 40), np.uint8))
    with pytest.raises(DataError, match=r"\(20, 10, 1\) voxels, the image \(40, 20"):
        Place(mask=tmp_path / "m.png").on(picture)
    inside = np.ones((4, 4, 4), np.uint8)
    nib.save(nib.Nifti1Image(inside, np.diag([1, 1, 1, 1])), tmp_path / "m.nii")
    array = np.zeros((1, 4, 4, 4), np.uint8)
    for affine in (
        np.diag([2, 1, 1, 1]),  # other voxels
        np.array([[1, 0, 0, 0.4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),  # outside
        np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ):
        image = Image(array, Geometry((4, 4, 4), affine.astype(float)))
        with pytest.raises(DataError, match="lies on another grid"):
            Place(mask=tmp_path / "m.nii").on(image)


def test_pictures_that_are_no_masks_are_refused(tmp_path):
    picture = Image.from_picture(np.zeros((4, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "m.png"), np.arange(16, dtype=np.uint8).reshape(4, 4))
    with pytest.raises(DataError, match="16 different values") as caught:
        Place(mask=tmp_path / "m.png").on(picture)
    assert "one mask for each label" in caught.value.hint
    (tmp_path / "m.txt").write_text("no image")
    with pytest.raises(DataError, match="cannot be read"):
        Place(mask=tmp_path / "m.txt").on(picture)


def test_a_mask_on_a_pictures_own_grid_need_not_be_as_thick(tmp_path):
    drawn = np.zeros((6, 5, 1), np.uint8)
    drawn[2:4, 1:3] = 1
    nib.save(nib.Nifti1Image(drawn, np.diag([0.2, 0.2, 5, 1])), tmp_path / "m.nii")
    there = load(tmp_path / "m.nii").geometry
    affine = there.affine @ np.diag([1, 1, 0.2, 1])
    image = Image(np.zeros((1, 6, 5, 1), np.uint8), Geometry((6, 5, 1), affine))
    found = Place(mask=tmp_path / "m.nii").on(image)
    assert np.array_equal(found, drawn > 0)
