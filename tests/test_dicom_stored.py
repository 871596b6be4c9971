"""Stored values: decoded exactly, or refused by name."""

import imagecodecs
import numpy as np
import pytest
from dicoms import RAMP_12, as_big_endian, picture, save
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcnn import io
from medcnn.errors import DecodeError, NoPixelsError

NOISE = np.random.default_rng(1).integers(0, 4096, (40, 30)).astype("<u2")


def compressed(pixels, syntax, frame, **attributes):
    dataset = picture(pixels, **attributes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    return dataset


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm"))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (
            JPEGLosslessSV1,
            lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12),
        ),
        (
            JPEG2000Lossless,
            lambda p: imagecodecs.jpeg2k_encode(p, level=0, codecformat="J2K"),
        ),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (HTJ2KLossless, imagecodecs.htj2k_encode),
    ],
)
def test_lossless_codings_give_the_original_back(syntax, encode, tmp_path):
    image = read(compressed(NOISE, syntax, encode(NOISE)), tmp_path)
    np.testing.assert_array_equal(image.picture(), NOISE)
    assert syntax.name in image.provenance[0]


def test_run_lengths_give_the_original_back(tmp_path):
    dataset = picture(NOISE)
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(read(dataset, tmp_path).picture(), NOISE)


def test_big_endian_gives_the_original_back(tmp_path):
    image = read(as_big_endian(picture(NOISE)), tmp_path)
    np.testing.assert_array_equal(image.picture(), NOISE)


def test_data_set_in_memory_reads_like_its_file(tmp_path):
    dataset = picture(NOISE, WindowCenter=1000, WindowWidth=900)
    from_file = read(dataset, tmp_path)
    image = io.load(dataset)
    np.testing.assert_array_equal(image.array, from_file.array)
    assert image.provenance == from_file.provenance


def test_file_without_preamble_reads_the_same(tmp_path):
    path = save(picture(NOISE), tmp_path / "a.dcm")
    bare = tmp_path / "bare"
    bare.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(io.load(bare).picture(), NOISE)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"HighBit": 15}, "High Bit is 15, but must be 11 for 12 bits"),
        ({"BitsStored": 17, "HighBit": 16}, "Bits Stored is 17"),
        ({"BitsAllocated": 12}, "Bits Allocated is 12, not 1, 8, 16 or 32"),
        ({"PhotometricInterpretation": "HSV"}, "'HSV' with 1 samples"),
        ({"PhotometricInterpretation": None}, "Interpretation is missing"),
        ({"Rows": 0}, r"Rows is 0 and \(0028,0011\) Columns is 30"),
        ({"Rows": 60000, "Columns": 60000}, "at most 268435456 are read"),
        ({"Rows": 41}, "cut off: 2400 of 2460 bytes"),
        ({"NumberOfFrames": 2}, "cut off: 2400 of 4800 bytes"),
    ],
)
def test_nonsense_is_refused_by_name(attributes, reason, tmp_path):
    dataset = picture(NOISE)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    with pytest.raises(DecodeError, match=reason):
        read(dataset, tmp_path)


def test_codestream_of_another_size_is_refused_before_it_is_decoded(tmp_path):
    frame = imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="J2K")
    huge = frame.replace(
        (30).to_bytes(4, "big") + (40).to_bytes(4, "big"),
        (60000).to_bytes(4, "big") * 2,
        1,
    )
    with pytest.raises(DecodeError, match="codestream is 60000 rows x 60000 columns"):
        read(compressed(NOISE, JPEG2000Lossless, huge), tmp_path)


def test_lossless_jpeg_of_another_size_is_refused(tmp_path):
    frame = imagecodecs.ljpeg_encode(NOISE[:, :20].copy(), bitspersample=12)
    with pytest.raises(DecodeError, match="40 rows x 20 columns"):
        read(compressed(NOISE, JPEGLosslessSV1, frame), tmp_path)


def test_broken_codestream_is_refused(tmp_path):
    frame = imagecodecs.jpegls_encode(NOISE)[:200]
    with pytest.raises(DecodeError, match="frame of it has no end"):
        read(compressed(NOISE, JPEGLSLossless, frame), tmp_path)


