"""Measured values or as displayed: what the caller asks for, and what the file says."""

import numpy as np
import pytest
from dicoms import RAMP_12, lut_item, picture, save
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medcnn import io
from medcnn.errors import DecodeError
from medcnn.preprocessing import Percentiles, Preprocessing

STORED = RAMP_12.astype(int)
WINDOW = {"WindowCenter": 1000, "WindowWidth": 2001}


def read(dataset, tmp_path, **options):
    return io.load(save(dataset, tmp_path / "a.dcm"), **options)


@pytest.mark.parametrize(
    ("modality", "values", "words"),
    [
        ("CT", None, "measured values: usual for CT"),
        ("RTDOSE", None, "measured values: usual for RTDOSE"),
        ("DX", None, "as displayed: usual for DX"),
        ("US", None, "as displayed: usual for US"),
        ("DX", True, "measured values: asked for"),
        ("CT", False, "as displayed: asked for"),
    ],
)
def test_the_choice_between_values_and_display_is_said(
    modality, values, words, tmp_path
):
    image = read(picture(RAMP_12, Modality=modality, **WINDOW), tmp_path, values=values)
    assert words in image.provenance
    assert bool(image.array.max() == 65535) is words.startswith("as displayed")


def test_values_that_are_asked_for_are_neither_windowed_nor_inverted(tmp_path):
    dataset = picture(
        RAMP_12,
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=2,
        RescaleIntercept=-7,
        **WINDOW,
    )
    image = read(dataset, tmp_path, values=True)
    np.testing.assert_array_equal(image.picture(), 2 * STORED - 7)
    assert any("MONOCHROME1" in note for note in image.warnings)


def test_a_ct_that_is_asked_for_as_displayed_is_windowed(tmp_path):
    dataset = picture(
        RAMP_12,
        Modality="CT",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=40.5,
        WindowWidth=401,
    )
    image = read(dataset, tmp_path, values=False)
    share = np.clip((STORED - 1024 - 40) / 400 + 0.5, 0, 1)
    np.testing.assert_allclose(image.picture(), share * 65535, atol=0.5)
    assert image.unit is None


@pytest.mark.parametrize(
    ("units", "wanted"), [("GY", "Gy"), ("RELATIVE", "relative dose")]
)
def test_dose_is_scaled_and_has_its_unit(units, wanted, tmp_path):
    pixels = (RAMP_12.astype("<u4") * 1000).astype("<u4")
    dataset = picture(pixels, BitsStored=32, Modality="RTDOSE", DoseUnits=units)
    dataset.DoseGridScaling = "1.5e-5"
    image = read(dataset, tmp_path)
    np.testing.assert_allclose(image.picture(), STORED * 1000 * 1.5e-5, rtol=1e-6)
    assert image.unit == wanted
    assert any("dose grid scaling" in step for step in image.provenance)


def test_dose_without_scaling_has_no_unit_and_is_told(tmp_path):
    image = read(picture(RAMP_12, Modality="RTDOSE", DoseUnits="GY"), tmp_path)
    assert image.unit is None
    assert any("no Dose Grid Scaling" in note for note in image.warnings)


def test_dose_scaled_by_0_is_refused(tmp_path):
    with pytest.raises(DecodeError, match="every dose 0"):
        read(picture(RAMP_12, Modality="RTDOSE", DoseGridScaling=0), tmp_path)


def test_pet_is_rescaled_and_has_its_unit(tmp_path):
    dataset = picture(
        RAMP_12, Modality="PT", RescaleSlope="0.37", RescaleIntercept=0, Units="BQML"
    )
    image = read(dataset, tmp_path)
    np.testing.assert_allclose(image.picture(), STORED * 0.37, rtol=1e-6)
    assert image.unit == "BQML"


def test_a_real_world_value_mapping_is_told_and_left_alone(tmp_path):
    dataset = picture(RAMP_12, Modality="MR")
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 3.0, 1.0
    dataset.RealWorldValueMappingSequence = Sequence([mapping])
    image = read(dataset, tmp_path)
    np.testing.assert_array_equal(image.picture(), RAMP_12)
    assert any("real world value mapping" in note for note in image.warnings)


@pytest.mark.parametrize("bits", range(10, 16))
def test_modality_luts_of_10_to_15_bits_give_their_entries(bits, tmp_path):
    entries = (np.arange(4096) * (2**bits - 1) // 4095).tolist()
    dataset = picture(RAMP_12, Modality="CT")
    dataset.ModalityLUTSequence = Sequence([lut_item(entries, 0, bits)])
    found = read(dataset, tmp_path).picture()
    np.testing.assert_array_equal(found, np.array(entries)[RAMP_12])


def test_a_modality_lut_of_signed_values_starts_below_0(tmp_path):
    pixels = (STORED - 2048).astype("<i2")
    entries = (np.arange(4096) * 3).tolist()
    dataset = picture(pixels, Modality="CT")
    item = lut_item(entries, -2048, 16, signed=True)
    dataset.ModalityLUTSequence = Sequence([item])
    np.testing.assert_array_equal(read(dataset, tmp_path).picture(), STORED * 3)


def test_a_range_of_signed_padding_is_masked_and_changes_nothing_else(tmp_path):
    pixels = (STORED - 2048).astype("<i2")
    dataset = picture(pixels, PhotometricInterpretation="MONOCHROME1")
    dataset.add_new("PixelPaddingValue", "SS", -2048)
    dataset.add_new("PixelPaddingRangeLimit", "SS", -2000)
    image = read(dataset, tmp_path)
    np.testing.assert_array_equal(image.padding[..., 0].T, pixels <= -2000)
    del dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit
    np.testing.assert_array_equal(image.array, read(dataset, tmp_path).array)


def test_padding_does_not_reach_what_a_network_sees(tmp_path):
    pixels = RAMP_12 // 2 + 1000
    pixels[:20] = 4095
    image = read(picture(pixels, PixelPaddingValue=4095), tmp_path)
    recipe = Preprocessing(steps=(Percentiles(low=0, high=100),))
    seen = recipe.apply(image).tensor[0]
    inside = pixels[20:].astype(float)
    wanted = (inside - inside.min()) / (inside.max() - inside.min())
    np.testing.assert_allclose(seen[20:], wanted, atol=2e-3)
    assert seen[:20].max() == 0
