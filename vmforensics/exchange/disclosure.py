"""A disclosure: one zip for somebody without this program, with all that it takes to check the record."""

from __future__ import annotations

import io
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from vmforensics.custody.digest import sha256sum_line
from vmforensics.exchange.archive import new_archive
from vmforensics.exchange.subject import Subject

_VERIFIER, _BUNDLE, _READ_ME = "verify.py", "bundle-sha256.txt", "READ ME FIRST.txt"


def write_disclosure(subject: Subject, into: Path) -> None:
    """Write a zip with the whole record, instructions, digests, and a program that checks it alone.

    The same record gives the same bytes. The evidence isn't in it: the ledgers name it by its SHA-256.

    Parameters
    ----------
    subject
        What to disclose; also what isn't as it was left, which the instructions then say.
    into
        The file to make.

    Raises
    ------
    OutputError
        It can't be written.
    """
    name = f"disclosure-{subject.name}"
    verifier = files("vmforensics.exchange").joinpath("standalone_verifier.py").read_bytes()
    with new_archive(into) as archive:
        digests = {
            f"record/{path}": archive.add_file(f"{name}/record/{path}", place)[0] for path, place in subject.files()
        }
        digests[_VERIFIER] = archive.add(f"{name}/{_VERIFIER}", verifier)
        digests[_READ_ME] = archive.add(f"{name}/{_READ_ME}", _instructions(subject).encode())
        archive.add(f"{name}/{_BUNDLE}", _listing(digests.items()))


def _listing(digests: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(sha256sum_line(sha256, path) for path, sha256 in sorted(digests))


def _instructions(subject: Subject) -> str:
    """What somebody needs to know who has never heard of the program."""
    identity = subject.identity
    buffer = io.StringIO()
    say = buffer.write
    say(f"DISCLOSURE: {_line(identity.get('title') or identity.get('id') or subject.name)}\n\n")
    say(
        "This is the complete record of an examination by the program vmforensics, which recovers sound from the\n"
        "motion in silent video. You don't need that program to check it.\n\n"
    )
    if deviations := subject.deviations():
        say("NOT AS IT WAS LEFT: when this was put together, the record deviated from what it says of itself:\n")
        say("".join(f"  - {_line(each)}\n" for each in deviations) + "\n")
    for key in ("id", "examiner", "organisation", "authority"):
        if identity.get(key):
            say(f"{key + ':':<15}{_line(identity[key])}\n")
    say("\nRuns of the program, in order; those that failed or were rejected are here too:\n")
    for run in subject.runs:
        aside = f"; SET ASIDE: {run.set_aside}" if run.set_aside else ""
        error = f": {run.error}" if run.error else ""
        say(f"  {run.name}: {run.status.value}{error}{aside}\n      ledger head {run.head}\n".replace("\x00", " "))
    say("\nWhat was examined isn't in here. It is known by its SHA-256:\n")
    for sha256, name in sorted({(str(m.get("sha256")), str(m.get("path"))) for r in subject.runs for m in r.materials}):
        say(f"  {_line(Path(name).name)}  {_line(sha256)}\n")
    say(_HOW_TO)
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in buffer.getvalue())


_HOW_TO = """
HOW TO CHECK IT

1. Unpack the zip. Python 3.8 or newer is needed, nothing else; nothing is installed and nothing is sent anywhere.
2. In the unpacked folder:

       python3 -I verify.py
       python3 -I verify.py --evidence PATH-OF-THE-RECORDING

   It says in plain words what is as it was recorded and what isn't. It is one file of about 300 lines: read it first.
3. Without Python, with the tools of any Linux or macOS:

       sha256sum -c bundle-sha256.txt          every file of this disclosure
       sha256sum PATH-OF-THE-RECORDING         compare with the list above
       sed -n 3p ledger.jsonl | sha256sum      in a folder with a ledger: the "prev" of line 4, for it is a chain
4. Compare the ledger heads above with those that the examiner noted or had signed at the time. Whoever can rewrite
   everything in here can make a record that checks out; they can't change what was kept elsewhere.

WHAT IS WHERE

  record/                   the record as it lies at the examiner's
    .../report.html         for people: open it in a browser; it loads nothing from anywhere
    .../recovered.wav       the sound; recovered_48k.wav is a copy for players
    .../raw.wav             the motion as measured, before anything was filled in or filtered
    .../signal.npz          the numbers with their uncertainty
    .../case.resolved.yaml  every parameter; with the program and the recording, it repeats the run
    .../ledger.jsonl        what was done, line by line, with times, versions, digests
    .../seals/              signatures, if the record was sealed
  bundle-sha256.txt         SHA-256 of every file
  verify.py                 checks all this

A recovered sound is a measurement with an uncertainty, not a recording. Listen to raw.wav beside it, and read what the
report says of limits, before a transcript is believed.
"""


def _line(value: object) -> str:
    return "".join(c if c.isprintable() else "?" for c in str(value))[:500]
