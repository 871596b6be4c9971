"""One picture in every coding: transfer syntaxes, colour models, containers."""

from pathlib import Path

import imagecodecs
import numpy as np
from dicoms import RAMP_12, as_big_endian, picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from reader_cases.case import Case, Colour, Grey, Group

STORED = RAMP_12.astype(np.float64)
ROWS, COLUMNS = 24, 32
RGB = np.stack(
    [
        np.add.outer(np.arange(ROWS) * 5, np.arange(COLUMNS) * 4) % 256,
        np.add.outer(np.arange(ROWS) * 9, np.arange(COLUMNS) * 2) % 256,
        np.add.outer(np.arange(ROWS) * 1, np.arange(COLUMNS) * 7) % 256,
    ],
    -1,
).astype(np.uint8)
BITS = (np.add.outer(np.arange(64), 3 * np.arange(64)) % 7 < 3).astype("u1")
FLOATS = np.sin(np.arange(64 * 64, dtype="<f4")).reshape(64, 64)
SMOOTH = np.stack(
    np.broadcast_arrays(
        np.linspace(40, 200, ROWS)[:, None],
        np.linspace(60, 180, COLUMNS)[None, :],
        np.full((ROWS, COLUMNS), 120.0),
    ),
    -1,
)
"""Colours without edges, RGB: halving their chroma loses little."""


def grey(name, change, values=STORED, pixels=RAMP_12, **attributes):
    """Return a case of a CT, whose values are measurements."""

    def build(folder: Path) -> Path:
        dataset = picture(pixels, Modality="CT", **attributes)
        return save(change(dataset) or dataset, folder / "picture.dcm")

    return Case(name, build, Grey(values))


def syntax(uid):
    """Return a change to another uncompressed transfer syntax."""

    def change(dataset):
        dataset.file_meta.TransferSyntaxUID = uid

    return change


def swapped_words(folder: Path) -> Path:
    """Write 8 bits as words in big endian: each pair of pixels is swapped."""
    dataset = picture((RAMP_12 >> 4).astype("u1"), Modality="CT")
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pixels = np.frombuffer(dataset.PixelData, "<u2")
    dataset.PixelData = pixels.byteswap().tobytes()
    dataset["PixelData"].VR = "OW"
    return save(dataset, folder / "picture.dcm")


def packed(uid, encode):
    """Return a change to a compressed transfer syntax."""

    def change(dataset):
        dataset.file_meta.TransferSyntaxUID = uid
        dataset.PixelData = encapsulate([encode(RAMP_12)])
        dataset["PixelData"].is_undefined_length = True

    return change


def run_lengths(dataset):
    dataset.compress(RLELossless)


def colour(name, raw, truth, tolerance=0.0, **attributes):
    """Return a case of three samples per pixel; `raw` is its Pixel Data."""

    def build(folder: Path) -> Path:
        dataset = picture(np.zeros((ROWS, COLUMNS), "u1"), Modality="OT")
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
        dataset.PhotometricInterpretation = "RGB"
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelData = raw
        return save(dataset, folder / "picture.dcm")

    return Case(name, build, Colour(truth, tolerance))


def one_bit(folder: Path) -> Path:
    dataset = picture(BITS, Modality="SEG")
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = np.packbits(BITS, bitorder="little").tobytes()
    return save(dataset, folder / "picture.dcm")


def floats(folder: Path) -> Path:
    dataset = picture(RAMP_12, Modality="MR")
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        del dataset[keyword]
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = FLOATS.tobytes()
    return save(dataset, folder / "picture.dcm")


def to_ybr(rgb):
    """Return YBR_FULL of RGB by PS3.3 C.7.6.3.1.2."""
    matrix = np.array(
        [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]]
    )
    return rgb @ matrix.T + [0, 128, 128]


def bytes_of(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def half_chroma():
    """Return YBR_FULL_422 by PS3.3 C.7.6.3.1.2: Y1 Y2 CB CR for each two pixels."""
    ybr = bytes_of(to_ybr(SMOOTH))
    luma = ybr[..., 0].reshape(ROWS, -1, 2)
    return np.concatenate([luma, ybr[:, ::2, 1:]], -1).tobytes()


def palette(folder: Path) -> Path:
    indices = (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 256).astype("u1")
    dataset = picture(indices, PhotometricInterpretation="PALETTE COLOR", Modality="OT")
    dataset.BitsStored, dataset.HighBit = 8, 7
    for name, table in zip(("Red", "Green", "Blue"), _TABLES, strict=True):
        keyword = f"{name}PaletteColorLookupTable"
        setattr(dataset, f"{keyword}Descriptor", [256, 0, 16])
        setattr(dataset, f"{keyword}Data", table.astype("<u2").tobytes())
    return save(dataset, folder / "picture.dcm")


_TABLES = [np.arange(256) * 257, 65535 - np.arange(256) * 257, np.arange(256) * 99]


def wide_colour(name):
    wide = RGB.astype("<u2") * 257
    return colour(
        name, wide.tobytes(), wide, BitsAllocated=16, BitsStored=16, HighBit=15
    )


def _cases():
    indices = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 256
    wide = (np.arange(RAMP_12.size).reshape(64, 64) * 999_983).astype("<u4")
    return (
        grey("Implicit VR little endian", syntax(ImplicitVRLittleEndian)),
        grey("Explicit VR big endian", as_big_endian),
        Case("8 bits in words, big endian", swapped_words, Grey((RAMP_12 >> 4) * 1.0)),
        grey("Deflated", syntax(DeflatedExplicitVRLittleEndian)),
        grey("RLE", run_lengths),
        grey(
            "JPEG lossless",
            packed(
                JPEGLosslessSV1,
                lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12),
            ),
        ),
        grey("JPEG-LS", packed(JPEGLSLossless, imagecodecs.jpegls_encode)),
        grey(
            "JPEG 2000 lossless",
            packed(
                JPEG2000Lossless,
                lambda p: imagecodecs.jpeg2k_encode(p, level=0, codecformat="J2K"),
            ),
        ),
        grey("HTJ2K lossless", packed(HTJ2KLossless, imagecodecs.htj2k_encode)),
        grey(
            "32 bits",
            lambda _: None,
            wide.astype(float),
            wide,
            BitsStored=32,
        ),
        Case("1 bit", one_bit, Grey(BITS.astype(float))),
        Case("Float Pixel Data", floats, Grey(FLOATS.astype(float))),
        colour("RGB", RGB.tobytes(), RGB, BitsStored=8),
        colour(
            "RGB, plane by plane",
            RGB.transpose(2, 0, 1).tobytes(),
            RGB,
            BitsStored=8,
            PlanarConfiguration=1,
        ),
        wide_colour("RGB of 16 bits"),
        colour(
            "YBR_FULL",
            bytes_of(to_ybr(SMOOTH)).tobytes(),
            SMOOTH,
            3.0,
            BitsStored=8,
            PhotometricInterpretation="YBR_FULL",
        ),
        colour(
            "YBR_FULL_422",
            half_chroma(),
            SMOOTH,
            8.0,
            BitsStored=8,
            PhotometricInterpretation="YBR_FULL_422",
        ),
        Case(
            "Palette of 16 bits",
            palette,
            Colour(np.stack([table[indices] for table in _TABLES], -1)),
        ),
    )


CODINGS = Group("codings", "Codings and colours", _cases(), "Implicit VR little endian")
