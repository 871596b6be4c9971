"""The grey scale steps against the closed forms of DICOM PS3.3 C.11."""

import numpy as np
import pytest
from dicoms import RAMP_12, as_big_endian, lut_item, picture, save
from pydicom.sequence import Sequence
from scipy.special import expit

from medcnn import io
from medcnn.errors import DecodeError

STORED = RAMP_12.astype(np.float64)


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm"))


def closed_linear(x, center, width):
    """PS3.3 C.11.2.1.2.1, from its pseudo-code, case by case."""
    out = np.empty_like(x)
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    out[x <= low] = 0
    out[x > high] = 65535
    between = (x > low) & (x <= high)
    slope = ((x[between] - (center - 0.5)) / (width - 1) + 0.5) if width > 1 else 0
    out[between] = slope * 65535
    return out


def closed_exact(x, center, width):
    """PS3.3 C.11.2.1.3.2."""
    inner = ((x - center) / width + 0.5) * 65535
    return np.where(
        x <= center - width / 2, 0, np.where(x > center + width / 2, 65535, inner)
    )


def closed_sigmoid(x, center, width):
    """PS3.3 C.11.2.1.3.1."""
    return 65535 * expit(4 * (x - center) / width)


@pytest.mark.parametrize(("center", "width"), [(1000, 2001), (2048, 4096), (700.5, 1)])
@pytest.mark.parametrize(
    ("function", "closed"),
    [
        ("LINEAR", closed_linear),
        ("LINEAR_EXACT", closed_exact),
        ("SIGMOID", closed_sigmoid),
    ],
)
def test_window_equals_the_closed_form(function, closed, center, width, tmp_path):
    image = read(
        picture(
            RAMP_12, WindowCenter=center, WindowWidth=width, VOILUTFunction=function
        ),
        tmp_path,
    )
    assert image.array.dtype == np.uint16
    np.testing.assert_allclose(image.picture(), closed(STORED, center, width), atol=0.5)


def test_first_of_several_windows_is_taken_and_said(tmp_path):
    image = read(
        picture(RAMP_12, WindowCenter=[500, 2000], WindowWidth=[100, 4000]), tmp_path
    )
    np.testing.assert_allclose(
        image.picture(), closed_linear(STORED, 500, 100), atol=0.5
    )
    assert "the first of 2" in image.provenance[1]


