"""Peers that get results: dcmtk's storescp, by TLS too, and difficult ones."""

import socket
import subprocess
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pydicom
import pytest
from dicom_cases import tiny_models
from orthancs import free_port
from pydicom.uid import JPEG2000Lossless
from pynetdicom import AE
from test_pacs import (
    RESULTS,
    _sockets_that_pynetdicom_leaves,  # noqa: F401 - used by every test
    archive,
    certificate,  # noqa: F401 - a fixture
    films,
    listening,
    pytestmark,  # noqa: F401 - a filter of warnings
    station_of,
    storescu,
    work_off,
)
from typer.testing import CliRunner

from medcnn.cli import app
from medcnn.dicom_out import Codes
from medcnn.errors import ArchiveError, OutputError
from medcnn.isolation import SafeReader
from medcnn.pacs import Spool, State, Station, hold_to, parse_allowed, parse_peer
from medcnn.pacs.peers import client_tls, server_tls
from medcnn.pacs.sending import Sent, send
from medcnn.pacs.station import PeerDestination, Settings
from medcnn.screening.lock import FolderLock


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def model(models):
    return models[2]


@pytest.fixture(scope="module")
def reader():
    with SafeReader() as reader:
        yield reader


@pytest.fixture
def made(model, reader, tmp_path):
    """A spool with one series whose results wait to be sent."""
    (path,) = films(tmp_path / "films", 1)
    spool = Spool(tmp_path / "spool")
    spool.keep(("a",), "1.2", path)
    station_of(spool, model, reader).step()
    assert [entry.state for entry in spool.entries()] == [State.MADE]
    return spool


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except OSError:
        return False
    return True


@contextmanager
def storescp(tool, folder, port, *options):
    """An archive of dcmtk, once it listens."""
    folder.mkdir(exist_ok=True)
    command = [tool("storescp", "dcmtk"), "-od", folder, "-aet", "ARCHIVE", *options]
    process = subprocess.Popen([*map(str, command), str(port)])
    try:
        until = time.monotonic() + 60
        while not listens(port):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        yield folder
    finally:
        process.kill()
        process.wait()


def sends(spool, model, reader, port, tls=None):
    peer = parse_peer(f"ARCHIVE@localhost:{port}")
    settings = Settings(PeerDestination(peer, "MEDCNN", tls), 0.0)
    return Station(spool, model, reader, settings=settings)


def step_at_last(station):
    """Do the step that is due after a pause, which is as long as the last try was."""
    until = time.monotonic() + 120
    while not station.step():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_dcmtks_archive_gets_what_lay_in_the_spool_though_it_was_away(
    made, model, reader, tool, tmp_path, monkeypatch
):
    monkeypatch.setattr("medcnn.pacs.spool._FIRST_RETRY_S", 0.01)
    port = free_port()
    station = sends(made, model, reader, port)
    for tries in (1, 2):
        step_at_last(station)
        (entry,) = made.entries()
        assert (entry.state, entry.tries) == (State.MADE, tries)
        assert "cannot be reached" in entry.words
    with storescp(tool, tmp_path / "got", port) as folder:
        step_at_last(station)
        got = {pydicom.dcmread(one).SOPInstanceUID: one for one in folder.iterdir()}
    assert [entry.state for entry in made.entries()] == [State.DONE]
    sent = [pydicom.dcmread(one) for one in made.folder.rglob("*.s?.dcm")]
    assert len(sent) == 2
    for one in sent:
        assert pydicom.dcmread(got[one.SOPInstanceUID]) == one


def test_a_peer_is_reached_by_tls_only_with_the_right_certificate(
    made,
    model,
    reader,
    tool,
    certificate,  # noqa: F811
    tmp_path,
):
    cert, key = certificate
    port = free_port()
    other = tmp_path / "other.pem"
    command = [
        tool("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/CN=localhost", "-keyout", tmp_path / "k", "-out", other,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with storescp(tool, tmp_path / "got", port, "+tls", key, cert, "-ic") as folder:
        for tls in (None, client_tls(other, None, None)):
            sends(made, model, reader, port, tls).step()
            (entry,) = made.entries()
            assert entry.state is State.MADE
            assert "cannot be reached" in entry.words or "refuses" in entry.words
            assert list(folder.iterdir()) == []
            made.settle(entry, State.MADE)
        sends(made, model, reader, port, client_tls(cert, None, None)).step()
        assert len(list(folder.iterdir())) == 2
    assert [entry.state for entry in made.entries()] == [State.DONE]


def test_dcmtk_sends_by_tls(tool, certificate, tmp_path):  # noqa: F811
    cert, key = certificate
    (path,) = films(tmp_path / "films", 1)
    tls = server_tls(cert, key, cert)
    with listening(tmp_path / "spool", tls=tls) as (spool, listener):
        assert storescu(tool, listener.port, path) != 0
        program = tool("storescu", "dcmtk")
        secure = [program, "+tls", key, cert, "+cf", cert, "-aet", "SENDER", "-aec"]
        words = [*secure, "MEDCNN", "localhost", str(listener.port), path]
        subprocess.run(list(map(str, words)), check=True, capture_output=True)
        assert len(spool.entries()) == 1


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0124])
def test_results_that_an_archive_refuses_for_good_are_recorded(
    made, model, reader, status
):
    with archive(status=status) as (_, port):
        work_off(station_of(made, model, reader, port))
    (entry,) = made.entries()
    assert entry.state is State.FAILED
    assert f"Comprehensive 3D SR was refused with status 0x{status:04X}" in entry.words
    assert len(list(made.results(entry.key).glob("*.dcm"))) == 2  # not lost


