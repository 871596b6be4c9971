"""Means of cells, estimated from the samples that a codec gives when it leaves out."""

import imagecodecs
import numpy as np
import pytest
from dicoms import picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from medcnn import io
from medcnn.errors import DecodeError
from medcnn.io.codestream import read_codestream
from medcnn.io.dicom.parse import parse
from medcnn.io.dicom.pixels.bends import bend, is_linear
from medcnn.io.dicom.pixels.cells import Grid, Samples, _weights, cell_means, kernel_of
from medcnn.io.dicom.pixels.codecs import decode_reduced
from medcnn.io.dicom.pixels.plan import make_plan
from medcnn.io.options import Cells

SHAPE = (301, 263)
CODECS = {
    "5/3": (JPEG2000Lossless, 12, {"level": 0}),
    "9/7": (JPEG2000, 12, {"level": 90, "reversible": False}),
    "mean": (JPEGBaseline8Bit, 8, {"level": 100}),
}


def texture(bits, shape=SHAPE):
    """Detail of all sizes, as in a radiograph: less of it the finer it is."""
    rng = np.random.default_rng(5)
    rows, columns = (np.fft.fftfreq(n) for n in shape)
    fineness = np.hypot(rows[:, None], columns[None])
    detail = np.fft.fft2(rng.normal(size=shape)) / np.maximum(fineness, 0.004) ** 1.2
    values = np.fft.ifft2(detail).real
    values = (values - values.min()) / np.ptp(values)
    return np.rint((0.1 + 0.8 * values) * (2**bits - 1)).astype("<u2")


def coded(kernel, pixels):
    """The pixels in a codestream whose samples are made by that kernel."""
    _, bits, options = CODECS[kernel]
    if kernel == "mean":
        return imagecodecs.jpeg8_encode(pixels.astype("u1"), **options)
    options = {"codecformat": "J2K", "bitspersample": bits} | options
    return imagecodecs.jpeg2k_encode(pixels, **options)


def given(kernel, pixels, power):
    """What the codec makes of the pixels when it leaves out so many levels."""
    frame = coded(kernel, pixels)
    header = read_codestream(frame)
    found = kernel_of(is_dct=header.is_dct, is_reversible=header.is_reversible)
    assert found == kernel
    return decode_reduced(frame, header, power).astype(float)


def whole_means(pixels, shape):
    """The means of cells that divide a picture, by sums of sums."""
    found = pixels.astype(float)
    for axis in (0, 1):
        sums = np.cumsum(found, axis=0)
        sums = np.vstack([np.zeros(sums.shape[1]), sums])
        edges = np.linspace(0, len(found), shape[axis] + 1)
        at = np.array([np.interp(edges, np.arange(len(sums)), c) for c in sums.T]).T
        found = (np.diff(at, axis=0) / np.diff(edges)[:, None]).T
    return found


