"""De-identified images: no token of what names a patient, and the same image."""

import re
import stat

import imagecodecs
import numpy as np
import pydicom
import pytest
from dicom_cases import errors_of, make_source
from dicoms import picture, save
from pydicom.datadict import DicomDictionary, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

import medcnn as package
from medcnn.dicom_out.deidentification import (
    Pseudonyms,
    check_apart,
    deidentify_file,
    read_or_make_key,
)
from medcnn.dicom_out.deidentification.codestream_text import without_comments
from medcnn.dicom_out.deidentification.profile import profile_actions, settled
from medcnn.dicom_out.deidentification.types import Need, needs_of
from medcnn.dicom_out.deidentification.unlisted import KEPT_TEXT
from medcnn.errors import (
    DataError,
    DecodeError,
    NoPixelsError,
    OutputError,
    UnknownFormatError,
)
from medcnn.io.dicom.parse import quiet

KEY = bytes(range(32))
TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AS"}
DATES = {"DA", "DT", "TM"}
KINDS = ["cr", "ct", "mr", "enhanced"]
FOREIGN = "1.2.777."
DECIMAL, BAD_DECIMAL = b"1111111111", b"tokdecimal"


def token(tag):
    return f"tok{tag:08x}"


def seeded(dataset):
    """Give a data set every text, date, UID and blob that the dictionary knows."""
    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if tag >> 16 in {0, 2} or not keyword or keyword in dataset:
            continue
        if vr in TEXT | DATES:
            value = token(tag)
        elif vr == "UI":
            value = f"{FOREIGN}{tag}"
        elif vr in {"OB", "UN"}:
            value = token(tag).encode() + b" "
        elif vr in {"DS", "IS"}:
            value = DECIMAL.decode()
        else:
            continue
        dataset.add(DataElement(tag, vr, value, validation_mode=0))
    block = dataset.private_block(0x0099, "tokcreator", create=True)
    block.add_new(1, "LO", "tokprivate")
    return dataset


def written(dataset, path):
    """Save a data set with decimals that are words, and a preamble."""
    with quiet():
        dataset.preamble = b"tokpreamble".ljust(128, b"\0")
        dataset.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(DECIMAL, BAD_DECIMAL))
    return path


def film(**attributes):
    pixels = np.arange(64 * 48, dtype="<u2").reshape(64, 48)
    return picture(pixels, **attributes)


def done(path, folder, key=KEY):
    return deidentify_file(path, folder, Pseudonyms(key))


def tokens_in(path):
    data = path.read_bytes()
    found = {int(word, 16) for word in re.findall(rb"tok([0-9a-f]{8})", data)}
    assert len(found) == len(set(re.findall(rb"(?i)tok\w+", data)))
    return {DicomDictionary[tag][4] for tag in found}


@pytest.fixture
def everything(tmp_path):
    return written(seeded(film()), tmp_path / "in.dcm")


def test_of_every_text_in_the_dictionary_only_what_a_machine_writes_is_left(
    everything, tmp_path
):
    with quiet():
        new = done(everything, tmp_path / "out").path

    seeds = everything.read_bytes().count(b"tok")
    assert seeds > 2400
    assert tokens_in(new) == KEPT_TEXT
    assert BAD_DECIMAL not in new.read_bytes()
    assert new.read_bytes()[:128] == bytes(128)


def test_no_uid_of_the_source_is_left(everything, tmp_path):
    new = done(everything, tmp_path / "out").path
    with quiet():
        source = pydicom.dcmread(everything)
    data = new.read_bytes()
    left = {
        int(tag) for tag in re.findall(rf"{re.escape(FOREIGN)}(\d+)".encode(), data)
    }

    kinds = {DicomDictionary[tag][4] for tag in left}
    assert all(keyword.endswith("SOPClassUID") for keyword in kinds)
    for uid in (source.SOPInstanceUID, source.StudyInstanceUID):
        assert uid.encode() not in data
        assert uid not in str(new)


