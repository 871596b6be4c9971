"""Reading only the detail that a model needs gives the probability of the whole film.

`TOLERANCE` is stated in docs/screening.md.
"""

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from dicoms import picture, save
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import medcnn
from medcnn.model import prepare
from medcnn.preprocessing import Hang, Percentiles, Preprocessing, Resize, Window
from medcnn.preprocessing.detail import first_resize
from medcnn.screening.reader import read_file

TOLERANCE = 0.01
NIH = Path(__file__).parents[2] / "shared" / "data" / "chest-xray-nih" / "images"


def _j2k(pixels, bits, **options):
    options = {"codecformat": "J2K", "bitspersample": bits} | options
    return imagecodecs.jpeg2k_encode(pixels, **options)


CODINGS = {
    "JPEG 2000": (JPEG2000Lossless, lambda p, b: _j2k(p, b, level=0)),
    "JPEG 2000 lossy": (JPEG2000, lambda p, b: _j2k(p, b, level=45, reversible=False)),
    "HTJ2K": (HTJ2KLossless, lambda p, _: imagecodecs.htj2k_encode(p)),
    "JPEG lossless": (
        JPEGLosslessSV1,
        lambda p, b: imagecodecs.ljpeg_encode(p, bitspersample=b),
    ),
    "JPEG-LS": (JPEGLSLossless, lambda p, _: imagecodecs.jpegls_encode(p)),
    "JPEG": (JPEGBaseline8Bit, lambda p, _: imagecodecs.jpeg8_encode(p, level=92)),
}
DETAIL = {"JPEG 2000": "1/4", "JPEG 2000 lossy": "1/4", "HTJ2K": "1/4", "JPEG": None}


@pytest.fixture(scope="module")
def model():
    return medcnn.Model.open("chest-xray", threads=1)


def from_dicom(name):
    """A real film, bright where more was absorbed, and its bits."""
    pixels = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype("<u2")
    bits = max(int(pixels.max()).bit_length(), 10)
    return ((1 << bits) - 1 - pixels).astype("<u2"), bits


def detailed(number, noise):
    """A real film of 320 pixels made larger, with finer detail and noise put in."""
    if not NIH.is_dir():
        pytest.skip(f"needs {NIH}")
    path = sorted(NIH.rglob("*.jpg"))[number]
    coarse = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    rows, columns = shape = (2500, 2048)
    film = 16 * cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(number)
    fineness = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    some = np.where(fineness > 0.06, np.maximum(fineness, 1e-3) ** -1.5, 0)
    some = some * np.exp(2j * np.pi * rng.random(fineness.shape))
    detail = np.fft.irfft2(some, s=shape)
    film += 60 / detail.std() * detail + rng.normal(0, noise, shape)
    return np.rint(film).clip(0, 4095).astype("<u2"), 12


FILMS = {
    "chest": lambda: from_dicom("RG1_UNCR.dcm"),
    "hand": lambda: from_dicom("RG3_UNCR.dcm"),
    "noisy": lambda: detailed(480, 40),
}


@pytest.fixture(scope="module", params=FILMS)
def film(request):
    return FILMS[request.param]()


def coded(pixels, bits, coding, **attributes):
    """A film in that coding."""
    if coding == "JPEG":
        pixels, bits = (pixels >> (bits - 8)).astype("u1"), 8
    dataset = picture(pixels, BitsStored=bits, HighBit=bits - 1, **attributes)
    dataset.BodyPartExamined = "CHEST"
    if coding == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif coding != "raw":
        syntax, encode = CODINGS[coding]
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([encode(pixels, bits)])
        dataset["PixelData"].VR = "OB"
    return dataset


def both(model, path):
    """What the network says of what a reader process gives it, and of all of it."""
    spec = model.spec.model_copy(update={"gate": type(model.spec.gate)()})
    reading = read_file(spec, path)
    whole = prepare(spec, medcnn.load(path))
    answers = model.stream([reading.tensor, whole.tensor])
    return [np.array(list(a.prediction.probabilities.values())) for a in answers]


