"""The options of the Basic Profile, and bytes that no viewer shows."""

import re
from datetime import date

import numpy as np
import pydicom
import pytest
from dicom_cases import errors_of, make_source
from dicoms import picture, save
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import JPEGBaseline8Bit

import medcnn as package
from medcnn.dicom_out.deidentification import Pseudonyms, Retain, deidentify_file
from medcnn.dicom_out.deidentification.options import METHOD_CODES, shifted
from medcnn.dicom_out.deidentification.profile import option_letter, profile_actions

KEY = bytes(range(32))


def film(**attributes):
    pixels = np.arange(64 * 48, dtype="<u2").reshape(64, 48)
    return picture(pixels, **attributes)


def done(path, folder, *retain, key=KEY):
    return deidentify_file(path, folder, Pseudonyms(key), retain).path


def cleaned(dataset, folder, *retain):
    folder.mkdir(exist_ok=True)
    path = save(dataset, folder / "in.dcm")
    return pydicom.dcmread(done(path, folder / "o", *retain))


# --------------------------------------------------------------------------- the table


def test_each_option_has_the_attributes_that_the_standard_gives_it():
    """PS3.15 table E.1-1: how many, and some that were looked up one by one."""
    keep = {one: set() for one in Retain}
    for tag in profile_actions():
        for one in Retain:
            if option_letter(tag, one) == "K":
                keep[one].add(tag)
    assert {one: len(tags) for one, tags in keep.items() if one != Retain.DATES} == {
        Retain.UIDS: 59, Retain.DEVICE: 46, Retain.INSTITUTION: 10, Retain.PATIENT: 9,
    }  # fmt: skip
    looked_up = {
        Retain.UIDS: ("StudyInstanceUID", "FrameOfReferenceUID", "SourceImageSequence"),
        Retain.DEVICE: ("DeviceSerialNumber", "StationName", "DateOfLastCalibration"),
        Retain.INSTITUTION: ("InstitutionName", "InstitutionalDepartmentName"),
        Retain.PATIENT: ("PatientSex", "PatientAge", "PatientWeight", "SmokingStatus"),
    }
    for one, names in looked_up.items():
        assert {tag_for_keyword(name) for name in names} <= keep[one]
    assert option_letter(tag_for_keyword("PatientState"), Retain.PATIENT) == "C"
    dates = [t for t in profile_actions() if option_letter(t, Retain.DATES) == "C"]
    assert len(dates) == 165
    assert {dictionary_VR(t) for t in dates} == {"DA", "DT", "TM", "OB", "SH"}
    for name in ("PatientBirthDate", "PatientName"):
        assert option_letter(tag_for_keyword(name), Retain.DATES) == ""


def test_codes_of_options_are_those_of_the_terminology():
    known = {
        Retain.DATES: "RetainLongitudinalTemporalInformationModifiedDatesOption",
        Retain.PATIENT: "RetainPatientCharacteristicsOption",
        Retain.DEVICE: "RetainDeviceIdentityOption",
        Retain.UIDS: "RetainUidsOption",
        Retain.INSTITUTION: "RetainInstitutionIdentityOption",
    }
    assert set(known) == set(METHOD_CODES)
    for one, name in known.items():
        code = getattr(codes.DCM, name)
        assert METHOD_CODES[one] == (code.value, code.meaning)


# ------------------------------------------------------------------------- each option


def everything():
    dataset = film(PatientID="4711", PatientName="Muster^Erika", PatientSex="F")
    dataset.PatientAge, dataset.PatientWeight, dataset.PatientSize = "061Y", 71.5, 1.68
    dataset.PatientBirthDate, dataset.SmokingStatus = "19640203", "YES"
    dataset.PatientState, dataset.StationName = "anxious", "CT-7"
    dataset.DeviceSerialNumber, dataset.StationAETitle = "SN 99", "AE-OF-HOSPITAL"
    dataset.DateOfLastCalibration = "20250101"
    dataset.InstitutionName, dataset.InstitutionAddress = "St. Mary", "Hill 1"
    dataset.StudyDate, dataset.StudyTime = "20250310", "101112"
    dataset.AcquisitionDateTime = "20250310101213.5+0100"
    dataset.TimezoneOffsetFromUTC = "+0100"
    station = Dataset()
    station.CodeValue, station.CodingSchemeDesignator = "R7", "99HOSPITAL"
    station.CodeMeaning = "Room 7"
    dataset.PerformedStationNameCodeSequence = [station]
    return dataset


