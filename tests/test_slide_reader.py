"""load, load_study and describe on whole slides: small ones whole, others refused."""

import numpy as np
import pytest
import tifffile
from slides import (
    SPACING_MM,
    halved,
    position_picture,
    write_dicom_slide,
    write_tiff_slide,
)

import medcnn
from medcnn.errors import DecodeError, ReadError
from medcnn.geometry import Frame
from medcnn.io import Kind, describe_study, identify

PICTURE = position_picture()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    write_dicom_slide(folder / "dicom", PICTURE, sparse=True)
    write_tiff_slide(folder / "slide.svs", PICTURE, kind="svs", compression="deflate")
    return folder


@pytest.mark.parametrize("name", ["dicom", "slide.svs", "dicom/level-1.dcm"])
def test_a_small_slide_is_loaded_whole_with_its_geometry(files, name):
    image = medcnn.load(files / name)
    assert np.array_equal(image.picture(), PICTURE)
    assert image.geometry.frame is Frame.SLIDE
    assert image.geometry.spacing_mm[:2] == pytest.approx((SPACING_MM,) * 2)
    assert image.provenance[-1] == "tiles brought together"


def test_one_file_is_one_level(files):
    image = medcnn.load(files / "dicom" / "level-4.dcm")
    assert np.array_equal(image.picture(), halved(PICTURE, 4))
    assert image.geometry.spacing_mm[:2] == pytest.approx((4 * SPACING_MM,) * 2)


def test_a_label_is_a_picture(files):
    assert medcnn.load(files / "dicom" / "label.dcm").shape == (30, 40, 1)


@pytest.mark.parametrize("name", ["dicom", "slide.svs"])
def test_the_coarsest_level_that_is_large_enough_is_loaded(files, name):
    image = medcnn.load(files / name, size=(200, 200))
    assert np.array_equal(image.picture(), halved(PICTURE, 2))
    whole = medcnn.load(files / name)
    corner = [-0.5, -0.5, 0]
    apart = image.geometry.to_world(corner) - whole.geometry.to_world(corner)
    assert np.abs(apart).max() < 1e-9
    with pytest.raises(ReadError, match="no part 2"):
        medcnn.load(files / name, part=2)


def test_a_large_slide_is_refused_with_the_way_to_read_it(tmp_path):
    # tiles of zeros pack to almost nothing
    row = np.zeros((3000, 3000, 3), np.uint8)
    path = tmp_path / "large.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        tiles = (row for _ in range(10))
        file.write(
            tiles, shape=(3000, 30000, 3), dtype=np.uint8, tile=(3008, 3008),
            compression="deflate", photometric="rgb",
        )  # fmt: skip
    with pytest.raises(DecodeError, match=r"30000 x 3000 pixels.*medcnn\.open_slide"):
        medcnn.load(path)
    (found,), _ = describe_study(path)
    assert any("medcnn.open_slide" in one for one in found.warnings)


def test_a_folder_of_slides_is_one_image_for_each(files):
    study = medcnn.load_study(files)
    assert [image.source.name for image in study.images] == ["dicom", "slide.svs"]
    assert study.problems == ()


@pytest.mark.parametrize("name", ["dicom", "slide.svs"])
def test_a_slide_is_described_from_its_headers(files, name):
    (found,), problems = describe_study(files / name)
    assert problems == ()
    assert found.shape == (700, 500, 1)
    assert found.channels == 3
    assert found.frame == "slide"
    assert found.spacing_mm[:2] == pytest.approx((SPACING_MM,) * 2)
    assert found.orientation == ("yxz" if name == "dicom" else "XYZ")
    assert found.facts["levels"] == "700 x 500, 350 x 250, 175 x 125"
    assert found.facts["pixel_um"] == "2 x 2"
    assert float(found.facts["objective_power"]) == 5
    assert found.files == (3 if name == "dicom" else 1)
    assert found.kind == ("dicom slide" if name == "dicom" else "tiff slide")


def test_only_pyramids_in_colour_are_taken_for_slides(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PICTURE, tile=(64, 64), photometric="rgb")
    assert identify(path) is Kind.TIFF
    with tifffile.TiffWriter(path) as file:
        grey = PICTURE[..., 0].astype(np.uint16)
        file.write(grey, tile=(64, 64))
        file.write(grey[::2, ::2], tile=(64, 64), subfiletype=1)
    assert identify(path) is Kind.TIFF
    write_tiff_slide(path, PICTURE)
    assert identify(path) is Kind.SLIDE
