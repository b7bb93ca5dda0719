"""A report in a folder of its own: page, numbers and PDF, under a ledger that says which runs it is made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmforensics.casefolder.acts import record_export
from vmforensics.custody import LEDGER_NAME, RunFolder, digest_evidence, environment, next_run_folder
from vmforensics.data import Evidence
from vmforensics.dossier.gather import case_of, gather
from vmforensics.errors import CustodyError
from vmforensics.report import compose
from vmforensics.report.catalogue import DEFAULT_LANGUAGE, catalogue
from vmforensics.report.content import to_json
from vmforensics.report.pdf import check_pdf, to_pdf

REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report that was made.

    Parameters
    ----------
    folder : Path
        Where it lies.
    files : mapping
        Size in bytes of each of its files, by name.
    content : mapping
        What its report.json says.
    head : str
        SHA-256 of its ledger's last line.
    """

    folder: Path
    files: Mapping[str, int]
    content: Mapping[str, Any]
    head: str


def make_report(
    path: str | Path,
    out: str | Path | None = None,
    *,
    pdf: bool = False,
    language: str = DEFAULT_LANGUAGE,
    say: Callable[[str], None] | None = None,
) -> MadeReport:
    """Report on a case or a run; the same runs give the same report, byte for byte.

    Parameters
    ----------
    path
        A case folder, its case file, a run folder, or a folder of run folders.
    out
        The folder to make. By default the next number under `reports/` in the case's folder; for a run that lies in no
        case, under a folder beside it.
    pdf
        Whether to make a PDF too.
    language
        Of the texts.
    say
        Told what is being done, for whoever waits.

    Raises
    ------
    CustodyError
        There is no finished run, or a record can't be read.
    VerificationFailed
        A finished run isn't as it was left.
    ExtraMissing
        A PDF is wanted, and what makes it isn't installed.
    OutputError
        The folder can't be made or written.
    ParameterError
        There are no texts in that language.
    """
    path = Path(path)
    if not path.exists():
        raise CustodyError(f"{path}: there is no such case or run", hint="name a case folder or a run folder")
    catalogue(language)
    if pdf:
        check_pdf()
    case = case_of(path.parent if path.is_file() else path)
    place = Path(out) if out is not None else _usual_place(path, case.path if case else None)
    say = say or (lambda _: None)
    say("checking the runs")
    subject = gather(path, place)
    say("drawing")
    if out is None:
        place = next_run_folder(place.parent)
    folder = RunFolder.create(place, evidence=[])
    about = [{"run": run.name, "ledger_head_sha256": (run.record or {})["ledger_head_sha256"]} for run in subject.runs]
    with folder.record(report=about, language=language, environment=environment()) as ledger, ledger.step("report"):
        for run in subject.runs:  # what `verify` finds changed, if a run's record does
            record = Evidence(run.folder / LEDGER_NAME, f"ledger of run {run.name}")
            ledger.digested(record, digest_evidence(record))
        made = compose(subject, language=language)
        written = {"report.html": made.html, "report.json": to_json(made.content)}
        if pdf:
            say("making the PDF")
            written["report.pdf"] = to_pdf(made.html, written["report.json"])
        products: dict[str, str] = {}
        for name, data in written.items():
            products |= folder.write(name, data)
        ledger.published(products)
    if case is not None and os.path.lexists(case.ledger) and place.is_relative_to(case.path):
        within = place.relative_to(case.path).as_posix()
        of = "." if path == case.path else os.path.relpath(path, case.path)
        files = {f"{within}/{name}": sha256 for name, sha256 in products.items()}
        actor = str(made.content["case"].get("examiner") or "") or "not stated"
        record_export(case, of=of, form="report", files=files, actor=actor, purpose="report")
    sizes = {name: len(data) for name, data in written.items()}
    return MadeReport(place, sizes, made.content, ledger.head)


def _usual_place(path: Path, case: Path | None) -> Path:
    """A numbered folder that stands for the next one; the number is taken once everything has been gathered."""
    base = case / REPORTS if case is not None else path.parent / f"{path.name}-{REPORTS}"
    return base / "000"