@pytest.mark.parametrize(
    ("retain", "kept"),
    [
        ((), set()),
        (
            (Retain.PATIENT,),
            {"PatientSex", "PatientAge", "PatientWeight", "PatientSize"}
            | {"SmokingStatus"},
        ),
        ((Retain.DEVICE,), {"StationName", "DeviceSerialNumber"}),
        ((Retain.INSTITUTION,), {"InstitutionName", "InstitutionAddress"}),
        ((Retain.UIDS,), {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}),
        ((Retain.DATES,), {"StudyTime", "TimezoneOffsetFromUTC"}),
    ],
)
def test_an_option_keeps_what_it_names_and_nothing_else(tmp_path, retain, kept):
    source = everything()
    new = cleaned(source, tmp_path, *retain)
    watched = (
        "PatientSex", "PatientAge", "PatientWeight", "PatientSize", "SmokingStatus",
        "PatientState", "PatientBirthDate", "StationName", "DeviceSerialNumber",
        "StationAETitle", "InstitutionName", "InstitutionAddress", "StudyDate",
        "StudyTime", "AcquisitionDateTime", "TimezoneOffsetFromUTC", "PatientName",
        "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
    )  # fmt: skip
    same = {name for name in watched if new.get(name) == source.get(name)}
    assert same == kept
    values = [item.CodeValue for item in new.DeidentificationMethodCodeSequence]
    assert values == ["113100", *(METHOD_CODES[one][0] for one in retain)]
    is_shifted = Retain.DATES in retain
    told = new.LongitudinalTemporalInformationModified
    assert told == ("MODIFIED" if is_shifted else "REMOVED")
    assert len(new.DeidentificationMethod) <= 64


def test_a_devices_codes_and_calibration_stay_with_it(tmp_path):
    new = cleaned(everything(), tmp_path, Retain.DEVICE)
    (code,) = new.PerformedStationNameCodeSequence
    assert (code.CodeValue, code.CodeMeaning) == ("R7", "Room 7")
    assert new.DateOfLastCalibration == "20250101"
    bare = cleaned(everything(), tmp_path / "bare")
    assert "PerformedStationNameCodeSequence" not in bare


def test_patients_in_items_are_not_kept_by_another_option(tmp_path):
    dataset = everything()
    item = Dataset()
    item.PatientName, item.StationName = "Muster^Erika", "CT-7"
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = "1.2.777.1"
    dataset.ReferencedImageSequence = [item]
    path = done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o", Retain.UIDS)
    new = pydicom.dcmread(path)
    assert new.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.777.1"
    assert b"Muster" not in path.read_bytes()
    assert b"CT-7" not in path.read_bytes()
    assert path.stem == dataset.SOPInstanceUID


@pytest.mark.parametrize(
    ("keyword", "value", "option"),
    [
        ("PatientSex", "erika muster", Retain.PATIENT),
        ("PatientAge", "Muster", Retain.PATIENT),
        ("StudyDate", "Muster", Retain.DATES),
        ("StudyDate", "2025", Retain.DATES),
        ("StudyDate", "20251399", Retain.DATES),
        ("StudyTime", "Muster", Retain.DATES),
        ("TimezoneOffsetFromUTC", "Muster", Retain.DATES),
        ("DeviceUID", "1.2.Muster", Retain.UIDS),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_not_kept(tmp_path, keyword, value, option):
    dataset = film()
    tag = tag_for_keyword(keyword)
    dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=0))
    path = done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o", option)
    assert value.encode() not in pydicom.dcmread(path).get(keyword, "").encode()
    assert b"uster" not in path.read_bytes()


# ----------------------------------------------------------------------- shifted dates


def test_dates_of_a_patient_go_back_together_by_days_that_the_key_knows(tmp_path):
    gaps = {}
    for person in ("4711", "4712"):
        for name, day in (("first", "20250310"), ("second", "20250402")):
            dataset = film(PatientID=person)
            dataset.StudyDate, dataset.SeriesDate = day, day
            dataset.StudyTime = "101112"
            dataset.AcquisitionDateTime = f"{day}101213.5+0100"
            folder = tmp_path / person / name
            folder.mkdir(parents=True)
            new = cleaned(dataset, folder, Retain.DATES)
            assert new.StudyDate == new.SeriesDate
            assert new.AcquisitionDateTime == f"{new.StudyDate}101213.5+0100"
            gaps[person, name] = day_of(day) - day_of(new.StudyDate)
    for person in ("4711", "4712"):
        assert gaps[person, "first"] == gaps[person, "second"]
        assert 365 <= gaps[person, "first"].days <= 365 + 3653
    assert gaps["4711", "first"] != gaps["4712", "first"]
    other = Pseudonyms(KEY[::-1]).days("4711")
    assert other != gaps["4711", "first"].days


def day_of(text):
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def test_dates_inside_sequences_go_back_too(tmp_path):
    dataset = film(PatientID="4711")
    item = Dataset()
    item.StudyDate = "20250310"
    dataset.ReferencedImageSequence = Sequence([item])
    dataset.StudyDate = "20250310"
    new = cleaned(dataset, tmp_path, Retain.DATES)
    assert new.ReferencedImageSequence[0].StudyDate == new.StudyDate != "20250310"


def test_a_study_of_nobody_keeps_its_own_gaps(tmp_path):
    """Without a patient's number the study's UID stands for the patient."""
    days = []
    for number in range(2):
        dataset = film(PatientID="")
        dataset.StudyInstanceUID = f"1.2.777.{number}"
        dataset.StudyDate = "20250310"
        folder = tmp_path / str(number)
        folder.mkdir()
        days.append(cleaned(dataset, folder, Retain.DATES).StudyDate)
    assert days[0] != days[1]


