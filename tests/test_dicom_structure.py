"""The walk over a DICOM file's skeleton that comes before parsing it."""

import io
import random
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicoms import picture, save
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medcnn.errors import DecodeError
from medcnn.io import load
from medcnn.io.dicom import structure
from medcnn.io.dicom.structure import check_structure, start_of_data_set

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
PATH = Path("a.dcm")


def _nested(depth: int, *, is_undefined: bool = True) -> Dataset:
    """Return a data set with sequences inside one another."""
    inner = Dataset()
    inner.CodeValue = "1"
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptNameCodeSequence = Sequence([inner])
        outer["ConceptNameCodeSequence"].is_undefined_length = is_undefined
        inner.is_undefined_length_sequence_item = is_undefined
        inner = outer
    return inner


def _written(content: Dataset, syntax: str) -> io.BytesIO:
    """Write a picture that also holds this content."""
    dataset = picture(np.zeros((4, 4), "<u2"))
    dataset.update(content)
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(
        file,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return file


def _check(file: io.BytesIO) -> None:
    check_structure(file, start_of_data_set(file), PATH)


@pytest.mark.parametrize("is_undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_64_nested_sequences_pass_and_65_do_not(syntax, is_undefined):
    _check(_written(_nested(64, is_undefined=is_undefined), syntax))
    with pytest.raises(DecodeError, match="nested more than 64 deep"):
        _check(_written(_nested(65, is_undefined=is_undefined), syntax))


@pytest.mark.parametrize("is_undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_elements_are_counted_as_pydicom_counts_them(monkeypatch, syntax, is_undefined):
    content = Dataset()
    content.ReferencedImageSequence = Sequence(
        [_nested(n % 7, is_undefined=is_undefined) for n in range(100)]
    )
    content["ReferencedImageSequence"].is_undefined_length = is_undefined
    file = _written(content, syntax)
    file.seek(0)
    parsed = pydicom.dcmread(file, stop_before_pixels=True)
    items = 100 + sum(n % 7 for n in range(100))
    truth = sum(1 for _ in parsed.iterall()) + items
    monkeypatch.setattr(structure, "MAX_ELEMENTS", truth)
    _check(file)
    monkeypatch.setattr(structure, "MAX_ELEMENTS", truth - 1)
    with pytest.raises(DecodeError, match=f"more than {truth - 1} elements"):
        _check(file)


@pytest.mark.parametrize("size", [8_000_000, 0xFFFFFFFF])
def test_a_million_empty_items_are_refused(size):
    file = _written(Dataset(), ExplicitVRLittleEndian)
    head = file.getvalue()[: start_of_data_set(file).offset]
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000
    sequence = b"\x08\0\x40\x11SQ\0\0" + struct.pack("<I", size)
    with pytest.raises(DecodeError, match="more than 200000 elements"):
        _check(io.BytesIO(head + sequence + items))


def test_what_lies_in_fragments_and_behind_the_pixels_is_not_walked():
    deep = _written(_nested(150), ExplicitVRLittleEndian)
    inside = deep.getvalue()[start_of_data_set(deep).offset :]
    inside += b"\0" * (len(inside) % 2)
    icon = b"\x09\0\x10\x10OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0"
    icon += struct.pack("<I", len(inside)) + inside + b"\xfe\xff\xdd\xe0\0\0\0\0"
    plain = _written(Dataset(), ExplicitVRLittleEndian)
    start = start_of_data_set(plain)
    head, rest = plain.getvalue()[: start.offset], plain.getvalue()[start.offset :]
    _check(io.BytesIO(head + icon + rest))
    _check(io.BytesIO(head + rest + inside))


@pytest.mark.parametrize("syntax", [*SYNTAXES, DeflatedExplicitVRLittleEndian])
def test_the_transfer_syntax_and_the_first_element_are_found(syntax):
    file = _written(Dataset(), syntax)
    start = start_of_data_set(file)
    assert start.syntax == syntax
    assert file.getvalue()[start.syntax_at :].startswith(syntax.encode())
    group = b"\0\x08" if syntax == ExplicitVRBigEndian else b"\x08\0"
    if syntax != DeflatedExplicitVRLittleEndian:
        assert file.getvalue()[start.offset :].startswith(group)


def test_a_deflated_file_is_walked_inside(tmp_path):
    dataset = picture(np.zeros((4, 4), "<u2"))
    dataset.update(_nested(70))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(DecodeError, match="nested more than 64 deep"):
        load(save(dataset, tmp_path / "a.dcm"))


def test_broken_files_end_the_walk_without_another_error():
    rng = random.Random(3)  # noqa: S311 - not for secrets
    whole = _written(_nested(5), ExplicitVRLittleEndian).getvalue()
    for _ in range(2000):
        mutant = bytearray(whole[: rng.randrange(len(whole))])
        for _ in range(rng.randrange(4)):
            if mutant:
                mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        _check(io.BytesIO(mutant))
