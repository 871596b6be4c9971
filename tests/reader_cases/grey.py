"""Grey pictures: stored bits, modality, VOI and polarity, one at a time."""

from pathlib import Path

import numpy as np
from dicoms import RAMP_12, lut_item, picture, save
from pydicom.sequence import Sequence
from scipy.special import expit

from reader_cases.case import Case, Grey, Group

STORED = RAMP_12.astype(np.float64)
SIGNED = STORED - 2048
OTHERS = np.where(np.arange(RAMP_12.size).reshape(64, 64) % 3 == 0, 0xA000, 0)
"""Bits above the stored ones, such as an old overlay has."""


def linear(x, center, width):
    """Return 0 to 1 by PS3.3 C.11.2.1.2.1, case by case."""
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    between = (x - (center - 0.5)) / max(width - 1, 1e-9) + 0.5
    return np.where(x <= low, 0.0, np.where(x > high, 1.0, between))


def linear_exact(x, center, width):
    """Return 0 to 1 by PS3.3 C.11.2.1.3.2."""
    return np.clip((x - center) / width + 0.5, 0, 1)


def sigmoid(x, center, width):
    """Return 0 to 1 by PS3.3 C.11.2.1.3.1."""
    return expit(4 * (x - center) / width)


def case(name, truth, pixels=RAMP_12, sequence=None, **attributes):
    """Return a case of one file; `sequence` is (keyword, item)."""

    def build(folder: Path) -> Path:
        dataset = picture(pixels, **attributes)
        if sequence:
            setattr(dataset, sequence[0], Sequence([sequence[1]]))
        return save(dataset, folder / "picture.dcm")

    return Case(name, build, truth)


def window(center, width, **others):
    return {"WindowCenter": center, "WindowWidth": width, **others}


def windowed(name, shown, **attributes):
    """Return a case with a VOI transformation and the polarity of MONOCHROME2."""
    return case(name, Grey(STORED, display=shown, voi=shown), **attributes)


def plain(name, values, pixels=RAMP_12, **attributes):
    """Return a case without VOI transformation, bright where values are high."""
    return case(name, Grey(values, display=values), pixels, **attributes)


def inverted(name, values, total, pixels=RAMP_12, **attributes):
    """Return a case of MONOCHROME1 without VOI transformation."""
    attributes = {"PhotometricInterpretation": "MONOCHROME1"} | attributes
    turned = total - values
    truth = Grey(values, display=turned, upright=turned)
    return case(name, truth, pixels, **attributes)


def _luts():
    """Return cases with look-up tables."""
    falling = 60000 - 14 * np.arange(4096)
    falling_table = ("ModalityLUTSequence", lut_item(falling.tolist(), 0, 16))
    values = falling[RAMP_12].astype(float)
    shown = linear(values, 30000, 40000)
    cases = [
        case(
            "Modality LUT Sequence, then a window",
            Grey(values, display=shown, voi=shown),
            sequence=falling_table,
            **window(30000, 40000),
        ),
        case(
            "Modality LUT Sequence",
            Grey(values, display=values),
            sequence=falling_table,
        ),
    ]
    for bits in (8, 12, 16):
        entries = np.rint(np.sqrt(np.linspace(0, 1, 4096)) * (2**bits - 1)).astype(int)
        shown = entries[RAMP_12] / (2**bits - 1)
        cases.append(
            windowed(
                f"VOI LUT, 4096 entries of {bits} bits in words",
                shown,
                sequence=("VOILUTSequence", lut_item(entries.tolist(), 0, bits)),
            )
        )
    packed = lut_item(entries.tolist(), 0, 8)
    packed.LUTData = (entries >> 8).astype("u1").tobytes()
    shown = (entries >> 8)[RAMP_12] / 255
    name = "VOI LUT, 4096 entries of 8 bits, packed"
    return [*cases, windowed(name, shown, sequence=("VOILUTSequence", packed))]


def _cases():
    one = {"PhotometricInterpretation": "MONOCHROME1"}
    shown = linear(STORED, 1000, 2001)
    ct = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    padded = np.where(STORED < 400, 0, STORED).astype("<u2")
    return (
        inverted("MONOCHROME1", STORED, 4095),
        inverted(
            "MONOCHROME1, rescaled",
            2 * STORED - 10,
            2 * 4095 - 20,
            RescaleSlope=2,
            RescaleIntercept=-10,
        ),
        inverted("MONOCHROME1, signed", SIGNED, -1, SIGNED.astype("<i2")),
        inverted(
            "MONOCHROME1, Presentation LUT Shape INVERSE",
            STORED,
            4095,
            PresentationLUTShape="INVERSE",
        ),
        case(
            "MONOCHROME1, window",
            Grey(STORED, display=1 - shown, voi=shown, upright=4095 - STORED),
            **one,
            **window(1000, 2001),
        ),
        case(
            "MONOCHROME1, CT: Hounsfield units",
            Grey(STORED - 1024),
            **one,
            **ct,
        ),
        inverted(
            "MONOCHROME2, Presentation LUT Shape INVERSE",
            STORED,
            4095,
            PhotometricInterpretation="MONOCHROME2",
            PresentationLUTShape="INVERSE",
        ),
        *_luts(),
        windowed("Window LINEAR", shown, **window(1000, 2001)),
        windowed("Window of width 1", linear(STORED, 2000, 1), **window(2000, 1)),
        windowed(
            "First of two windows",
            linear(STORED, 500, 1000),
            **window([500, 2000], [1000, 4000]),
        ),
        windowed(
            "Window SIGMOID",
            sigmoid(STORED, 1500, 1200),
            **window(1500, 1200, VOILUTFunction="SIGMOID"),
        ),
        windowed(
            "Window LINEAR_EXACT",
            linear_exact(STORED, 20, 8),
            **window(20, 8, VOILUTFunction="LINEAR_EXACT"),
        ),
        plain("Window Width 0", STORED, **window(1000, 0)),
        plain("Rescale Slope without Intercept", 2.5 * STORED, RescaleSlope=2.5),
        case(
            "Rescale Slope 0",
            Grey(np.full_like(STORED, 5.0)),
            RescaleSlope=0,
            RescaleIntercept=5,
        ),
        plain(
            "12 signed bits, sign not extended",
            SIGNED,
            (SIGNED.astype(int) & 0x0FFF).astype("<u2").view("<i2"),
            PixelRepresentation=1,
        ),
        plain(
            "12 bits under an old overlay's bits",
            STORED,
            (RAMP_12 | OTHERS).astype("<u2"),
        ),
        plain("High Bit 15 of 12 bits", STORED, RAMP_12 << 4, HighBit=15),
        case(
            "Pixel Padding Value",
            Grey(padded.astype(float), padding=padded == 0),
            padded,
            PixelPaddingValue=0,
        ),
    )


GREY = Group("grey", "Grey values of one picture", _cases(), "Window LINEAR")
