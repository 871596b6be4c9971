"""DICOM pixels against dcmtk, an independent reader."""

import importlib.util
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from dicoms import RAMP_12, lut_item, picture, save
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medcnn import io

LEVEL = 65535 / 4095
"""dcmtk renders 12 bit input through tables of 12 bits or more."""


def render(dcm2pnm, path, *options):
    """Return dcmtk's 16 bit rendering of a file."""
    out = path.with_suffix(".pgm")
    command = [dcm2pnm, "+opw", *options, str(path), str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return cv2.imread(str(out), cv2.IMREAD_UNCHANGED)


WINDOW = {"WindowCenter": 1000, "WindowWidth": 2001}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("window", [{}, WINDOW])
def test_polarity_and_window_equal_dcm2pnm(photometric, shape, window, tool, tmp_path):
    parts = {} if shape is None else {"PresentationLUTShape": shape}
    dataset = picture(RAMP_12, PhotometricInterpretation=photometric, **parts, **window)
    path = save(dataset, tmp_path / "a.dcm")
    option = ["+Wi", "1"] if window else ["-W"]
    theirs = render(tool("dcm2pnm", "dcmtk"), path, *option).astype(float)
    ours = io.load(path).picture() * (1 if window else LEVEL)
    assert np.abs(ours - theirs).max() <= 2 * LEVEL


@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
@pytest.mark.parametrize("rescale", [(1, 0), (2.5, -1000)])
@pytest.mark.parametrize("sign", ["<u2", "<i2"])
def test_windows_after_rescale_equal_dcm2pnm(function, rescale, sign, tool, tmp_path):
    pixels = (RAMP_12.astype(int) - (2048 if sign == "<i2" else 0)).astype(sign)
    dataset = picture(
        pixels,
        RescaleSlope=rescale[0],
        RescaleIntercept=rescale[1],
        WindowCenter=900,
        WindowWidth=1500,
        VOILUTFunction=function,
    )
    path = save(dataset, tmp_path / "a.dcm")
    curve = "+Wfs" if function == "SIGMOID" else "+Wfl"
    theirs = render(tool("dcm2pnm", "dcmtk"), path, "+Wi", "1", curve).astype(float)
    assert np.abs(io.load(path).picture() - theirs).max() <= 2 * LEVEL


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_voi_lut_of_4096_entries_equals_dcm2pnm(bits, tool, tmp_path):
    curve = np.sqrt(np.linspace(0, 1, 4096))
    entries = np.rint(curve * (2**bits - 1)).astype(int).tolist()
    dataset = picture(RAMP_12)
    dataset.VOILUTSequence = Sequence([lut_item(entries, 0, bits)])
    path = save(dataset, tmp_path / "a.dcm")
    theirs = render(tool("dcm2pnm", "dcmtk"), path, "+Wl", "1").astype(float)
    assert np.abs(io.load(path).picture() - theirs).max() <= 65535 / (2**bits - 1) + 1


def test_modality_lut_and_window_equal_dcm2pnm(tool, tmp_path):
    entries = (60000 - 14 * np.arange(4096)).tolist()
    dataset = picture(RAMP_12, WindowCenter=30000, WindowWidth=40000)
    dataset.ModalityLUTSequence = Sequence([lut_item(entries, 0, 16)])
    path = save(dataset, tmp_path / "a.dcm")
    theirs = render(tool("dcm2pnm", "dcmtk"), path, "+Wi", "1").astype(float)
    assert np.abs(io.load(path).picture() - theirs).max() <= 2


@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_UNCR.dcm"])
def test_real_radiographs_equal_dcm2pnm(name, tool, tmp_path):
    source = get_testdata_file(name, download=False)
    if source is None:
        pytest.skip("needs the package pydicom-data")
    path = tmp_path / "a.dcm"
    path.write_bytes(Path(source).read_bytes())
    theirs = render(tool("dcm2pnm", "dcmtk"), path, "+Wi", "1").astype(float)
    ours = io.load(path).picture()
    assert np.abs(ours - theirs).max() <= 65535 / 1023 + 1


def decompressed(path, tool, folder):
    """Return a file's data set with native pixels, decompressed by dcmtk, or None."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    commands = {
        **dict.fromkeys(JPEGTransferSyntaxes, "dcmdjpeg"),
        **dict.fromkeys(JPEGLSTransferSyntaxes, "dcmdjpls"),
        RLELossless: "dcmdrle",
    }
    if syntax in JPEG2000TransferSyntaxes:
        return None
    name = commands.get(syntax, "dcmconv")
    options = ["+te"] if name == "dcmconv" else []
    out = folder / "native.dcm"
    command = [tool(name, "dcmtk"), *options, str(path), str(out)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return None
    found = pydicom.dcmread(out)
    native = found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    return found if native and "PixelData" in found else None


def grey_files():
    """Return the grey files of pydicom and pydicom-data that are on this machine."""
    found = []
    folders = [Path(pydicom.__file__).parent / "data" / "test_files"]
    package = importlib.util.find_spec("data_store")
    if package is not None:
        folders.append(Path(package.submodule_search_locations[0]) / "data")
    for name in sorted(path for folder in folders for path in folder.glob("*.dcm")):
        if b"DICM" not in name.read_bytes()[:132]:
            continue
        header = pydicom.dcmread(name, stop_before_pixels=True)
        is_grey = header.get("PhotometricInterpretation", "").startswith("MONO")
        if is_grey and header.get("BitsAllocated", 0) in {8, 16}:
            found.append(name)
    return found


def true_values(native):
    """Return stored values from the raw bytes by PS3.5 8.1.1, and rescaled."""
    size = native.BitsAllocated // 8
    count = native.Rows * native.Columns * int(native.get("NumberOfFrames") or 1)
    raw = np.frombuffer(native.PixelData, f"<u{size}", count).astype(np.int64)
    raw &= 2**native.BitsStored - 1
    if native.PixelRepresentation:
        sign = 2 ** (native.BitsStored - 1)
        raw = (raw ^ sign) - sign
    return raw.reshape(-1, native.Rows, native.Columns)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_measured_values_of_all_packaged_files_equal_dcmtk(tool, tmp_path):
    compared = 0
    for path in grey_files():
        native = decompressed(path, tool, tmp_path)
        enhanced = native is not None and "PerFrameFunctionalGroupsSequence" in native
        if native is None or enhanced or "ModalityLUTSequence" in native:
            continue
        if native.get("Modality") not in {"CT", "MR", "NM", "PT", "RTDOSE"}:
            continue
        slope = float(native.get("RescaleSlope", 1))
        wanted = true_values(native) * slope + float(native.get("RescaleIntercept", 0))
        ours = io.load(path).array[0].transpose(2, 1, 0)
        np.testing.assert_allclose(ours, wanted, rtol=1e-6, err_msg=path.name)
        compared += 1
    assert compared >= 15


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_displayed_values_of_all_packaged_files_equal_dcm2pnm(tool, tmp_path):
    compared = 0
    for path in grey_files():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        several = int(header.get("NumberOfFrames") or 1) > 1
        if several or header.get("Modality") in {"CT", "MR", "NM", "PT", "RTDOSE"}:
            continue
        copy = tmp_path / "a.dcm"
        copy.write_bytes(path.read_bytes())
        options = ["+Wi", "1"] if "WindowWidth" in header else ["-W"]
        if "VOILUTSequence" in header:
            options = ["+Wl", "1"]
        try:
            theirs = render(tool("dcm2pnm", "dcmtk"), copy, *options).astype(float)
        except subprocess.CalledProcessError:
            continue
        ours = io.load(path)
        if any("VOI" in step for step in ours.provenance):
            assert np.abs(ours.picture() - theirs).max() <= 300, path.name
        else:
            straight = np.corrcoef(ours.picture().ravel(), theirs.ravel())[0, 1]
            assert straight > 0.9999, path.name
        compared += 1
    assert compared >= 4
