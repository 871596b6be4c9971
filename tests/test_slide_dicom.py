"""Whole slides in DICOM; oracles: OpenSlide, highdicom, and the pixels."""

import highdicom
import numpy as np
import openslide
import pydicom
import pytest
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit
from slides import (
    SPACING_MM,
    STANDARD,
    TURNED,
    halved,
    position_of,
    position_picture,
    stained_picture,
    write_dicom_slide,
)

from medcnn.errors import DecodeError, ReadError, SeveralSeriesError
from medcnn.geometry import Frame
from medcnn.io.slide import open_slide

PICTURE = position_picture()


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_dicom_slide(tmp_path_factory.mktemp("full"), PICTURE)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparse")
    return write_dicom_slide(folder, PICTURE, sparse=True, orientation=TURNED)


def test_levels_come_from_the_files_of_one_series_finest_first(full):
    with open_slide(full / "level-2.dcm") as slide:
        assert [level.shape for level in slide.levels] == [
            (700, 500),
            (350, 250),
            (175, 125),
        ]
        assert [level.downsample for level in slide.levels] == [1, 2, 4]
        assert slide.levels[2].spacing_mm == pytest.approx((4 * SPACING_MM,) * 2)
        assert slide.levels[0].tile == (64, 48)
        assert slide.associated == ("LABEL (label.dcm)",)
        assert slide.modality == "SM"


@pytest.mark.parametrize("kind", ["full", "sparse"])
def test_every_pixel_lies_where_it_was_written(kind, request):
    with open_slide(request.getfixturevalue(kind)) as slide:
        assert np.array_equal(slide.whole().picture(), PICTURE)


@pytest.mark.parametrize("orientation", [STANDARD, TURNED])
@pytest.mark.parametrize("sparse", [False, True])
def test_every_tile_knows_its_place_in_slide_millimetres(tmp_path, orientation, sparse):
    spacing, origin = (0.002, 0.003), (17.5, 42.25)
    picture = position_picture(300, 200)
    write_dicom_slide(
        tmp_path, picture, sparse=sparse, orientation=orientation, origin=origin,
        spacing_mm=spacing, downs=(1, 2),
    )  # fmt: skip
    across, down = np.array(orientation[:3]), np.array(orientation[3:])

    with open_slide(tmp_path) as slide:
        tiles = list(slide.tiles((70, 90), overlap=20, tissue=False))

    assert len(tiles) == 4 * 4
    for tile in tiles:
        known = ~tile.image.padding[..., 0] if tile.image.padding is not None else ...
        i, j = (n[known] for n in np.mgrid[:90, :70])
        column, row = position_of(np.moveaxis(tile.image.array[..., 0], 0, -1)[known])
        zero = np.zeros_like(i)
        told = tile.image.geometry.to_world(np.stack([i, j, zero], axis=-1))
        true = (*origin, 0) + spacing[0] * column[..., None] * across
        true = true + spacing[1] * row[..., None] * down
        assert np.abs(told - true).max() < 1e-9
        assert tile.image.geometry.frame is Frame.SLIDE


@pytest.mark.parametrize("kind", ["full", "sparse"])
def test_openslide_sees_the_same_levels_and_pixels(kind, request):
    folder = request.getfixturevalue(kind)
    with (
        openslide.OpenSlide(folder / "level-1.dcm") as theirs,
        open_slide(folder) as ours,
    ):
        assert theirs.level_dimensions == tuple(one.shape for one in ours.levels)
        assert theirs.level_downsamples == tuple(one.downsample for one in ours.levels)
        seen = np.asarray(theirs.read_region((0, 0), 0, theirs.dimensions))[..., :3]
        assert np.array_equal(seen, ours.whole().picture())
        at = theirs.properties["openslide.mpp-x"]
        assert float(at) == pytest.approx(1000 * ours.spacing_mm[0])


@pytest.mark.parametrize("kind", ["full", "sparse"])
def test_highdicom_brings_the_same_region_together(kind, request):
    folder = request.getfixturevalue(kind)
    image = highdicom.imread(folder / "level-1.dcm")
    theirs = image.get_total_pixel_matrix(
        row_start=91, row_end=181, column_start=201, column_end=301
    )
    with open_slide(folder) as slide:
        tile = slide.tiles((90, 100), tissue=False).tile(2, 1)
    assert np.array_equal(theirs, tile.image.picture())


@pytest.mark.parametrize("kind", ["full", "sparse"])
def test_highdicom_places_every_frame_where_we_do(kind, request):
    folder = request.getfixturevalue(kind)
    dataset = pydicom.dcmread(folder / "level-1.dcm")
    theirs = highdicom.spatial.PixelToReferenceTransformer.for_image(
        dataset, for_total_pixel_matrix=True
    )
    corners = np.array([[0, 0], [699, 0], [0, 499], [699, 499], [123, 45]])
    with open_slide(folder) as slide:
        flat = np.column_stack([corners, np.zeros(len(corners))])
        ours = slide.geometry.to_world(flat)
    assert np.abs(theirs(corners) - ours).max() < 1e-6


@pytest.mark.parametrize("level", [1, 2])
def test_levels_lie_edge_on_edge(full, level):
    with open_slide(full) as slide:
        tiles = slide.tiles((100, 100), spacing_mm=SPACING_MM * 2**level, tissue=False)
        image = tiles.tile(0, 0).image
    assert np.array_equal(image.picture(), halved(PICTURE, 2**level)[:100, :100])
    # the middle of the first pixel is the middle of those it was averaged from
    shift = (2**level - 1) / 2 * SPACING_MM
    assert image.geometry.affine[:2, 3] == pytest.approx([20 - shift, 50 - shift])


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000])
def test_compressed_tiles_are_read(tmp_path, syntax, extended):
    picture = stained_picture(200, 150)
    write_dicom_slide(tmp_path, picture, syntax=syntax, extended=extended, downs=(1, 2))
    with open_slide(tmp_path) as slide:
        apart = np.abs(slide.whole().picture().astype(int) - picture)
    assert apart.mean() < (0.01 if syntax == JPEG2000Lossless else 3)
    assert apart.max() <= (0 if syntax == JPEG2000Lossless else 90)


