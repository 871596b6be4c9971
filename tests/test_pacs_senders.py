"""Senders that lie about lengths, stall or fill the disk; series that kill."""

import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pydicom
import pytest
from dicom_cases import tiny_models
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification
from test_pacs import (
    _sockets_that_pynetdicom_leaves,  # noqa: F401 - used by every test
    associate,
    associate_by,
    certificate,  # noqa: F401 - a fixture
    films,
    listening,
    pytestmark,  # noqa: F401 - a filter of warnings
)

from medcnn.cli.console import Terminated
from medcnn.errors import OutputError
from medcnn.pacs import Spool, State, Station, parse_allowed
from medcnn.pacs.peers import client_tls, places_of, server_tls
from medcnn.pacs.spool import name_by_hash
from medcnn.pacs.station import Settings
from medcnn.pacs.stream import ABORT


def ended(link, seconds=60):
    """What a peer says until it ends the connection."""
    link.settimeout(seconds)
    said = b""
    try:
        while piece := link.recv(4096):
            said += piece
    except ConnectionResetError:
        pass
    return said


def soon(is_so):
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


def test_a_pdu_beyond_the_maximum_is_cut_off_before_any_of_it_comes(tmp_path):
    with listening(tmp_path / "spool") as (_, listener):
        for head in (b"\x01\x00\xff\xff\xff\xff", b"\x04\x00\x7f\xff\xff\xff"):
            with socket.create_connection(("127.0.0.1", listener.port)) as link:
                link.sendall(head)
                assert ended(link) == ABORT

        link = associate(listener.port, Verification)
        link.dul.socket.socket.sendall(b"\x04\x00" + struct.pack(">L", (1 << 17) + 1))
        assert soon(lambda: link.is_aborted)


def test_who_only_connects_takes_no_place_and_is_sent_away(tmp_path, monkeypatch):
    monkeypatch.setattr("medcnn.pacs.listener._ASSOCIATE_S", 8)
    with listening(tmp_path / "spool") as (_, listener):
        place = ("127.0.0.1", listener.port)
        before = set(threading.enumerate())
        silent = [socket.create_connection(place) for _ in range(40)]
        assert soon(lambda: len(set(threading.enumerate()) - before) >= 40)
        link = associate(listener.port, Verification)
        assert link.send_c_echo().Status == 0
        link.release()
        for one in silent:
            ended(one)
            one.close()
        assert soon(lambda: set(threading.enumerate()) <= before)


def test_who_connects_from_elsewhere_is_not_heard(tmp_path):
    allowed = (parse_allowed("SENDER@192.0.2.7"),)
    with listening(tmp_path / "spool", allowed=allowed) as (_, listener):
        before = set(threading.enumerate())
        with socket.create_connection(("127.0.0.1", listener.port)) as link:
            assert ended(link) == b""
            assert set(threading.enumerate()) <= before


def test_addresses_count_only_if_every_sender_has_one():
    some, anywhere = parse_allowed("A@10.0.0.1"), parse_allowed("B")
    assert places_of((some, parse_allowed("B@10.0.0.2"))) == {"10.0.0.1", "10.0.0.2"}
    assert places_of((some, anywhere)) is None


def test_who_is_cut_off_or_stalls_takes_no_place_from_others(tmp_path, monkeypatch):
    monkeypatch.setattr("medcnn.pacs.listener._TIMEOUT_S", 3)
    with listening(tmp_path / "spool") as (_, listener):
        links = []
        for number in range(20):  # 16 associations are the most
            links.append(socket.create_connection(("127.0.0.1", listener.port)))
            head = b"\x01\x00\x00\x00\xff\x00" if number % 2 else b"\x01"
            links[-1].sendall(head)
        for link in links:
            assert ended(link) == ABORT
            link.close()
        link = associate(listener.port, Verification)
        assert link.send_c_echo().Status == 0
        link.release()


