"""medcnn.dataset.folds: cross-validation that shares no patient."""

from pathlib import Path

import numpy as np
import pytest

from medcnn.dataset import TEST, Case, CaseTable, assign_folds, fold_table
from medcnn.errors import DataError


def table(patients, *, ill=lambda n: n % 4 == 0, split=lambda _: None):
    cases = tuple(
        Case(Path(f"{n}.png"), {"ill": float(ill(n))}, patient, split(n))
        for n, patient in enumerate(patients)
    )
    return CaseTable(Path("t.csv"), ("ill",), "sigmoid", cases)


def hashes(cases):
    return tuple(str(n) for n in range(len(cases.cases)))


def test_folds_share_no_patient_and_are_alike():
    patients = [f"p{n // 3}" for n in range(300)]
    data = table(patients, ill=lambda n: (n // 3) % 5 == 0)
    folds = assign_folds(data, hashes(data), folds=5, rng=np.random.default_rng(0))
    of = {}
    for patient, fold in zip(patients, folds, strict=True):
        assert of.setdefault(patient, fold) == fold
    assert np.bincount(folds).tolist() == [60] * 5
    ill = data.truth()[:, 0]
    assert [int(ill[folds == k].sum()) for k in range(5)] == [12] * 5


def test_images_of_the_same_content_stay_together():
    data = table([None] * 40)
    same = ("x", *hashes(data)[1:39], "x")
    for seed in range(5):
        folds = assign_folds(data, same, folds=4, rng=np.random.default_rng(seed))
        assert folds[0] == folds[39]


def test_test_cases_take_no_part_and_stay_test():
    data = table([None] * 30, split=lambda n: ("train", "val", "test")[n % 3])
    folds = assign_folds(data, hashes(data), folds=2, rng=np.random.default_rng(0))
    assert (folds[2::3] == TEST).all()
    assert set(np.delete(folds, np.s_[2::3]).tolist()) == {0, 1}
    one = fold_table(data, folds, 1)
    assert one.column("split").count("val") == (folds == 1).sum() == 10
    assert one.column("split").count("test") == 10
    assert "val" not in fold_table(data, folds, None).column("split")


def test_two_draws_differ_and_the_same_draw_does_not():
    data = table([None] * 200)
    one, again, other = (
        assign_folds(data, hashes(data), folds=5, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_more_folds_than_patients_are_refused():
    data = table(["a", "a", "b"])
    with pytest.raises(DataError, match="2 patients are too few for 3 folds"):
        assign_folds(data, hashes(data), folds=3, rng=np.random.default_rng(0))
