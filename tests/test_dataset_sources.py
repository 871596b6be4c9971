"""medcnn.dataset: Parquet, data sets in a .npz, archives; no patient is overlooked."""

import sys
import zipfile

import numpy as np
import pytest

import medcnn
from medcnn.dataset import read_cases
from medcnn.dataset.known import known_set
from medcnn.errors import DataError, MissingDependencyError


def save(file, labels, *, parts=("train", "val", "test"), size=(4, 4)):
    arrays = {}
    for part in parts:
        arrays[f"{part}_images"] = np.zeros((len(labels), *size), np.uint8)
        arrays[f"{part}_labels"] = np.asarray(labels)
    np.savez(file, **arrays)
    return file


def test_a_known_data_set_has_its_class_names_and_its_splits(tmp_path):
    table = read_cases(save(tmp_path / "pneumoniamnist.npz", [[0], [1], [1]]))
    assert table.labels == ("pneumonia", "normal")
    assert table.activation == "softmax"
    assert table.column("split") == ("train",) * 3 + ("val",) * 3 + ("test",) * 3
    np.testing.assert_array_equal(table.truth()[:3], [[0, 1], [1, 0], [1, 0]])
    assert (table.kind, table.modality, table.laterality) == ("data set", "DX", True)
    assert medcnn.load(table.cases[4].path).shape == (4, 4, 1)


def test_of_two_classes_the_one_that_is_looked_for_comes_first(tmp_path):
    for name, labels in {
        "vesselmnist3d": ("aneurysm", "vessel"),
        "nodulemnist3d_64": ("malignant", "benign"),
        "breastmnist_224": ("malignant", "normal, benign"),
        "mine": ("1", "0"),
    }.items():
        assert read_cases(save(tmp_path / f"{name}.npz", [0, 1])).labels == labels


def test_several_classes_keep_the_order_of_their_numbers(tmp_path):
    file = save(tmp_path / "octmnist.npz", [3, 2, 1, 0, 0])
    assert read_cases(file).labels[1:] == ("diabetic macular edema", "drusen", "normal")
    file = save(tmp_path / "mine.npz", [7, 2, 5])
    assert read_cases(file).labels == ("2", "5", "7")
    assert read_cases(file, labels=["7", "2", "5"]).labels == ("7", "2", "5")


def test_columns_of_ones_and_zeros_are_labels_that_may_occur_together(tmp_path):
    rows = np.zeros((3, 14), int)
    rows[0, [1, 2]] = 1
    table = read_cases(save(tmp_path / "chestmnist.npz", rows))
    assert table.activation == "sigmoid"
    assert len(table.labels) == 14
    truth = table.cases[0].truth
    assert [label for label in table.labels if truth[label]] == [
        "cardiomegaly",
        "effusion",
    ]
    asked = read_cases(table.source, labels=["effusion"])
    np.testing.assert_array_equal(asked.truth()[:3], [[1], [0], [0]])


@pytest.mark.parametrize(
    ("labels", "asked", "words"),
    [
        ([[0, 1], [2, 1]], (), "a column of labels holds 2"),
        ([[0, 1], [1, 1]], ("3",), "has no label '3', it has 0, 1"),
        ([0, 1, 2], ("9",), "has no class '9', it has"),
        ([0, 1, 2], ("1", "2"), "all of its classes are needed"),
        ([0.5, 1.0], (), "expected whole numbers"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path, labels, asked, words):
    with pytest.raises(DataError, match=words):
        read_cases(save(tmp_path / "mine.npz", labels), labels=asked)


def test_splits_with_different_labels_are_refused(tmp_path):
    images, one, two = np.zeros((2, 4, 4)), np.zeros((2, 1), int), np.zeros((2, 2), int)
    arrays = {"train_images": images, "val_images": images}
    np.savez(tmp_path / "a.npz", **arrays, train_labels=one, val_labels=two)
    with pytest.raises(DataError, match="different numbers of labels"):
        read_cases(tmp_path / "a.npz")


def test_a_set_of_unknown_name_has_no_facts():
    assert known_set("pneumoniamnist_28") is known_set("PneumoniaMNIST")
    assert known_set("pneumoniamnist_29") is None


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "count", "main"),
    [("pneumoniamnist", 5856, "pneumonia"), ("vesselmnist3d", 1908, "aneurysm")],
)
def test_the_published_sets_are_read(shared_data, name, count, main):
    table = read_cases(shared_data / "medmnist" / f"{name}.npz")
    assert (len(table.cases), table.labels[0]) == (count, main)
    assert medcnn.load(table.cases[-1].path).shape[:2] == (28, 28)


def test_parquet_is_read_as_the_same_table_in_csv(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    columns = {
        "path": ["a.png", "b.png"],
        "ill": [1.0, None],
        "late": [True, False],
        "patient_id": [7, 8],
        "view": ["PA", None],
    }
    parquet.write_table(pa.table(columns), tmp_path / "cases.parquet")
    text = "path,ill,late,patient_id,view\na.png,1.0,1,7,PA\nb.png,,0,8,\n"
    (tmp_path / "cases.csv").write_text(text)
    ours, other = (read_cases(tmp_path / f"cases.{s}") for s in ("parquet", "csv"))
    assert ours.cases == other.cases
    assert ours.labels == ("ill", "late")


def test_without_pyarrow_a_parquet_table_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "cases.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"medcnn-imaging\[parquet\]"):
        read_cases(tmp_path / "cases.parquet")


def test_a_broken_parquet_table_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "cases.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_cases(tmp_path / "cases.parquet")


def test_a_table_may_name_images_in_archives_and_data_sets(tmp_path, phantoms):
    source = next(phantoms.glob("*.png"))
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.write(source, "one/film.png")
    save(tmp_path / "set.npz", [0, 1])
    table = tmp_path / "cases.csv"
    table.write_text("path,ill\nfilms.zip/one/film.png,1\nset.npz/train/1,0\n")
    cases = read_cases(table).cases
    assert [medcnn.load(case.path).dims for case in cases] == [2, 2]
    table.write_text("path,ill\nfilms.zip/one/film.png,1\nset.npz/train,0\n")
    with pytest.raises(DataError, match=r"row 3, column 'path': there is no file"):
        read_cases(table)


@pytest.mark.parametrize("name", ["PatientID", "patient", "Subject ID", "subject"])
def test_a_column_of_patients_under_another_name_is_refused(tmp_path, name):
    (tmp_path / "a.png").touch()
    table = tmp_path / "cases.csv"
    table.write_text(f"path,ill,{name}\na.png,1,anna\n")
    with pytest.raises(DataError, match=r"none 'patient_id'.*Rename it"):
        read_cases(table)
    assert read_cases(table, attributes=[name]).cases[0].patient_id is None
    table.write_text(f"path,ill,{name},patient_id\na.png,1,anna,7\n")
    assert read_cases(table).cases[0].patient_id == "7"


def test_a_data_set_beside_others_is_not_taken_for_a_table(tmp_path):
    np.savez(tmp_path / "image.npz", image=np.zeros((4, 4)))
    with pytest.raises(DataError, match="is no table that is read"):
        read_cases(tmp_path / "image.npz")
