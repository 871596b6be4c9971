"""Frames and fragments, single bits and floats: split where they begin."""

import struct

import imagecodecs
import numpy as np
import pytest
from dicoms import picture, save
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medcnn import io
from medcnn.errors import DecodeError

FRAMES = np.random.default_rng(4).integers(0, 4096, (3, 21, 17)).astype("<u2")


def several(frames=FRAMES, **attributes):
    dataset = picture(frames[0], NumberOfFrames=len(frames), **attributes)
    raw = frames.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    return dataset


def encapsulated(syntax, raw, **attributes):
    dataset = several(**attributes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData, dataset["PixelData"].VR = raw, "OB"
    return dataset


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm")).array[0].transpose(2, 1, 0)


def j2k(frame):
    return imagecodecs.jpeg2k_encode(frame, level=0, codecformat="J2K")


CODED = [j2k(frame) for frame in FRAMES]


@pytest.mark.parametrize("pieces", [1, 2, 5])
@pytest.mark.parametrize("table", [True, False])
def test_frames_of_several_fragments_are_put_together(pieces, table, tmp_path):
    raw = encapsulate(CODED, fragments_per_frame=pieces, has_bot=table)
    dataset = encapsulated(JPEG2000Lossless, raw)
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES)


def test_an_extended_offset_table_says_where_frames_begin(tmp_path):
    raw, offsets, lengths = encapsulate_extended(CODED)
    dataset = encapsulated(JPEG2000Lossless, raw)
    dataset.ExtendedOffsetTable = offsets
    dataset.ExtendedOffsetTableLengths = lengths
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES)


def test_one_frame_may_come_in_many_fragments(tmp_path):
    raw = encapsulate(CODED[:1], fragments_per_frame=7, has_bot=False)
    dataset = encapsulated(JPEG2000Lossless, raw, frames=FRAMES[:1])
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES[:1])


def test_bytes_after_a_frame_are_left_alone(tmp_path):
    padded = [frame + b"\0" * 6 for frame in CODED]
    dataset = encapsulated(JPEG2000Lossless, encapsulate(padded))
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES)


def test_a_jp2_file_around_a_codestream_is_taken_off(tmp_path):
    boxed = imagecodecs.jpeg2k_encode(FRAMES[0], level=0, codecformat="JP2")
    assert boxed[4:8] == b"jP  "
    raw = encapsulate([boxed])
    dataset = encapsulated(JPEG2000Lossless, raw, frames=FRAMES[:1])
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES[:1])


def test_run_lengths_of_several_frames_give_the_original_back(tmp_path):
    dataset = several()
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(read(dataset, tmp_path), FRAMES)


def rle(segments):
    head = struct.pack("<16I", len(segments), *offsets(segments))
    return head + b"".join(segments)


def offsets(segments):
    starts = np.cumsum([64, *[len(part) for part in segments]])[: len(segments)]
    return [*starts, *[0] * (15 - len(segments))]


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([b"\x80" * 4], "come in 1 segments, not 2"),
        ([bytes([129, 0]), bytes([129, 0])], "holds 128 of 357 bytes"),
    ],
)
def test_run_lengths_that_lack_something_are_refused(segments, reason, tmp_path):
    raw = encapsulate([rle(segments)])
    with pytest.raises(DecodeError, match=reason):
        read(encapsulated(RLELossless, raw, frames=FRAMES[:1]), tmp_path)


def test_padded_run_lengths_are_read(tmp_path):
    plane = bytes([129, 7] * 2 + [157, 7])  # 128 + 128 + 100 sevens, and one more
    dataset = encapsulated(
        RLELossless, encapsulate([rle([plane + b"\0\7\0\7"] * 2)]), frames=FRAMES[:1]
    )
    dataset.BitsStored, dataset.HighBit = 16, 15
    assert (read(dataset, tmp_path) == 0x0707).all()


@pytest.mark.parametrize("syntax", [None, ExplicitVRBigEndian])
def test_single_bits_run_on_from_frame_to_frame(syntax, tmp_path):
    bits = np.random.default_rng(5).integers(0, 2, (3, 5, 7)).astype("u1")
    dataset = several(bits, BitsAllocated=1, BitsStored=1, HighBit=0, Modality="SEG")
    raw = np.packbits(bits.ravel(), bitorder="little").tobytes()
    dataset.PixelData, dataset["PixelData"].VR = raw + b"\0" * (len(raw) % 2), "OB"
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read(dataset, tmp_path), bits)


@pytest.mark.parametrize(
    ("keyword", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")]
)
def test_floats_are_read_as_they_are_and_their_padding_masked(keyword, kind, tmp_path):
    values = np.linspace(-3, 9, 40).reshape(5, 8).astype(kind)
    dataset = picture(values.view(f"<u{values.itemsize}"))
    del dataset.PixelData, dataset.HighBit, dataset.BitsStored
    del dataset.PixelRepresentation
    setattr(dataset, keyword, values.tobytes())
    setattr(dataset, keyword.replace("Data", "PaddingValue"), float(values[0, 3]))
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.picture(), values)
    assert np.argwhere(image.padding[..., 0].T).tolist() == [[0, 3]]


