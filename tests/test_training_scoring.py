"""medcnn.training.scoring: what picks the best epoch."""

import numpy as np
import pytest
from trainings import write_blobs

from medcnn.dataset import read_cases
from medcnn.errors import RecipeError
from medcnn.planning.sections import Select
from medcnn.training.scoring import Selection, label_auc


def test_the_selection_scores_only_the_cases_it_names(tmp_path):
    table = read_cases(write_blobs(tmp_path, count=60), labels=["blob", "late"])
    logits = np.random.default_rng(0).normal(size=(60, 2))
    chosen = Selection(Select(label="blob", where={"site": "south"}), table)
    south = np.array(table.column("site")) == "south"
    truth = table.truth()[:, 0]
    assert chosen(logits) == label_auc(truth[south], logits[south, 0])
    assert chosen.name == "blob (site = south)"


def test_a_score_that_cannot_be_made_is_refused_at_the_start(tmp_path):
    table = read_cases(write_blobs(tmp_path, count=60), labels=["blob"])
    with pytest.raises(RecipeError, match=r"select\.label is 'mass'"):
        Selection(Select(label="mass"), table)
    ill = table.only(table.truth()[:, 0] == 1)
    with pytest.raises(RecipeError, match="30 of 30 validation cases are positive"):
        Selection(Select(), ill)