def test_nothing_is_left_inside_any_sequence_of_the_dictionary(tmp_path):
    dataset = film()
    for tag, (vr, *_) in DicomDictionary.items():
        if vr == "SQ":
            inner = seeded_item()
            inner.ReferencedImageSequence = [seeded_item()]
            dataset.add(DataElement(tag, "SQ", Sequence([inner])))
    path = written(dataset, tmp_path / "in.dcm")

    new = done(path, tmp_path / "out").path

    assert path.read_bytes().count(b"tok") > 3000
    assert not tokens_in(new)


def seeded_item():
    item = Dataset()
    for keyword in ("PatientName", "TextValue", "CodeMeaning", "OperatorsName",
                    "CodeValue", "StudyDescription", "ImageComments"):  # fmt: skip
        tag = tag_for_keyword(keyword)
        item.add(DataElement(tag, DicomDictionary[tag][0], token(tag)))
    item.private_block(0x0099, "tokcreator", create=True).add_new(1, "LO", "tokprivate")
    return item


@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error_that_the_source_has_not(kind, tool, tmp_path):
    dciodvfy = tool("dciodvfy", "dicom3tools")
    source = first_of(make_source(kind, tmp_path / "in"))
    before = pydicom.dcmread(source)
    before.SeriesDate, before.SeriesTime = "20250102", "030405"
    before.ContentDate, before.ContentTime = "20250102", "030405"
    before.InstitutionName, before.StationName = "Hospital", "CT1"
    before.save_as(source)

    new = done(source, tmp_path / "out").path

    assert kinds_of(errors_of(dciodvfy, new)) <= kinds_of(errors_of(dciodvfy, source))


def kinds_of(errors):
    return {re.sub(r"<[0-9.]+>", "<UID>", error) for error in errors}


def first_of(path):
    return path if path.is_file() else path / "000.dcm"


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_and_its_place_are_the_same(kind, tmp_path):
    source = make_source(kind, tmp_path / "in")
    files = [source] if source.is_file() else sorted(source.iterdir())

    new = {done(file, tmp_path / "out").path.parent for file in files}

    (folder,) = new
    old, anew = package.load(source), package.load(folder)
    np.testing.assert_array_equal(anew.array, old.array)
    np.testing.assert_array_equal(anew.geometry.affine, old.geometry.affine)
    assert anew.geometry.frame == old.geometry.frame
    assert anew.unit == old.unit


def test_uids_are_new_and_refer_to_each_other_as_before(tmp_path):
    first, second = film(), film()
    second.StudyInstanceUID = first.StudyInstanceUID
    item = Dataset()
    item.ReferencedSOPClassUID = first.SOPClassUID
    item.ReferencedSOPInstanceUID = first.SOPInstanceUID
    second.SourceImageSequence = [item]
    paths = [save(one, tmp_path / f"{n}.dcm") for n, one in enumerate((first, second))]

    a, b = (pydicom.dcmread(done(path, tmp_path / "out").path) for path in paths)

    assert b.SourceImageSequence[0].ReferencedSOPInstanceUID == a.SOPInstanceUID
    assert a.StudyInstanceUID == b.StudyInstanceUID != first.StudyInstanceUID
    assert a.SOPInstanceUID == a.file_meta.MediaStorageSOPInstanceUID
    assert a.SOPInstanceUID.is_valid
    assert a.SeriesInstanceUID != b.SeriesInstanceUID


def test_a_patient_has_one_number_for_a_key_and_another_for_another(tmp_path):
    path = save(film(PatientID="4711"), tmp_path / "in.dcm")

    same = [done(path, tmp_path / str(n)).path for n in range(2)]
    other = done(path, tmp_path / "other", key=KEY[::-1]).path

    numbers = [pydicom.dcmread(one).PatientID for one in (*same, other)]
    assert same[0].read_bytes() == same[1].read_bytes()
    assert numbers[0] == numbers[1] != numbers[2]
    assert "4711" not in numbers