@pytest.mark.parametrize("kernel", CODECS)
@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_weights_are_those_of_the_codec(kernel, power):
    pixels = texture(CODECS[kernel][1])
    samples = given(kernel, pixels, power)
    weights, first = _weights(Samples(power, kernel))
    wanted = pixels.astype(float)
    for _ in (0, 1):
        padded = np.pad(wanted, ((64, 64), (0, 0)), mode="reflect")
        sums = [
            weights @ padded[64 + first + (at << power) :][: len(weights)]
            for at in range(-(-len(wanted) // (1 << power)))
        ]
        wanted = np.array(sums).T
    inner = np.s_[8:-8, 8:-8]
    apart = np.abs(samples[inner] - wanted[inner])
    assert apart.max() < (3 if kernel == "mean" else 6)  # the codec's own rounding
    assert apart.mean() < 2


def test_the_5_3_low_pass_has_the_published_response():
    weights, first = _weights(Samples(1, "5/3"))
    angle = np.linspace(0, np.pi, 9)
    places = first + np.arange(len(weights))
    response = (weights[:, None] * np.exp(-1j * places[:, None] * angle)).sum(axis=0)
    wanted = 3 / 4 + np.cos(angle) / 2 - np.cos(2 * angle) / 4
    np.testing.assert_allclose(response, wanted, atol=1e-12)


@pytest.mark.parametrize("kernel", CODECS)
@pytest.mark.parametrize(
    ("power", "shape"), [(1, (75, 65)), (2, (37, 32)), (3, (15, 14))]
)
def test_what_a_network_sees_comes_closer_than_by_averaging(kernel, power, shape):
    pixels = texture(CODECS[kernel][1])
    samples = given(kernel, pixels, power)
    grid = Grid.of_shape((2 * shape[0], 2 * shape[1]), SHAPE)
    cells = cell_means(samples, Samples(power, kernel), grid, SHAPE)
    wanted = whole_means(pixels, shape)
    apart = cells.reshape(shape[0], 2, shape[1], 2).mean(axis=(1, 3)) - wanted
    error = np.sqrt((apart**2).mean())
    averaged = np.sqrt(((whole_means(samples, shape) - wanted) ** 2).mean())
    assert error < 0.06 * wanted.std()
    assert error < 0.45 * averaged


@pytest.mark.parametrize("kernel", ["5/3", "9/7", "mean"])
def test_flat_parts_stay_flat(kernel):
    flat = np.full((76, 66), 1234, np.uint16)
    grid = Grid.of_shape((67, 59), SHAPE)
    found = cell_means(flat, Samples(2, kernel), grid, SHAPE)
    np.testing.assert_array_equal(found, np.full((67, 59), 1234, np.uint16))


@pytest.mark.parametrize("kernel", ["5/3", "9/7", "mean"])
def test_slopes_stay_slopes(kernel):
    first = 1.5 if kernel == "mean" else 0
    slope = np.tile(4 * np.arange(76) + first, (76, 1)).T * 10.0
    grid = Grid.of_shape((61, 59), (304, 304))
    found = cell_means(slope, Samples(2, kernel), grid, (304, 304))[10:-10]
    wanted = 10 * ((np.arange(61) + 0.5) * 304 / 61 - 0.5)[10:-10]
    np.testing.assert_allclose(found, np.tile(wanted, (59, 1)).T, atol=0.2)


def test_no_mean_lies_beyond_the_samples():
    edge = np.where(np.arange(66) < 33, 0, 4095).astype(np.uint16)
    grid = Grid.of_shape((67, 59), SHAPE)
    found = cell_means(np.tile(edge, (76, 1)), Samples(2, "5/3"), grid, SHAPE)
    assert found.min() == 0
    assert found.max() == 4095


def film(pixels, kernel=None, **attributes):
    dataset = picture(pixels, BitsStored=12, HighBit=11, **attributes)
    if kernel:
        dataset.file_meta.TransferSyntaxUID = CODECS[kernel][0]
        dataset.PixelData = encapsulate([coded(kernel, pixels)])
        dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("kernel", [None, "5/3"])
def test_a_film_comes_in_the_cells_asked_for(kernel, tmp_path):
    path = save(film(texture(12), kernel, PixelSpacing=[0.4, 0.3]), tmp_path / "a.dcm")
    image = io.load(path, cells=Cells((30, 29), 2))
    assert image.picture().shape == (60, 58)
    assert image.full_shape == (263, 301, 1)
    assert io.load(path).full_shape is None
    apart = np.abs(image.picture() - whole_means(texture(12), (60, 58)))
    assert apart.max() < 1 or kernel
    assert apart.mean() < 0.08 * texture(12).std()


@pytest.mark.parametrize("share", [0.6, 0.99])
def test_a_codestream_cut_off_is_refused_at_less_detail_too(share, tmp_path):
    dataset = film(texture(12), "5/3")
    frame = coded("5/3", texture(12))
    dataset.PixelData = encapsulate([frame[: int(share * len(frame))]])
    path = save(dataset, tmp_path / "a.dcm")
    with pytest.raises(DecodeError, match="cannot be decoded"):
        io.load(path, cells=Cells((30, 29), 2))


def test_cells_keep_the_aspect_where_asked_to():
    assert Cells((224, 224), 2).over((2500, 2048)) == (448, 448)
    assert Cells((224, 224), 2, keeps_aspect=True).over((2500, 2000)) == (448, 358)
    with pytest.raises(ValueError, match="at least 1"):
        Cells((224, 0))


def test_a_film_smaller_than_its_cells_stays_as_it_is(tmp_path):
    path = save(film(texture(12), "5/3"), tmp_path / "a.dcm")
    image = io.load(path, cells=Cells((302, 10)))
    np.testing.assert_array_equal(image.picture(), texture(12))
    assert image.full_shape is None


@pytest.mark.parametrize("bits", [8, 12])
def test_a_film_of_few_grey_levels_is_read_in_full(bits, tmp_path):
    pixels = (texture(12) >> 4).astype("u1" if bits == 8 else "<u2")
    dataset = picture(pixels, BitsStored=bits, HighBit=bits - 1)
    image = io.load(save(dataset, tmp_path / "a.dcm"), cells=Cells((30, 29), 2))
    np.testing.assert_array_equal(image.picture(), pixels)
    assert "grey levels" in image.provenance[-1]


def test_where_a_window_clips_much_more_detail_is_decoded(tmp_path):
    wide = {"WindowCenter": 2048, "WindowWidth": 4096, "Modality": "DX"}
    narrow = wide | {"WindowWidth": 300}
    words = []
    for window in (wide, narrow):
        dataset = film(texture(12), "5/3", **window)
        path = save(dataset, tmp_path / "a.dcm")
        words.append(io.load(path, cells=Cells((30, 29), 2)).provenance[-1])
    assert "decoded at 1/4 resolution" in words[0]
    assert "decoded at 1/4 resolution" not in words[1]


def plan_of(dataset, tmp_path):
    path = save(dataset, tmp_path / "a.dcm")
    return make_plan(*parse(path), path, io.ReadOptions()).grey[0]


def test_a_curve_bends_by_its_distance_from_the_chord(tmp_path):
    edge = np.tile(np.where(np.arange(80) < 40, 0, 4000).astype("<u2"), (60, 1))
    clipping = {"WindowCenter": 500, "WindowWidth": 1000, "Modality": "DX"}
    plan = plan_of(film(edge, **clipping), tmp_path)
    # beside the edge 0 and 4000 mean black and white, and 2000 in the middle white
    assert bend(edge, plan) == pytest.approx(2 / 80 * 0.5, rel=1e-3)
    assert not is_linear(plan)
    plain = plan_of(film(edge, Modality="CR", RescaleSlope=2), tmp_path)
    assert is_linear(plain)
