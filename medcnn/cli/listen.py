"""medcnn listen: screen what arrives over DICOM, and send results to a peer."""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medcnn.cli.console import say
from medcnn.cli.extras import refuse_without
from medcnn.cli.open_model import open_model
from medcnn.cli.options import Device, Engine, Model, OutputFolder, Quiet

if TYPE_CHECKING:
    from medcnn.pacs import Listener, Spool, Station

__all__ = ["listen"]

_IDLE_S, _TIDY_S = 0.5, 600.0


def listen(
    *,
    output: OutputFolder,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="A sender: AE_TITLE or AE_TITLE@IP_ADDRESS; repeatable. Nobody else "
            "may send.",
            metavar="AE[@ADDRESS]",
        ),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(
            help="Where results go; without it they stay in the output folder.",
            metavar="AE@HOST:PORT",
        ),
    ] = None,
    ae_title: Annotated[str, typer.Option(help="Its own AE title.")] = "MEDCNN",
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; one beyond this machine needs TLS, or an "
            "address for every --allow."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes a free one.")
    ] = 11112,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM certificate; senders must use TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="Senders must have a certificate of this authority."),
    ] = None,
    peer_ca: Annotated[
        Path | None,
        typer.Option(help="Reach the peer by TLS; its certificate is of this one."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds without a new object until a series is complete."
        ),
    ] = 10.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Most series that wait; more are refused.")
    ] = 1000,
    keep_days: Annotated[
        float,
        typer.Option(min=0, help="Days until a finished series is deleted here."),
    ] = 30.0,
    max_object_gb: Annotated[
        float, typer.Option(min=0.001, help="Largest object.")
    ] = 4.0,
    codes: Annotated[
        Path | None, typer.Option(help="TOML file with your codes for findings.")
    ] = None,
    model: Model = "chest-xray",
    device: Device = "auto",
    engine: Engine = "auto",
    quiet: Quiet = False,
) -> None:
    """Screen what arrives over DICOM, send results back.

    Nothing is acknowledged before it is on disk. Stopped or killed at any moment, the
    same command goes on; the same image never has two results. Results name the
    patient: they are for the archive that the images come from.
    """
    refuse_without("pynetdicom", "medcnn listen")
    from medcnn.dicom_out import Codes, read_codes
    from medcnn.isolation import SafeReader
    from medcnn.pacs import Listener, Spool, Station, hold_to, parse_allowed
    from medcnn.pacs.peers import check_exposure, parse_title
    from medcnn.pacs.station import Settings
    from medcnn.screening.lock import FolderLock

    # it would print what senders say, and that may name patients
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    parse_title(ae_title)
    allowed = tuple(parse_allowed(one) for one in allow or ())
    check_exposure(host, allowed, has_tls=tls_cert is not None)
    tls = _tls(tls_cert, tls_key, tls_ca)
    destination = _destination(peer, ae_title, peer_ca, tls_cert, tls_key)
    known = Codes() if codes is None else read_codes(codes)
    spool = Spool(output, most_waiting=queue)
    with FolderLock(output, verb="listen"), SafeReader() as reader:
        _use_folder_for_parts(output)
        opened = open_model(model, engine=engine, device=device, quiet=quiet)
        hold_to(output, opened, known)
        station = Station(
            spool,
            opened,
            reader,
            settings=Settings(destination, wait, known),
            tell=(lambda _: None) if quiet else say,
        )
        with Listener(
            spool,
            title=ae_title,
            address=(host, port),
            allowed=allowed,
            tls=tls,
            most_bytes=round(max_object_gb * (1 << 30)),
        ) as listener:
            _announce(listener, ae_title, host)
            _work(station, spool, keep_days * 86400)


def _work(station: "Station", spool: "Spool", keep_s: float) -> None:
    """Do what waits, and tidy up now and then, until a signal ends it."""
    import time

    from medcnn.errors import OutputError

    tidied = 0.0
    while True:
        try:
            busy = station.step()
            if not busy and time.monotonic() - tidied > _TIDY_S:
                tidied = time.monotonic()
                spool.forget(keep_s)
        except OutputError as error:
            say(str(error))
            busy = False
            time.sleep(10)
        if not busy:
            time.sleep(_IDLE_S)


def _use_folder_for_parts(output: Path) -> None:
    """Let objects that are arriving lie beside the spool; those of a killed run go."""
    import shutil
    import tempfile

    from medcnn.outputs import make_folder

    arriving = output / "arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    make_folder(arriving)
    tempfile.tempdir = str(arriving)


def _announce(listener: "Listener", title: str, host: str) -> None:
    """Say in one line of JSON where it listens."""
    told = {"medcnn": "listen", "ae_title": title, "host": host, "port": listener.port}
    typer.echo(json.dumps(told | {"pid": os.getpid()}))


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> Any:
    """Return how connections are taken; None without TLS.

    Raises:
        DataError: If one of two files is missing.
    """
    from medcnn.errors import DataError
    from medcnn.pacs.peers import server_tls

    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        msg = "TLS needs both --tls-cert and --tls-key"
        raise DataError(msg)
    return server_tls(cert, key, ca)


def _destination(
    peer: str | None,
    title: str,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
) -> Any:
    """Return where results go; None to keep them.

    Raises:
        DataError: If there is an authority for a peer, and no peer.
    """
    from medcnn.errors import DataError
    from medcnn.pacs import parse_peer
    from medcnn.pacs.peers import client_tls
    from medcnn.pacs.station import PeerDestination

    if peer is None:
        if ca is not None:
            msg = "--peer-ca says how a peer is reached, and there is no --peer"
            raise DataError(msg, hint="Name it: --peer AE_TITLE@HOST:PORT.")
        return None
    tls = None if ca is None else client_tls(ca, cert, key)
    return PeerDestination(parse_peer(peer), title, tls)
