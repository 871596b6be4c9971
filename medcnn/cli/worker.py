"""medcnn worker: serve the viewers on loopback."""

from pathlib import Path
from typing import Annotated

import typer

from medcnn.cli.extras import imports_of
from medcnn.cli.options import Device, Engine, Quiet

__all__ = ["worker"]


def worker(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback it needs TLS.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes a free one and says which.")
    ] = 0,
    name: Annotated[
        list[str] | None,
        typer.Option(help="What clients may call it besides HOST; repeatable."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate file (PEM).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token, readable by you alone; "
            "default: MEDCNN_WORKER_TOKEN, else a new one is made."
        ),
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Images and tables below it may be read; repeatable."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            help="Folder of your own models.",
            show_default="MEDCNN_MODELS, else the user's data folder",
        ),
    ] = None,
    max_upload_gb: Annotated[
        float, typer.Option(min=0.001, max=64, help="Largest upload.")
    ] = 4.0,
    queue: Annotated[
        int, typer.Option(min=1, max=1000, help="Most jobs that are not finished.")
    ] = 16,
    parent_pid: Annotated[
        int | None, typer.Option(min=1, help="End when this process has ended.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="End when standard input is closed.")
    ] = False,
    device: Device = "auto",
    engine: Engine = "auto",
    quiet: Quiet = False,
) -> None:
    """Serve viewers over HTTP: classify, explain, evaluate, train.

    Once it listens it writes one line of JSON to stdout. See docs/worker.md.
    """
    from medcnn.cli.console import say

    with imports_of("medcnn worker", extra="serve"):
        from medcnn.worker import Address, Settings, read_token, serve
        from medcnn.worker.guard import Limits

    settings = Settings(
        address=Address(host, port, tuple(name or ()), tls_cert, tls_key),
        token=read_token(token_file),
        folders=tuple(folder or ()),
        models=models,
        device=device,
        engine=engine,
        limits=Limits(upload_bytes=int(max_upload_gb * 2**30)),
        queue=queue,
        parent_pid=parent_pid,
        watch_stdin=stdin,
    )
    serve(settings, typer.echo)
    say("The worker has ended.", quiet=quiet)
