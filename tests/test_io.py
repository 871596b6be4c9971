"""What `load` accepts, what it refuses, and that each refusal says why."""

import os
import signal
import subprocess
import sys
import tempfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from dicoms import RAMP_12, picture, save, series

from medcnn import io
from medcnn.errors import (
    DecodeError,
    NoPixelsError,
    ReadError,
    UnknownFormatError,
)
from medcnn.io.dicom.deflated import DEFLATED, inflated
from medcnn.io.dicom.structure import start_of_data_set

AFFINE = np.array([[0, 2.0, 0, 5], [-3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]])


def test_array_with_its_affine_is_an_image():
    values = np.arange(24.0).reshape(2, 3, 4)
    image = io.load((values, AFFINE))
    np.testing.assert_array_equal(image.array[0], values)
    np.testing.assert_array_equal(image.geometry.affine, AFFINE)


def test_array_of_two_axes_has_one_slice():
    assert io.load((np.ones((2, 3)), AFFINE)).shape == (2, 3, 1)


def test_array_of_four_axes_is_refused():
    with pytest.raises(ReadError, match="got shape"):
        io.load((np.ones((2, 2, 2, 2)), AFFINE))


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match="cannot load a dict"):
        io.load({})


def test_path_may_be_text(tmp_path):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    assert io.load(str(path)).source == path


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", ReadError, "is empty"),
        (b"hello world, not an image\n", UnknownFormatError, "it is a text file"),
        (b"<html></html>", UnknownFormatError, "it is a text file"),
        (b"PK\x03\x04" + bytes(99), DecodeError, "zip archive that is broken"),
        (b"%PDF-1.4\x00\xff", UnknownFormatError, "a PDF document"),
        (bytes(range(128, 200)), UnknownFormatError, "begins with the bytes 80 81"),
        (b"\x1f\x8b\x08\x00broken", DecodeError, "gzip file that is broken"),
        (bytes(128) + b"DICM", (DecodeError, NoPixelsError), "DICOM|parsed"),
    ],
)
def test_text_named_dcm_and_the_like_are_refused(content, kind, reason, tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    for read_it in (io.load, io.describe):
        with pytest.raises(kind, match=reason) as caught:
            read_it(path)
        assert caught.value.path == path


def test_gzip_of_something_else_is_named(tmp_path):
    import gzip

    (tmp_path / "a.gz").write_bytes(gzip.compress(b"hello"))
    with pytest.raises(UnknownFormatError, match="gzip file of something else"):
        io.load(tmp_path / "a.gz")


def test_missing_path_is_said(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        io.load(tmp_path / "none.dcm")


def test_path_with_a_null_character_is_refused():
    with pytest.raises(ReadError, match="cannot be reached"):
        io.load("a\0b")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_file_of_somebody_else_is_refused():
    code = (
        "import os, sys; from medcnn import io; from pathlib import Path;"
        "from medcnn.errors import ReadError; os.setuid(65534)\n"
        "try: io.load(sys.argv[1])\nexcept ReadError as error: print(error)"
    )
    # pytest's own folders are for their owner alone
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = save(picture(RAMP_12), Path(folder) / "a.dcm")
        path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "may not be read" in done.stdout, done.stderr


@pytest.mark.parametrize("share", np.linspace(0.01, 0.999, 23))
def test_truncated_dicom_is_refused_wherever_it_ends(share, tmp_path):
    dataset = series(count=1)[0]
    path = save(dataset, tmp_path / "a.dcm")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError) as caught:
        io.load(path)
    assert caught.value.message.endswith(".")


def test_one_pixel_dicom_is_an_image(tmp_path):
    path = save(picture(np.array([[7]], "<u2")), tmp_path / "a.dcm")
    assert io.load(path).array.tolist() == [[[[7]]]]


def test_limit_of_samples_can_be_set(tmp_path, monkeypatch):
    from medcnn.io import bounds

    monkeypatch.setattr(bounds, "_BOUNDS", [bounds.Bounds(samples=4000)])
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    with pytest.raises(DecodeError, match="at most 4000"):
        io.load(path)


def test_limit_of_bytes_is_checked_before_opening(tmp_path, monkeypatch):
    from medcnn.io import source

    monkeypatch.setattr(source, "MAX_FILE_BYTES", 4000)
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    with pytest.raises(ReadError, match="at most 4000"):
        io.load(path)


def test_deflated_bomb_is_refused_without_inflating_it(tmp_path, monkeypatch):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    from medcnn.io.dicom import deflated

    dataset = picture(np.zeros((1500, 1500), "<u2"))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(dataset, tmp_path / "a.dcm")
    assert io.load(path).shape == (1500, 1500, 1)
    assert io.describe(path).shape == (1500, 1500, 1)
    monkeypatch.setattr(deflated, "MAX_INFLATED_BYTES", 2**22)
    with pytest.raises(DecodeError, match="inflates to more than 4194304 bytes"):
        io.load(path)


@pytest.mark.parametrize("trailing", [0, 1, 5, 3 * 2**20])
@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 4_500_378])
def test_inflating_a_file_ends_whatever_follows_its_stream(size, trailing):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(size)) + packer.flush()
    head = bytes(128) + b"DICM" + b"\x02\0\x10\0UI\x16\0" + DEFLATED
    file = BytesIO(head + packed + b"\0" * trailing)
    signal.signal(signal.SIGALRM, _takes_for_ever)
    signal.alarm(20)
    try:
        whole = inflated(file, start_of_data_set(file), Path("a.dcm")).read()
    finally:
        signal.alarm(0)
    assert whole == head.replace(b"1.99", b"1\0\0\0") + bytes(size)


def _takes_for_ever(*_):
    pytest.fail("it never ends")


def test_nested_sequences_end_in_an_error_not_in_a_crash(tmp_path):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    item = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(path.read_bytes()[:-8204] + item * 5000)
    with pytest.raises(ReadError):
        io.load(path)


def test_every_read_error_survives_the_way_between_processes(tmp_path):
    import pickle

    with pytest.raises(ReadError) as caught:
        io.load(tmp_path / "none.dcm")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)
    assert again.path == caught.value.path


def test_importing_readers_loads_no_format_library():
    code = (
        "import sys, medcnn.io; heavy = {'pydicom', 'nibabel', 'cv2', 'highdicom',"
        "'imagecodecs', 'torch', 'openvino'}; print(heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_a_radiograph_needs_no_highdicom(tmp_path):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    code = (
        "import sys; from medcnn import io; io.load(sys.argv[1]);"
        "print({'highdicom', 'nibabel', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_description_goes_to_json(tmp_path):
    import json

    path = save(picture(RAMP_12, ImagerPixelSpacing=[0.2, 0.1]), tmp_path / "a.dcm")
    again = json.loads(json.dumps(io.describe(path).to_json()))
    assert again["frame"] == "detector"
    assert again["shape"] == [64, 64, 1]
    assert again["source"] == str(path)
