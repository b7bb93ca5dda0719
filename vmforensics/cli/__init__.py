"""The command line: `vmforensics`, or `vmf` for short. The only place that prints."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from vmforensics.cli.info import info
from vmforensics.cli.new import new, schema
from vmforensics.cli.plugins import plugins
from vmforensics.cli.recover import recover
from vmforensics.cli.run import run
from vmforensics.cli.simulate import simulate
from vmforensics.cli.verify import verify
from vmforensics.errors import VmforensicsError

_EPILOG = (
    "Exit codes: 0 done; 2 wrong use; 10-18 the evidence; 20-23 the case, a stage, a parameter, the region; "
    "30 the output; 40-41 a plugin; 50-51 custody; 130 interrupted. The README lists them one by one."
)

app = typer.Typer(
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


for command in (recover, run, verify, info, simulate, new, schema):
    app.command()(command)
app.add_typer(plugins, name="plugins")


def main() -> NoReturn:
    """Run the command line; a user's mistake ends in one clear message and its own exit code."""
    try:
        app()
    except VmforensicsError as error:
        typer.echo(f"error: {error.message}", err=True)
        if error.hint:
            typer.echo(f"hint:  {error.hint}", err=True)
        for note in getattr(error, "__notes__", []):
            typer.echo(f"note:  {note}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as stop:
        typer.echo("interrupted; a run that had begun says so in its ledger", err=True)
        sys.exit(143 if type(stop) is not KeyboardInterrupt else 130)  # SIGTERM comes as a subclass
    except BrokenPipeError:
        sys.exit(141)
    sys.exit(0)
