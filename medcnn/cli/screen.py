"""medcnn screen: every image of the folders, ranked, with heatmaps and a report."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import medcnn
from medcnn.cli.console import answer, end, printable, progress_bar, say, show
from medcnn.cli.extras import refuse_without
from medcnn.cli.options import (
    Device,
    Engine,
    Identify,
    Json,
    Model,
    OutputFolder,
    PrecisionOption,
    Quiet,
    Workers,
)

__all__ = ["screen"]

_NOTES_SHOWN = 3


def screen(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files and folders; or one URL, such as s3://bucket/films.",
            metavar="[PATH]...",
            show_default=False,
        ),
    ] = None,
    *,
    output: OutputFolder,
    model: Model = "chest-xray",
    device: Device = "auto",
    engine: Engine = "auto",
    precision: PrecisionOption = "fp32",
    workers: Workers = None,
    heatmaps: Annotated[
        Literal["flagged", "all", "none"],
        typer.Option(help="Which images get a heatmap."),
    ] = "flagged",
    retry_errors: Annotated[
        bool,
        typer.Option("--retry-errors", help="Try files again that failed before."),
    ] = False,
    compare_with: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare-with",
            help="Output of an earlier run: say what moved since; repeatable.",
            metavar="DIR",
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(min=1, max=86_400, help="Most seconds for reading one file."),
    ] = 60.0,
    memory: Annotated[
        float,
        typer.Option(
            min=0.1, max=1e6, help="Most memory for one file, in GiB (Linux)."
        ),
    ] = 4.0,
    max_pixels: Annotated[
        float,
        typer.Option(
            min=1,
            max=1e9,
            help="Most megapixels of one file: columns x rows x frames x channels.",
        ),
    ] = 268.435456,
    max_frames: Annotated[
        int, typer.Option(min=1, help="Most frames of one DICOM object.")
    ] = 1 << 20,
    cluster: Annotated[
        Literal["ray"] | None,
        typer.Option(
            help="Hand the files to many machines; they must see the paths.",
            show_default="this machine alone",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of the cluster's head.", show_default="start one here"
        ),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Screen what matches in a DICOMweb archive, instead of files; plain "
            "dicomweb+http only on this machine.",
            metavar="dicomweb+https://HOST/PATH",
        ),
    ] = None,
    query: Annotated[
        str,
        typer.Option(
            help="Of --from: which series, such as Modality=CR&StudyDate=20250101-.",
            metavar="KEYWORD=VALUE&...",
        ),
    ] = "",
    most: Annotated[int, typer.Option(min=1, help="Of --from: most series.")] = 1000,
    send_back: Annotated[
        bool,
        typer.Option(
            "--send-back",
            help="Of --from: store results there as DICOM, which name the patient.",
        ),
    ] = False,
    identify: Identify = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Rank every image of the folders: worklist, heatmaps, report.

    Every image gets a durable row, whatever becomes of it. Stopped at any moment,
    nothing finished is lost: the same command goes on.

    Raises:
        BadParameter: If there is an address but no cluster, or no paths.
    """
    from medcnn.screening import Limits

    searched = _searched(paths, archive, query, output, most, send_back, quiet)
    if address is not None and cluster is None:
        msg = "--address is that of a cluster: add --cluster ray"
        raise typer.BadParameter(msg)
    wanted = paths or [] if searched is None else [str(searched.fetched())]
    if cluster is not None:
        words = f"Joining Ray at {address}" if address else "Starting Ray here"
        say(f"{words}: that takes some seconds.", quiet=quiet)
    with progress_bar("Screening", unit="files", quiet=quiet) as advance:
        record = medcnn.screen(
            wanted,
            output=output,
            model=model,
            device=device,
            engine=engine,
            precision=precision,
            workers=workers,
            heatmaps=heatmaps,
            identify=identify,
            retry_errors=retry_errors,
            compare_with=compare_with or (),
            limits=Limits(
                timeout_s=timeout,
                memory_bytes=int(memory * (1 << 30)),
                samples=round(max_pixels * 1e6),
                frames=max_frames,
            ),
            cluster=cluster,
            address=address,
            progress=advance,
        ).run()
    unsent = 0
    if searched is not None and send_back:
        unsent = searched.send_back(model, engine=engine, device=device)
    if as_json:
        answer(record.model_dump(mode="json") | {"output": str(output)})
    else:
        _show(record, output)
    end(answers=1, problems=record.counts.error + unsent)


def _searched(
    paths: list[str] | None,
    archive: str | None,
    query: str,
    output: Path,
    most: int,
    send_back: bool,
    quiet: bool,
) -> Any:
    """Return the search in an archive that was asked for; None for files.

    Raises:
        BadParameter: If files and an archive are named, or neither.
        MissingDependencyError: If what talks to archives is not installed.
    """
    if (archive is None) == (not paths):
        msg = "name files and folders, or an archive by --from"
        raise typer.BadParameter(msg)
    if archive is None:
        if query or send_back:
            msg = "--query and --send-back are of --from"
            raise typer.BadParameter(msg)
        return None
    refuse_without("dicomweb_client", "medcnn screen --from")
    from medcnn.cli.from_archive import FromArchive

    return FromArchive(archive, query, output, most, quiet)


def _show(record: Any, output: Path) -> None:
    """Show how many images came to what, and where to look."""
    from rich.table import Table
    from rich.text import Text

    from medcnn.cli.drift import in_words
    from medcnn.report import REPORT
    from medcnn.worklist import ERRORS, WORKLIST

    counts = record.counts
    lines = (
        ("flag", counts.flag, "red"),
        ("review", counts.review, "yellow"),
        ("no flag", counts.no_flag, "green"),
        ("out of scope", counts.out_of_scope, "magenta"),
        ("not read", counts.error, "bold red" if counts.error else ""),
    )
    model = f"{record.model.name} {record.model.version}"
    speed = record.files_per_second
    pace = "" if speed is None else f", {speed:.1f} files/s"
    show(f"{counts.images} images, {model}, {record.engine} on {record.device}{pace}")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 2))
    for words, number, style in lines:
        table.add_row(Text(words, style=style), Text(f"{number:,}", justify="right"))
    show(table)
    for one in record.drift:
        show(f"drift     {in_words(one)}")
    for note in record.notes[:_NOTES_SHOWN]:
        show(f"note      {printable(note)}")
    typer.echo(f"report    {printable(str(output / REPORT))}")
    typer.echo(f"worklist  {printable(str(output / WORKLIST))}")
    if counts.error:
        typer.echo(f"errors    {printable(str(output / ERRORS))}")
    typer.echo("For research use only: no diagnosis.")