@pytest.mark.parametrize(
    ("text", "days", "expected"),
    [
        ("20240301", 1, "20240229"),
        ("20240301120000.123456-0500", 366, "20230301120000.123456-0500"),
        ("00010101", 1, None),
        ("2024", 1, None),
        ("20240230", 1, None),
        ("2024-03-01", 1, None),
    ],
)
def test_shifting_knows_the_calendar(text, days, expected):
    assert shifted(text, days) == expected


@pytest.mark.parametrize("kind", ["cr", "ct", "mr", "enhanced"])
def test_with_every_option_dciodvfy_finds_no_error_that_the_source_has_not(
    kind, tool, tmp_path
):
    dciodvfy = tool("dciodvfy", "dicom3tools")
    made = make_source(kind, tmp_path / "in")
    source = made if made.is_file() else made / "000.dcm"
    before = pydicom.dcmread(source)
    before.SeriesDate, before.SeriesTime = "20250102", "030405"
    before.ContentDate, before.ContentTime = "20250102", "030405"
    before.InstitutionName, before.StationName = "Hospital", "CT1"
    before.PatientSex, before.PatientAge = "F", "061Y"
    before.save_as(source)

    new = done(source, tmp_path / "out", *Retain)

    assert kinds(errors_of(dciodvfy, new)) <= kinds(errors_of(dciodvfy, source))
    assert pydicom.dcmread(new).PatientAge == "061Y"


def kinds(errors):
    return {re.sub(r"<[0-9.]+>", "<UID>", error) for error in errors}


# ------------------------------------------------------------------ bytes nobody shows


@pytest.mark.parametrize("shape", [(64, 48), (5, 7)], ids=["even", "odd"])
def test_what_lies_behind_the_last_row_goes(tmp_path, shape):
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)
    dataset = picture(pixels)
    shown = pixels.tobytes()
    dataset.PixelData = shown + b"tok behind the image, Muster^Erika".ljust(36)
    path = done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o")
    new = pydicom.dcmread(path)
    assert new.PixelData == shown + b"\0" * (len(shown) % 2)
    assert b"Muster" not in path.read_bytes()
    np.testing.assert_array_equal(package.load(path).array[0, :, :, 0].T, pixels)


def test_trailing_padding_and_elements_behind_the_pixels_go(tmp_path):
    dataset = film()
    dataset.add_new((0xFFFC, 0xFFFC), "OB", b"Muster^Erika")
    path = done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o")
    assert b"Muster" not in path.read_bytes()
    assert (0xFFFC, 0xFFFC) not in pydicom.dcmread(path)


def test_an_overlay_in_unused_bits_goes_and_the_pixels_stay(tmp_path):
    """Retired, and still found: words drawn into bit 12 of 12-bit pixels."""
    pixels = (np.arange(64 * 48, dtype="<u2") % 4096).reshape(64, 48)
    words = np.zeros_like(pixels)
    words[10:20, 5:40] = 1 << 12
    dataset = picture(pixels | words)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 12)
    new = pydicom.dcmread(done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o"))
    stored = np.frombuffer(new.PixelData, "<u2").reshape(64, 48)
    np.testing.assert_array_equal(stored, pixels)
    dataset[0x6000, 0x0102].value = 5  # says that a bit of the image is its own
    kept = pydicom.dcmread(done(save(dataset, tmp_path / "b.dcm"), tmp_path / "o2"))
    np.testing.assert_array_equal(
        np.frombuffer(kept.PixelData, "<u2").reshape(64, 48), pixels | words
    )


def test_pixels_too_short_for_their_size_are_left_as_they_are(tmp_path):
    dataset = film()
    dataset.PixelData = dataset.PixelData[:-10]
    new = pydicom.dcmread(done(save(dataset, tmp_path / "in.dcm"), tmp_path / "o"))
    assert new.PixelData == dataset.PixelData


def test_what_lies_behind_a_codestreams_end_goes(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    frame = imagecodecs.jpeg8_encode(pixels)
    dataset = film(Rows=64, Columns=64, BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([frame + b"Muster^Erika "])
    dataset["PixelData"].VR = "OB"
    source = save(dataset, tmp_path / "in.dcm")
    path = done(source, tmp_path / "o")
    assert b"Muster" not in path.read_bytes()
    (new,) = generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)
    assert new[: len(frame)] == frame
    np.testing.assert_array_equal(package.load(path).array, package.load(source).array)


# ------------------------------------------------------------------------- the command


def test_the_command_takes_options_by_name(medcnn, tmp_path):
    save(film(PatientSex="F"), tmp_path / "in.dcm")
    words = ("deidentify", tmp_path / "in.dcm", "-o", tmp_path / "out")
    ended = medcnn(*words, "--retain", "patient", "--retain", "shifted-dates")
    (new,) = (tmp_path / "out").rglob("*.dcm")
    assert ended.returncode == 0, ended.stderr
    assert pydicom.dcmread(new).PatientSex == "F"
    refused = medcnn(*words, "--retain", "names")
    assert refused.returncode == 2
    assert "uids, device, institution, patient, shifted-dates" in refused.stderr