@pytest.mark.parametrize("coding", ["raw", "RLE", *CODINGS])
def test_probabilities_are_those_of_the_whole_film(coding, film, model, tmp_path):
    pixels, bits = film
    path = save(coded(pixels, bits, coding), tmp_path / "film.dcm")
    ours, theirs = both(model, path)
    assert np.abs(ours - theirs).max() < TOLERANCE


@pytest.mark.parametrize("coding", DETAIL)
def test_detail_is_left_out_where_the_coding_allows_it(coding, tmp_path):
    pixels, bits = from_dicom("RG1_UNCR.dcm")
    path = save(coded(pixels, bits, coding), tmp_path / "film.dcm")
    image = medcnn.load(path, cells=medcnn.io.Cells((224, 224), 2))
    detail = DETAIL[coding]
    words = f"decoded at {detail} resolution" if detail else "at full resolution"
    assert words in image.provenance[-1]


@pytest.mark.parametrize("share", [1.1, 0.9, 0.6, 0.2])
@pytest.mark.parametrize("coding", ["JPEG 2000", "JPEG 2000 lossy"])
def test_a_window_that_clips_makes_no_more_difference(coding, share, model, tmp_path):
    pixels, bits = from_dicom("RG1_UNCR.dcm")
    low, high = (int(v) for v in np.percentile(pixels, (0.5, 99.5)))
    window = {"WindowCenter": (low + high) // 2, "WindowWidth": share * (high - low)}
    dataset = coded(pixels, bits, coding, Modality="DX", **window)
    ours, theirs = both(model, save(dataset, tmp_path / "film.dcm"))
    assert np.abs(ours - theirs).max() < TOLERANCE


def test_pictures_and_heatmaps_lie_where_they_lie_on_the_whole_film(
    model, tmp_path, monkeypatch
):
    pixels, bits = from_dicom("RG1_UNCR.dcm")
    path = save(coded(pixels, bits, "JPEG 2000"), tmp_path / "film.dcm")
    spec = model.spec.model_copy(update={"gate": type(model.spec.gate)()})
    ours = read_file(spec, path)
    monkeypatch.setattr("medcnn.screening.reader._enough", lambda _spec: None)
    whole = read_file(spec, path)
    assert ours.grid.shape == whole.grid.shape
    np.testing.assert_allclose(ours.grid.from_tensor, whole.grid.from_tensor, atol=1e-9)
    small, large = (
        cv2.imdecode(np.frombuffer(r.pictures[0], np.uint8), cv2.IMREAD_GRAYSCALE)
        for r in (ours, whole)
    )
    assert small.shape == large.shape
    assert np.abs(small.astype(float) - large).mean() < 3


def test_the_gate_judges_the_film_and_not_its_cells(model, tmp_path):
    rng = np.random.default_rng(0)
    narrow = rng.integers(0, 4096, (2600, 600)).astype("<u2")
    path = save(coded(narrow, 12, "raw"), tmp_path / "film.dcm")
    assert "600 x 2600 pixels: aspect 4.3" in read_file(model.spec, path).reason


@pytest.mark.parametrize(
    ("steps", "is_averaged_first"),
    [
        ((Resize(shape=(224, 224)), Percentiles()), True),
        ((Hang(), Resize(shape=(320, 320), fit="letterbox")), True),
        ((Hang(), Resize(shape=(100, 320), fit="letterbox")), False),
        ((Percentiles(), Resize(shape=(224, 224))), False),
        ((Window(center=40, width=400), Resize(shape=(224, 224))), False),
        ((Resize(shape=(9, 9), fit="spacing", spacing_mm=(1, 1)),), False),
        ((Resize(shape=(32, 32, 32)),), False),
        ((Percentiles(),), False),
    ],
)
def test_detail_is_left_out_only_where_it_would_be_averaged_first(
    steps, is_averaged_first
):
    found = first_resize(Preprocessing(steps=steps))
    assert found == (
        next(s for s in steps if isinstance(s, Resize)) if is_averaged_first else None
    )
