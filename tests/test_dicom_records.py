"""Plain records of files: made from one header each, sent as JSON, hostile or not."""

import json

import numpy as np
import pytest
from dicoms import picture, save, save_series, series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_dicom_frames import enhanced
from test_dicom_mosaic import mosaic
from test_dicom_separate import by, repeats

from medcnn import io
from medcnn.io.dicom import parse
from medcnn.io.dicom.volumes.records import FileRecord
from medcnn.io.dicom.volumes.series import (
    describe_all_of_group,
    group_files,
    group_records,
)
from medcnn.io.options import ReadOptions


@pytest.mark.parametrize(
    "dataset",
    [
        series()[0],
        enhanced(series()),
        mosaic(),
        picture(np.ones((4, 4), "<u2"), ImagerPixelSpacing=[0.2, 0.1]),
        picture(np.ones((4, 4), "<u2")),
    ],
    ids=["slice", "enhanced", "mosaic", "film", "film without spacing"],
)
def test_a_record_survives_json(dataset, tmp_path):
    record = parse.record_of_file(save(dataset, tmp_path / "a.dcm"), ReadOptions())
    kept = json.dumps(record.to_json(), allow_nan=False)
    assert FileRecord.from_json(json.loads(kept)) == record


def test_records_made_elsewhere_describe_the_same_images(tmp_path):
    folder = save_series(repeats(2, by("EchoTime", "3", "6")), tmp_path)
    (group,), problems = group_files(sorted(folder.iterdir()), ReadOptions())
    sent = [json.loads(json.dumps(record.to_json())) for record in group.records]
    (again,) = group_records(FileRecord.from_json(record) for record in sent)
    assert problems == []
    options = ReadOptions()
    assert list(describe_all_of_group(again, folder, options)) == list(
        describe_all_of_group(group, folder, options)
    )


def test_each_header_is_parsed_once_to_describe_a_series(tmp_path, monkeypatch):
    folder = save_series(series(), tmp_path)
    parsed = []

    def counted(path, **options):
        parsed.append(path)
        return plain(path, **options)

    plain = parse.parse
    monkeypatch.setattr(parse, "parse", counted)
    found, _ = io.describe_study(folder)
    assert len(found) == 1
    assert len(parsed) == 7


numbers = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, 1e-300, 1e300, -1e300, 9e15, 1e-9])
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    positions=st.lists(st.tuples(numbers, numbers, numbers), min_size=4, max_size=4),
    spacing=st.tuples(numbers, numbers),
    cosines=st.one_of(
        st.just((1.0, 0.0, 0.0, 0.0, 1.0, 0.0)), st.tuples(*[numbers] * 6)
    ),
)
def test_any_numbers_are_an_image_or_one_error(
    positions, spacing, cosines, tmp_path_factory
):
    slices = series(count=4)
    for dataset, position in zip(slices, positions, strict=True):
        dataset.ImagePositionPatient = [f"{v:.8g}" for v in position]
        dataset.PixelSpacing = [f"{v:.8g}" for v in spacing]
        dataset.ImageOrientationPatient = [f"{v:.8g}" for v in cosines]
    folder = save_series(slices, tmp_path_factory.mktemp("n"))
    options = ReadOptions(resample_tilt=True, allow_gaps=True)
    for image in io.load_study(folder, options).images:
        assert np.isfinite(image.geometry.affine).all() if image.geometry else True
    for chosen in (ReadOptions(), options):
        found, problems = io.describe_study(folder, chosen)
        assert found or problems