@pytest.mark.parametrize("width", [0, -5, 0.5])
def test_invalid_window_is_treated_as_absent_with_a_warning(width, tmp_path):
    image = read(picture(RAMP_12, WindowCenter=500, WindowWidth=width), tmp_path)
    np.testing.assert_array_equal(image.picture(), RAMP_12)
    assert any("window is invalid" in note for note in image.warnings)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_voi_lut_of_4096_entries_equals_its_entries(bits, tmp_path):
    entries = (np.arange(4096) ** 2 * (2**bits - 1) // 4095**2).tolist()
    dataset = picture(RAMP_12)
    dataset.VOILUTSequence = Sequence([lut_item(entries, 0, bits)])
    wanted = np.array(entries)[RAMP_12] * 65535 / (2**bits - 1)
    np.testing.assert_allclose(read(dataset, tmp_path).picture(), wanted, atol=0.5)


def test_voi_lut_of_8_bit_entries_packed_in_bytes(tmp_path):
    entries = np.arange(256)[::-1]
    item = lut_item(entries.tolist(), 1000, 8)
    item.LUTData = entries.astype(np.uint8).tobytes()
    dataset = picture(RAMP_12)
    dataset.VOILUTSequence = Sequence([item])
    wanted = 255 - np.clip(STORED - 1000, 0, 255)
    np.testing.assert_allclose(
        read(dataset, tmp_path).picture(), wanted * 257, atol=0.5
    )


def test_voi_lut_after_negative_modality_values_has_a_negative_first_value(tmp_path):
    entries = np.arange(2048).tolist()
    item = lut_item(entries, -1000, 11, signed=True)
    dataset = picture(RAMP_12, RescaleSlope=1, RescaleIntercept=-1024)
    dataset.VOILUTSequence = Sequence([item])
    wanted = np.clip(STORED - 1024 + 1000, 0, 2047) * 65535 / 2047
    np.testing.assert_allclose(read(dataset, tmp_path).picture(), wanted, atol=0.5)


def test_modality_lut_replaces_rescale(tmp_path):
    entries = (40000 - 9 * np.arange(4096)).tolist()
    dataset = picture(RAMP_12, RescaleSlope=3, RescaleIntercept=7)
    dataset.ModalityLUTSequence = Sequence([lut_item(entries, 0, 16)])
    image = read(dataset, tmp_path)
    np.testing.assert_array_equal(image.picture(), 40000 - 9 * RAMP_12.astype(int))


def test_modality_lut_of_a_big_endian_file_is_the_same(tmp_path):
    entries = 40000 - 9 * np.arange(4096)
    item = lut_item(entries.tolist(), 0, 16)
    item["LUTData"].value = entries.astype(">u2").tobytes()
    dataset = as_big_endian(picture(RAMP_12))
    dataset.ModalityLUTSequence = Sequence([item])
    image = read(dataset, tmp_path)
    np.testing.assert_array_equal(image.picture(), 40000 - 9 * RAMP_12.astype(int))


def test_values_beyond_the_ends_of_a_lut_take_its_end_entries(tmp_path):
    dataset = picture(RAMP_12)
    dataset.ModalityLUTSequence = Sequence([lut_item([5, 6, 7], 2000, 16)])
    values = read(dataset, tmp_path).picture()
    assert values[RAMP_12 < 2000].max() == 5
    assert values[RAMP_12 > 2001].min() == 7


def test_lut_of_another_length_than_declared_is_refused(tmp_path):
    item = lut_item([1, 2, 3], 0, 16)
    item.LUTDescriptor = [4096, 0, 16]
    dataset = picture(RAMP_12)
    dataset.VOILUTSequence = Sequence([item])
    with pytest.raises(DecodeError, match="does not hold 4096 entries"):
        read(dataset, tmp_path)


def test_slope_without_intercept_is_honoured(tmp_path):
    image = read(picture(RAMP_12, RescaleSlope=2.5), tmp_path)
    np.testing.assert_allclose(image.picture(), 2.5 * STORED)


def test_slope_zero_is_refused(tmp_path):
    with pytest.raises(DecodeError, match="Rescale Slope is 0"):
        read(picture(RAMP_12, RescaleSlope=0, RescaleIntercept=5), tmp_path)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_ct_keeps_hounsfield_units_whatever_its_window_and_polarity(
    photometric, tmp_path
):
    dataset = picture(
        RAMP_12,
        Modality="CT",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=40,
        WindowWidth=400,
        PhotometricInterpretation=photometric,
    )
    image = read(dataset, tmp_path)
    assert image.unit == "HU"
    assert image.array.dtype == np.int16
    np.testing.assert_array_equal(image.picture(), RAMP_12.astype(int) - 1024)


@pytest.mark.parametrize("sign", ["<u2", "<i2"])
def test_monochrome1_without_window_is_inverted_within_its_range(sign, tmp_path):
    pixels = RAMP_12.astype("<i4") - (2048 if sign == "<i2" else 0)
    image = read(
        picture(pixels.astype(sign), PhotometricInterpretation="MONOCHROME1"), tmp_path
    )
    top = -1 if sign == "<i2" else 4095
    np.testing.assert_array_equal(image.picture(), top - pixels)


def test_monochrome1_with_window_is_inverted_after_it(tmp_path):
    dataset = picture(
        RAMP_12,
        PhotometricInterpretation="MONOCHROME1",
        WindowCenter=1000,
        WindowWidth=2001,
    )
    wanted = 65535 - closed_linear(STORED, 1000, 2001)
    np.testing.assert_allclose(read(dataset, tmp_path).picture(), wanted, atol=1)


def test_contradicting_polarity_is_warned_of(tmp_path):
    image = read(
        picture(
            RAMP_12,
            PhotometricInterpretation="MONOCHROME1",
            PresentationLUTShape="IDENTITY",
        ),
        tmp_path,
    )
    np.testing.assert_array_equal(image.picture(), RAMP_12)
    assert any("contradicts" in note for note in image.warnings)


def test_twelve_signed_bits_without_sign_extension_and_with_overlay_bits(tmp_path):
    true = RAMP_12.astype(int) - 2048
    garbage = np.where(np.arange(RAMP_12.size).reshape(64, 64) % 3 == 0, 0xA000, 0)
    pixels = ((true & 0x0FFF) | garbage).astype("<u2").view("<i2")
    image = read(picture(pixels), tmp_path)
    np.testing.assert_array_equal(image.picture(), true)


def test_padding_value_becomes_a_mask(tmp_path):
    image = read(picture(RAMP_12, PixelPaddingValue=0), tmp_path)
    np.testing.assert_array_equal(image.padding[..., 0].T, RAMP_12 == 0)


def test_padding_range_becomes_a_mask(tmp_path):
    dataset = picture(RAMP_12, PixelPaddingValue=10, PixelPaddingRangeLimit=200)
    wanted = (RAMP_12 >= 10) & (RAMP_12 <= 200)
    np.testing.assert_array_equal(read(dataset, tmp_path).padding[..., 0].T, wanted)


def test_signed_padding_written_as_unsigned_is_understood(tmp_path):
    pixels = (RAMP_12.astype(int) - 2048).astype("<i2")
    dataset = picture(pixels, BitsStored=16)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2048)
    image = read(dataset, tmp_path)
    np.testing.assert_array_equal(image.padding[..., 0].T, pixels == -2048)


def test_absent_padding_is_none(tmp_path):
    assert read(picture(RAMP_12), tmp_path).padding is None
    half = RAMP_12 // 2
    assert read(picture(half, PixelPaddingValue=4095), tmp_path).padding is None


def test_32_bit_values_are_rescaled_in_floating_point(tmp_path):
    pixels = (np.arange(12).reshape(3, 4) * 100_000).astype("<u4")
    dataset = picture(pixels, Modality="CT", BitsStored=32, RescaleSlope=0.5)
    image = read(dataset, tmp_path)
    np.testing.assert_allclose(image.picture(), pixels * 0.5)


def test_steps_are_recorded_in_the_order_they_were_applied(tmp_path):
    dataset = picture(
        RAMP_12,
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=2,
        RescaleIntercept=-10,
        WindowCenter=1000,
        WindowWidth=500,
        PixelPaddingValue=0,
    )
    steps = read(dataset, tmp_path).provenance
    starts = (
        "stored values",
        "rescale",
        "VOI window",
        "MONOCHROME1",
        "padding",
        "as displayed: usual for CR",
    )
    assert len(steps) == len(starts)
    assert all(
        step.startswith(start) for step, start in zip(steps, starts, strict=True)
    )


def test_a_ct_whose_stated_rescale_changes_nothing_is_in_hounsfield_units():
    parts = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": 0}
    stated = io.load(picture(RAMP_12, **parts))
    assert stated.unit == "HU"
    np.testing.assert_array_equal(stated.picture(), RAMP_12)
    assert io.load(picture(RAMP_12, Modality="CT")).unit is None
