"""`vmforensics verify`: is everything as it was left?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable
from vmforensics.errors import CustodyError, VerificationFailed

if TYPE_CHECKING:
    from vmforensics.custody import Anchor, Verification

_ENDED = {
    "finished": "finished",
    "failed": "failed, and its ledger says why",
    "interrupted": "was interrupted",
    "unfinished": "didn't finish",
}
_MOST_UNANCHORED = 20  # printed; --json has them all


def verify(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run, a case, or several.", metavar="RUN_OR_CASE", readable=False)
    ],
    *,
    evidence: Annotated[bool, typer.Option(help="Read the evidence too.")] = True,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of public keys; the folder must be sealed with one. May be given again.",
            metavar="KEY.pub",
            readable=False,
        ),
    ] = None,
    tsa_root: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of root certificates of time-stamping authorities. May be given again.",
            metavar="PEM",
            readable=False,
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            help="The SHA-256 of a ledger's head, a manifest or a seal that was noted elsewhere. May be given again.",
            metavar="SHA256",
        ),
    ] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="Fail unless a seal covers everything.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check a run or a case, its ledgers, its seals and the evidence, and list every deviation.

    \b
    Examples:
      vmforensics verify casefiles/street/runs/001
      vmforensics verify casefiles/2026-0042 --trust examiner.key.pub --sealed
      vmforensics verify runs/001 --no-evidence --json
    """
    from vmforensics.casefolder.forms import with_forms
    from vmforensics.custody import Trust, read_authorities, read_public_keys
    from vmforensics.custody import verify as examine
    from vmforensics.custody.installed import otherwise_installed

    for digest in expect or ():
        if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
            raise CustodyError(f"--expect {digest!r}: a SHA-256 has 64 hexadecimal digits")
    relied = Trust(
        keys=tuple(each for file in trust or () for each in read_public_keys(file)),
        authorities=tuple(each for file in tsa_root or () for each in read_authorities(file)),
    )
    found = examine(folder, evidence=evidence, trust=relied, expected=[digest.lower() for digest in expect or ()])
    found = with_forms(found, folder)
    installed = list(otherwise_installed(_implementations(found)))
    count = len(list(found.all_findings()))
    uncovered = sealed and not found.anchored
    ok = found.ok and not uncovered
    if as_json:
        print_json({"ok": ok, **_as_json(found), "otherwise_installed": installed})
    elif not quiet:
        _tell(folder, found)
        for text in installed:
            typer.echo(f"note: {printable(text)}")
        _tell_outcome(found, count)
    if not ok:
        if as_json or quiet:
            raise typer.Exit(VerificationFailed.exit_code)
        more = "not everything is covered by a seal" if uncovered else ""
        told = f"{count} deviation(s) found" if count else ""
        raise VerificationFailed(f"{folder}: {'; '.join(filter(None, (told, more)))}")


def _tell(folder: Path, found: Verification) -> None:
    """Print what was looked at, and what was found, part by part."""
    name = printable(folder)
    if found.status is not None:
        typer.echo(f"{name}: the run {_ENDED[found.status]}; {found.entries} ledger entries, {found.files} files, "
                   f"{found.exhibits} exhibit(s) read")  # fmt: skip
    else:
        kind = "case(s)" if any(part.status is None for part in found.parts.values()) else "record(s)"
        typer.echo(f"{name}: {len(found.parts)} {kind}; {found.entries} ledger entries, {found.files} files, "
                   f"{found.exhibits} exhibit(s) read")  # fmt: skip
    for path in found.evidence_read:
        typer.echo(f"evidence read: {printable(path)}")
    for finding in found.findings:
        typer.echo(f"  {finding.kind.value}: {printable(finding.where)}: {printable(finding.message)}")
    for note in found.notes:
        typer.echo(f"note: {printable(note)}")
    for seal in found.seals:
        typer.echo(_about_seal(seal))
        for deviation in seal.deviations:
            typer.echo(f"  found already when it was made: {printable(deviation)}")
    for path, part in found.parts.items():
        typer.echo("")
        _tell(folder / path, part)
        if part.anchor is not None:
            _tell_anchor(part.anchor)
    if found.parts:
        typer.echo("")


def _about_seal(seal: Any) -> str:
    """One seal in one line; what one says whose signature isn't right, is worth nothing."""
    if not seal.key:
        return f"{seal.where}: doesn't hold"
    holds = "holds" if seal.holds else "doesn't hold"
    trusted = {True: "trusted", False: "not trusted", None: "not vouched for"}[seal.trusted]
    text = f"{seal.where}: {holds}; {seal.actor!r} at {seal.sealed}, {seal.purpose!r}; key {seal.key} ({trusted})"
    if seal.stamped:
        vouched = "" if seal.stamp_vouched else ", by an authority that isn't vouched for"
        text += f"; time-stamped {seal.stamped}{vouched}"
    if seal.amends:
        text += f"; {seal.amends}"
    return printable(text)


def _tell_outcome(found: Verification, count: int) -> None:
    """Print the verdict, what a seal covers, and what can't be told."""
    whole = "everything is as the run left it" if found.status is not None else "everything is as it was left"
    typer.echo(f"{count} deviation(s)" if count else whole)
    if found.anchor is not None:
        _tell_anchor(found.anchor)
    elif sealed := [path for path, part in found.parts.items() if part.anchor is not None]:
        typer.echo(f"anchored by seals of their own: {len(sealed)} of {len(found.parts)}; of the rest, nothing")
    else:
        typer.echo("anchored by a seal: nothing")
    if found.head is not None:
        typer.echo(f"ledger head: {found.head}")
    for limit in found.limits:
        typer.echo(f"note: {limit}")


def _tell_anchor(anchor: Anchor) -> None:
    """Print what a seal covers, and what came later."""
    rest = anchor.unanchored
    typer.echo(f"anchored by {anchor.seal}: {anchor.files} files; not anchored: {len(rest) or 'nothing'}")
    for name in rest[:_MOST_UNANCHORED]:
        typer.echo(f"  added since the seal: {printable(name)}")
    if len(rest) > _MOST_UNANCHORED:
        typer.echo(f"  and {len(rest) - _MOST_UNANCHORED} more (--json lists all)")
    if rest:
        typer.echo("note: what isn't anchored rests on the record alone; a new seal covers it")


def _as_json(found: Verification) -> dict[str, Any]:
    """The outcome for programs; `all_findings` counts places from the folder that was asked for."""
    from dataclasses import asdict

    return {**asdict(found), "all_findings": [asdict(each) for each in found.all_findings()]}


def _implementations(found: Verification) -> Sequence[Any]:
    return [*found.implementations, *(each for part in found.parts.values() for each in _implementations(part))]
