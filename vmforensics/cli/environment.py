"""`vmforensics environment`: what results depend on, here or in a run's record, and how to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable

environment = typer.Typer(
    help="Show what results depend on, and write a requirements file that makes it again.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

RunOption = Annotated[
    Path | None,
    typer.Argument(help="A run's folder; what is installed here if left out.", metavar="RUN_DIR", readable=False),
]


@environment.callback()
def _default(context: typer.Context) -> None:
    """Show what results depend on, and write a requirements file that makes it again."""
    if context.invoked_subcommand is None:
        show(None, as_json=False, quiet=False)


@environment.command("show")
def show(run_dir: RunOption = None, *, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show Python, packages, FFmpeg, BLAS kernel, processor, system and plugins: here, or as a run recorded them.

    \b
    Examples:
      vmforensics environment show
      vmforensics environment show casefiles/street/runs/001 --json
    """
    content = _setting(run_dir)
    if as_json:
        print_json(content)
    elif not quiet:
        _print(content)


@environment.command("lock")
def lock(
    run_dir: RunOption = None,
    *,
    hashes: Annotated[bool, typer.Option("--hashes", help="Ask the package index for the files' SHA-256.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to make; standard output if left out.", readable=False)
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a requirements file that makes an environment again: this one, or that of a run.

    What pip can't make (Python itself, the processor, an editable install) stands in its comments. Without --hashes,
    nothing is asked of the network; the comment after each package is the SHA-256 of the list of its files.

    \b
    Examples:
      vmforensics environment lock > requirements.txt
      vmforensics environment lock casefiles/street/runs/001 --hashes --out street.txt
    """
    from vmforensics.custody.lock import hashes_of, requirements
    from vmforensics.errors import OutputError

    described = _setting(run_dir).get("environment", {})
    text = requirements(described, hashes_of(described) if hashes else None)
    if out is None and not as_json and not quiet:
        typer.echo(text, nl=False)
    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise OutputError(f"{out}: can't be written: {error.strerror}", hint="nothing is overwritten") from error
    if as_json:
        print_json({"requirements": text, "file": str(out) if out else None})
    elif out is not None and not quiet:
        typer.echo(f"made {printable(out)}")


def _setting(run_dir: Path | None) -> dict[str, Any]:
    """What a run's first ledger entry says, or would say here and now."""
    from vmforensics.custody import LEDGER_NAME, read_ledger
    from vmforensics.errors import CustodyError
    from vmforensics.plugins import Registry
    from vmforensics.recovery.record import setting

    if run_dir is None:
        return setting(Registry())
    entries = read_ledger(run_dir / LEDGER_NAME)
    if not entries or not isinstance(entries[0].fields.get("environment"), dict):
        raise CustodyError(f"{run_dir}: its ledger doesn't begin with an environment", hint="name a run's folder")
    return {key: entries[0].fields.get(key) for key in ("environment", "plugins", "plugins_not_loaded")}


def _print(content: Any, indent: str = "") -> None:
    """Nested facts, a line each; lists of plain values on one line."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            typer.echo(f"{indent}{printable(key)}:")
            _print(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            typer.echo(f"{indent}{printable(key)}:")
            for each in value:
                line = each if not isinstance(each, dict) else ", ".join(f"{k} {v}" for k, v in each.items())
                typer.echo(f"{indent}  {printable(line)}")
        elif isinstance(value, list):
            typer.echo(f"{indent}{printable(key)}: {printable(', '.join(map(str, value)) or 'none')}")
        else:
            typer.echo(f"{indent}{printable(key)}: {printable('none' if value in ({}, None, '') else value)}")