def test_who_is_silent_in_tls_delays_nobody(
    certificate,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr("medcnn.pacs.server._HANDSHAKE_S", 1000)
    cert, key = certificate
    film = pydicom.dcmread(films(tmp_path / "films", 1)[0])
    tls = server_tls(cert, key, None)
    with listening(tmp_path / "spool", tls=tls) as (spool, listener):
        with socket.create_connection(("127.0.0.1", listener.port)):
            link = associate_by(listener.port, client_tls(cert, None, None))
            assert link.send_c_store(film).Status == 0
            link.release()
        assert len(spool.entries()) == 1
        link = associate_by(listener.port, client_tls(cert, None, None))
        link.dul.socket.socket.sendall(b"\x04\x00\xff\xff\xff\xff")
        assert soon(lambda: link.is_aborted)


def test_a_disk_that_gets_full_while_receiving_loses_nothing(
    tool, tmp_path, monkeypatch
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=280m", "tmpfs", disk],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        film = pydicom.dcmread(films(tmp_path / "films", 1)[0])
        film.Rows, film.Columns = 4000, 6000
        film.PixelData = np.zeros(film.Rows * film.Columns, "<u2").tobytes()
        with listening(disk / "spool") as (spool, listener):
            link = associate(listener.port, ComputedRadiographyImageStorage)
            assert "Status" not in link.send_c_store(film)
            assert spool.entries() == []
            assert soon(lambda: not list(disk.glob("*.dcm")))

            subprocess.run(
                ["mount", "-o", "remount,size=400m", disk], check=True
            )  # somebody makes room
            link = associate(listener.port, ComputedRadiographyImageStorage)
            assert link.send_c_store(film).Status == 0
            link.release()
            assert len(spool.entries()) == 1
    finally:
        subprocess.run(["umount", disk], check=True)


KILLER = """
import os, signal, sys
from pathlib import Path
from medcnn import Model
from medcnn.isolation import SafeReader
from medcnn.pacs import Spool, Station
from medcnn.pacs.station import Settings

class Killing(SafeReader):
    def load_study(self, path, *words, **options):
        if path.name == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load_study(path, *words, **options)

with Killing() as reader:
    station = Station(Spool(Path(sys.argv[1])), Model.open(sys.argv[2]), reader,
                      settings=Settings(quiet_s=0), tell=print)
    while station.step():
        pass
"""


def test_a_series_that_kills_the_listener_is_set_aside(tmp_path):
    model = tiny_models(tmp_path / "models")[2].bundle.path
    paths = films(tmp_path / "films", 2)
    spool = Spool(tmp_path / "spool")
    for path in paths:
        spool.keep((path.name,), "1.2", path)
    killer, other = name_by_hash(paths[0].name), name_by_hash(paths[1].name)
    command = [sys.executable, "-c", KILLER, spool.folder, model, killer]

    ends = [
        subprocess.run(command, check=False, capture_output=True, text=True)
        for _ in range(4)
    ]

    assert [one.returncode for one in ends] == [-signal.SIGKILL] * 3 + [0]
    assert "ended 3 times while the series was screened" in ends[3].stdout
    states = {entry.key: entry for entry in spool.entries()}
    assert states[killer].state is State.FAILED
    assert "Sent again, it is tried again" in states[killer].words
    assert states[other].state is State.DONE
    spool.keep((paths[0].name,), "1.2", paths[0])
    (again,) = spool.waiting(0)
    assert (again.key, again.tries) == (killer, 0)


@pytest.mark.parametrize("ended_by", [OutputError("the disk is full"), Terminated])
def test_what_is_not_the_series_fault_is_not_counted(tmp_path, ended_by):
    class Ending:
        def load_study(self, _):
            raise ended_by

    spool = Spool(tmp_path / "spool")
    (path,) = films(tmp_path / "films", 1)
    spool.keep(("a",), "1.2", path)
    station = Station(spool, None, Ending(), settings=Settings(quiet_s=0))
    for _ in range(5):
        with pytest.raises((OutputError, Terminated)):
            station.step()
    (entry,) = spool.entries()
    assert (entry.state, entry.tries) == (State.RECEIVING, 0)


def test_an_error_that_nobody_foresaw_is_counted(tmp_path):
    class Failing:
        def load_study(self, _):
            raise MemoryError

    spool = Spool(tmp_path / "spool")
    (path,) = films(tmp_path / "films", 1)
    spool.keep(("a",), "1.2", path)
    station = Station(spool, None, Failing(), settings=Settings(quiet_s=0))
    for _ in range(3):
        with pytest.raises(MemoryError):
            station.step()
    assert station.step()
    assert [entry.state for entry in spool.entries()] == [State.FAILED]
