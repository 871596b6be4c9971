"""The command `medcnn`: one small file per verb, each on the public Python names.

Nothing heavy is imported before a verb really runs, so that every --help is quick.
"""

import os
from inspect import getdoc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from medcnn.cli.calibrate import calibrate
from medcnn.cli.compare import compare
from medcnn.cli.console import ExitCode, Terminated, complain, say, terminable
from medcnn.cli.deidentify import deidentify
from medcnn.cli.describe import describe
from medcnn.cli.doctor import doctor, version_of
from medcnn.cli.drift import drift
from medcnn.cli.evaluate import evaluate
from medcnn.cli.explain import explain
from medcnn.cli.export import export
from medcnn.cli.importing import import_model
from medcnn.cli.inspect import inspect
from medcnn.cli.listen import listen
from medcnn.cli.models import models
from medcnn.cli.predict import predict
from medcnn.cli.reference import reference
from medcnn.cli.report import report
from medcnn.cli.samples import samples
from medcnn.cli.screen import screen
from medcnn.cli.train import train
from medcnn.cli.view import view
from medcnn.cli.worker import worker
from medcnn.errors import MedcnnError

__all__ = ["app", "main"]

_STAYS = "What is finished is kept; the same screen, train or listen command goes on."


class _Verbs(TyperGroup):
    """The verbs, and the one place that turns an error into a sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; end with the exit code that tells how it went.

        Raises:
            Exit: If it failed or was stopped.
            MedcnnError: If it failed and a traceback is wanted.
            OSError: Likewise.
        """
        try:
            with terminable():
                return super().invoke(ctx)
        except MedcnnError as error:
            if _is_debugging(ctx):
                raise
            complain(error)
            code = ExitCode.FAILED
        except OSError as error:
            if isinstance(error, BrokenPipeError) or _is_debugging(ctx):
                raise
            complain(MedcnnError(_in_words(error)))
            code = ExitCode.FAILED
        except KeyboardInterrupt:
            say(f"Stopped by Ctrl-C. {_STAYS}")
            code = ExitCode.INTERRUPTED
        except Terminated:
            say(f"Stopped by SIGTERM. {_STAYS}")
            code = ExitCode.TERMINATED
        raise typer.Exit(code)


app = typer.Typer(
    name="medcnn",
    cls=_Verbs,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing Rich would double the time of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)
_VERBS = (
    screen,
    predict,
    explain,
    inspect,
    train,
    evaluate,
    compare,
    calibrate,
    drift,
    export,
    import_model,
    reference,
    report,
    view,
    models,
    describe,
    samples,
    deidentify,
    listen,
    worker,
    doctor,
)
for _verb in _VERBS:
    _name = {"import_model": "import"}.get(_verb.__name__)  # a word of Python's own
    # what follows in a docstring is for who reads the code
    app.command(_name, help=(getdoc(_verb) or "").partition("\n\nRaises:")[0])(_verb)


@app.callback(
    epilog="For research use only: not a medical device, and no diagnosis.",
)
def _medcnn(
    ctx: typer.Context,
    *,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="MEDCNN_DEBUG", help="Show where an error comes from."
        ),
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda wanted: _show_version() if wanted else None,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Classify medical images with CNNs, show why, and measure how well."""
    ctx.obj = {"debug": debug}


def main() -> None:
    """Run the command line."""
    app(prog_name="medcnn")


def _show_version() -> None:
    typer.echo(version_of("medcnn-imaging") or "not installed, run from its source")
    raise typer.Exit


def _is_debugging(ctx: Any) -> bool:
    """Say whether a traceback is wanted, even if options were not parsed."""
    return bool((ctx.obj or {}).get("debug") or os.environ.get("MEDCNN_DEBUG"))


def _in_words(error: OSError) -> str:
    """Return one sentence for an error of the operating system."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}."
