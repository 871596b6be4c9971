"""Every coding and colour that dcmtk writes, read like dcmtk reads it."""

import subprocess
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from dicoms import RAMP_12, picture, save
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGBaseline8Bit
from test_dicom_colour import SMOOTH, colour, compressed

from medcnn import io

BASE = cv2.GaussianBlur(
    np.random.default_rng(6).normal(0, 1, (60, 70)).astype(np.float32), (0, 0), 3
)
GREY_12 = np.clip(2000 + 6000 * BASE, 0, 4095).astype("<u2")
JPEG_TOLERANCE = 2
"""Two decoders may round their cosines and colours differently, by 1 each."""


def run(*command):
    return subprocess.run(
        [str(part) for part in command], capture_output=True, check=False
    )


def picture_of(path):
    """Return what dcmtk decompressed, from its raw bytes."""
    native = pydicom.dcmread(path)
    kind = f"<u{native.BitsAllocated // 8}"
    pixels = np.frombuffer(native.PixelData, kind)
    shape = (native.Rows, native.Columns)
    if native.SamplesPerPixel == 1:
        return pixels[: shape[0] * shape[1]].reshape(shape)
    if native.PlanarConfiguration:
        return pixels[: 3 * shape[0] * shape[1]].reshape(3, *shape).transpose(1, 2, 0)
    return pixels[: 3 * shape[0] * shape[1]].reshape(*shape, 3)


def raw_film(pixels, **attributes):
    """A picture without window: stored values are what is displayed."""
    return picture(pixels, Modality="CT", **attributes)


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_jpeg_of_every_predictor_equals_the_original(
    predictor, bits, tool, tmp_path
):
    pixels = (GREY_12 >> 4).astype("u1") if bits == 8 else GREY_12 << (bits - 12)
    path = save(raw_film(pixels, BitsStored=bits), tmp_path / "a.dcm")
    out = tmp_path / "b.dcm"
    options = ["+el", "+sv", predictor, "+pt", 0, "+cn"]
    done = run(tool("dcmcjpeg", "dcmtk"), *options, path, out)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(io.load(out).picture(), pixels)


@pytest.mark.parametrize("process", ["+eb", "+ee", "+es", "+ep"])
@pytest.mark.parametrize("bits", [8, 12])
def test_lossy_jpeg_of_every_process_equals_dcmdjpeg(process, bits, tool, tmp_path):
    if process == "+eb" and bits == 12:
        pytest.skip("baseline is 8 bits")
    pixels = (GREY_12 >> 4).astype("u1") if bits == 8 else GREY_12
    path = save(raw_film(pixels, BitsStored=bits), tmp_path / "a.dcm")
    coded, plain = tmp_path / "b.dcm", tmp_path / "c.dcm"
    done = run(tool("dcmcjpeg", "dcmtk"), process, "+q", 95, path, coded)
    assert done.returncode == 0, done.stderr
    assert run(tool("dcmdjpeg", "dcmtk"), coded, plain).returncode == 0
    ours = io.load(coded, values=True)
    theirs = pydicom.dcmread(plain)
    slope = float(theirs.get("RescaleSlope", 1))
    wanted = picture_of(plain) * slope + float(theirs.get("RescaleIntercept", 0))
    assert np.abs(ours.picture() - wanted).max() <= JPEG_TOLERANCE * slope


@pytest.mark.parametrize("subsampling", ["+s4", "+s2"])
@pytest.mark.parametrize("space", ["+cy", "+cr"])
def test_baseline_jpeg_of_colour_equals_dcmdjpeg(subsampling, space, tool, tmp_path):
    path = save(colour(SMOOTH), tmp_path / "a.dcm")
    coded, plain = tmp_path / "b.dcm", tmp_path / "c.dcm"
    options = ["+eb", "+q", 95, space, subsampling]
    if space == "+cr":
        options = options[:-1]
    done = run(tool("dcmcjpeg", "dcmtk"), *options, path, coded)
    assert done.returncode == 0, done.stderr
    assert run(tool("dcmdjpeg", "dcmtk"), coded, plain).returncode == 0
    assert pydicom.dcmread(plain).PhotometricInterpretation == "RGB"
    apart = np.abs(io.load(coded).picture().astype(int) - picture_of(plain))
    assert apart.max() <= JPEG_TOLERANCE


@pytest.mark.parametrize("subsampling", ["422", "420", "444"])
def test_jpeg_of_shared_colours_equals_dcmdjpeg(subsampling, tool, tmp_path):
    frame = imagecodecs.jpeg8_encode(SMOOTH, level=95, subsampling=subsampling)
    dataset = compressed(SMOOTH, JPEGBaseline8Bit, frame, "YBR_FULL_422")
    coded, plain = save(dataset, tmp_path / "b.dcm"), tmp_path / "c.dcm"
    assert run(tool("dcmdjpeg", "dcmtk"), coded, plain).returncode == 0
    apart = np.abs(io.load(coded).picture().astype(int) - picture_of(plain))
    assert apart.max() <= JPEG_TOLERANCE


