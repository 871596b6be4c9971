"""medcnn.io.data_set: images of a .npz, each under a path of its own."""

import numpy as np
import pytest

import medcnn
from medcnn.errors import DecodeError, ReadError
from medcnn.io import discover, identify, load_study, status_of
from medcnn.io.data_set import is_data_set, item_of, labels_of, parts_of

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (5, 6, 7), np.uint8)
COLOUR = RNG.integers(0, 256, (5, 6, 7, 3), np.uint8)
VOLUMES = RNG.integers(0, 256, (5, 4, 6, 7), np.uint8)


def write(folder, images, *, name="set.npz", **more):
    file = folder / name
    parts = {
        f"{part}_{kind}": values
        for part in ("train", "val", "test")
        for kind, values in (("images", images), ("labels", np.zeros((5, 1), np.uint8)))
    }
    np.savez_compressed(file, **(parts | more))
    return file


def test_a_grey_picture_has_its_rows_and_columns(tmp_path):
    image = medcnn.load(write(tmp_path, GREY) / "val" / "3")
    assert (image.picture() == GREY[3]).all()
    assert image.shape == (7, 6, 1)
    assert image.geometry is None
    assert image.source == tmp_path / "set.npz" / "val" / "3"


def test_a_colour_picture_keeps_its_channels(tmp_path):
    image = medcnn.load(write(tmp_path, COLOUR) / "train" / "0")
    assert (image.picture() == COLOUR[0]).all()
    assert image.channels == 3


def test_a_volume_has_its_slices_last(tmp_path):
    image = medcnn.load(str(write(tmp_path, VOLUMES) / "test" / "4"))
    assert image.shape == (7, 6, 4)
    for k in range(4):
        assert (image.picture(k) == VOLUMES[4, k]).all()


def test_headers_say_what_pixels_say(tmp_path):
    for images in (GREY, COLOUR, VOLUMES):
        path = write(tmp_path, images) / "train" / "1"
        told, image = medcnn.describe(path), medcnn.load(path)
        assert (told.shape, told.channels) == (image.shape, image.channels)
        assert load_study(path).images[0].shape == image.shape


def test_a_data_set_is_a_folder_of_images_to_whoever_takes_files(tmp_path):
    file = write(tmp_path, GREY)
    assert [one.name for one in discover([file])][4:6] == ["train/4", "val/0"]
    assert [one.name for one in discover([file / "test"])] == list("01234")
    assert len(list(discover([file / "test" / "2"]))) == 1
    assert status_of(file / "test" / "2").st_size == file.stat().st_size
    assert identify(file / "val" / "0") == "numpy"


def test_other_paths_are_none_of_its_business(tmp_path):
    np.savez(tmp_path / "one.npz", image=GREY[0])
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0").write_bytes(b"x")
    assert not is_data_set(tmp_path / "one.npz")
    for path in ("train/0", "one.npz/train/0", "none.npz/train/0"):
        assert item_of(tmp_path / path) is None


def test_a_changed_file_is_read_anew(tmp_path):
    path = write(tmp_path, GREY) / "train" / "0"
    before = medcnn.load(path).array
    write(tmp_path, 255 - GREY, note=np.zeros(3))
    assert (medcnn.load(path).array == 255 - before).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"train_images": GREY[0]}, r"uint8 of shape \(6, 7\)"),
        ({"train_images": GREY.astype(complex)}, "complex128 of shape"),
        ({"train_images": GREY.astype(object)}, "object of shape"),
        ({"train_images": GREY[:0]}, "train_images is empty"),
        ({"train_labels": np.zeros((4, 1), int)}, r"expected whole numbers of shape"),
        ({"train_labels": np.zeros((5, 1))}, "are float64 of shape"),
    ],
)
def test_arrays_that_are_no_images_or_labels_are_refused(tmp_path, more, words):
    file = write(tmp_path, GREY, **more)
    with pytest.raises(ReadError, match=words):
        labels_of(file, "train")


def test_an_image_that_is_not_there_is_refused_with_the_count(tmp_path):
    file = write(tmp_path, GREY)
    with pytest.raises(ReadError, match="has 5 images in val, from 0 on"):
        medcnn.load(file / "val" / "5")
    with pytest.raises(ReadError, match="no series or part to choose"):
        medcnn.load(file / "val" / "0", part=2)


def test_the_whole_set_is_no_image_and_says_how_to_name_one(tmp_path):
    with pytest.raises(DecodeError, match=r"set\.npz/train/0"):
        medcnn.load(write(tmp_path, GREY))


def test_a_damaged_array_is_refused(tmp_path):
    file = write(tmp_path, GREY)
    raw = bytearray(file.read_bytes())
    at = raw.index(b"train_images.npy") + 60
    raw[at : at + 20] = bytes(20)
    file.write_bytes(raw)
    with pytest.raises(ReadError, match=r"cannot be unpacked|broken"):
        medcnn.load(file / "train" / "0")


def test_parts_need_images_and_labels(tmp_path):
    file = tmp_path / "two.npz"
    np.savez(file, train_images=GREY, train_labels=np.zeros(5, int), val_images=GREY)
    assert parts_of(file) == ("train",)
    with pytest.raises(ReadError, match="no array val_labels"):
        labels_of(file, "val")
