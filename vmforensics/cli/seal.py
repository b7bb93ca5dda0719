"""`vmforensics seal`: a signed statement of what a folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.case import ActorOption, PurposeOption
from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.key import PassphraseFileOption, passphrase_from


def seal(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run, or of a case.", metavar="RUN_OR_CASE", readable=False)
    ],
    *,
    key: Annotated[Path, typer.Option(help="The private key to sign with.", metavar="FILE", readable=False)],
    actor: ActorOption,
    purpose: PurposeOption,
    tsa: Annotated[
        str | None, typer.Option(help="Have this time-stamping authority (RFC 3161) stamp the seal.", metavar="URL")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Sign what the folder of a run or a case holds now, so that nobody without the key can change it unseen.

    The seal goes to seals/001 in the folder, the next to seals/002. What is added later is shown by `verify` as not
    covered, until the folder is sealed again. What `verify` finds wrong beforehand is written into the seal.

    \b
    Examples:
      vmforensics seal casefiles/street/runs/001 --key examiner.key --actor "J. Doe" --purpose "end of examination"
      vmforensics seal casefiles/2026-0042 --key examiner.key --actor "J. Doe" --purpose "handed to the court" \\
        --tsa http://timestamp.example.com
    """
    from dataclasses import asdict

    from vmforensics.custody import read_private_key, verify
    from vmforensics.custody import seal as make_seal

    private = read_private_key(key, passphrase_from(passphrase_file))
    with Console(quiet=quiet or as_json) as console:
        console.say("verifying")
        found = [f"{each.where}: {each.message}" for each in verify(folder, evidence=False).all_findings()]
        console.say("sealing")
        made = make_seal(folder, private, actor=actor, purpose=purpose, authority=tsa, deviations=found)
    if as_json:
        print_json(asdict(made))
    elif not quiet:
        typer.echo(f"{printable(made.folder)}: covers {made.statement.files} files and "
                   f"{len(made.statement.ledgers)} ledger(s)")  # fmt: skip
        for deviation in found:
            typer.echo(f"  stated in the seal: {printable(deviation)}")
        typer.echo(f"signed with: {made.key}")
        typer.echo(f"seal: {made.sha256}")
        typer.echo(
            "note: keep this SHA-256 elsewhere; `verify --expect` then tells whether a later seal was taken away"
        )
