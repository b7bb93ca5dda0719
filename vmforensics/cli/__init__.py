"""The command line: `vmforensics`, or `vmf` for short. The only place that prints."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from vmforensics.cli.assess import assess, scan
from vmforensics.cli.bag import bag
from vmforensics.cli.benchmark import benchmark
from vmforensics.cli.calibrate import calibrate
from vmforensics.cli.case import case
from vmforensics.cli.compare import compare
from vmforensics.cli.console import printable
from vmforensics.cli.environment import environment
from vmforensics.cli.evaluate import evaluate
from vmforensics.cli.export import export
from vmforensics.cli.info import info
from vmforensics.cli.key import key
from vmforensics.cli.new import new, schema
from vmforensics.cli.plugins import plugins
from vmforensics.cli.recover import recover
from vmforensics.cli.replay import replay, validate
from vmforensics.cli.report import report
from vmforensics.cli.run import run
from vmforensics.cli.seal import seal
from vmforensics.cli.simulate import simulate
from vmforensics.cli.verify import verify
from vmforensics.cli.view import view
from vmforensics.errors import NotEnoughMemory, OutputError, VmforensicsError

_EPILOG = (
    "Exit codes: 0 done; 2 wrong use; 10-18 the evidence; 20-23 the case, a stage, a parameter, the region; "
    "30 the output; 31 the memory; 40-41 a plugin; 50-54 custody; 130 Ctrl-C, 143 SIGTERM. The README lists them."
)


class _Commands(TyperGroup):
    """The commands; an interrupted one says so, and ends with the exit code that shells know it by."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; left to typer, every signal would be a silent 130, and a closed pipe a 1."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            typer.echo("interrupted", err=True)
            _tell_notes(stop)
            name = getattr(stop, "signal_name", "SIGINT")  # SIGTERM and SIGHUP come as a subclass
            sys.exit(128 + signal.Signals[name])
        except BrokenPipeError:
            _give_up_output()
            sys.exit(128 + signal.SIGPIPE)


app = typer.Typer(
    cls=_Commands,
    name="vmforensics",
    help="Recovers sound from silent video, as evidence: hashed, logged, with its uncertainty.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from vmforensics import __version__

        typer.echo(f"vmforensics {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Recovers sound from silent video, as evidence: hashed, logged, with its uncertainty."""


for command in (
    assess,
    scan,
    recover,
    calibrate,
    run,
    compare,
    evaluate,
    benchmark,
    report,
    view,
    verify,
    seal,
    bag,
    replay,
    validate,
    export,
    info,
    simulate,
    new,
    schema,
):
    app.command()(command)
app.add_typer(plugins, name="plugins")
app.add_typer(key, name="key")
app.add_typer(environment, name="environment")
app.add_typer(case, name="case")


def _tell(label: str, text: str) -> None:
    """Print a message on standard error, with a line for each of its lines."""
    typer.echo(label + "\n".join(printable(line) for line in text.split("\n")), err=True)


def _give_up_output() -> None:
    """Have what is still to be written on standard output go nowhere, or Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_notes(error: BaseException) -> None:
    for note in getattr(error, "__notes__", []):
        _tell("note:  ", note)


def main() -> NoReturn:
    """Run the command line; a user's mistake ends in one clear message and its own exit code."""
    try:
        app()
    except VmforensicsError as error:
        _tell("error: ", error.message)
        if error.hint:
            _tell("hint:  ", error.hint)
        _tell_notes(error)
        sys.exit(error.exit_code)
    except MemoryError as error:
        _tell("error: ", f"there isn't enough memory: {str(error) or 'an array or a picture is too large'}")
        _tell("hint:  ", "take a smaller region (--roi), cut a copy of the part that matters, or use a larger machine")
        _tell_notes(error)
        sys.exit(NotEnoughMemory.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _give_up_output()
        _tell("error: ", f"the output can't be written: {error.strerror}")
        sys.exit(OutputError.exit_code)
    sys.exit(0)
