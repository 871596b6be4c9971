"""Zip archives, DICOMDIR and packed files: read like folders, and never trusted."""

import gzip
import os
import stat
import struct
import tempfile
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import PIL.Image
import pydicom
import pytest
from dicoms import RAMP_12, picture, save, series
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medcnn import io
from medcnn.errors import DecodeError, ReadError, SeveralSeriesError, UnknownFormatError
from medcnn.io import archive
from medcnn.io.dicom.directory import files_listed

GREY = np.random.default_rng(1).integers(0, 256, (6, 5)).astype(np.uint8)


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """Let everything be unpacked to a folder that must be empty in the end."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def png(path, pixels=GREY):
    PIL.Image.fromarray(pixels).save(path, "PNG")
    return path.read_bytes()


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@pytest.fixture
def ct(tmp_path):
    """An archive of one CT series in a sub-folder."""
    made = []
    for number, dataset in enumerate(series(count=5)):
        path = save(dataset, tmp_path / f"{number}.dcm")
        made.append((f"study/ct/{number}.dcm", path.read_bytes()))
    return zipped(tmp_path / "ct.zip", made), tmp_path


def test_archive_of_one_series_is_a_volume(ct):
    path, folder = ct
    loose = folder / "loose"
    with zipfile.ZipFile(path) as file:
        file.extractall(loose)
    image, expected = io.load(path), io.load(loose)
    np.testing.assert_array_equal(image.array, expected.array)
    assert image.geometry.same_grid(expected.geometry)
    assert image.source == path
    assert io.load(path / "study" / "ct").shape == image.shape
    (found,), problems = io.describe_study(path)
    assert found.shape == image.shape
    assert problems == ()


def test_a_member_is_an_image_of_its_own(ct):
    path, _ = ct
    member = path / "study/ct/2.dcm"
    image = io.load(member)
    assert image.source == member
    assert io.identify(member) is io.Kind.DICOM
    assert io.describe(member).source == member
    assert io.identify(path) is io.Kind.ARCHIVE
    assert io.is_collection(path)
    assert io.is_collection(path / "study")
    assert not io.is_collection(member)


def test_members_are_found_as_in_a_folder(tmp_path):
    one = png(tmp_path / "x")
    names = ["b/2.png", "b/1.png", "a.png", ".hidden", "__MACOSX/x", "DICOMDIR", "b-c"]
    (tmp_path / "in").mkdir()
    path = zipped(tmp_path / "in" / "p.zip", [(name, one) for name in names])
    assert [found.name for found in io.discover([path])] == [
        *("a.png", "b/1.png", "b/2.png", "b-c")
    ]
    found = list(io.discover([tmp_path / "in"]))
    assert [one.name for one in found][1:3] == ["p.zip/b/1.png", "p.zip/b/2.png"]
    assert found[0].path == path / "a.png"
    assert len(io.load_study(tmp_path / "in").images) == 4
    assert [one.name for one in io.discover([path / "b"])] == ["1.png", "2.png"]


def test_content_decides_not_the_name_of_a_named_archive(tmp_path):
    path = zipped(tmp_path / "export", [("a", png(tmp_path / "x"))])
    np.testing.assert_array_equal(io.load(path).picture(), GREY)


def test_images_and_problems_name_members(tmp_path):
    members = [("a.png", png(tmp_path / "x")), ("b.txt", b"hello")]
    path = zipped(tmp_path / "a.zip", members)
    study = io.load_study(path)
    assert [image.source for image in study.images] == [path / "a.png"]
    ((where, reason),) = study.problems
    assert where == path / "b.txt"
    assert reason.startswith(f"{path}/b.txt holds no image that is read: it is a text")


def test_errors_name_members_not_temporary_files(tmp_path, temporary):
    two = [(name, png(tmp_path / "x")) for name in ("a.png", "b.png")]
    path = zipped(tmp_path / "a.zip", [*two, ("c.png", two[0][1][:50])])
    with pytest.raises(DecodeError) as caught:
        io.load(path / "c.png")
    assert caught.value.path == path / "c.png"
    path = zipped(tmp_path / "b.zip", two)
    with pytest.raises(SeveralSeriesError) as caught:
        io.load(path)
    assert f"{path}/a.png" in caught.value.message
    assert str(temporary) not in str(caught.value) + str(caught.value.series)


def test_halves_of_a_pair_are_unpacked_together(tmp_path):
    nib.Nifti1Pair(GREY[..., None], np.eye(4)).to_filename(tmp_path / "a.img")
    halves = [(f"x/{n}", (tmp_path / n).read_bytes()) for n in ("a.hdr", "a.img")]
    path = zipped(tmp_path / "a.zip", halves)
    for name in ("a.hdr", "a.img"):
        np.testing.assert_array_equal(io.load(path / "x" / name).array[0, ..., 0], GREY)
    assert len(io.load_study(path).images) == 1


def test_voxels_beside_a_header_are_unpacked_with_it(tmp_path):
    fields = "NDims = 3\nDimSize = 5 6 1\nElementType = MET_UCHAR\n"
    members = [
        ("x/a.mhd", (fields + "ElementDataFile = a.raw\n").encode()),
        ("x/a.raw", GREY.tobytes()),
    ]
    path = zipped(tmp_path / "a.zip", members)
    np.testing.assert_array_equal(io.load(path / "x/a.mhd").picture(), GREY)
    study = io.load_study(path)
    assert len(study.images) == 1
    assert study.problems == ()


@pytest.mark.parametrize("name", ["Röntgen/Bild 1.png", "\u6f22.png", "a\\b.png"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_names_of_all_kinds(name, method, tmp_path):
    path = zipped(tmp_path / "a.zip", [(name, png(tmp_path / "x"))], method)
    (found,) = io.discover([path])
    assert found.name == name.replace("\\", "/")
    np.testing.assert_array_equal(io.load(found.path).picture(), GREY)


def test_a_name_in_the_old_code_page(tmp_path):
    path = zipped(tmp_path / "a.zip", [("R\x01ntgen.png", png(tmp_path / "x"))])
    path.write_bytes(path.read_bytes().replace(b"R\x01ntgen", b"R\x94ntgen"))
    (found,) = io.discover([path])
    assert found.name == "Röntgen.png"
    assert io.load(found.path).shape == (5, 6, 1)


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/etc/a.png", "a/../../b.png", "C:/a.png", "//a/b.png", "..\\x"],
)
def test_members_outside_the_archive_are_refused(name, tmp_path):
    path = zipped(tmp_path / "a.zip", [(name, b"x"), ("b", b"y")])
    with pytest.raises(DecodeError, match="lies outside it"):
        io.load(path)
    (found,) = io.discover([path])
    assert found.path == path


@pytest.mark.parametrize("name", ["./a/b.png", "a//b.png", "a/./b.png", "a\\b.png"])
def test_parts_of_a_name_that_mean_nothing_are_left_out(name, tmp_path):
    path = zipped(tmp_path / "a.zip", [(name, png(tmp_path / "x"))])
    (found,) = io.discover([path])
    assert found.name == "a/b.png"
    np.testing.assert_array_equal(io.load(path / "a" / "b.png").picture(), GREY)


def test_a_colon_in_a_name_is_no_drive(tmp_path):
    path = zipped(tmp_path / "a.zip", [("12:30/b.png", png(tmp_path / "x"))])
    assert io.load(path).shape == (5, 6, 1)


def test_two_members_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path / "a.zip", [("a", b"x"), ("a", b"y")])
    with pytest.raises(DecodeError, match="two of its members are named a"):
        io.load(path)


def test_a_member_in_a_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a", b"x"), ("a/b", b"y")])
    with pytest.raises(DecodeError, match="a/b lies in what is a file"):
        io.load(path)


def test_a_link_is_not_unpacked(tmp_path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "a.zip", [("b.png", png(tmp_path / "x")), (link, b"/etc")])
    assert len(io.load_study(path).images) == 1
    with pytest.raises(ReadError, match="is a link or device"):
        io.load(path / "a.png")


def test_an_encrypted_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a.png", png(tmp_path / "x"))])
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(ReadError, match="is encrypted"):
        io.load(path / "a.png")


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")]
)
def test_other_packing_is_refused_by_name(method, name, tmp_path):
    path = zipped(tmp_path / "a.zip", [("a.png", png(tmp_path / "x"))], method)
    with pytest.raises(ReadError, match=f"packed with {name}"):
        io.load(path / "a.png")


def test_an_archive_in_an_archive_is_refused(tmp_path):
    inner = zipped(tmp_path / "in.zip", [("a.png", png(tmp_path / "x"))])
    path = zipped(tmp_path / "a.zip", [("in.zip", inner.read_bytes())])
    with pytest.raises(ReadError, match="an archive in an archive"):
        io.load(path)
    ((where, _),) = io.load_study(path).problems
    assert where == path / "in.zip"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", [("a.png", bytes(2**27))])
    assert path.stat().st_size < 2**18
    with pytest.raises(DecodeError, match=r"unpacks to \d+ times its size"):
        io.load(path / "a.png")
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 2**20)
    path = zipped(tmp_path / "b.zip", [(f"{n}.png", bytes(2**17)) for n in range(9)])
    with pytest.raises(DecodeError, match="unpacks to 1179648 bytes"):
        io.load(path)


def test_a_member_larger_than_declared_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a.png", bytes(5000))])
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\1\2") + 24
    raw[at : at + 4] = struct.pack("<L", 100)
    path.write_bytes(bytes(raw))
    with pytest.raises(DecodeError, match="larger than declared"):
        io.load(path / "a.png")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = zipped(tmp_path / "a.zip", [(str(n), b"") for n in range(4)])
    with pytest.raises(DecodeError, match="it has 4 members; at most 3"):
        io.load(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_archive_is_refused(share, ct):
    path, _ = ct
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DecodeError, match="broken or cut off"):
        io.load(path)


def test_a_broken_member_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", [("a.png", png(tmp_path / "x"))], 0)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"IDAT") + 9] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DecodeError, match="its checksum is not that of the archive"):
        io.load(path / "a.png")


def test_an_unknown_member_is_refused(ct):
    path, _ = ct
    with pytest.raises(ReadError, match=r"ct\.zip holds no study/none"):
        io.load(path / "study/none")
    with pytest.raises(ReadError, match="does not exist"):
        io.load(path.parent / "other" / "x.dcm")


@pytest.mark.parametrize("mutant", range(60))
def test_mutated_archives_end_in_an_image_or_a_reason(mutant, ct):
    path, _ = ct
    chance = np.random.default_rng(mutant)
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\1\2")
    for _ in range(4):
        at = chance.integers(directory - 60, len(raw))
        raw[at] = chance.choice([0, 1, 127, 255])
    path.write_bytes(bytes(raw))
    with suppress(ReadError):
        assert io.load_study(path).images is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive"),
        (
            gzip.compress(b"a" * 257 + b"ustar" + bytes(250), mtime=0),
            "a packed tar archive",
        ),
        (b"PK\5\6" + bytes(18), "an empty zip archive"),
    ],
)
def test_other_archives_are_refused_by_name(content, words, tmp_path):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(UnknownFormatError, match=words) as caught:
        io.load(tmp_path / "a.bin")
    assert "zip archive" in caught.value.hint


def test_a_dicom_file_that_begins_like_an_archive_is_dicom(tmp_path):
    path = save(picture(RAMP_12), tmp_path / "a.dcm")
    raw = path.read_bytes()
    archive = zipped(tmp_path / "b", [("x", b"")]).read_bytes()
    path.write_bytes(archive[:128].ljust(128, b"\0") + raw[128:])
    assert io.identify(path) is io.Kind.DICOM
    assert io.load(path).shape == (64, 64, 1)


@pytest.mark.parametrize(
    ("first", "words"),
    [("[Content_Types].xml", "a zipped document"), ("model/data.pkl", "PyTorch")],
)
def test_zip_archives_of_programs_are_refused(first, words, tmp_path):
    path = zipped(tmp_path / "a.bin", [(first, b"x"), ("b.png", png(tmp_path / "x"))])
    with pytest.raises(UnknownFormatError, match=words):
        io.load(path)


def test_a_packed_picture_is_read_through(tmp_path):
    path = tmp_path / "a.png.gz"
    path.write_bytes(gzip.compress(png(tmp_path / "x")))
    image = io.load(path)
    np.testing.assert_array_equal(image.picture(), GREY)
    assert image.source == path
    folder = zipped(tmp_path / "a.zip", [("a.png.gz", path.read_bytes())])
    image = io.load(folder / "a.png.gz")
    assert image.source == folder / "a.png.gz"


def test_a_packed_dicom_file_is_read_through(tmp_path):
    raw = save(picture(RAMP_12), tmp_path / "x").read_bytes()
    (tmp_path / "a.dcm.gz").write_bytes(gzip.compress(raw))
    assert io.load(tmp_path / "a.dcm.gz").shape == (64, 64, 1)


def test_a_packed_picture_that_is_a_bomb_is_refused(tmp_path):
    raw = png(tmp_path / "x") + bytes(2**27)
    (tmp_path / "a.png.gz").write_bytes(gzip.compress(raw))
    with pytest.raises(DecodeError, match="unpacks to more than any image of its size"):
        io.load(tmp_path / "a.png.gz")
    assert len(gzip.compress(raw)) < 2**18


def test_what_a_killed_process_left_is_swept(tmp_path, temporary):
    old = temporary / "medcnn-unpacked-old"
    old.mkdir()
    os.utime(old, (0, 0))
    (temporary / "medcnn-unpacked-new").mkdir()
    io.load(zipped(tmp_path / "a.zip", [("a.png", png(tmp_path / "x"))]))
    assert [p.name for p in temporary.iterdir()] == ["medcnn-unpacked-new"]
    (temporary / "medcnn-unpacked-new").rmdir()


def dicomdir(folder, *names):
    """Write a DICOMDIR that lists files by their components."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    records = []
    for parts in names:
        record = Dataset()
        record.RecordInUseFlag = 0xFFFF
        with warnings.catch_warnings(action="ignore"):  # names the standard forbids
            record.ReferencedFileID = list(parts)
        records.append(record)
    dataset.DirectoryRecordSequence = records
    with warnings.catch_warnings(action="ignore"):
        dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def test_a_dicomdir_is_the_list_of_its_files(tmp_path):
    (tmp_path / "SERIES1").mkdir()
    names = []
    for number, dataset in enumerate(series(count=4)):
        save(dataset, tmp_path / "SERIES1" / f"IM{number}")
        names.append(("SERIES1", f"IM{number}"))
    save(picture(RAMP_12), tmp_path / "UNLISTED")
    path = dicomdir(tmp_path, *names)
    assert io.identify(path) is io.Kind.DICOMDIR
    assert io.load(path).dims == 3
    assert [one.name for one in io.discover([path])] == [
        f"SERIES1/IM{number}" for number in range(4)
    ]
    assert len(io.describe_study(path)[0]) == 1
    assert len(io.load_study(tmp_path).images) == 2


