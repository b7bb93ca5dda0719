"""What a finished run's record says that is needed to do the run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vmforensics.case import CaseFile, Run, read_case
from vmforensics.casefolder.json_files import read_json
from vmforensics.custody import LEDGER_NAME, Entry, RunStatus, read_ledger, verify
from vmforensics.errors import CaseError, CustodyError, EvidenceMissing, VerificationFailed
from vmforensics.plugins import Registry
from vmforensics.recovery import Outcome, Plan, plan_case

_RESOLVED, _AS_GIVEN = "case.resolved.yaml", "case.yaml"


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """A finished run, as its folder tells of it.

    Parameters
    ----------
    folder : Path
        The run folder.
    case : CaseFile
        Its case.resolved.yaml.
    case_text : bytes
        The case file as it was given.
    run : Run
        The run of the case that it was.
    evidence : Path
        Where its exhibit lies now.
    evidence_sha256 : str
        What the exhibit was then.
    started : mapping
        Fields of the ledger's first entry: environment, plugins.
    entries : tuple of Entry
        The ledger.
    products : dict
        SHA-256 of every artefact, by name.
    """

    folder: Path
    case: CaseFile
    case_text: bytes
    run: Run
    evidence: Path
    evidence_sha256: str
    started: Mapping[str, Any]
    entries: tuple[Entry, ...]
    products: dict[str, str]

    @property
    def head(self) -> str:
        """SHA-256 of the ledger's last line."""
        return self.entries[-1].digest

    @property
    def stages(self) -> list[dict[str, Any]]:
        """What implemented each stage, in the order of the steps."""
        found = (entry.fields.get("implementation") for entry in self.entries if entry.event == "step-started")
        return [each for each in found if isinstance(each, dict)]

    @property
    def assessment(self) -> Outcome | None:
        """The assessment that the run was preceded by; None for a run whose method was stated.

        Raises
        ------
        CustodyError
            The record speaks of one that isn't there.
        """
        told = self.started.get("assessed")
        if not isinstance(told, Mapping):
            return None
        result = read_json(self.folder / "result.json")
        found = result.get("assessment") if isinstance(result, dict) else None
        if not isinstance(found, dict) or "verdict" not in found or "assessment.png" not in self.products:
            raise CustodyError(f"{self.folder}: its record speaks of an assessment that it doesn't hold")
        return Outcome(self.folder, found, str(told.get("ledger_head_sha256")))

    def plan(self, registry: Registry, run: Run | None = None, case_text: bytes | None = None) -> Plan:
        """Make the run ready to be carried out again, on the evidence where it lies now.

        Parameters
        ----------
        registry
            The stages to choose from.
        run
            What to do instead of what was done.
        case_text
            The case file that says so, for the new run's folder.

        Raises
        ------
        UnknownPlugin, ParameterError
            A stage isn't installed any more, or doesn't take such a parameter.
        EvidenceMissing
            The exhibit isn't there.
        """
        case = self.case.case
        wanted = run or self.run
        exhibit = case.exhibit(self.run)
        here = exhibit.model_copy(update={"path": str(self.evidence.absolute())})
        alone = case.model_copy(update={"evidence": (here,), "runs": (wanted,)})
        (plan,) = plan_case(replace(self.case, case=alone), registry)
        (done,) = plan.case.runs
        runs = tuple(done if each.name == self.run.name else each for each in case.runs) if run is None else (done,)
        return replace(
            plan,
            case=case.model_copy(update={"runs": runs}),
            case_text=self.case_text if case_text is None else case_text,
            expected_sha256=self.evidence_sha256,
        )


def read_record(folder: Path) -> RunRecord:
    """Read a finished run's record, after verifying it.

    Raises
    ------
    CustodyError
        The folder holds no finished recovery.
    VerificationFailed
        The record isn't as the run left it: what would be repeated isn't what was done.
    EvidenceMissing
        The evidence isn't where the record says, neither from the run folder nor absolutely.
    CaseError
        Its case.resolved.yaml isn't a case.
    """
    found = verify(folder, evidence=False)
    if found.status is None:
        raise CustodyError(
            f"{folder}: is no run's folder", hint=f"name one of its runs; all of them: vmforensics validate {folder}"
        )
    if not found.ok:
        count = len(list(found.all_findings()))
        raise VerificationFailed(
            f"{folder}: {count} deviation(s) from the record; a run is repeated from a sound record only",
            hint=f"see: vmforensics verify {folder}",
        )
    if found.status is not RunStatus.FINISHED or not all((folder / name).is_file() for name in (_RESOLVED, _AS_GIVEN)):
        ended = f"the run {_ENDED[found.status]}" if found.status in _ENDED else "it is no recovery"
        raise CustodyError(f"{folder}: can't be repeated: {ended}", hint="name the folder of a finished recovery")
    entries = tuple(read_ledger(folder / LEDGER_NAME))
    case = read_case(folder / _RESOLVED)
    started = entries[0].fields
    try:
        run = next(run for run in case.case.runs if run.name == started.get("run"))
        material = next(each for entry in entries for each in entry.fields.get("materials", ()))
    except StopIteration:
        raise CaseError(
            f"{folder}: ledger and {_RESOLVED} don't say which run it was, or on what", hint="it can't be repeated"
        ) from None
    return RunRecord(
        folder=folder,
        case=case,
        case_text=(folder / _AS_GIVEN).read_bytes(),
        run=run,
        evidence=_located(material, folder),
        evidence_sha256=material["sha256"],
        started=started,
        entries=entries,
        products={name: sha for entry in entries for name, sha in entry.fields.get("products", {}).items()},
    )


_ENDED: dict[RunStatus | None, str] = {
    RunStatus.FAILED: "failed, and its ledger says why",
    RunStatus.INTERRUPTED: "was interrupted",
    RunStatus.UNFINISHED: "didn't finish",
}


def _located(material: Mapping[str, Any], folder: Path) -> Path:
    """Where an exhibit lies now: at its place relative to the run folder or, where there is nothing, where it was."""
    relative = material.get("relative_path")
    places = [folder.resolve() / relative] if isinstance(relative, str) else []
    for place in (*places, Path(material["path"])):
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # out of reach, too long, or with a null in it
            continue
    tried = " nor at ".join(ascii(str(place)) for place in (*places, material["path"]))
    raise EvidenceMissing(
        f"{folder}: its evidence isn't at {tried}",
        hint="put the exhibit, or a copy of it, in one of these places",
    )
