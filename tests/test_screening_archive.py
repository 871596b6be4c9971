"""Screening zip archives: one row for each member, resumed like a folder."""

import zipfile

import pytest
from films import write_films
from screens import three_bands, worklist_bytes

import medcnn
from medcnn.worklist import read_errors, read_run, read_worklist

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return medcnn.Model.open(three_bands(tmp_path_factory.mktemp("models") / "three"))


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in files:
            archive.write(file, name)
        archive.writestr("films/broken.dcm", b"\0" * 128 + b"DICM")
    return path


@pytest.fixture
def films(tmp_path):
    """The same films as a folder and as an archive in a folder."""
    loose = tmp_path / "loose" / "a.zip" / "films"
    loose.mkdir(parents=True)
    written = write_films(loose, 6)
    folder = tmp_path / "packed"
    folder.mkdir()
    zipped(folder / "a.zip", [(f"films/{file.name}", file) for file in written])
    (loose / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    return tmp_path / "loose", folder


def screened(path, model, output):
    medcnn.screen(path, model=model, output=output, workers=1).run()
    return {row.path: row.probability for row in read_worklist(output / "worklist.csv")}


def test_each_member_has_a_row_as_in_a_folder(films, model, tmp_path):
    loose, packed = films
    rows = screened(packed, model, tmp_path / "two")
    assert rows == screened(loose, model, tmp_path / "one")
    assert rows["a.zip/films/film0000.dcm"] is not None
    (error,) = read_errors(tmp_path / "two" / "errors.csv")
    assert error.path == "a.zip/films/broken.dcm"


def test_a_second_run_reads_nothing_until_the_archive_changes(films, model, tmp_path):
    loose, packed = films
    archive, output = packed / "a.zip", tmp_path / "out"
    screened(archive, model, output)
    before = worklist_bytes(output)
    screened(archive, model, output)
    assert worklist_bytes(output) == before
    film = loose / "a.zip" / "films" / "film0001.dcm"
    zipped(archive, [("films/film0001.dcm", film)])
    screened(archive, model, output)
    record = read_run(output / "run.json")
    assert [session.files for session in record.sessions] == [7, 2]
