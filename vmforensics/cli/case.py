"""`vmforensics case`: the folder of a case: who had what, what was done, what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import Console, JsonOption, QuietOption, print_json, printable
from vmforensics.errors import CustodyError

if TYPE_CHECKING:
    from vmforensics.casefolder import Act, CaseFolder

case = typer.Typer(
    help="Keep the folder of a case: exhibits, notes, runs, and who did what with them and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CaseArgument = Annotated[Path, typer.Argument(help="The case folder.", metavar="CASE_DIR", readable=False)]
ExhibitArgument = Annotated[str, typer.Argument(help="The exhibit's mark.", metavar="EXHIBIT")]
RunArgument = Annotated[str, typer.Argument(help="The run: 001, or 002/usual.", metavar="RUN")]
ActorOption = Annotated[
    str, typer.Option(help="Who has this done; or set VMFORENSICS_ACTOR.", envvar="VMFORENSICS_ACTOR", metavar="NAME")
]
PurposeOption = Annotated[str, typer.Option(help="Why.", metavar="TEXT")]


@case.command("list")
def list_cases(
    folder: Annotated[
        Path, typer.Argument(help="The folder that holds the cases.", metavar="DIR", readable=False)
    ] = Path("casefiles"),
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List the cases in a folder.

    \b
    Examples:
      vmforensics case list
      vmforensics case list /cases --json
    """
    from vmforensics.casefolder import find_cases

    rows = [_row(each) for each in find_cases(folder)]
    if as_json:
        print_json(rows)
    elif not quiet:
        for row in rows:
            told = f"{row['exhibits']} exhibits, {row['runs']} runs{_counted(row['verdicts'])}"
            problem = f"; {row['problem']}" if row["problem"] else ""
            typer.echo(printable(f"{row['case_dir']}: {row['id'] or 'no identity yet'}: {told}{problem}"))
        if not rows:
            typer.echo(f"{printable(folder)}: no case is there; `vmforensics new FOLDER` lays one out")


