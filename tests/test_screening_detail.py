"""Reading only the detail that a model needs gives the probability of the whole film.

`TOLERANCE` is stated in docs/screening.md.
"""

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
from medcnn.preprocessing.detail import detail_needed
from medcnn.screening.reader import read_file

pytestmark = pytest.mark.slow

TOLERANCE = 0.01
TOLERANCE_JPEG = 0.02


def _j2k(pixels, bits, **options):
    return imagecodecs.jpeg2k_encode(
        pixels, codecformat="J2K", bitspersample=bits, **options
    )


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


@pytest.fixture(scope="module")
def model():
    return medcnn.Model.open("chest-xray", threads=1)


def film(coding, name):
    """A real radiograph in that coding."""
    pixels = pydicom.dcmread(get_testdata_file(name)).pixel_array.astype("<u2")
    bits = max(int(pixels.max()).bit_length(), 10)
    if coding == "JPEG":
        pixels, bits = (pixels >> (bits - 8)).astype("u1"), 8
    dataset = picture(pixels, BitsStored=bits, HighBit=bits - 1)
    dataset.BodyPartExamined = "CHEST"
    if coding == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif coding != "raw":
        syntax, encode = CODINGS[coding]
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([encode(pixels, bits)])
        dataset["PixelData"].VR = "OB"
    return dataset


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_UNCR.dcm"])
@pytest.mark.parametrize("coding", ["raw", "RLE", *CODINGS])
def test_probabilities_are_those_of_the_whole_film(coding, name, model, tmp_path):
    path = save(film(coding, name), tmp_path / "film.dcm")
    reading = read_file(model.spec, path)
    whole = prepare(model.spec, medcnn.load(path))
    is_reduced = not np.array_equal(reading.tensor, whole.tensor)
    assert is_reduced or name == "RG3_UNCR.dcm"  # it is less than four times as large
    ours, theirs = (
        list(answer.prediction.probabilities.values())
        for answer in model.stream([reading.tensor, whole.tensor])
    )
    apart = np.abs(np.subtract(ours, theirs)).max()
    assert apart < (TOLERANCE_JPEG if coding == "JPEG" else TOLERANCE)


@pytest.mark.parametrize(
    ("steps", "needed"),
    [
        ((Resize(shape=(224, 224)), Percentiles()), 448),
        ((Hang(), Resize(shape=(100, 320), fit="letterbox")), 640),
        ((Percentiles(), Resize(shape=(224, 224))), None),
        ((Window(center=40, width=400), Resize(shape=(224, 224))), None),
        ((Resize(shape=(9, 9), fit="spacing", spacing_mm=(1, 1)),), None),
        ((Resize(shape=(32, 32, 32)),), None),
        ((Percentiles(),), None),
    ],
)
def test_detail_is_left_out_only_where_it_would_be_averaged_first(steps, needed):
    assert detail_needed(Preprocessing(steps=steps)) == needed
