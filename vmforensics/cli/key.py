"""`vmforensics key`: the keys that seals are signed with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable
from vmforensics.errors import KeyFileError

key = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Make and show the keys that seals are signed with."
)

PassphraseFileOption = Annotated[
    Path | None,
    typer.Option(help="A file whose first line is the key's passphrase.", metavar="FILE", readable=False),
]
_LONGEST_PASSPHRASE = 1024  # bytes, as cryptography and openssl allow


@key.command("new")
def new_(
    path: Annotated[Path, typer.Argument(help="Where the private key goes.", metavar="FILE", readable=False)],
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase that protects it.")] = False,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make an Ed25519 key: the private key in FILE, for its owner only, and the public one in FILE.pub.

    Whoever is to check your seals needs the public key, or its fingerprint, from you, and not from what you sealed.

    \b
    Examples:
      vmforensics key new examiner.key --passphrase
    """
    from vmforensics.custody.keys import PUBLIC_SUFFIX, new_key

    secret = read_passphrase(passphrase_file) if passphrase_file else None
    if passphrase and secret is None:
        secret = _ask("Passphrase", confirm=True)
    public = new_key(path, secret)
    beside = f"{path}{PUBLIC_SUFFIX}"
    if as_json:
        print_json({"private_key": path, "public_key": beside, "fingerprint": public.fingerprint,
                    "encrypted": secret is not None})  # fmt: skip
    elif not quiet:
        typer.echo(f"private key: {printable(path)}" + ("" if secret else " (not encrypted: who reads it can sign)"))
        typer.echo(f"public key:  {printable(beside)}")
        typer.echo(f"fingerprint: {public.fingerprint}")


@key.command("show")
def show(
    path: Annotated[
        Path,
        typer.Argument(help="A private key, or a file of public keys.", metavar="FILE", readable=False),
    ],
    *,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the fingerprint and the public key of each key in a file; of a private key, nothing else.

    \b
    Examples:
      vmforensics key show examiner.key.pub
    """
    from vmforensics.custody import read_private_key, read_public_keys
    from vmforensics.custody.keys import holds_private_key

    keys = (
        [read_private_key(path, passphrase_from(passphrase_file)).public]
        if holds_private_key(path)
        else [*read_public_keys(path)]
    )
    if as_json:
        print_json([{"fingerprint": each.fingerprint, "public_key": each.pem.decode()} for each in keys])
        return
    for each in keys:
        typer.echo(f"Ed25519 {each.fingerprint}")
        typer.echo(each.pem.decode(), nl=False)


def passphrase_from(file: Path | None) -> Callable[[], bytes]:
    """How to come by a passphrase once it is needed: from a file, or else by asking at the terminal."""
    return lambda: read_passphrase(file) if file else _ask("Passphrase", confirm=False)


def read_passphrase(file: Path) -> bytes:
    """The passphrase in a file: its first line.

    Raises
    ------
    KeyFileError
        It can't be read, or is empty.
    """
    from vmforensics.custody.opening import read_bounded

    try:
        first = read_bounded(Path(os.path.realpath(file)), 2**16).split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise KeyFileError(f"{file}: the passphrase can't be read: {error.strerror}") from error
    if not 0 < len(first) < _LONGEST_PASSPHRASE:
        raise KeyFileError(f"{file}: its first line must hold a passphrase of 1 to {_LONGEST_PASSPHRASE - 1} bytes")
    return first


def _ask(label: str, *, confirm: bool) -> bytes:
    if not sys.stdin.isatty():
        raise KeyFileError(
            "the key needs a passphrase, and there is no terminal to ask at", hint="give --passphrase-file FILE"
        )
    answer: str = typer.prompt(label, hide_input=True, confirmation_prompt=confirm, err=True)
    secret = answer.encode()
    if not 0 < len(secret) < _LONGEST_PASSPHRASE:
        raise KeyFileError(f"a passphrase has 1 to {_LONGEST_PASSPHRASE - 1} bytes")
    return secret