def test_the_object_says_that_it_is_de_identified(tmp_path):
    new = pydicom.dcmread(done(save(film(), tmp_path / "a.dcm"), tmp_path / "out").path)

    (code,) = new.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert new.PatientIdentityRemoved == "YES"
    assert new.LongitudinalTemporalInformationModified == "REMOVED"
    assert "PS3.15" in new.DeidentificationMethod


def test_codes_of_a_standard_stay_and_local_ones_go(tmp_path):
    dataset = film()
    chest, local = Dataset(), Dataset()
    chest.CodeValue, chest.CodingSchemeDesignator = "816094009", "SCT"
    local.CodeValue, local.CodingSchemeDesignator = "ER-3", "99CLINIC"
    chest.CodeMeaning, local.CodeMeaning = "Chest", "Emergency room 3"
    dataset.AnatomicRegionSequence, dataset.ViewCodeSequence = [chest], [local]

    new = pydicom.dcmread(done(save(dataset, tmp_path / "a.dcm"), tmp_path).path)

    assert new.AnatomicRegionSequence[0].CodeMeaning == "Chest"
    assert new.ViewCodeSequence[0].CodeValue == "REMOVED"
    assert new.ViewCodeSequence[0].CodeMeaning == "REMOVED"


@pytest.mark.parametrize("coding", ["jpeg", "jpeg2000", "jpeg-ls"])
def test_comments_in_compressed_pixels_go_and_the_pixels_stay(coding, tmp_path):
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    note = b"tokcomment by a scanner"
    encode, syntax, at, marker = {
        "jpeg": (imagecodecs.jpeg8_encode, JPEGBaseline8Bit, 2, b"\xff\xfe"),
        "jpeg-ls": (imagecodecs.jpegls_encode, JPEGLSLossless, 2, b"\xff\xfe"),
        "jpeg2000": (j2k, JPEG2000Lossless, None, b"\xff\x64"),
    }[coding]
    frame = encode(pixels)
    at = at or 4 + int.from_bytes(frame[4:6])  # behind SIZ
    segment = (b"\0\1" if coding == "jpeg2000" else b"") + note
    comment = marker + (len(segment) + 2).to_bytes(2) + segment
    dataset = film(Rows=64, Columns=64, BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame[:at] + comment + frame[at:]])
    dataset["PixelData"].VR = "OB"
    path = save(dataset, tmp_path / "in.dcm")

    new = done(path, tmp_path / "out").path

    assert b"tokcomment" in path.read_bytes()
    assert b"tokcomment" not in new.read_bytes()
    np.testing.assert_array_equal(package.load(new).array, package.load(path).array)


def j2k(pixels):
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k")


def test_what_is_no_codestream_is_left_alone():
    fragments = encapsulate([b"\xff\xd8\xff", b"nothing of that kind"])

    assert without_comments(fragments) == fragments


def test_words_in_the_pixels_are_told(tmp_path):
    marks = {"NO": "no", "YES": "yes", "": "may"}
    for stated, expected in marks.items():
        path = save(film(BurnedInAnnotation=stated), tmp_path / f"in{stated}.dcm")
        assert done(path, tmp_path / "out").burned_in == expected
    capture = film(BurnedInAnnotation="NO", ImageType=["DERIVED", "SECONDARY"])
    path = save(capture, tmp_path / "capture.dcm")
    assert done(path, tmp_path / "out").burned_in == "may"


def test_nothing_is_overwritten(tmp_path):
    path = save(film(PatientSex="F"), tmp_path / "in.dcm")
    first = done(path, tmp_path / "out")
    again = done(path, tmp_path / "out")
    first.path.write_bytes(b"mine")

    assert first.is_new
    assert not again.is_new
    with pytest.raises(OutputError, match="is there already, and differs"):
        done(path, tmp_path / "out")
    assert first.path.read_bytes() == b"mine"


