import cv2
import nibabel as nib
import numpy as np
import pytest

from medcnn.cli.heatmap_files import write_heatmap
from medcnn.display import grey_picture
from medcnn.errors import GeometryError, OutputError
from medcnn.explanation.legend import overlay_with_legend
from medcnn.geometry import Geometry
from medcnn.image import Image
from medcnn.io.nifti import save_nifti
from medcnn.results import Heatmap, Prediction

OBLIQUE = np.array(
    [[1.9, 0.3, 0.1, -20], [-0.4, 2.8, 0.2, 7], [0.05, -0.3, 4.9, 40], [0, 0, 0, 1.0]]
)


def prediction(reason=""):
    return Prediction(
        {"mass": 0.7}, {"mass": 0.5}, "tiny", "ab" * 32, out_of_scope=reason
    )


def heatmap_of(shape, hot, geometry=None):
    array = np.zeros(shape, np.float32)
    array[hot] = 3
    return Heatmap(array, geometry, "mass", "cam", "tiny")


def test_overlay_is_pixel_for_pixel_the_picture_and_hot_only_where_relevant(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4000, (300, 600), np.uint16)
    image = Image.from_picture(pixels, source=tmp_path / "film.nii.dcm")
    heatmap = heatmap_of((600, 300, 1), (slice(100, 110), slice(50, 60), 0))

    (file,) = write_heatmap(tmp_path, image, heatmap, prediction())

    drawn = cv2.imread(str(file))[..., ::-1]
    apart = np.abs(drawn[:300].astype(int) - grey_picture(image)).max(axis=2) > 0
    rows, columns = np.nonzero(apart)
    assert file.name == "film.nii.mass.png"
    assert drawn.shape[1] == 600
    assert drawn.shape[0] > 300
    assert (rows.min(), rows.max()) == (50, 59)
    assert (columns.min(), columns.max()) == (100, 109)


def test_a_small_picture_is_enlarged_by_a_whole_factor():
    image = Image.from_picture(np.arange(100 * 90, dtype=np.float32).reshape(90, 100))
    heatmap = heatmap_of((100, 90, 1), (0, 0, 0))

    drawn = overlay_with_legend(image, heatmap, prediction())

    assert drawn.shape[1] == 500
    assert (drawn[10:15, 10:15] == drawn[10, 10]).all()


def test_of_a_volume_the_slice_with_the_peak_is_shown(tmp_path):
    array = np.zeros((1, 500, 20, 6), np.float32)
    array[..., 4] = np.linspace(0, 1, 500)[None, :, None]
    image = Image(array, geometry=Geometry((500, 20, 6), OBLIQUE))
    heatmap = heatmap_of((500, 20, 6), (3, 3, 4), image.geometry)

    drawn = overlay_with_legend(image, heatmap, prediction())

    assert drawn[10, 10, 0] > drawn[10, 100, 0] > drawn[10, 400, 0]


@pytest.mark.parametrize(
    ("codes", "right", "down"),
    [("RAS", "L", "P"), ("LPS", "L", "P"), ("ASR", "P", "I"), ("ILP", "L", "I")],
)
def test_a_slice_is_turned_as_radiologists_look_at_it(codes, right, down):
    """The far end of each direction is bright; where it comes out is the oracle."""
    directions = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1)}
    opposite = dict(zip("RASLPI", "LPIRAS", strict=True))
    affine = np.eye(4)
    for axis, code in enumerate(codes):
        sign = 1 if code in directions else -1
        world = directions.get(code) or directions[opposite[code]]
        affine[:3, axis] = sign * np.array(world)
    shape = (500, 520, 3)
    ramps = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    for edge, wanted in (("right", right), ("down", down)):
        axis = next(n for n, c in enumerate(codes) if c in (wanted, opposite[wanted]))
        ramp = ramps[axis] if codes[axis] == wanted else 1 - ramps[axis]
        image = Image(ramp[None], geometry=Geometry(shape, affine))
        drawn = overlay_with_legend(
            image, heatmap_of(shape, (0, 0, 1), image.geometry), prediction()
        )
        grey = drawn[100:400, 100:400, 0].astype(int)
        step = grey[:, -1] - grey[:, 0] if edge == "right" else grey[-1] - grey[0]
        assert (step > 100).all()


def test_a_volumes_heatmap_has_its_true_affine_for_another_reader(tmp_path):
    geometry = Geometry((4, 5, 6), OBLIQUE)
    image = Image(np.zeros((1, 4, 5, 6)), geometry=geometry, source=tmp_path / "a.nii")
    heatmap = heatmap_of((4, 5, 6), (1, 2, 3), geometry)

    files = write_heatmap(tmp_path, image, heatmap, prediction())

    nifti = nib.load(files[1])
    assert [file.name for file in files] == ["a.mass.png", "a.mass.nii.gz"]
    assert np.allclose(nifti.get_sform(), OBLIQUE, atol=1e-5)
    assert nifti.get_fdata()[1, 2, 3] == 3
    assert nifti.get_fdata().sum() == 3


def test_save_nifti_refuses_another_grid_and_a_missing_folder(tmp_path):
    geometry = Geometry((4, 5, 6), OBLIQUE)

    with pytest.raises(GeometryError, match=r"must have its grid's shape \(4, 5, 6\)"):
        save_nifti(np.zeros((4, 5, 7), np.float32), geometry, tmp_path / "a.nii")
    with pytest.raises(OutputError, match="cannot be written"):
        save_nifti(np.zeros((4, 5, 6), np.float32), geometry, tmp_path / "no" / "a.nii")


def test_names_of_labels_cannot_leave_the_folder(tmp_path):
    image = Image.from_picture(np.zeros((40, 50)), source=tmp_path / "..weird name.png")
    heatmap = Heatmap(np.zeros((50, 40, 1), np.float32), None, "../up", "cam", "tiny")
    told = Prediction({"../up": 0.5}, {"../up": 0.5}, "tiny", "ab" * 32)

    (file,) = write_heatmap(tmp_path, image, heatmap, told)

    assert file.parent == tmp_path
    assert "/" not in file.name
    assert file.is_file()


@pytest.mark.parametrize(
    "name", ["a" * 251 + ".dcm", "\N{CJK UNIFIED IDEOGRAPH-6F22}" * 84]
)
def test_heatmaps_of_files_with_the_longest_names_are_written(tmp_path, name):
    pixels = np.zeros((100, 100), np.uint8)
    heatmap = heatmap_of((100, 100, 1), (0, 0, 0))
    files = []
    for source in (tmp_path / name, tmp_path / (name[:-1] + "x")):
        image = Image.from_picture(pixels, source=source)
        files += write_heatmap(tmp_path, image, heatmap, prediction())

    assert len({file.name for file in files}) == 2
    assert all(file.is_file() for file in files)
