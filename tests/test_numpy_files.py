"""NumPy's files: arrays that say what they are, and never a pickle."""

import pickle
import zipfile

import numpy as np
import pytest

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError

VALUES = np.random.default_rng(4).integers(-200, 200, (6, 5, 7)).astype(np.int16)
AFFINE = np.array([[0, 2.0, 0, 5], [-3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    "kind", ["i1", "u1", ">i2", "<u2", "i4", "i8", "f2", ">f8", "?"]
)
@pytest.mark.parametrize("order", "CF")
def test_an_array_is_read_as_it_is(order, kind, tmp_path):
    values = np.asarray(VALUES.astype(kind), order=order)
    np.save(tmp_path / "a.npy", values)
    image = io.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(image.array[0], values)
    assert image.array.dtype.isnative
    assert image.geometry is None
    assert "nothing says which axis" in image.warnings[0]
    assert io.describe(tmp_path / "a.npy").shape == image.shape


def test_a_picture_has_one_slice(tmp_path):
    np.save(tmp_path / "a.npy", VALUES[..., 0])
    assert io.load(tmp_path / "a.npy").shape == (6, 5, 1)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["array", "image", "arr_0"])
def test_an_array_with_its_affine(name, save, tmp_path):
    save(tmp_path / "a.npz", **{name: VALUES}, affine=AFFINE)
    image = io.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(image.array[0], VALUES)
    np.testing.assert_array_equal(image.geometry.affine, AFFINE)
    assert image.warnings == ()
    assert io.describe(tmp_path / "a.npz").orientation == image.geometry.axis_codes


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("ijk", lambda v: v[None]),
        ("kji", lambda v: v.transpose(2, 1, 0)[None]),
        ("jic", lambda v: v.transpose(2, 1, 0)[..., None]),
        ("cij", lambda v: v[..., None]),
    ],
)
def test_axes_may_be_named(axes, expected, tmp_path):
    np.savez(tmp_path / "a.npz", image=VALUES, axes=axes)
    image = io.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(image.array, expected(VALUES))
    assert image.warnings == ()
    assert io.describe(tmp_path / "a.npz").channels == image.channels


def test_parts_are_told_apart(tmp_path):
    np.savez(tmp_path / "a.npz", image=VALUES, axes="pij")
    with pytest.raises(SeveralSeriesError, match="holds 6 images: part 1: 1 of 6"):
        io.load(tmp_path / "a.npz")
    image = io.load(tmp_path / "a.npz", part=3)
    np.testing.assert_array_equal(image.array[0, ..., 0], VALUES[2])


def test_several_arrays_are_parts(tmp_path):
    np.savez(tmp_path / "a.npz", t1=VALUES, t2=VALUES + 1, affine=AFFINE)
    with pytest.raises(SeveralSeriesError, match="part 1: t1; part 2: t2"):
        io.load(tmp_path / "a.npz")
    first, second = io.load_study(tmp_path / "a.npz").images
    np.testing.assert_array_equal(second.array - first.array, 1)


@pytest.mark.parametrize("shape", [(9, 8, 3), (3, 9, 8), (9, 8, 4)])
def test_colours_or_slices_are_not_guessed_at(shape, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(DecodeError, match="may be slices or colours") as caught:
        io.load(tmp_path / "a.npy")
    assert "'jic' for rows" in caught.value.hint


class Trap:
    opened = False

    def __reduce__(self):
        return (setattr, (Trap, "opened", True))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_pickle_is_never_opened(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    trap = np.array([Trap()], dtype=object)
    np.save(path, trap) if suffix == "npy" else np.savez(path, image=trap)
    with pytest.raises(DecodeError, match="pickled objects"):
        io.load(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ReadError, match="holds no image"):
        io.load(path)
    assert not Trap.opened


def header(text, body=b""):
    raw = text.encode()
    raw += b" " * (118 - len(raw) - 1) + b"\n"
    return b"\x93NUMPY\1\0" + len(raw).to_bytes(2, "little") + raw + body


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "{'descr': '<i2', 'fortran_order': False, 'shape': (90000, 90000)}",
            "bytes; its",
        ),
        ("{'descr': '<i2', 'fortran_order': False, 'shape': (-1, 4)}", "no image"),
        ("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 4)}", "declares"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (0, 4)}", "real numbers"),
        ("{'descr': '<i2', 'fortran_order': False, 'shape': (0, 4)}", "holds nothing"),
        ("__import__('os').getcwd()", "NumPy header is broken"),
        ("((((((((((", "NumPy header is broken"),
    ],
)
def test_lies_of_a_header_are_refused(text, words, tmp_path):
    (tmp_path / "a.npy").write_bytes(header(text))
    with pytest.raises(DecodeError, match=words):
        io.load(tmp_path / "a.npy")


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    raw = b"\x93NUMPY\2\0" + (2**31).to_bytes(4, "little") + b"{" * 20000
    (tmp_path / "a.npy").write_bytes(raw)
    with pytest.raises(DecodeError, match="NumPy header is broken"):
        io.load(tmp_path / "a.npy")


def test_a_bomb_is_not_inflated(tmp_path, monkeypatch):
    from medcnn.io import bounds

    monkeypatch.setattr(bounds, "_BOUNDS", [bounds.Bounds(samples=2**20)])
    np.savez_compressed(tmp_path / "a.npz", image=np.zeros((2000, 2000), np.uint8))
    with pytest.raises(DecodeError, match="at most 1048576"):
        io.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"affine": AFFINE}, "holds no image"),
        ({"image": VALUES, "affine": AFFINE[:3]}, "not \\(4, 4\\) numbers"),
        ({"image": VALUES, "affine": AFFINE * 0}, "makes no grid"),
        ({"image": VALUES, "axes": "ij"}, "has not the axes 'ij'"),
        ({"image": VALUES, "axes": "iij"}, "has not the axes 'iij'"),
        ({"image": VALUES, "axes": "xyz"}, "has not the axes 'xyz'"),
        ({"image": VALUES, "axes": np.arange(3)}, "not a short text"),
        ({"image": np.array(["a"])}, "not real numbers"),
        ({"image": VALUES[None]}, "nothing says which axis"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(parts, words, tmp_path):
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(ReadError, match=words):
        io.load(tmp_path / "a.npz")


def test_a_member_that_is_no_array_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", image=VALUES)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as file:
        file.writestr("run.py", "print()")
    with pytest.raises(DecodeError, match=r"run\.py is no array"):
        io.load(tmp_path / "a.npz")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated_files_are_refused(share, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    np.save(path, VALUES) if suffix == "npy" else np.savez(path, image=VALUES)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError):
        io.load(path)


@pytest.mark.shared_data
def test_a_data_set_is_called_one(shared_data):
    with pytest.raises(DecodeError, match="it is a data set"):
        io.load(shared_data / "medmnist" / "pneumoniamnist.npz")