@pytest.mark.parametrize("interleave", ["+iv", "+il", "+is", "+in"])
def test_jpeg_ls_of_every_interleave_mode_equals_the_original(
    interleave, tool, tmp_path
):
    path, out = save(colour(SMOOTH), tmp_path / "a.dcm"), tmp_path / "b.dcm"
    done = run(tool("dcmcjpls", "dcmtk"), interleave, path, out)
    if done.returncode:
        pytest.skip(f"this dcmcjpls has no {interleave}")
    np.testing.assert_array_equal(io.load(out).picture(), SMOOTH)


@pytest.mark.parametrize("error", [1, 3])
def test_near_lossless_jpeg_ls_equals_dcmdjpls(error, tool, tmp_path):
    path = save(raw_film(GREY_12), tmp_path / "a.dcm")
    coded, plain = tmp_path / "b.dcm", tmp_path / "c.dcm"
    run(tool("dcmcjpls", "dcmtk"), "+en", "+md", error, path, coded)
    assert run(tool("dcmdjpls", "dcmtk"), coded, plain).returncode == 0
    found = io.load(coded).picture()
    np.testing.assert_array_equal(found, picture_of(plain))
    assert np.abs(found.astype(int) - GREY_12).max() == error


@pytest.mark.parametrize("syntax", ["+ti", "+tb", "+te", "+td"])
def test_every_uncompressed_syntax_equals_the_original(syntax, tool, tmp_path):
    path, out = save(raw_film(GREY_12), tmp_path / "a.dcm"), tmp_path / "b.dcm"
    assert run(tool("dcmconv", "dcmtk"), syntax, path, out).returncode == 0
    np.testing.assert_array_equal(io.load(out).picture(), GREY_12)
    path = save(colour(SMOOTH), tmp_path / "a.dcm")
    assert run(tool("dcmconv", "dcmtk"), syntax, path, out).returncode == 0
    np.testing.assert_array_equal(io.load(out).picture(), SMOOTH)


@pytest.mark.parametrize("planar", [0, 1])
def test_run_lengths_of_dcmtk_equal_the_original(planar, tool, tmp_path):
    dataset = colour(SMOOTH, PlanarConfiguration=planar)
    path, out = save(dataset, tmp_path / "a.dcm"), tmp_path / "b.dcm"
    assert run(tool("dcmcrle", "dcmtk"), path, out).returncode == 0
    np.testing.assert_array_equal(io.load(out).picture(), SMOOTH)


PALETTES = [
    "OT-PAL-8-face.dcm",
    "examples_palette.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "SC_ybr_full_uncompressed.dcm",
]


@pytest.mark.parametrize("name", PALETTES)
def test_real_palettes_and_ybr_equal_dcm2pnm(name, tool, tmp_path):
    source = get_testdata_file(name, download=False)
    if source is None:
        pytest.skip("needs the package pydicom-data")
    ours = io.load(Path(source)).picture()
    out = tmp_path / "a.ppm"
    depth = "+on" if ours.dtype == np.uint16 else "+op"
    done = run(tool("dcm2pnm", "dcmtk"), depth, source, out)
    assert done.returncode == 0, done.stderr
    theirs = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(int)
    scale = 257 if ours.dtype == np.uint16 and theirs.max() < 256 else 1
    assert np.abs(ours - theirs * scale).max() <= JPEG_TOLERANCE * scale


@pytest.mark.parametrize("name", ["gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"])
def test_segmented_palettes_equal_gdcm(name, tool, tmp_path):
    source = get_testdata_file(name, download=False)
    if source is None:
        pytest.skip("needs the package pydicom-data")
    out = tmp_path / "a.dcm"
    done = run(tool("gdcmconv", "libgdcm-tools"), "--apply-lut", source, out)
    assert done.returncode == 0, done.stderr
    ours = io.load(Path(source)).picture().astype(int)
    assert np.abs(ours - picture_of(out)).max() <= 1


def test_jpeg_2000_of_dicom_equals_gdcm(tool, tmp_path):
    path, out = save(raw_film(RAMP_12), tmp_path / "a.dcm"), tmp_path / "b.dcm"
    assert run(tool("gdcmconv", "libgdcm-tools"), "--j2k", path, out).returncode == 0
    np.testing.assert_array_equal(io.load(out).picture(), RAMP_12)
