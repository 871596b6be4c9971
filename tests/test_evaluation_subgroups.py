"""Subgroups: which groups a column makes, and what is told of each."""

import numpy as np
import pytest
from predicted import make_predictions
from sklearn.metrics import roc_auc_score

from medcnn.evaluation import Design, Settings, evaluate_predictions
from medcnn.evaluation.subgroups import groups_of

PLAN = Design(split="all", settings=Settings(bootstrap=0))


def measured(**columns):
    made = make_predictions(patients=120, columns=columns)
    return made, evaluate_predictions(made, PLAN)


def test_each_value_is_measured_as_if_it_were_alone():
    made, found = measured(sex=lambda p: "FM"[p % 2])

    (group,) = found.labels["abnormal"].subgroups
    assert [one.value for one in group.values] == ["F", "M"]
    for one in group.values:
        of = np.array(made.columns["sex"]) == one.value
        truth, score = made.truth[of, 0], made.score[of, 0]
        assert one.auroc.value == pytest.approx(roc_auc_score(truth, score))
        assert (one.n, one.n_patients) == (120, 60)
        assert one.n_positive == int(truth.sum())


def test_the_difference_is_to_all_others():
    made, found = measured(site=lambda p: "nse"[p % 5 // 2])

    values = {one.value: one for one in found.labels["abnormal"].subgroups[0].values}
    of = np.array(made.columns["site"]) == "n"
    inside, outside = (
        roc_auc_score(made.truth[side, 0], made.score[side, 0]) for side in (of, ~of)
    )
    assert values["n"].difference.value == pytest.approx(inside - outside)
    low, high = values["n"].difference.ci95
    assert low < inside - outside < high


def test_a_small_group_is_said_to_be_one():
    _, found = measured(site=lambda p: "rare" if p < 6 else "common")

    small = {
        one.value: one.is_small for one in found.labels["abnormal"].subgroups[0].values
    }
    assert small == {"rare": True, "common": False}


def test_a_group_of_one_class_says_so_with_counts():
    _, found = measured(kind=lambda p: "sick" if p % 3 == 0 else "healthy")

    healthy, _ = found.labels["abnormal"].subgroups[0].values
    assert healthy.auroc is None
    assert "0 diseased and 160 healthy" in healthy.note
    assert healthy.specificity is not None
    assert healthy.sensitivity is None


@pytest.mark.parametrize("cells", [["5", "25", "47", "63", "81", "18", "90"], None])
def test_ages_go_to_bands_of_adult_life(cells):
    cells = cells or ["005Y", "025Y", "047Y", "063Y", "081Y", "018Y", "090Y"]

    (group,), _ = groups_of({"patient_age": cells})

    assert group.values == ("0-17", "18-39", "40-59", "60-79", "80 and more")
    assert group.of.tolist() == [0, 1, 2, 3, 4, 1, 4]


def test_other_numbers_go_to_quarters_of_the_cases():
    cells = [str(value) for value in range(8)]

    (group,), _ = groups_of({"dose": cells})

    assert group.values == (
        "0 to below 1.75",
        "1.75 to below 3.5",
        "3.5 to below 5.25",
        "5.25 and more",
    )
    assert np.bincount(group.of).tolist() == [2, 2, 2, 2]


def test_few_numbers_are_values_of_their_own():
    (group,), _ = groups_of({"grade": ["1", "2", "3", "2"]})

    assert group.values == ("1", "2", "3")


def test_blank_cells_are_a_group_of_their_own_and_come_last():
    (group,), _ = groups_of({"sex": ["", "M", "F"]})

    assert group.values == ("F", "M", "not stated")


def test_columns_that_make_no_groups_are_named_with_the_reason():
    columns = {"uid": [f"u{n}" for n in range(30)], "unit": ["mm"] * 30}

    found, left_out = groups_of(columns)

    assert found == ()
    assert left_out == {
        "uid": "30 different values are no groups",
        "unit": "one value only",
    }