def test_floats_of_another_width_are_refused(tmp_path):
    dataset = picture(FRAMES[0])
    dataset.FloatPixelData = b"\0" * 4 * FRAMES[0].size
    del dataset.PixelData
    with pytest.raises(DecodeError, match="Bits Allocated is 16, not 32 for floats"):
        read(dataset, tmp_path)


@pytest.mark.parametrize("bits", [12, 24, 64])
def test_containers_that_are_no_whole_words_are_refused(bits, tmp_path):
    dataset = picture(FRAMES[0], BitsAllocated=bits, BitsStored=12)
    with pytest.raises(DecodeError, match=f"Allocated is {bits}, not 1, 8, 16 or 32"):
        read(dataset, tmp_path)


def test_pixels_that_are_numbers_instead_of_bytes_are_refused(tmp_path):
    path = save(picture(FRAMES[0]), tmp_path / "a.dcm")
    there = b"\xe0\x7f\x10\0OW\0\0" + (2 * FRAMES[0].size).to_bytes(4, "little")
    wrong = b"\xe0\x7f\x10\0US" + (2 * FRAMES[0].size).to_bytes(2, "little")
    assert there in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(there, wrong))
    with pytest.raises(DecodeError, match="the value representation US"):
        io.load(path)


def test_32_bits_in_big_endian_are_refused(tmp_path):
    dataset = picture(FRAMES[0].astype("<u4"), BitsStored=32)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    with pytest.raises(DecodeError, match="can be read in two orders"):
        read(dataset, tmp_path)


@pytest.mark.parametrize("kind", ["<u4", "<i4"])
def test_32_bit_values_are_exact(kind, tmp_path):
    values = np.array([[0, 1, 2**31 - 1], [2**30 + 1, 7, 2**32 - 1]], "<u4").view(kind)
    found = read(picture(values, BitsStored=32, Modality="CT"), tmp_path)
    np.testing.assert_array_equal(found[0], values)


def test_signed_values_come_back_out_of_unsigned_codestreams(tmp_path):
    values = (FRAMES[0].astype(int) - 2048).astype("<i2")
    bits = (values & 0xFFF).astype("<u2")
    for syntax, frame in (
        (JPEGLSLossless, imagecodecs.jpegls_encode(values.view("u2"))),
        (JPEG2000Lossless, imagecodecs.jpeg2k_encode(bits, bitspersample=12)),
    ):
        stored = 16 if syntax == JPEGLSLossless else 12
        raw = encapsulate([frame])
        dataset = encapsulated(syntax, raw, frames=FRAMES[:1], BitsStored=stored)
        dataset.PixelRepresentation, dataset.HighBit = 1, stored - 1
        np.testing.assert_array_equal(read(dataset, tmp_path)[0], values)


def test_a_codestream_with_more_than_the_bits_stored_is_refused(tmp_path):
    frame = imagecodecs.jpegls_encode(FRAMES[0] * 16)
    dataset = encapsulated(JPEGLSLossless, encapsulate([frame]), frames=FRAMES[:1])
    with pytest.raises(DecodeError, match="do not fit the 12 bits"):
        read(dataset, tmp_path)


def test_unsigned_bits_for_more_signed_ones_are_refused(tmp_path):
    frame = imagecodecs.jpeg2k_encode(FRAMES[0], bitspersample=12, level=0)
    dataset = encapsulated(JPEG2000Lossless, encapsulate([frame]), frames=FRAMES[:1])
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
    with pytest.raises(DecodeError, match="12 bits without a sign"):
        read(dataset, tmp_path)


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        ("1.2.840.10008.1.2.4.102", "is a video, and still images are read"),
        ("1.2.840.10008.1.2.4.107", "HEVC.* is a video"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced leaves the pixels on a server"),
        ("1.2.840.10008.1.2.4.204", "JPIP HTJ2K"),
        ("1.2.840.10008.1.2.4.92", "Part 2 .* is not read"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless is not read"),
        ("1.2.840.10008.1.2.4.61", r"Spectral Selection, Hierarchical .* is not read"),
        ("1.2.840.10008.1.2.9.9", "is none of DICOM's"),
    ],
)
def test_transfer_syntaxes_that_are_not_read_are_refused_by_name(
    syntax, reason, tmp_path
):
    # pydicom writes no syntax that it does not know
    known = "1.2.840.10008.1.2.4.100" if len(syntax) > 22 else "1.2.840.10008.1.2.4.94"
    dataset = encapsulated(known, encapsulate(CODED))
    path = save(dataset, tmp_path / "a.dcm")
    size = len(known) + len(known) % 2
    uids = [uid.encode().ljust(size, b"\0") for uid in (known, syntax)]
    path.write_bytes(path.read_bytes().replace(*uids))
    for read_it in (io.load, io.describe):
        with pytest.raises(DecodeError, match=reason) as refused:
            read_it(path)
        assert refused.value.hint