@case.command("show")
def show(case_dir: CaseArgument, *, as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """Show a case: whose it is, its exhibits and who has them, its runs (failed and rejected ones too), its notes.

    \b
    Example:
      vmforensics case show casefiles/street
    """
    from dataclasses import asdict

    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder.acts import holders

    found = CaseFolder.open(case_dir)
    identity, entries = found.identity(), found.entries()
    exhibits, runs, notes, hands = found.exhibits(), found.runs(), found.notes(), holders(found)
    if as_json:
        print_json(
            {
                "case_dir": str(case_dir),
                "identity": identity.model_dump(mode="json") if identity else None,
                "exhibits": [e.model_dump(mode="json", by_alias=True) | {"holder": hands.get(e.id)} for e in exhibits],
                "runs": [asdict(run) for run in runs],
                "notes": [note.model_dump(mode="json") for note in notes],
                "acts": [{"seq": e.seq, "time": e.time, "event": e.event, **e.fields} for e in entries],
                "ledger_head_sha256": entries[-1].digest if entries else None,
            }
        )
        return
    if quiet:
        return
    for key, value in (identity.model_dump(mode="json") if identity else {"id": "not stated yet"}).items():
        if value:
            _tell(f"{key}:", value)
    for exhibit in exhibits:
        origin = " ".join(
            filter(None, (exhibit.received.from_ and f"from {exhibit.received.from_}", exhibit.received.at))
        )
        _tell(f"exhibit {exhibit.id}:", f"{exhibit.name}, {exhibit.size_bytes} bytes, SHA-256 {exhibit.sha256}")
        if origin:
            _tell("", f"received {origin}")
        if hands.get(exhibit.id):
            _tell("", f"with {hands[exhibit.id]}")
        where = "copied to" if exhibit.policy == "copy" else "worked on where it lies:"
        _tell("", f"{where} {exhibit.path}")
        if exhibit.container_problem:
            _tell("", f"its container can't be read: {exhibit.container_problem}")
    for run in runs:
        verdict = f": {run.verdict}" if run.verdict else ""
        _tell(f"{run.name}:", f"{run.what} {run.status.value}{verdict}")
        if run.set_aside:
            _tell("", f"SET ASIDE: {run.set_aside}")
    for note in notes:
        about = f" on {note.about}" if note.about else ""
        _tell(f"note {note.number}:", f"{note.author}, {note.time}{about}")
        for line in note.text.splitlines():
            _tell("", line)
    for entry in entries:
        giver, holder = entry.fields.get("handed_over_by"), entry.fields.get("last_known_holder")
        if giver != holder:
            gap = f"{entry.fields.get('exhibit')} was handed over by {giver}, but last known to be with {holder}"
            _tell("GAP:", f"line {entry.seq} of the ledger: {gap}")
    if entries:
        _tell("acts:", f"{len(entries)} on record, the last {entries[-1].event} at {entries[-1].time}")
        _tell("ledger head:", entries[-1].digest)


@case.command("add-exhibit")
def add_exhibit(
    case_dir: CaseArgument,
    file: Annotated[
        Path, typer.Argument(help="A video file, or a folder of pictures.", metavar="FILE", readable=False)
    ],
    *,
    actor: ActorOption,
    purpose: PurposeOption,
    mark: Annotated[
        str | None, typer.Option("--id", help="Its mark; the next free one of E1, E2 ... if left out.", metavar="MARK")
    ] = None,
    received_from: Annotated[str, typer.Option(help="From whom it came.", metavar="NAME")] = "",
    received_at: Annotated[str, typer.Option(help="When: 2026-03-01, or 2026-03-01T14:30+01:00.", metavar="TIME")] = "",
    notes: Annotated[str, typer.Option(help="Origin and condition.", metavar="TEXT")] = "",
    copy: Annotated[
        bool, typer.Option("--copy/--refer", help="Work on a verified copy in the case folder, or where it lies.")
    ] = False,
    sha256: Annotated[str | None, typer.Option(help="The SHA-256 it must have.", metavar="HEX")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Take an exhibit into a case: its digest, its container's own words, from whom and when, a copy if asked.

    Prints the lines for case.yaml. Content credentials (C2PA) are read too where the extra `c2pa` is installed.

    \b
    Example:
      vmforensics case add-exhibit casefiles/street street.mp4 --copy --received-from "PC 1234" \\
          --received-at 2026-03-01 --actor "J. Roe" --purpose "seizure 17/26"
    """
    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder import add_exhibit as take_in
    from vmforensics.credentials import read_credentials
    from vmforensics.data import Evidence
    from vmforensics.plugins import Registry
    from vmforensics.recovery.container import container_facts

    found = CaseFolder.open(case_dir)
    with Console(quiet=quiet or as_json) as console:
        console.say("reading the container")
        container, problem = container_facts(Evidence(file), Registry())
        credentials = read_credentials(file)
        console.say("hashing the exhibit")
        record, act = take_in(
            found,
            file,
            actor=actor,
            purpose=purpose,
            mark=mark,
            received_from=received_from,
            received_at=received_at,
            notes=notes,
            copy=copy,
            expected_sha256=sha256,
            container=container,
            container_problem=problem,
            credentials=credentials,
        )
    if as_json:
        print_json({**record.model_dump(mode="json", by_alias=True), "ledger_head_sha256": act.head})
    elif not quiet:
        _tell(f"exhibit {record.id}:", f"{record.name}, {record.size_bytes} bytes, SHA-256 {record.sha256}")
        if problem:
            _tell("", f"its container can't be read: {problem}")
        if credentials:
            _tell("credentials:", f"{credentials['state']}: {credentials['meaning']}")
        _tell("ledger head:", act.head)
        typer.echo("\nfor case.yaml:\nevidence:")
        typer.echo(printable(f"  - id: {record.id}"))
        quoted = record.path.replace("'", "''")
        typer.echo(printable(f"    path: '{quoted}'"))
        typer.echo(f"    sha256: {record.sha256}")


@case.command("add-note")
def add_note(
    case_dir: CaseArgument,
    text: Annotated[str, typer.Argument(help="What it says; - reads it from standard input.", metavar="TEXT")],
    *,
    actor: ActorOption,
    purpose: PurposeOption,
    about: Annotated[str, typer.Option(help="An exhibit's mark, or a run.", metavar="WHAT")] = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Add a note to a case; it can't be changed afterwards, only followed by another.

    \b
    Example:
      vmforensics case add-note casefiles/street "The lamp flickers." --about E1 --actor "J. Roe" --purpose review
    """
    import sys

    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder import add_note as write
    from vmforensics.casefolder.records import LONGEST_NOTE

    if text == "-":
        text = sys.stdin.read(LONGEST_NOTE + 1)
    record, act = write(CaseFolder.open(case_dir), text, actor=actor, purpose=purpose, about=about)
    _done(act, {"note": record.number, "about": record.about}, as_json=as_json, quiet=quiet)


@case.command("transfer")
def transfer(
    case_dir: CaseArgument,
    exhibit: ExhibitArgument,
    *,
    to: Annotated[str, typer.Option(help="Into whose hands it passed.", metavar="NAME")],
    actor: ActorOption,
    purpose: PurposeOption,
    from_: Annotated[
        str, typer.Option("--from", help="Out of whose; the last known holder's if left out.", metavar="NAME")
    ] = "",
    at: Annotated[str, typer.Option(help="When; now if left out.", metavar="TIME")] = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Record that an exhibit passed into other hands; it is digested again first, if it can be reached.

    \b
    Example:
      vmforensics case transfer casefiles/street E1 --to "Lab B" --actor "J. Roe" --purpose "second opinion"
    """
    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder import transfer as hand_over

    found = CaseFolder.open(case_dir)
    act = hand_over(found, exhibit, to=to, actor=actor, purpose=purpose, from_=from_, at=at)
    told = {key: act.entry.fields[key] for key in ("exhibit", "handed_over_by", "handed_to", "at", "digest_checked")}
    _done(act, told, as_json=as_json, quiet=quiet)
    if not (as_json or quiet or told["digest_checked"]):
        typer.echo("note: the exhibit isn't within reach, so that it wasn't digested again")


@case.command("set-aside")
def set_aside(
    case_dir: CaseArgument,
    run: RunArgument,
    *,
    reason: Annotated[str, typer.Option(help="Why it doesn't count.", metavar="TEXT")],
    actor: ActorOption,
    purpose: PurposeOption,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Record that a run doesn't count, and why. Its folder stays, and the case goes on showing it.

    \b
    Example:
      vmforensics case set-aside casefiles/street 001 --reason "wrong row time" --actor "J. Roe" --purpose review
    """
    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder import set_aside as reject

    act = reject(CaseFolder.open(case_dir), run, reason=reason, actor=actor, purpose=purpose)
    _done(act, {"run": act.entry.fields["run"], "reason": reason}, as_json=as_json, quiet=quiet)


@case.command("reinstate")
def reinstate(
    case_dir: CaseArgument,
    run: RunArgument,
    *,
    actor: ActorOption,
    purpose: PurposeOption,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Record that a run that was set aside counts again.

    \b
    Example:
      vmforensics case reinstate casefiles/street 001 --actor "J. Roe" --purpose "the row time was right"
    """
    from vmforensics.casefolder import CaseFolder
    from vmforensics.casefolder import reinstate as take_up

    act = take_up(CaseFolder.open(case_dir), run, actor=actor, purpose=purpose)
    _done(act, {"run": act.entry.fields["run"]}, as_json=as_json, quiet=quiet)


@case.command("search")
def search(
    words: Annotated[list[str], typer.Argument(help="Words, or the beginning of a digest.", metavar="WORD...")],
    *,
    folder: Annotated[
        Path, typer.Option("--in", help="The folder that holds the cases.", metavar="DIR", readable=False)
    ] = Path("casefiles"),
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index anew.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search many cases: identities, exhibits with their metadata and digests, notes, runs and what they found.

    The index lies in the user's cache, is brought up to date by every search, and can be thrown away.

    \b
    Examples:
      vmforensics case search chips bag
      vmforensics case search f8dfafcce010 --in /cases
    """
    from dataclasses import asdict

    from vmforensics.casefolder import CaseIndex

    with CaseIndex(folder) as index:
        read = index.refresh(rebuild=rebuild)
        hits = index.search(" ".join(words))
    if as_json:
        print_json({"read_anew": read, "hits": [asdict(hit) for hit in hits]})
    elif not quiet:
        for hit in hits:
            typer.echo(printable(f"{hit.case}: {hit.what}: {hit.excerpt}"))
        if not hits:
            typer.echo("nothing found")


def _row(found: CaseFolder) -> dict[str, Any]:
    """A case in a list, whatever state its folder is in."""
    identity = found.identity()
    row: dict[str, Any] = {
        "case_dir": str(found.path),
        "id": identity.id if identity else None,
        "title": identity.title if identity else None,
        "exhibits": 0,
        "runs": 0,
        "verdicts": {},
        "problem": "",
    }
    try:
        runs = found.runs()
        row["exhibits"], row["runs"] = len(found.exhibits()), len(runs)
        for run in runs:
            key = "set aside" if run.set_aside else run.verdict or run.status.value
            row["verdicts"][key] = row["verdicts"].get(key, 0) + 1
    except CustodyError as error:
        row["problem"] = str(error)
    return row


def _counted(verdicts: dict[str, int]) -> str:
    return f" ({', '.join(f'{count} {verdict}' for verdict, count in sorted(verdicts.items()))})" if verdicts else ""


def _done(act: Act, told: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """Tell that an act is on record."""
    if as_json:
        print_json({"event": act.entry.event, **told, "ledger_head_sha256": act.head})
    elif not quiet:
        shown = {key.replace("_", " "): value for key, value in told.items() if value not in ("", False)}
        details = ", ".join(key if value is True else f"{key} {value}" for key, value in shown.items())
        _tell("recorded:", f"{act.entry.event}: {details}")
        _tell("ledger head:", act.head)


def _tell(label: str, text: object) -> None:
    typer.echo(f"{printable(label):<14}{printable(text)}".rstrip())
