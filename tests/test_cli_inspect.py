"""medcnn inspect: one line or all facts for each image, and previews."""

import json

import cv2
import numpy as np
import pytest
from dicoms import CORONAL, picture, save, save_series, series
from typer.testing import CliRunner

from medcnn.cli import app
from medcnn.cli.preview import write_preview
from medcnn.geometry import Geometry
from medcnn.image import Image


def inspect(*words):
    done = CliRunner().invoke(app, ["inspect", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.fixture
def mixed(tmp_path):
    """A folder with a CT series, a coronal series, two films and a text file."""
    save_series(series(), tmp_path / "in" / "ct")
    save_series(series(CORONAL, count=5, modality="MR"), tmp_path / "in" / "mr")
    for n in range(2):
        film = picture(np.full((40, 30), 7, "<u2"), BurnedInAnnotation="YES")
        save(film, tmp_path / "in" / f"film{n}.dcm")
    (tmp_path / "in" / "notes.txt").write_text("hello")
    return tmp_path / "in"


def test_many_images_are_a_table_below_their_shared_folder(mixed):
    done = inspect(mixed)

    assert done.exit_code == 8
    lines = done.stdout.splitlines()
    assert "".join(lines).startswith(f"in {mixed}")
    (ct,) = [line for line in lines if "CT" in line]
    assert ct.split()[1] == "ct"
    assert "11 x 9 x 7" in ct
    assert "0.8 x 0.6 x 2.5" in ct
    assert "LPS" in ct
    assert "HU" in ct
    assert "2 x text is burned into the pixels" in done.stdout
    assert "4 images in 14 files; 1 could not be read." in done.stderr


def test_details_tell_every_step(mixed):
    done = inspect(mixed / "ct", "--details")

    assert "step 2" in done.stdout
    assert "rescale: value = 1 * stored + -1024" in done.stdout


def test_previews_are_pictures_that_their_rows_name(mixed, tmp_path):
    done = inspect(mixed, "--preview", tmp_path / "png", "--json")

    rows = json.loads(done.stdout)["images"]
    assert len(rows) == 4
    for row in rows:
        drawn = cv2.imread(row["preview"])
        assert drawn.std() > 5
        assert max(drawn.shape[:2]) >= 500


def test_preview_of_a_volume_keeps_millimetres_square(tmp_path):
    """A ball of 20 mm is as wide as high in every plane, whatever the spacing."""
    shape, spacing = (40, 20, 10), (1.0, 2.0, 4.0)
    grid = np.indices(shape) * np.reshape(spacing, (3, 1, 1, 1))
    inside = sum((grid[n] - 20) ** 2 for n in range(3)) <= 10**2
    affine = np.diag([-1.0, -2.0, 4.0, 1.0])
    image = Image(inside[None].astype(np.uint8), geometry=Geometry(shape, affine))

    write_preview(tmp_path / "a.png", image, ("", ""))

    bright = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE) > 120
    count, _, boxes, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    balls = [box for box in boxes[1:count] if box[cv2.CC_STAT_AREA] > 2000]
    assert len(balls) == 3
    for box in balls:
        wide, high = box[cv2.CC_STAT_WIDTH], box[cv2.CC_STAT_HEIGHT]
        assert wide == pytest.approx(high, rel=0.25)


def test_preview_of_a_colour_picture_and_of_frames_without_a_place(tmp_path):
    colour = np.zeros((3, 20, 30, 1), np.uint8)
    colour[0] = 200
    write_preview(tmp_path / "a.png", Image(colour), ("name", "facts"))
    frames = np.arange(8 * 9 * 10, dtype=np.float32).reshape(1, 8, 9, 10)
    write_preview(tmp_path / "b.png", Image(frames), ("name", "facts"))

    drawn = cv2.imread(str(tmp_path / "a.png"))
    middle = drawn[drawn.shape[0] // 3, drawn.shape[1] // 2]
    assert middle.tolist() == [0, 0, 200]
    assert cv2.imread(str(tmp_path / "b.png")).std() > 20


def test_a_folder_of_other_files_is_told_in_few_lines_and_listed_in_json(tmp_path):
    for n in range(30):
        (tmp_path / f"note{n:02d}.txt").write_text("hello")

    done = inspect(tmp_path)
    told = json.loads(inspect(tmp_path, "--json").stdout)

    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) < 12
    assert "and 22 more like these" in done.stderr
    assert len(told["errors"]) == 30