def test_a_peer_that_takes_no_transfer_syntax_of_ours_is_recorded(made, model, reader):
    entity = AE("ARCHIVE")
    for sop_class in RESULTS:
        entity.add_supported_context(sop_class, JPEG2000Lossless)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        work_off(station_of(made, model, reader, server.server_address[1]))
    finally:
        server.shutdown()
    (entry,) = made.entries()
    assert entry.state is State.FAILED
    assert "Comprehensive 3D SR is refused" in entry.words
    assert "Secondary Capture is refused" in entry.words


def test_while_a_peer_takes_no_association_screening_goes_on(
    model, reader, tmp_path, monkeypatch
):
    monkeypatch.setattr("medcnn.pacs.spool._FIRST_RETRY_S", 60.0)
    asked = []

    class Away:
        def deliver(self, files):
            asked.append(files)
            return Sent(failed="it hangs", is_away=True)

    spool = Spool(tmp_path / "spool")
    for number, path in enumerate(films(tmp_path / "films", 3)):
        spool.keep((str(number),), f"1.{number}", path)
    station = Station(spool, model, reader, settings=Settings(Away(), 0.0))
    work_off(station)

    assert [entry.state for entry in spool.entries()] == [State.MADE] * 3
    assert len(asked) == 1


def test_a_peer_that_hangs_holds_half_of_the_time_at_most(
    model, reader, tmp_path, monkeypatch
):
    monkeypatch.setattr("medcnn.pacs.spool._FIRST_RETRY_S", 0.0)
    clock = [1000.0]
    monkeypatch.setattr(
        "medcnn.pacs.station.time", SimpleNamespace(monotonic=lambda: clock[0])
    )

    class Hangs:
        def deliver(self, _files):
            clock[0] += 30
            return Sent(failed="it hangs", is_away=True)

    spool = Spool(tmp_path / "spool")
    spool.keep(("1",), "1.1", *films(tmp_path / "films", 1))
    station = Station(spool, model, reader, settings=Settings(Hangs(), 0.0))
    work_off(station)
    assert not station.step()
    clock[0] += 29
    assert not station.step()
    clock[0] += 1.1
    assert station.step()


def test_nobody_there_is_told_apart_from_one_file_that_is_not_taken(made):
    files = sorted(made.folder.rglob("*.s?.dcm"))
    sent = send(files, parse_peer(f"ARCHIVE@127.0.0.1:{free_port()}"), title="MEDCNN")
    assert sent.is_away
    assert "cannot be reached" in sent.failed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ae-title", "A_TITLE_TOO_LONG_BY_FAR"], "no AE title"),
        (["--ae-title", ""], "no AE title"),
        (["--ae-title", "A\\B"], "no AE title"),
        (["--peer-ca", "nix.pem"], "there is no --peer"),
    ],
)
def test_wrong_options_of_listen_are_told(tmp_path, options, said):
    words = ["listen", "-o", str(tmp_path / "spool"), "--allow", "A", *options]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_port_in_use_and_a_folder_in_use_are_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ArchiveError, match=rf"127\.0\.0\.1, port {port}.*--port"),
            listening(tmp_path / "spool", address=("127.0.0.1", port)),
        ):
            pass
    with FolderLock(tmp_path), pytest.raises(OutputError, match="medcnn listen"):
        FolderLock(tmp_path, verb="listen")


def test_an_address_of_a_sender_is_compared_as_systems_write_it():
    assert parse_allowed("A@0:0:0:0:0:0:0:1").address == "::1"


def test_a_spool_is_of_one_model_and_of_one_set_of_codes(models, tmp_path):
    known = Codes()
    hold_to(tmp_path, models[2], known)
    hold_to(tmp_path, models[2], Codes())  # started again
    with pytest.raises(OutputError, match=r"of the model .*, not of this") as caught:
        hold_to(tmp_path, models[3], known)
    assert "another --output" in str(caught.value)
    other = Codes(procedure=known.probability)
    with pytest.raises(OutputError, match="other --codes"):
        hold_to(tmp_path, models[2], other)
    (tmp_path / "made-with.json").write_text("{")
    with pytest.raises(OutputError, match="is broken"):
        hold_to(tmp_path, models[2], known)
