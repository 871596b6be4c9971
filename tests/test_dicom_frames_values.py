"""What the values of frames mean: what the object says, the shared, or each frame."""

import numpy as np
import pytest
from dicoms import lut_item, picture, save
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian

from medcnn import io
from medcnn.errors import DecodeError, ReadError

FRAMES = np.random.default_rng(5).integers(0, 4096, (3, 5, 4)).astype("<u2")


def item(**attributes):
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


def rescale(slope, intercept):
    macro = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
    return item(PixelValueTransformationSequence=[macro])


def enhanced(groups, **attributes):
    dataset = picture(FRAMES[0], NumberOfFrames=len(FRAMES), **attributes)
    dataset.PixelData = FRAMES.tobytes()
    dataset.PerFrameFunctionalGroupsSequence = groups
    return dataset


def read(dataset, tmp_path, **choices):
    return io.load(save(dataset, tmp_path / "a.dcm"), **choices)


def frames(image):
    return image.array[0].transpose(2, 1, 0)


def test_rescale_of_the_whole_object_holds_where_frames_say_nothing(tmp_path):
    """A Multi-frame Grayscale Word Secondary Capture (PS3.3 A.8.4) is written so."""
    groups = [item() for _ in FRAMES]
    dataset = enhanced(groups, RescaleSlope=2, RescaleIntercept=-1024)
    found = frames(read(dataset, tmp_path, values=True))
    np.testing.assert_array_equal(found, FRAMES * 2.0 - 1024)


def test_modality_table_of_the_whole_object_holds_where_frames_say_nothing(tmp_path):
    table = np.arange(4096)[::-1]
    groups = [item() for _ in FRAMES]
    dataset = enhanced(groups, ModalityLUTSequence=[lut_item(table.tolist(), 0, 12)])
    np.testing.assert_array_equal(
        frames(read(dataset, tmp_path, values=True)), table[FRAMES]
    )


@pytest.mark.parametrize(("kind", "unit"), [("HU", "HU"), ("US", None)])
def test_unit_after_a_modality_table_is_the_one_it_says(kind, unit, tmp_path):
    dataset = picture(FRAMES[0], Modality="CT")
    dataset.ModalityLUTSequence = Sequence([lut_item([0, 1], 0, 16)])
    dataset.ModalityLUTSequence[0].ModalityLUTType = kind
    assert read(dataset, tmp_path, values=True).unit == unit


def test_window_of_the_whole_object_holds_where_frames_say_nothing(tmp_path):
    groups = [item() for _ in FRAMES]
    dataset = enhanced(groups, WindowCenter=1000, WindowWidth=501)
    share = np.clip((FRAMES - 999.5) / 500 + 0.5, 0, 1)
    np.testing.assert_allclose(frames(read(dataset, tmp_path)), share * 65535, atol=0.5)


def test_rescale_of_a_frame_replaces_all_that_the_object_says_of_values(tmp_path):
    lut = Sequence([lut_item([0, 1], 0, 16)])
    said = {"RescaleIntercept": -1024, "ModalityLUTSequence": lut}
    macro = item(PixelValueTransformationSequence=[item(RescaleSlope=3)])
    dataset = enhanced([macro] * 3, **said)
    np.testing.assert_array_equal(
        frames(read(dataset, tmp_path, values=True)), FRAMES * 3
    )


def test_frames_of_which_some_say_what_their_values_mean_are_refused(tmp_path):
    groups = [rescale(2, 0), item(), rescale(2, 0)]
    with pytest.raises(ReadError, match="missing in 1 of its 3 frames"):
        read(enhanced(groups), tmp_path)


@pytest.mark.parametrize("is_shared", [True, False])
def test_real_world_mapping_of_frames_is_told(is_shared, tmp_path):
    mapping = item(RealWorldValueSlope=2.0, RealWorldValueIntercept=0.0)
    group = item(RealWorldValueMappingSequence=[mapping])
    dataset = enhanced([item() if is_shared else group for _ in FRAMES])
    dataset.SharedFunctionalGroupsSequence = [group if is_shared else item()]
    notes = read(dataset, tmp_path).warnings
    assert "a real world value mapping is there and was not applied" in notes


def test_fractional_segmentation_gives_shares_not_stored_numbers(tmp_path):
    stored = np.arange(60, dtype="u1").reshape(3, 5, 4)
    dataset = enhanced([item() for _ in FRAMES], Modality="SEG", BitsStored=8)
    dataset.BitsAllocated, dataset.HighBit = 8, 7
    dataset.PixelData = stored.tobytes()
    dataset.SegmentationType, dataset.MaximumFractionalValue = "FRACTIONAL", 100
    dataset.SegmentationFractionalType = "PROBABILITY"
    image = read(dataset, tmp_path)
    np.testing.assert_allclose(frames(image), stored / 100, rtol=1e-6)
    assert image.unit == "probability"


def test_padding_of_floats_is_masked_in_enhanced_objects(tmp_path):
    dataset = enhanced([item() for _ in FRAMES], BitsAllocated=32)
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    values = FRAMES.astype("<f4")
    values[1, 2, 3] = -999
    dataset.FloatPixelData, dataset.FloatPixelPaddingValue = values.tobytes(), -999.0
    mask = read(dataset, tmp_path).padding
    np.testing.assert_array_equal(mask.transpose(2, 1, 0), values == -999)


def test_bytes_in_big_endian_words_that_end_within_a_word_are_cut_off(tmp_path):
    dataset = picture(np.arange(15, dtype="u1").reshape(5, 3), BitsStored=8)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    path = save(dataset, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DecodeError):
        io.load(path)