def test_file_ids_name_copies_in_either_case(tmp_path):
    (tmp_path / "dicom" / "SER1").mkdir(parents=True)
    save(picture(RAMP_12), tmp_path / "dicom" / "SER1" / "im1")
    path = dicomdir(tmp_path, ("DICOM", "SER1", "IM1"))
    assert [one.name for one in io.discover([path])] == ["dicom/SER1/im1"]


def test_a_volume_of_which_a_dicomdir_lists_more_is_refused(tmp_path):
    for number, dataset in enumerate(series(count=4)):
        save(dataset, tmp_path / f"IM{number}")
    path = dicomdir(tmp_path, *((f"IM{number}",) for number in range(5)))
    with pytest.raises(ReadError, match="IM4 does not exist"):
        io.load(path)


def test_missing_files_of_a_dicomdir_are_problems(tmp_path):
    save(picture(RAMP_12), tmp_path / "im1")
    study = io.load_study(dicomdir(tmp_path, ("IM1",), ("IM2",)))
    assert len(study.images) == 1
    ((where, reason),) = study.problems
    assert where == tmp_path / "IM2"
    assert "does not exist" in reason


@pytest.mark.parametrize(
    "parts",
    [("..", "secret"), ("/etc", "passwd"), ("A", "..", "..", "x"), ("link", "x")],
)
def test_a_dicomdir_that_leads_elsewhere_is_refused(parts, tmp_path):
    folder = tmp_path / "disc"
    folder.mkdir()
    save(picture(RAMP_12), tmp_path / "secret")
    (tmp_path / "x").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path)
    path = dicomdir(folder, parts)
    with pytest.raises(ReadError, match="outside its folder"):
        io.load(path)