def test_lacking_frames_are_counted(tmp_path):
    frame = imagecodecs.jpegls_encode(NOISE)
    dataset = compressed(NOISE, JPEGLSLossless, frame, NumberOfFrames=3)
    with pytest.raises(DecodeError, match=r"1 of 3 frames|split into frames"):
        read(dataset, tmp_path)


def test_unknown_transfer_syntax_is_named(tmp_path):
    dataset = compressed(NOISE, "1.2.840.10008.1.2.4.100", b"\0\0\1\xb3")
    with pytest.raises(DecodeError, match="MPEG2 Main Profile"):
        read(dataset, tmp_path)


def test_gdcm_is_never_asked(monkeypatch, tmp_path):
    from pydicom.pixels import decoders

    def crash(*_):
        pytest.fail("gdcm was called")

    plugins = {"gdcm": crash} | decoders.JPEG2000LosslessDecoder._available
    monkeypatch.setattr(decoders.JPEG2000LosslessDecoder, "_available", plugins)
    frame = imagecodecs.jpeg2k_encode(NOISE, level=0, codecformat="J2K")
    image = read(compressed(NOISE, JPEG2000Lossless, frame), tmp_path)
    np.testing.assert_array_equal(image.picture(), NOISE)


def test_report_without_pixels_is_named(tmp_path):
    dataset = picture(NOISE)
    del dataset.PixelData
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    path = save(dataset, tmp_path / "a.dcm")
    for read_it in (io.load, io.describe):
        with pytest.raises(NoPixelsError, match="Grayscale Softcopy Presentation"):
            read_it(path)


def test_describe_says_what_load_does_without_decoding(tmp_path):
    dataset = picture(RAMP_12, WindowCenter=9, WindowWidth=9, PixelSpacing=[2, 3])
    path = save(dataset, tmp_path / "a.dcm")
    image, description = io.load(path), io.describe(path)
    assert description.steps == image.provenance
    assert description.shape == image.shape
    assert description.spacing_mm == image.geometry.spacing_mm
    assert description.facts == dict(image.facts)
    path.write_bytes(path.read_bytes()[:-4000])
    assert io.describe(path).steps == image.provenance


def test_facts_and_identity_are_what_the_file_says(tmp_path):
    dataset = picture(
        RAMP_12,
        BodyPartExamined="CHEST",
        ViewPosition="PA",
        ImageLaterality="L",
        Laterality="R",
        PatientOrientation=["L", "F"],
        PresentationIntentType="FOR PROCESSING",
        BurnedInAnnotation="YES",
        PatientAge="042Y",
        PatientSex="F",
        Manufacturer="ACME",
    )
    image = read(dataset, tmp_path)
    wanted = {
        "body_part": "CHEST",
        "view": "PA",
        "laterality": "L",
        "patient_orientation": "L\\F",
        "presentation_intent": "FOR PROCESSING",
        "burned_in_annotation": "YES",
        "patient_age": "042Y",
        "patient_sex": "F",
        "manufacturer": "ACME",
        "rows": "64",
        "columns": "64",
        "bits": "12",
        "photometric": "MONOCHROME2",
        "transfer_syntax": "Explicit VR Little Endian",
    }
    assert dict(image.facts) == wanted
    assert image.identity.sop_uid == dataset.SOPInstanceUID
    assert image.identity.patient_id == "phantom"
    assert any("burned into the pixels" in note for note in image.warnings)
    assert any("FOR PROCESSING" in note for note in image.warnings)


def test_what_pydicom_quotes_in_its_warnings_is_not_passed_on(tmp_path):
    dataset = picture(NOISE)
    dataset.StudyInstanceUID = "1.22333.4"
    path = save(dataset, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"22333.4", b"Jane Do"))
    image = io.load(path)
    assert any("departs from the DICOM standard" in note for note in image.warnings)
    assert "Jane" not in " ".join(image.warnings)


def test_a_compressed_image_that_is_cut_off_is_no_report(tmp_path):
    dataset = compressed(NOISE, JPEG2000Lossless, b"\0" * 4000)
    path = save(dataset, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(NoPixelsError) as refused:
        io.load(path)
    assert "cut off before its pixels" in refused.value.hint