def test_what_is_no_image_is_refused(tmp_path):
    words = tmp_path / "other.npy"
    np.save(words, np.zeros((4, 4)))
    report, lacking = film(), film()
    del report.PixelData
    del lacking.SeriesInstanceUID
    save(report, tmp_path / "report.dcm")
    save(lacking, tmp_path / "lacking.dcm")

    with pytest.raises(UnknownFormatError, match="no DICOM image"):
        done(words, tmp_path / "out")
    with pytest.raises(NoPixelsError, match="carries no pixels"):
        done(tmp_path / "report.dcm", tmp_path / "out")
    with pytest.raises(DecodeError, match="lacks its class or the UID"):
        done(tmp_path / "lacking.dcm", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("output", "source"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_never_in_place(output, source, tmp_path):
    with pytest.raises(OutputError, match="lie in each other"):
        check_apart(tmp_path / output, [tmp_path / source])


def test_a_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "key"
    key = read_or_make_key(path)

    assert read_or_make_key(path) == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for content in ("short", "00" * 31, "x" * 500):
        path.write_text(content)
        with pytest.raises(DataError, match="is no key"):
            read_or_make_key(path)
    with pytest.raises(OutputError, match="cannot be written"):
        read_or_make_key(tmp_path / "none" / "key")


def test_the_table_is_that_of_the_standard():
    actions = profile_actions()

    assert len(actions) > 600
    published = {
        "PatientName": "Z", "PatientID": "Z/D", "PatientBirthDate": "Z",
        "PatientSex": "Z", "PatientAge": "X", "AccessionNumber": "Z",
        "StudyDate": "Z", "SeriesDate": "X/D", "ContentDate": "Z/D",
        "StudyInstanceUID": "U", "SOPInstanceUID": "U", "FrameOfReferenceUID": "U",
        "InstitutionName": "X/Z/D", "InstitutionAddress": "X", "DeviceSerialNumber":
        "X/Z/D", "SeriesDescription": "X", "ProtocolName": "X/D", "ImageComments": "X",
        "SourceImageSequence": "X/Z/U*", "ContentSequence": "D",
    }  # fmt: skip
    assert {name: actions[tag_for_keyword(name)] for name in published} == published
    assert all(tag in DicomDictionary for tag in actions)


def test_the_letters_follow_what_the_object_needs():
    assert settled("X/Z/D", Need.NOTHING) == "X"
    assert settled("X/Z/D", Need.PRESENCE) == "Z"
    assert settled("X/Z/D", Need.VALUE) == "D"
    assert settled("X/D", Need.PRESENCE) == "D"
    assert settled("Z", Need.VALUE) == "D"
    assert settled("X/Z/U*", Need.NOTHING) == "U"
    needs = needs_of(pydicom.uid.CTImageStorage)
    assert needs[(), "StudyDate"] is Need.PRESENCE
    assert needs[(), "SOPInstanceUID"] is Need.VALUE
    assert needs[(), "InstitutionName"] is Need.NOTHING
    assert needs_of("1.2.3") is None


def test_the_command_counts_what_it_wrote_and_left_out(medcnn, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    save(film(PatientName="Muster^Erika"), source / "Muster.dcm")
    (source / "words.txt").write_text("no image")

    ended = medcnn(
        "deidentify", source, "-o", tmp_path / "out", "--key", tmp_path / "k"
    )

    assert ended.returncode == 8
    assert "1 image in" in ended.stderr
    assert "1 file left out" in ended.stderr
    assert "do not rule out words" in ended.stderr
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(written) == 1
    assert b"Muster" not in written[0].read_bytes()
    assert "Muster" not in str(written[0])


def test_the_command_refuses_to_work_in_place(medcnn, tmp_path):
    path = save(film(), tmp_path / "in.dcm")
    before = path.read_bytes()

    ended = medcnn("deidentify", path, "-o", tmp_path)

    assert ended.returncode == 1
    assert "lie in each other" in ended.stderr
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
