"""A network without a map of places is screened with; no heatmap is drawn for it."""

import cv2
import numpy as np
import pytest
from bundles import make_bundle

import medcnn
from medcnn.errors import DataError
from medcnn.results import Status


@pytest.mark.slow
def test_a_run_of_a_fully_connected_network_has_answers_and_no_heatmaps(tmp_path):
    bundle = make_bundle(tmp_path / "b", network="mlp", arguments={"hidden": 8})
    films = tmp_path / "films"
    films.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        values = rng.integers(0, 60000, (48, 40)).astype(np.uint16)
        cv2.imwrite(str(films / f"{number}.png"), values)
    model = medcnn.Model.open(bundle.path)
    options = {"model": model, "output": tmp_path / "out", "heatmaps": "all"}
    cases = list(medcnn.screen([films], **options))
    assert [case.status for case in cases] == [Status.OK] * 3
    assert {case.heatmap for case in cases} == {""}
    assert not list((tmp_path / "out").glob("heatmaps/*"))
    with pytest.raises(DataError, match="it has no heatmap"):
        medcnn.explain(model, medcnn.load(films / "0.png"))
