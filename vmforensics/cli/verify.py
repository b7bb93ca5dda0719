"""`vmforensics verify`: is everything as the run left it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable
from vmforensics.errors import VerificationFailed

_ENDED = {
    "finished": "finished",
    "failed": "failed, and its ledger says why",
    "interrupted": "was interrupted",
    "unfinished": "didn't finish",
}


def verify(
    run_dir: Annotated[Path, typer.Argument(help="The run folder.", metavar="RUN_DIR", readable=False)],
    *,
    evidence: Annotated[bool, typer.Option(help="Read the evidence too.")] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check a run folder, its ledger and the evidence, and list every deviation.

    \b
    Examples:
      vmforensics verify casefiles/street/runs/001
      vmforensics verify runs/001 --no-evidence --json
    """
    from dataclasses import asdict

    from vmforensics.custody import verify as examine

    found = examine(run_dir, evidence=evidence)
    if as_json:
        print_json({"ok": found.ok, **asdict(found)})
    elif not quiet:
        typer.echo(f"{run_dir}: the run {_ENDED[found.status]}; {found.entries} ledger entries, {found.files} files, "
                   f"{found.exhibits} exhibit(s) read")  # fmt: skip
        for path in found.evidence_read:
            typer.echo(f"evidence read: {printable(path)}")
        for finding in found.findings:
            typer.echo(f"  {finding.kind.value}: {printable(finding.where)}: {printable(finding.message)}")
        typer.echo("everything is as the run left it" if found.ok else f"{len(found.findings)} deviation(s)")
        typer.echo(f"ledger head: {found.head}")
        for limit in found.limits:
            typer.echo(f"note: {limit}")
    if not found.ok:
        if as_json or quiet:
            raise typer.Exit(VerificationFailed.exit_code)
        raise VerificationFailed(f"{run_dir}: {len(found.findings)} deviation(s) found")
