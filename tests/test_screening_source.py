"""A drive or network that goes away in the middle of a run."""

import shutil

import pytest
from films import write_films
from screens import folder_bytes, three_bands, worklist_bytes

import medcnn
from medcnn.errors import ReadError
from medcnn.screening import source
from medcnn.worklist import read_errors, read_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


@pytest.fixture
def oracle(model, tmp_path):
    films = tmp_path / "films"
    write_films(films, 150)
    run = {"model": model, "output": tmp_path / "oracle", "heatmaps": "all"}
    medcnn.screen(films, **run).run()
    return films, tmp_path / "oracle"


@pytest.mark.parametrize("how", ["removed", "emptied", "another drive"])
def test_a_drive_that_goes_away_stops_the_run_and_costs_nothing(
    model, oracle, tmp_path, monkeypatch, how
):
    films, whole = oracle
    run = {"model": model, "output": tmp_path / "out", "heatmaps": "all", "workers": 1}
    cases = iter(medcnn.screen(films, **run))
    first = next(cases)
    away = tmp_path / "away"
    films.rename(away)
    if how == "emptied":
        films.mkdir()
    if how == "another drive":
        films.mkdir()
        write_films(films, 1, first=149)
        monkeypatch.setattr(source, "_device", lambda _path: -1)
    with pytest.raises(ReadError, match="films cannot be reached any more") as caught:
        list(cases)
    assert "goes on where it stopped" in caught.value.hint
    monkeypatch.undo()
    shutil.rmtree(films, ignore_errors=True)
    away.rename(films)
    again = list(medcnn.screen(films, **run))
    assert again[0] == first
    assert list(read_errors(tmp_path / "out" / "errors.csv")) == []
    sessions = read_run(tmp_path / "out" / "run.json").sessions
    assert sum(session.files for session in sessions) == 150
    assert worklist_bytes(tmp_path / "out") == worklist_bytes(whole)
    for pictures in ("heatmaps", "thumbnails"):
        assert folder_bytes(tmp_path / "out" / pictures) == folder_bytes(
            whole / pictures
        )


def test_a_file_that_goes_away_alone_is_a_row(model, tmp_path):
    films = write_films(tmp_path / "films", 150)
    run = {"model": model, "output": tmp_path / "out", "workers": 1}
    cases = iter(medcnn.screen(tmp_path / "films", **run))
    next(cases)
    films[-1].unlink()
    assert len(list(cases)) >= 148
    errors = [row.path for row in read_errors(tmp_path / "out" / "errors.csv")]
    assert errors in ([], [films[-1].name])
