"""Palette colour against plain indexing, and its segments by hand (PS3.3 C.7.9.2)."""

import numpy as np
import pytest
from dicoms import picture, save

from medcnn import io
from medcnn.errors import DecodeError

INDICES = np.arange(64, dtype="u1").reshape(8, 8)
NAMES = ("Red", "Green", "Blue")


def palette(pixels, tables, bits, *, first=0, segmented=False, **attributes):
    """Return a palette picture; `tables` are three arrays of bytes or words."""
    count = attributes.pop("count", len(tables[0]))
    parts = {"PhotometricInterpretation": "PALETTE COLOR"}
    dataset = picture(pixels, **(parts | attributes))
    middle = "Segmented" if segmented else ""
    for name, table in zip(NAMES, tables, strict=True):
        kind = "SS" if first < 0 else "US"
        descriptor = [count % 65536, first, bits]
        keyword = f"{name}PaletteColorLookupTableDescriptor"
        dataset.add_new(dataset_tag(keyword), kind, descriptor)
        raw = np.asarray(table).tobytes()
        keyword = f"{middle}{name}PaletteColorLookupTableData"
        dataset.add_new(dataset_tag(keyword), "OW", raw + b"\0" * (len(raw) % 2))
    return dataset


def dataset_tag(keyword):
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword)


def read(dataset, tmp_path):
    return io.load(save(dataset, tmp_path / "a.dcm")).picture()


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (16, "<u2")])
def test_palettes_of_8_and_16_bits_give_their_entries(bits, kind, tmp_path):
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 2**bits, (3, 64)).astype(kind)
    found = read(palette(INDICES, tables, bits), tmp_path)
    np.testing.assert_array_equal(found, tables.T[INDICES])
    assert found.dtype == kind


def test_a_palette_of_bytes_may_have_more_than_256_entries(tmp_path):
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 256, (3, 4096)).astype("u1")
    pixels = rng.integers(0, 4096, (9, 7)).astype("<u2")
    np.testing.assert_array_equal(
        read(palette(pixels, tables, 8), tmp_path), tables.T[pixels]
    )


def test_a_palette_of_65536_entries_is_declared_as_0(tmp_path):
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 65536, (3, 65536)).astype("<u2")
    pixels = rng.integers(0, 65536, (9, 7)).astype("<u2")
    dataset = palette(pixels, tables, 16, BitsStored=16)
    np.testing.assert_array_equal(read(dataset, tmp_path), tables.T[pixels])


@pytest.mark.parametrize("place", ["low", "high", "both"])
def test_bytes_that_come_as_words_are_bytes(place, tmp_path):
    table = np.arange(64) * 4
    words = {"low": table, "high": table << 8, "both": table * 257}[place]
    found = read(palette(INDICES, [words.astype("<u2")] * 3, 8), tmp_path)
    np.testing.assert_array_equal(found[..., 0], table[INDICES])


def test_indices_outside_the_palette_take_its_ends(tmp_path):
    table = np.arange(100, 110, dtype="u1")
    found = read(palette(INDICES, [table] * 3, 8, first=20), tmp_path)
    wanted = np.clip(INDICES.astype(int) - 20, 0, 9) + 100
    np.testing.assert_array_equal(found[..., 2], wanted)


def test_signed_indices_start_at_a_negative_first_entry(tmp_path):
    pixels = (INDICES.astype(int) - 32).astype("<i2")
    table = np.arange(64, dtype="<u2") * 1000
    dataset = palette(pixels, [table] * 3, 16, first=-32)
    np.testing.assert_array_equal(read(dataset, tmp_path)[..., 1], table[INDICES])


def test_discrete_linear_and_indirect_segments_are_expanded(tmp_path):
    # 2 given values, then 4 that rise from 20 to 60, then both segments again
    codes = np.array([0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0], "<u2")
    wanted = [10, 20, 30, 40, 50, 60] * 2
    dataset = palette(INDICES % 12, [codes] * 3, 16, segmented=True, count=12)
    found = read(dataset, tmp_path)
    np.testing.assert_array_equal(found[..., 0], np.array(wanted)[INDICES % 12])


def test_segments_of_bytes_are_expanded(tmp_path):
    codes = np.array([0, 1, 0, 1, 63, 252], "u1")
    dataset = palette(INDICES, [codes] * 3, 8, segmented=True, count=64)
    np.testing.assert_array_equal(
        read(dataset, tmp_path)[..., 0], np.arange(64)[INDICES] * 4
    )


@pytest.mark.parametrize(
    "codes", [[1, 4, 60], [0, 9, 1], [2, 1, 99, 0], [7, 7, 7, 7], [2, 9, 0, 0]]
)
def test_segments_that_make_no_palette_are_refused(codes, tmp_path):
    tables = [np.array(codes, "<u2")] * 3
    dataset = palette(INDICES, tables, 16, segmented=True, count=64)
    with pytest.raises(DecodeError, match="three tables of 64 entries of 16 bits"):
        read(dataset, tmp_path)


def test_a_palette_that_is_missing_or_short_is_refused(tmp_path):
    dataset = palette(INDICES, [np.arange(64, dtype="u1")] * 3, 8)
    dataset.GreenPaletteColorLookupTableData = b"\0" * 10
    with pytest.raises(DecodeError, match="three tables of 64 entries of 8 bits"):
        read(dataset, tmp_path)
    plain = picture(INDICES, PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(DecodeError, match="lacks a palette"):
        read(plain, tmp_path)


def test_palettes_of_different_kinds_are_refused(tmp_path):
    dataset = palette(INDICES, [np.arange(64, dtype="u1")] * 3, 8)
    dataset.BluePaletteColorLookupTableDescriptor = [63, 0, 8]
    with pytest.raises(DecodeError, match="palettes of several kinds"):
        read(dataset, tmp_path)


def test_a_supplemental_palette_leaves_grey_values_alone_and_is_told(tmp_path):
    dataset = palette(INDICES, [np.arange(4, dtype="u1")] * 3, 8, first=60)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    image = io.load(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(image.picture(), INDICES)
    assert any("from 60 on are colours" in note for note in image.warnings)
