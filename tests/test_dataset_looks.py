"""medcnn.dataset.looks and twins: copies are found, other images are not."""

import csv

import cv2
import numpy as np
import pytest
from dicoms import picture as dicom_picture
from dicoms import save

import medcnn
from medcnn.dataset import (
    LEFT_OUT,
    Looks,
    find_twins,
    joined,
    leave_out_copies,
    look_at,
    read_cases,
    read_looks,
    write_looks,
)
from medcnn.dataset.twins import LEAST_CORRELATION, MOST_BITS, Twin, _radius
from medcnn.errors import DataError
from medcnn.image import Image


def film(seed, side=256):
    """Return a smooth picture unlike the others, with fine grain."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.normal(size=(7, 7)), (side, side), interpolation=cv2.INTER_CUBIC
    )
    values = 120 + 40 * coarse + rng.normal(0, 3, (side, side))
    return values.clip(0, 255).astype(np.uint8)


def looks_of(*pictures):
    return Looks.of([look_at(Image.from_picture(p)) for p in pictures])


def recompressed(picture, quality):
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)


COPIES = {
    "compressed": lambda p: recompressed(p, 30),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=3),
    "stretched": lambda p: cv2.resize(p, (400, 300)),
    "16 bits": lambda p: p.astype(np.uint16) * 257,
    "another gamma": lambda p: (255 * (p / 255) ** 0.8).astype(np.uint8),
    "another window": lambda p: (p * 0.7 + 20).astype(np.uint8),
    "noisier": lambda p: (
        (p + np.random.default_rng(0).normal(0, 4, p.shape))
        .clip(0, 255)
        .astype(np.uint8)
    ),
}


@pytest.mark.parametrize("change", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_found_and_no_other_image(change):
    originals = [film(seed) for seed in range(12)]
    twins = find_twins(looks_of(*originals, change(originals[5])))
    assert [(twin.first, twin.second) for twin in twins] == [(5, 12)]
    assert not twins[0].identical
    assert twins[0].correlation >= LEAST_CORRELATION


def test_the_same_pixels_are_identical_however_they_are_held():
    picture = film(0)
    held = [
        picture.astype(kind) for kind in (np.uint8, np.int16, np.uint16, np.float32)
    ]
    twins = find_twins(looks_of(*held, np.dstack([picture] * 3)))
    assert [(t.first, t.second, t.identical) for t in twins] == [
        (0, n, True) for n in range(1, 5)
    ]


def test_one_other_pixel_is_not_identical_but_nearly():
    other = film(0)
    other[3, 4] ^= 1
    (twin,) = find_twins(looks_of(film(0), other))
    assert not twin.identical


def test_the_same_pixels_as_png_and_as_dicom_are_one_image(tmp_path):
    picture = film(1, side=64)
    cv2.imwrite(str(tmp_path / "film.png"), picture)
    save(dicom_picture(picture, PatientID="anna"), tmp_path / "film.dcm")
    looks = Looks.of(
        [look_at(medcnn.load(tmp_path / f"film.{x}")) for x in ("png", "dcm")]
    )
    assert [twin.identical for twin in find_twins(looks)] == [True]
    assert looks.patient_ids.tolist() == ["", "anna"]


def test_shapes_and_flat_images_are_no_copies():
    row = np.arange(64, dtype=np.uint8)
    one, other = (
        look_at(Image.from_picture(row.reshape(8, 8))),
        look_at(Image.from_picture(row.reshape(4, 16))),
    )
    assert one.checksum != other.checksum
    flat = np.full((32, 32), 255, np.uint8)
    assert find_twins(looks_of(flat, flat, flat)) == ()


def test_volumes_have_looks_too():
    rng = np.random.default_rng(3)
    volumes = [rng.normal(size=(1, 20, 18, 16)).astype(np.float32) for _ in range(6)]
    volumes.append(volumes[2] * 3 - 1)
    looks = Looks.of([look_at(Image(values)) for values in volumes])
    assert [(twin.first, twin.second) for twin in find_twins(looks)] == [(2, 6)]


def test_looks_are_written_and_read_whole_or_not(tmp_path):
    looks = looks_of(film(0), film(1))
    write_looks(tmp_path / "looks.npz", looks)
    again = read_looks(tmp_path / "looks.npz", 2)
    for name in ("checksums", "patterns", "small", "patient_ids"):
        np.testing.assert_array_equal(getattr(again, name), getattr(looks, name))
    assert read_looks(tmp_path / "looks.npz", 3) is None
    assert read_looks(tmp_path / "none.npz", 2) is None
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    assert read_looks(tmp_path / "bad.npz", 2) is None


def test_no_images_and_mixed_images_are_refused():
    with pytest.raises(DataError, match="0 images are none"):
        Looks.of([])
    volume = look_at(Image(np.zeros((1, 8, 8, 8))))
    with pytest.raises(DataError, match="both pictures and volumes"):
        Looks.of([volume, look_at(Image.from_picture(film(0)))])


def test_copies_of_copies_share_one_name():
    twins = (Twin(0, 3, 1.0, identical=True), Twin(3, 4, 0.99, identical=False))
    names = joined(twins, 6)
    assert names[0] == names[3] == names[4]
    assert len({names[0], names[1], names[2], names[5]}) == 4


def test_where_all_images_are_alike_fewer_bits_may_differ():
    rng = np.random.default_rng(0)
    alike = rng.integers(0, 2**3, 30_000).astype(np.uint64)
    small = rng.integers(0, 256, (30_000, 4)).astype(np.uint8)
    names = np.arange(30_000).astype(str)
    looks = Looks(names, alike, small, names)
    assert _radius(looks.patterns) < MOST_BITS
    assert _radius(looks.patterns[:500]) == MOST_BITS


@pytest.mark.slow
@pytest.mark.shared_data
def test_no_two_adults_of_the_nih_films_are_taken_for_one(shared_data):
    """1,980,737 pairs of films of different patients: not one false alarm."""
    folder = shared_data / "chest-xray-nih"
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [folder / "images" / row["image"] for row in rows]
    looks = Looks.of([look_at(medcnn.load(path)) for path in paths])
    patients = [row["patient_id"] for row in rows]
    twins = find_twins(looks)
    assert [t for t in twins if patients[t.first] != patients[t.second]] == []
    assert len(twins) == 1  # one film of one patient is there twice


@pytest.mark.shared_data
def test_the_published_pneumonia_set_holds_copies_across_its_splits(shared_data):
    """Counted independently: equal rows of the stored arrays."""
    with np.load(shared_data / "medmnist" / "pneumoniamnist.npz") as found:
        parts = [found[f"{part}_images"] for part in ("train", "val", "test")]
    flat = np.concatenate(parts).reshape(-1, 784)
    _, counts = np.unique(flat, axis=0, return_counts=True)
    looks = looks_of(*np.concatenate(parts))
    twins = find_twins(looks)
    assert sum(twin.identical for twin in twins) == (counts - 1).sum() == 29
    train, held = flat[:4708], {row.tobytes() for row in flat[4708:]}
    copies = [n for n, row in enumerate(train) if row.tobytes() in held]
    table = read_cases(shared_data / "medmnist" / "pneumoniamnist.npz")
    done, _ = leave_out_copies(table, twins)
    left = [n for n, case in enumerate(done.cases) if case.split == LEFT_OUT]
    assert left == copies
    assert len(left) == 10
