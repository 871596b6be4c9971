"""medcnn.training.curves: the history as a table and as a picture."""

import csv

import cv2
import pytest

from medcnn.errors import OutputError
from medcnn.training.curves import CURVES, HISTORY, draw_curves, write_history

ROWS = [
    {
        "epoch": n,
        "train_loss": 1 / n,
        "val_loss": 0.5 + abs(n - 3) / 10,
        "train_auc": None,
        "val_auc": min(0.75, n / 4),
    }
    for n in (1, 2, 3, 4)
]


def test_the_table_holds_every_epoch_and_blanks_for_the_undefined(tmp_path):
    write_history(tmp_path, ROWS)
    with (tmp_path / HISTORY).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_auc"]) for row in rows] == [0.25, 0.5, 0.75, 0.75]
    assert {row["train_auc"] for row in rows} == {""}


def test_the_picture_is_drawn_and_has_both_colours(tmp_path):
    draw_curves(tmp_path, ROWS, name="blob")
    picture = cv2.imread(str(tmp_path / CURVES))[..., ::-1]
    assert (picture.shape[1], picture.dtype) == (1080, "uint8")
    for colour in ((0x88, 0x88, 0x88), (0x0B, 0x6E, 0x99)):
        assert (abs(picture.astype(int) - colour).max(-1) < 4).sum() > 50


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="history cannot be written"):
        write_history(tmp_path / "none", ROWS)
    with pytest.raises(OutputError, match="curves cannot be written"):
        draw_curves(tmp_path / "none", ROWS, name="blob")
