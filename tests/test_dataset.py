"""medcnn.dataset: what is read, what is refused, and splits that do not leak."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from medcnn.dataset import (
    assign_splits,
    content_hashes,
    data_sha256,
    find_leaks,
    read_cases,
)
from medcnn.errors import DataError


def write(folder: Path, text: str, *, name: str = "cases.csv") -> Path:
    """Write a table, and for each of its paths a file that holds its own name."""
    lines = [line.strip() for line in text.strip().splitlines()]
    for line in lines[1:]:
        file = folder / line.replace("\t", ",").split(",")[0]
        file.write_text(file.name)
    table = folder / name
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def split(table, seed=0, share=0.25):
    rng = np.random.default_rng(seed)
    return assign_splits(table, content_hashes(table), rng=rng, val_share=share)


def test_label_columns_are_those_of_ones_and_zeros(tmp_path):
    table = read_cases(
        write(
            tmp_path,
            """path,patient_id,effusion,edema,age,view
            a.png,p1,1,,50,PA
            b.png,p2,0,1.0,61,AP""",
        )
    )
    assert table.labels == ("effusion", "edema")
    assert table.activation == "sigmoid"
    np.testing.assert_array_equal(table.truth(), [[1, np.nan], [0, 1]])
    first = table.cases[0]
    assert first.path == tmp_path / "a.png"
    assert (first.patient_id, first.split) == ("p1", None)
    assert dict(first.attributes) == {"age": "50", "view": "PA"}


def test_a_binary_column_named_as_an_attribute_is_no_label(tmp_path):
    file = write(tmp_path, "path,ill,smoker\na.png,1,0\nb.png,0,1")
    table = read_cases(file, attributes=["smoker"])
    assert table.labels == ("ill",)
    assert table.column("smoker") == ("0", "1")


def test_asked_labels_come_in_the_asked_order_and_the_rest_are_attributes(tmp_path):
    file = write(tmp_path, "path,a,b,c\nx.png,1,0,1\ny.png,0,1,1")
    table = read_cases(file, labels=["c", "a"])
    assert table.labels == ("c", "a")
    assert table.column("b") == ("0", "1")


def test_a_tab_separated_table_with_a_byte_order_mark_is_read(tmp_path):
    file = write(tmp_path, "path\till\na.png\t1\nb.png\t0", name="cases.tsv")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_cases(file).labels == ("ill",)


def test_class_names_become_one_of_n_with_the_healthy_class_last(tmp_path):
    file = write(tmp_path, "path,label\na.png,Normal\nb.png,virus\nc.png,bacteria")
    table = read_cases(file)
    assert table.activation == "softmax"
    assert table.labels == ("bacteria", "virus", "Normal")
    np.testing.assert_array_equal(table.truth(), [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


def test_a_label_column_of_ones_and_zeros_is_one_label(tmp_path):
    table = read_cases(write(tmp_path, "path,label\na.png,1\nb.png,0"))
    assert (table.labels, table.activation) == (("label",), "sigmoid")


@pytest.mark.parametrize(
    "names", [("Train", "Valid", "Test"), ("training", "validation", "TESTING")]
)
def test_folders_of_splits_may_be_called_in_the_usual_ways(tmp_path, names):
    for name in (*names, ".cache", "__MACOSX"):
        (tmp_path / name / "ill").mkdir(parents=True)
        (tmp_path / name / "ill" / "1.png").touch()
    table = read_cases(tmp_path)
    assert table.column("split") == ("test", "train", "val")
    assert table.labels == ("ill",)


def test_splits_beside_other_folders_are_refused(tmp_path):
    for name in ("train", "test", "chest_xray"):
        (tmp_path / name / "ill").mkdir(parents=True)
    with pytest.raises(DataError, match=r"splits \(test, train\) beside 'chest_xray'"):
        read_cases(tmp_path)


def test_folders_of_classes_are_read_with_and_without_splits(tmp_path):
    for place in ("plain", "split/train", "split/val", "split/test"):
        for name in ("ill", "normal"):
            folder = tmp_path / place / name / "deeper"
            folder.mkdir(parents=True)
            (folder / "x.png").write_text(f"{place} {name}")
            (folder / ".hidden").touch()
    plain = read_cases(tmp_path / "plain")
    assert [dict(case.truth) for case in plain.cases] == [
        {"ill": 1, "normal": 0},
        {"ill": 0, "normal": 1},
    ]
    assert {case.split for case in plain.cases} == {None}
    whole = read_cases(tmp_path / "split")
    assert Counter(case.split for case in whole.cases) == {
        "train": 2,
        "val": 2,
        "test": 2,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,ill\na.png,1\nb.png,maybe", "no label"),
        ("file,ill\na.png,1", "no column 'path'"),
        ("path,ill,ill\na.png,1,0", "two columns of the same name"),
        ("path,ill,age\na.png,1", "row 2: not as many cells"),
        ("path,ill,split\na.png,1,dev", r"row 2, column 'split': got 'dev'"),
        ("path,ill\na.png,1\na.png,0", "twice"),
        ("path,ill", "holds no case"),
        ("path,ill\n", "holds no case"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_cases(write(tmp_path, text))


def test_a_wrong_cell_is_named_by_row_and_column(tmp_path):
    file = write(tmp_path, "path,ill\na.png,1\nb.png,maybe")
    with pytest.raises(DataError, match=r"row 3, column 'ill': got 'maybe'"):
        read_cases(file, labels=["ill"])
    file = write(tmp_path, "path,label\na.png,virus\nb.png,fungus")
    with pytest.raises(DataError, match=r"row 3, column 'label': got 'fungus'"):
        read_cases(file, labels=["virus"])


def test_a_slip_in_a_label_column_is_named_and_the_label_is_not_left_out(tmp_path):
    names = [f"{n}.png" for n in range(6)]
    rows = [f"{name},{n % 2},{n % 2}" for n, name in enumerate(names)]
    for slip in ("NaN", "yes", "?"):
        wrong = [*rows[:4], f"4.png,0,{slip}", rows[5]]
        file = write(tmp_path, "\n".join(["path,ill,late", *wrong]))
        with pytest.raises(DataError, match="row 6, column 'late': got"):
            read_cases(file)
        assert read_cases(file, attributes=["late"]).labels == ("ill",)
    counts = [f"{name},{n % 2},{n % 2 + (n == 4)}" for n, name in enumerate(names)]
    counts[5] = "5.png,1,2"  # visits: 0, 1 and 2 are no slip
    file = write(tmp_path, "\n".join(["path,ill,visits", *counts]))
    assert read_cases(file).labels == ("ill",)


def test_a_missing_file_is_named_by_row(tmp_path):
    file = write(tmp_path, "path,ill\na.png,1\nb.png,0")
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=r"row 3, column 'path': there is no file"):
        read_cases(file)


def test_unknown_labels_columns_and_kinds_are_refused(tmp_path):
    file = write(tmp_path, "path,ill,view\na.png,1,PA\nb.png,0,AP")
    with pytest.raises(DataError, match="no column 'edema'"):
        read_cases(file, labels=["edema"])
    with pytest.raises(DataError, match=r"no column 'sex'.*It has: view"):
        read_cases(file).column("sex")
    with pytest.raises(DataError, match="neither a table nor a folder"):
        read_cases(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"expected \.csv, \.tsv or \.parquet"):
        read_cases(tmp_path / "a.png")
    (tmp_path / "broken.csv").write_bytes(b"path,ill\n\xff\xfe,1\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_cases(tmp_path / "broken.csv")


def many_cases(folder: Path, columns: str = "path,patient_id,ill") -> Path:
    """Write 200 images of 70 patients; each third patient is ill."""
    rng = np.random.default_rng(9)
    rows = [columns]
    for n, patient in enumerate(rng.integers(0, 70, 200)):
        rows.append(f"{n}.png,p{patient},{int(patient % 3 == 0)}")
    return write(folder, "\n".join(rows))


def test_a_drawn_split_shares_no_patient_and_keeps_the_mixture(tmp_path):
    table = split(read_cases(many_cases(tmp_path)), share=0.2)
    patients = defaultdict(set)
    for case in table.cases:
        patients[case.split].add(case.patient_id)
    assert not patients["train"] & patients["val"]
    val = table.part("val")
    assert len(val.cases) == pytest.approx(40, abs=4)
    assert val.truth().mean() == pytest.approx(table.truth().mean(), abs=0.05)
    assert not find_leaks(table, ())


def test_the_split_is_decided_by_the_seed_alone(tmp_path):
    table = read_cases(many_cases(tmp_path))
    assert split(table, seed=1) == split(table, seed=1)
    assert split(table, seed=1) != split(table, seed=2)


def test_equal_images_of_different_patients_stay_together(tmp_path):
    rows = [f"{n}.png,p{n},{n % 2}" for n in range(60)]
    table = read_cases(write(tmp_path, "\n".join(["path,patient_id,ill", *rows])))
    for n in range(0, 60, 2):
        (tmp_path / f"{n + 1}.png").write_text((tmp_path / f"{n}.png").read_text())
    for seed in range(5):
        done = split(table, seed=seed, share=0.4)
        for n in range(0, 60, 2):
            assert done.cases[n].split == done.cases[n + 1].split
        assert len(done.part("val").cases) == pytest.approx(24, abs=2)


def test_a_stated_split_is_kept_and_val_is_drawn_from_train(tmp_path):
    text = "path,patient_id,ill,split\n" + "\n".join(
        f"{n}.png,p{n},{n % 2},{'test' if n < 6 else 'train'}" for n in range(30)
    )
    table = split(read_cases(write(tmp_path, text)))
    assert [case.split for case in table.cases[:6]] == ["test"] * 6
    assert Counter(case.split for case in table.cases[6:]) == {"train": 18, "val": 6}


def test_a_half_filled_split_column_is_refused(tmp_path):
    file = write(tmp_path, "path,ill,split\na.png,1,train\nb.png,0,")
    with pytest.raises(DataError, match=r"1 cases have no split, as .*b\.png"):
        split(read_cases(file))


def test_splits_that_cannot_be_made_are_refused(tmp_path):
    one = write(tmp_path, "path,patient_id,ill\na.png,p,1\nb.png,p,0")
    with pytest.raises(DataError, match="too few to set a val split apart"):
        split(read_cases(one))
    only = write(tmp_path, "path,ill,split\na.png,1,val\nb.png,0,val")
    with pytest.raises(DataError, match="no case with split train"):
        split(read_cases(only))


def test_a_series_folder_is_hashed_by_its_files(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slice.dcm").write_text("same")
    (tmp_path / "cases.csv").write_text("path,ill\none,1\ntwo,0\n")
    first, second = content_hashes(read_cases(tmp_path / "cases.csv"))
    assert first == second
    (tmp_path / "two" / "slice.dcm").write_text("other")
    assert content_hashes(read_cases(tmp_path / "cases.csv"))[1] != first


def test_the_checksum_of_the_data_sees_contents_truths_and_splits(tmp_path):
    texts = ["a.png,1,p,train", "a.png,0,p,train", "a.png,1,q,train", "a.png,1,p,val"]
    sums = set()
    for text in texts:
        file = write(tmp_path, f"path,ill,patient_id,split\n{text}")
        table = read_cases(file, labels=["ill"])
        sums.add(data_sha256(table, content_hashes(table)))
    (tmp_path / "a.png").write_text("changed")
    sums.add(data_sha256(table, content_hashes(table)))
    assert len(sums) == 5