def test_tiles_that_were_not_stored_are_white_and_masked(tmp_path):
    write_dicom_slide(
        tmp_path, PICTURE, sparse=True, left_out={(1, 0), (2, 3)}, downs=(1,)
    )
    with open_slide(tmp_path) as slide:
        tile = slide.tiles((48, 64), tissue=False).tile(1, 0)
        whole = slide.whole()
    assert tile.image.padding.all()
    assert (tile.image.array == 255).all()
    assert whole.padding.sum() == 2 * 48 * 64
    assert whole.padding[70, 10, 0]


def test_several_focal_planes_are_listed_and_one_is_chosen(tmp_path):
    picture = np.full((96, 128, 3), 200, np.uint8)
    write_dicom_slide(tmp_path, picture, planes=3, downs=(1,))
    with pytest.raises(SeveralSeriesError, match="3 of: focal plane") as told:
        open_slide(tmp_path)
    assert told.value.series[0] == "focal_plane=1"
    with open_slide(tmp_path, focal_plane=3) as slide:
        assert (slide.whole().array == 180).all()
    with pytest.raises(ReadError, match="no focal plane 4"):
        open_slide(tmp_path, focal_plane=4)


@pytest.mark.parametrize("sparse", [False, True])
def test_several_optical_paths_are_listed_and_one_is_chosen(tmp_path, sparse):
    write_dicom_slide(tmp_path, PICTURE, paths=("HE", "IF"), downs=(1,), sparse=sparse)
    with pytest.raises(SeveralSeriesError, match="optical path \\(HE, IF\\)"):
        open_slide(tmp_path)
    with open_slide(tmp_path, optical_path="IF") as slide:
        assert slide.shape == (700, 500)


def test_several_slides_in_a_folder_are_listed(tmp_path, full):
    write_dicom_slide(tmp_path / "a", PICTURE, downs=(1,))
    write_dicom_slide(tmp_path / "b", PICTURE, downs=(2,))
    for name in "ab":
        for file in (tmp_path / name).iterdir():
            file.rename(tmp_path / f"{name}-{file.name}")
        (tmp_path / name).rmdir()
    with pytest.raises(SeveralSeriesError, match="holds 2 slides") as told:
        open_slide(tmp_path)
    uid = told.value.series[1].partition(":")[0]
    with open_slide(tmp_path, series=uid) as slide:
        assert slide.shape in {(700, 500), (350, 250)}
    with open_slide(tmp_path / "b-level-2.dcm") as slide:
        assert slide.shape == (350, 250)


def _drop_frame(dataset):
    dataset.NumberOfFrames -= 1


def _shift_frame(dataset):
    group = dataset.PerFrameFunctionalGroupsSequence[3]
    group.PlanePositionSlideSequence[0].ColumnPositionInTotalImagePixelMatrix += 5


def _double_frame(dataset):
    groups = dataset.PerFrameFunctionalGroupsSequence
    groups[3].PlanePositionSlideSequence = groups[4].PlanePositionSlideSequence


def _bomb(dataset):
    dataset.TotalPixelMatrixColumns = dataset.TotalPixelMatrixRows = 2**31


def _huge_tile(dataset):
    dataset.Rows = dataset.Columns = 65535


def _no_matrix(dataset):
    del dataset.TotalPixelMatrixRows


def _grey(dataset):
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"


def _skewed(dataset):
    dataset.ImageOrientationSlide = [1, 0, 0, 0.5, 1, 0]


def _split(dataset):
    dataset.ConcatenationUID = "1.2.3"


@pytest.mark.parametrize(
    ("change", "sparse", "words"),
    [
        (_drop_frame, False, "holds 120 frames; 11 x 11 tiles"),
        (_shift_frame, True, "not on a grid of 64 x 48"),
        (_double_frame, True, "lie on each other"),
        (_bomb, False, "declares a level of 2147483648"),
        (_huge_tile, False, "numbers; at most"),
        (_no_matrix, False, "holds nothing"),
        (_grey, False, "MONOCHROME2"),
        (_skewed, False, "right angles"),
        (_split, False, "concatenation"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, change, sparse, words):
    write_dicom_slide(tmp_path, PICTURE, sparse=sparse, downs=(1,), change=change)
    with pytest.raises(DecodeError, match=words):
        open_slide(tmp_path)


def test_a_cut_off_file_is_refused_when_it_is_opened(full, tmp_path):
    data = (full / "level-1.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[: len(data) // 2])
    with pytest.raises(DecodeError, match="cut off"):
        open_slide(tmp_path)


def test_levels_elsewhere_on_the_slide_are_refused(tmp_path):
    write_dicom_slide(tmp_path, PICTURE, downs=(1, 2))
    file = tmp_path / "level-2.dcm"
    dataset = pydicom.dcmread(file)
    place = dataset.TotalPixelMatrixOriginSequence[0]
    place.XOffsetInSlideCoordinateSystem += 0.1
    dataset.save_as(file)
    with pytest.raises(DecodeError, match="different places"):
        open_slide(tmp_path)


def test_a_label_alone_is_no_slide(full, tmp_path):
    (tmp_path / "label.dcm").write_bytes((full / "label.dcm").read_bytes())
    with pytest.raises(ReadError, match="only: LABEL"):
        open_slide(tmp_path)