def written_again(path, *, undefined):
    """Write a DICOMDIR again with lengths or with ends; return its bytes."""
    dataset = pydicom.dcmread(path)
    records = dataset["DirectoryRecordSequence"]
    records.is_undefined_length = undefined
    for record in records.value:
        record.is_undefined_length_sequence_item = undefined
    dataset.save_as(path)
    return path.read_bytes()


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "ends"])
def test_a_dicomdir_that_is_cut_off_anywhere_is_refused(undefined, tmp_path):
    for number in range(3):
        save(picture(RAMP_12), tmp_path / f"IM{number}")
    path = dicomdir(tmp_path, *((f"IM{number}",) for number in range(3)))
    whole = written_again(path, undefined=undefined)
    for size in range(whole.index(b"\x04\0\x20\x12"), len(whole)):
        path.write_bytes(whole[:size])
        assert [one.path for one in io.discover([path])] == [path]
        with pytest.raises(ReadError, match=r"cut off.*all there|cannot be parsed"):
            io.load(path)
    path.write_bytes(whole + bytes(2048 - len(whole)))  # as a medium's last block
    assert len(list(io.discover([path]))) == 3


def test_a_dicomdir_of_an_empty_medium_lists_nothing(tmp_path):
    assert list(io.discover([dicomdir(tmp_path)])) == []


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("", 31),
        ("-nopatient", 31),
        ("-implicit", 31),
        ("-reordered", 31),
        ("-bigEnd", 31),
        ("-empty.dcm", 0),
    ],
)
def test_no_whole_dicomdir_passes_for_a_cut_one(name, count):
    path = get_testdata_file(f"DICOMDIR{name}", download=False)
    if path is None:
        pytest.skip("needs pydicom-data")
    assert len(files_listed(Path(path))) == count


def test_a_dicomdir_shorter_than_its_length_says_is_refused():
    path = get_testdata_file("DICOMDIR-nooffset", download=False)
    if path is None:
        pytest.skip("needs pydicom-data")
    # two elements were taken out of it, and the length of the list still counts them
    with pytest.raises(DecodeError, match="cut off: its list of files is not all"):
        files_listed(Path(path))


def test_any_real_dicomdir_is_understood():
    path = get_testdata_file("DICOMDIR", download=False)
    if path is None:
        pytest.skip("needs pydicom-data")
    found, problems = io.describe_study(Path(path))
    assert len(found) >= 7
    assert all("temporary" not in reason for _, reason in problems)
