"""medcnn.dataset.leaks: nobody and nothing is in two splits without being named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcnn.dataset import (
    LEFT_OUT,
    Case,
    CaseTable,
    Looks,
    Twin,
    assign_folds,
    assign_splits,
    contradictions,
    find_leaks,
    joined,
    leave_out_copies,
    name_patients,
    refuse_leaks,
)
from medcnn.errors import DataError, LeakageError


def table(*rows, kind="table"):
    """Make a table of (patient, split, ill)."""
    cases = tuple(
        Case(Path(f"d/{n}.png"), {"ill": ill}, patient, split)
        for n, (patient, split, ill) in enumerate(rows)
    )
    source = Path("d") if kind != "table" else Path("d/cases.csv")
    return CaseTable(source, ("ill",), "sigmoid", cases, kind=kind)


def same(first, second):
    return Twin(first, second, 1.0, identical=True)


def near(first, second):
    return Twin(first, second, 0.995, identical=False)


def looks(*patients):
    count = len(patients)
    blank = np.zeros((count, 4), np.uint8)
    names = np.array([str(n) for n in range(count)])
    return Looks(names, np.zeros(count, np.uint64), blank, np.array(patients))


def test_a_patient_in_two_splits_is_refused_by_name():
    cases = table(("anna", "train", 1), ("bert", "train", 0), ("anna", "val", 0))
    leaks = find_leaks(cases, ())
    assert leaks.patients == ("anna",)
    with pytest.raises(LeakageError, match="1 patients are in several splits: anna"):
        refuse_leaks(cases, leaks)


def test_copies_in_two_splits_are_refused_and_both_files_named():
    cases = table((None, "train", 1), (None, "test", 1), (None, "val", 1))
    words = r"the same image is in two splits: d/0\.png \(train\) and d/1\.png \(test\)"
    with pytest.raises(LeakageError, match=words):
        refuse_leaks(cases, find_leaks(cases, (same(0, 1),)))
    with pytest.raises(LeakageError, match=r"nearly the same image .*d/2\.png \(val\)"):
        refuse_leaks(cases, find_leaks(cases, (near(0, 2),)))


def test_of_many_leaks_five_are_named_and_all_counted():
    rows = [(f"p{n:02}", part, 1) for n in range(9) for part in ("train", "val")]
    cases = table(*rows)
    twins = tuple(same(2 * n, 2 * n + 1) for n in range(9))
    with pytest.raises(LeakageError) as caught:
        refuse_leaks(cases, find_leaks(cases, twins))
    assert "9 patients" in caught.value.message
    assert "p04, ..." in caught.value.message
    assert "9 times the same image" in caught.value.message
    assert "--allow-leak" in caught.value.hint


def test_copies_within_a_split_are_no_leak():
    cases = table(("a", "train", 1), ("b", "train", 1), ("a", LEFT_OUT, 1))
    leaks = find_leaks(cases, (same(0, 1), same(0, 2)))
    assert not leaks
    refuse_leaks(cases, leaks)


def test_leaks_are_counted_without_naming_anybody():
    cases = table(("anna", "train", 1), ("anna", "val", 1), ("bert", "test", 1))
    leaks = find_leaks(cases, (same(0, 1), near(1, 2)))
    assert "anna" not in leaks.counted()
    assert leaks.counted() == (
        "1 patients are in several splits, 1 pairs of identical images lie in "
        "different splits, 1 pairs of nearly identical images do"
    )
    assert find_leaks(cases.take([0, 2]), ()).counted() == ""


def test_of_a_published_set_the_copy_that_trains_is_left_out():
    cases = table(
        (None, "train", 1),
        (None, "val", 1),
        (None, "test", 1),
        (None, "train", 0),
        kind="data set",
    )
    done, lines = leave_out_copies(cases, (same(0, 2), near(1, 2), same(0, 3)))
    assert done.column("split") == (LEFT_OUT, LEFT_OUT, "test", LEFT_OUT)
    assert lines == (
        "0.png is the same as 2.png",
        "1.png is nearly the same as 2.png",
        "3.png is the same as 2.png",
    )
    assert not find_leaks(done, (same(0, 2), near(1, 2)))


def test_all_copies_of_a_copy_are_left_out_though_only_the_first_has_twins():
    rows = [(None, part, 1) for part in ("train", "train", "val", "train", "test")]
    cases = table(*rows, kind="data set")
    twins = (same(0, 1), same(0, 2), near(0, 4), near(3, 4))
    assert len(find_leaks(cases, twins).copies) == 6
    done, lines = leave_out_copies(cases, twins)
    assert done.column("split") == (LEFT_OUT, LEFT_OUT, LEFT_OUT, LEFT_OUT, "test")
    assert len(lines) == 4
    assert not find_leaks(done, twins)


def test_the_column_names_patients_before_the_header_does():
    cases = table(("anna", "train", 1), (None, "val", 1), (None, "val", 1))
    named, words = name_patients(cases, looks("x", "anna", ""))
    assert [case.patient_id for case in named.cases] == ["anna", "anna", None]
    assert "1 from the column patient_id" in words
    assert "1 from (0010,0020) Patient ID" in words
    assert "1 unknown, each image counts as one" in words
    assert find_leaks(named, ()).patients == ("anna",)


def test_without_any_patient_that_is_said():
    _, words = name_patients(table((None, "train", 1)), looks(""))
    assert words == "nothing says which images are of one patient: each counts as one"


def test_identical_images_with_different_labels_are_named():
    cases = table((None, None, 1), (None, None, 0), (None, None, None))
    lines = contradictions(cases, (same(0, 1), same(0, 2), near(1, 2)))
    assert lines == ("d/0.png and d/1.png differ in ill",)


def test_nothing_else_is_left_out_of_folds():
    cases = table(*((f"p{n}", "train", n % 2) for n in range(8)))
    out = replace(cases.cases[3], split=LEFT_OUT)
    cases = replace(cases, cases=(*cases.cases[:3], out, *cases.cases[4:]))
    names = tuple(map(str, range(8)))
    folds = assign_folds(cases, names, folds=2, rng=np.random.default_rng(0))
    assert folds[3] == -1
    assert {*folds[[0, 1, 2, 4, 5, 6, 7]]} == {0, 1}


cases_of_patients = st.lists(
    st.tuples(st.sampled_from("abcdefghij"), st.sampled_from([0, 1, None])),
    min_size=4,
    max_size=60,
)


@given(
    rows=cases_of_patients,
    pairs=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=12),
    share=st.floats(0.05, 0.6),
    seed=st.integers(0, 9),
)
def test_a_drawn_split_never_leaks(rows, pairs, share, seed):
    """No patient in two splits, no copy of an image in two, whatever the data."""
    cases = table(*((patient, None, ill) for patient, ill in rows))
    count = len(rows)
    twins = tuple(
        same(min(pair), max(pair))
        for pair in ((a % count, b % count) for a, b in pairs)
        if pair[0] != pair[1]
    )
    rng = np.random.default_rng(seed)
    try:
        done = assign_splits(cases, joined(twins, count), rng=rng, val_share=share)
    except DataError:  # all are of one patient, or copies of each other
        return
    assert not find_leaks(done, twins)
    assert {*done.column("split")} == {"train", "val"}
