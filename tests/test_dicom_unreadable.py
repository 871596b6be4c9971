"""Attributes on which pixels depend: what cannot be read is not the same as absent."""

import numpy as np
import pytest
from dicoms import RAMP_12, as_big_endian, lut_item, picture, save
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from medcnn import io
from medcnn.errors import DecodeError

_EXPLICIT_LITTLE = (False, True)


def with_raw(dataset, keyword, kind, value):
    """Put bytes into a data set that pydicom would not write by itself."""
    tag = Tag(keyword)
    raw = RawDataElement(tag, kind, len(value), value, 0, *_EXPLICIT_LITTLE)
    dataset._dict[tag] = raw
    return dataset


@pytest.mark.parametrize(
    "value", [b"2,5 ", b"two ", b"2_5 ", b"NaN ", b"1e999 ", b"1\\2 "]
)
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_rescale_that_is_no_number_is_refused_not_left_out(keyword, value, tmp_path):
    dataset = with_raw(picture(RAMP_12), keyword, "DS", value)
    with pytest.raises(DecodeError, match="cannot be read: it is not one number"):
        io.load(save(dataset, tmp_path / "a.dcm"))


@pytest.mark.parametrize("value", [b"2.5 ", b" 2.5", b"2.5\0"])
def test_padded_rescale_slope_is_read(value, tmp_path):
    dataset = with_raw(picture(RAMP_12), "RescaleSlope", "DS", value)
    image = io.load(save(dataset, tmp_path / "a.dcm"), values=True)
    np.testing.assert_allclose(image.picture(), RAMP_12 * 2.5)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NumberOfFrames", b"2,0 "),
        ("NumberOfFrames", b"1.5 "),
        ("PixelRepresentation", b"signed"),
        ("HighBit", b"x "),
    ],
)
def test_layout_that_cannot_be_read_is_refused(keyword, value, tmp_path):
    dataset = with_raw(picture(RAMP_12), keyword, "LO", value)
    with pytest.raises(DecodeError, match=r"not one number|whole number"):
        io.load(save(dataset, tmp_path / "a.dcm"))


def test_values_of_which_nothing_says_whether_they_are_signed_are_refused(tmp_path):
    dataset = picture(RAMP_12)
    del dataset.PixelRepresentation
    with pytest.raises(DecodeError, match="Pixel Representation is missing"):
        io.load(save(dataset, tmp_path / "a.dcm"))


def test_padding_value_that_cannot_be_read_is_told(tmp_path):
    dataset = with_raw(picture(RAMP_12), "PixelPaddingValue", "LO", b"none")
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    assert image.padding is None
    assert "its padding value cannot be read; no mask" in image.warnings


@pytest.mark.parametrize(
    ("center", "width"), [(b"700\\", b"300\\"), (b"700 ", b"300 ")]
)
def test_first_window_counts_where_the_second_is_empty(center, width, tmp_path):
    dataset = with_raw(picture(RAMP_12), "WindowCenter", "DS", center)
    dataset = with_raw(dataset, "WindowWidth", "DS", width)
    found = io.load(save(dataset, tmp_path / "a.dcm")).picture()
    share = (RAMP_12 - 699.5) / 299 + 0.5
    np.testing.assert_allclose(found, np.clip(share, 0, 1) * 65535, atol=0.5)


def test_window_that_cannot_be_read_is_told(tmp_path):
    dataset = with_raw(picture(RAMP_12), "WindowCenter", "DS", b"40,5")
    dataset = with_raw(dataset, "WindowWidth", "DS", b"400 ")
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.picture(), RAMP_12)
    assert "its window is invalid and was treated as absent" in image.warnings


def test_unknown_presentation_shape_does_not_undo_monochrome1(tmp_path):
    dataset = picture(RAMP_12, PhotometricInterpretation="MONOCHROME1")
    dataset.PresentationLUTShape = "NORMAL"
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.picture(), 4095 - RAMP_12)
    assert any("Presentation LUT Shape is none" in note for note in image.warnings)


def test_values_that_were_turned_over_have_no_unit(tmp_path):
    dataset = picture(RAMP_12, Modality="CT", PhotometricInterpretation="MONOCHROME1")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    path = save(dataset, tmp_path / "a.dcm")
    assert io.load(path, values=False).unit is None
    assert io.load(path, values=True).unit == "HU"


def test_table_of_one_entry_of_16_bits_is_no_table_of_bytes(tmp_path):
    dataset = picture(RAMP_12)
    dataset.ModalityLUTSequence = Sequence([lut_item([0x1234], 0, 16)])
    found = io.load(save(dataset, tmp_path / "a.dcm"), values=True).picture()
    assert (found == 0x1234).all()


@pytest.mark.parametrize("kind", ["OW", "US"])
def test_bytes_of_a_packed_table_in_big_endian_words_are_swapped_back(kind, tmp_path):
    entries = np.arange(255, -1, -1, np.uint8)
    item = lut_item([0] * 256, 0, 8)
    words = entries.view("<u2")
    value = words.byteswap().tobytes() if kind == "OW" else words.tolist()
    item.add_new("LUTData", kind, value)
    dataset = picture(RAMP_12 // 16, BitsStored=8)
    dataset.ModalityLUTSequence = Sequence([item])
    path = save(as_big_endian(dataset), tmp_path / "a.dcm")
    found = io.load(path, values=True).picture()
    np.testing.assert_array_equal(found, 255 - RAMP_12 // 16)


def test_first_input_of_a_table_above_32767_is_positive_for_positive_inputs(tmp_path):
    """In implicit VR nothing says US or SS, and signed pixels suggest the wrong one."""
    pixels = RAMP_12.astype("<i2") - 2048
    dataset = picture(pixels, PixelRepresentation=1)
    lut = lut_item(list(range(38000, 42096)), -2048, 16, signed=True)
    dataset.ModalityLUTSequence = Sequence([lut])
    dataset.VOILUTSequence = Sequence([lut_item([0, 65535], 40000, 16)])
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    found = io.load(save(dataset, tmp_path / "a.dcm"), values=False).picture()
    np.testing.assert_array_equal(found, np.where(RAMP_12 + 38000 > 40000, 65535, 0))
