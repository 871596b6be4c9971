"""Every DICOM file at hand equals an independent decoder's, or is refused.

dcmtk decompresses; gdcm does where dcmtk cannot (JPEG 2000). What they write is read
with numpy alone. A refusal is a sentence and says what to do.
"""

import importlib.util
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medcnn.errors import NoPixelsError, ReadError
from medcnn.io.dicom.parse import parse, quiet
from medcnn.io.dicom.pixels.layout import layout_of
from medcnn.io.dicom.pixels.stored import container

COLOUR_TOLERANCE = 3
"""Two decoders may round cosines, colours and shared colours by 1 each."""
MOST_BYTES = 60_000_000


def files(*folders):
    """Yield each DICOM file once."""
    seen = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            continue
        content = path.read_bytes()
        if content[128:132] == b"DICM" and hash(content) not in seen:
            seen.add(hash(content))
            yield path


def decompressed(path, folder, tool):
    """Return a data set with uncompressed pixels made by another program, or None."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    syntax = getattr(syntax.file_meta, "TransferSyntaxUID", None)
    by_syntax = {
        **dict.fromkeys(JPEGTransferSyntaxes, ("dcmdjpeg", "+cn")),
        **dict.fromkeys(JPEGLSTransferSyntaxes, ("dcmdjpls",)),
        RLELossless: ("dcmdrle",),
    }
    out = folder / "native.dcm"
    first = by_syntax.get(syntax, ("dcmconv", "+te"))
    for name, *options in (first, ("gdcmconv", "--raw", "--force")):
        out.unlink(missing_ok=True)
        package = "libgdcm-tools" if name == "gdcmconv" else "dcmtk"
        command = [tool(name, package), *options, str(path), str(out)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if done.returncode or not out.is_file():
            continue
        found = pydicom.dcmread(out, force=True)
        native = {ExplicitVRLittleEndian, ImplicitVRLittleEndian}
        if found.file_meta.TransferSyntaxUID in native and "PixelData" in found:
            return found
    return None


def raw_values(native):
    """Return the numbers of uncompressed pixels by PS3.5 8.1.1, or None."""
    frames = native.get("NumberOfFrames") or 1
    if not str(frames).isdigit():  # one file says 1A
        return None
    frames = int(frames)
    samples = native.SamplesPerPixel
    count = frames * native.Rows * native.Columns * samples
    if native.BitsAllocated == 1:
        bits = np.frombuffer(native.PixelData, np.uint8)
        raw = np.unpackbits(bits, bitorder="little")
    else:
        raw = np.frombuffer(native.PixelData, f"<u{native.BitsAllocated // 8}")
    if len(raw) < count:
        return None
    is_signed = native.get("PixelRepresentation") == 1
    raw = meant(raw[:count], native.BitsStored, is_signed)
    if samples == 1:
        return raw.reshape(frames, native.Rows, native.Columns)
    if native.PlanarConfiguration:
        planes = raw.reshape(frames, 3, native.Rows, native.Columns)
        return planes.transpose(0, 2, 3, 1)
    return raw.reshape(frames, native.Rows, native.Columns, 3)


def meant(raw, bits, is_signed):
    """Drop unused bits and extend the sign, PS3.5 8.1.1."""
    raw = raw.astype(np.int64) & (2**bits - 1)
    return np.where(raw >= 2 ** (bits - 1), raw - 2**bits, raw) if is_signed else raw


def as_rgb(raw, native):
    """Return RGB by PS3.3 C.7.6.3.1.2."""
    if not native.PhotometricInterpretation.startswith("YBR_FULL"):
        return raw
    middle = 2 ** (native.BitsStored - 1)
    y, blue, red = raw[..., 0], raw[..., 1] - middle, raw[..., 2] - middle
    green = y - (0.114 * 1.772 * blue + 0.299 * 1.402 * red) / 0.587
    rgb = np.stack([y + 1.402 * red, green, y + 1.772 * blue], -1)
    return np.clip(np.rint(rgb), 0, 2**native.BitsStored - 1)


def judge(path, folder, tool):
    """Return "equal", "refused", "no pixels", "no oracle" or what is wrong."""
    try:
        with quiet():
            dataset, keyword = parse(path)
            layout = layout_of(dataset, keyword, path)
            ours = container(dataset, layout, path)
    except NoPixelsError:
        return "no pixels"
    except ReadError as error:
        return "refused" if error.message and error.hint else f"no hint: {error}"
    if layout.is_float:
        return "no oracle"
    native = decompressed(path, folder, tool)
    theirs = None if native is None else raw_values(native)
    if theirs is None:
        return "no oracle"
    ours = meant(ours, layout.stored, layout.is_signed)
    if layout.samples == 3:
        theirs = as_rgb(theirs, native)
    apart = np.abs(ours - theirs).max()
    is_exact = layout.samples == 1 and layout.syntax not in JPEGTransferSyntaxes[:2]
    limit = 0 if is_exact else COLOUR_TOLERANCE
    return "equal" if apart <= limit else f"apart by {apart}"


def verdicts(paths, folder, tool):
    found = {}
    for path in paths:
        found.setdefault(judge(path, folder, tool), []).append(path.name)
    good = {"equal", "refused", "no pixels", "no oracle"}
    assert {what: names for what, names in found.items() if what not in good} == {}
    return {what: len(names) for what, names in found.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_packaged_file_is_read_otherwise_than_by_dcmtk_or_gdcm(tool, tmp_path):
    folders = [Path(pydicom.__file__).parent / "data"]
    package = importlib.util.find_spec("data_store")
    if package is not None:
        folders.append(Path(package.submodule_search_locations[0]))
    counts = verdicts(files(*folders), tmp_path, tool)
    assert counts["equal"] >= 60
    assert counts.get("no oracle", 0) <= 6
    assert counts["refused"] <= 12


@pytest.mark.slow
@pytest.mark.shared_data
@pytest.mark.filterwarnings("ignore")
def test_no_odd_file_is_read_otherwise_than_by_dcmtk_or_gdcm(
    shared_data, tool, tmp_path
):
    counts = verdicts(files(shared_data / "dicom-torture"), tmp_path, tool)
    assert counts["equal"] >= 200
    assert counts.get("no oracle", 0) <= 20
