"""What the review page shows of a case, and what can be done there; every act is the command line's own."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vmforensics.assessment.run import Knowledge, assess_clip
from vmforensics.case import CASE_FILE, Case, CaseFile, RegionOfInterest, StageSpec, dump_case, parse_case, read_case
from vmforensics.casefolder import CaseFolder
from vmforensics.custody import next_run_folder
from vmforensics.data import Region
from vmforensics.dossier.gather import RESULT_NAME, case_of, gather
from vmforensics.errors import CaseError, CustodyError, VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.recovery import Watcher, run_case
from vmforensics.report.attachments import Attachments
from vmforensics.report.catalogue import Catalogue
from vmforensics.report.content import read_json
from vmforensics.report.page import run_view
from vmforensics.view.frames import Frames
from vmforensics.view.job import Jobs


class Wish(BaseModel):
    """What a person asks for on the page.

    Parameters
    ----------
    exhibit : str
        The exhibit's mark.
    region : list of int or None, px
        x, y, width, height; None for the whole picture.
    estimator : str or None
        The motion estimator; None for the usual one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    exhibit: str = Field(max_length=200)
    region: list[int] | None = Field(default=None, min_length=4, max_length=4)
    estimator: str | None = Field(default=None, max_length=200)


def read_wish(text: bytes) -> Wish:
    """Read what the page sends.

    Raises
    ------
    CaseError
        It isn't what the page sends.
    """
    try:
        return Wish.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise CaseError(f"{where}: {first['msg']}", hint="reload the page") from error


class Review:
    """One case under review.

    Parameters
    ----------
    path
        The case folder, or its case file.
    registry
        The stages to choose from; those installed if None.

    Raises
    ------
    CustodyError
        It is no case.
    CaseError
        The case file isn't valid, or there is none.
    """

    def __init__(self, path: Path, registry: Registry | None = None) -> None:
        path = path.parent if path.is_file() else path
        case = case_of(path)
        if case is None or case.path != path:
            raise CustodyError(f"{path}: is no case folder", hint="name the folder that holds case.yaml")
        self.folder: CaseFolder = case
        self.registry = registry or Registry()
        self.jobs = Jobs()
        self._lock = threading.Lock()
        self._frames: dict[str, Frames] = {}
        self.case_file()

    def case_file(self) -> CaseFile:
        """The case file as it is now."""
        return read_case(self.folder.path / CASE_FILE)

    def frames(self, mark: str) -> Frames:
        """The frames of an exhibit.

        Raises
        ------
        CaseError
            The case has no such exhibit.
        VmforensicsError
            It can't be opened.
        """
        with self._lock:
            if mark not in self._frames:
                self._frames[mark] = Frames(self._exhibit(mark), self.registry)
            return self._frames[mark]

    def exhibits(self) -> list[dict[str, Any]]:
        """The exhibits with their numbers of frames and sizes; one that can't be opened with the reason."""
        told = []
        for exhibit in self.case_file().case.evidence:
            entry: dict[str, Any] = {"id": exhibit.id, "name": Path(exhibit.path).name, "problem": ""}
            try:
                frames = self.frames(exhibit.id)
                entry |= {"frames": frames.count, "width": frames.size[0], "height": frames.size[1]}
            except VmforensicsError as error:
                entry["problem"] = error.message
            told.append(entry)
        return told

    def estimators(self) -> list[dict[str, str]]:
        """The motion estimators that are installed."""
        return [
            {"name": each.stage.name, "summary": each.stage.summary}
            for each in self.registry.stages("motion_estimator")
        ]

    def runs(self) -> list[dict[str, Any]]:
        """Every recovery of the case, the failed ones too, with what it found."""
        told = []
        for run in self.folder.runs():
            if run.what != "recovery":
                continue
            path = self.folder.path / run.name / RESULT_NAME
            result = read_json(path) if path.is_file() else {}
            told.append(
                {
                    "key": _key(run.name),
                    "name": run.name.removeprefix("runs/"),
                    "status": run.status.value,
                    "verdict": run.verdict,
                    "set_aside": run.set_aside,
                    "p_value": result.get("detection", {}).get("p_value"),
                    "exhibit": result.get("evidence", {}).get("id", ""),
                    "region": result.get("region"),
                    "estimator": ", ".join(
                        step["name"] for step in result.get("method", ()) if step["kind"] == "motion_estimator"
                    ),
                }
            )
        return told

    def heat_maps(self) -> dict[str, Path]:
        """The heat maps of the assessments that lie with the case, by a name that an address can hold."""
        maps = sorted((self.folder.path / "assessments").glob("*/assessment.png"))
        return {path.parent.name: path for path in maps if path.is_file() and not path.is_symlink()}

    def shown(self, key: str, t: Catalogue) -> dict[str, Any]:
        """A run as the report's templates show it, after checking that it is as it was left.

        Raises
        ------
        CustodyError
            There is no such run, or it came to no result.
        VerificationFailed
            It isn't as it was left.
        """
        for run in self.folder.runs():
            if _key(run.name) == key:
                path = self.folder.path / run.name
                (reported,) = gather(path, path).runs
                view = run_view(reported, key, Attachments(), t)
                view["name"] = Markup("{}").format(run.name.removeprefix("runs/"))
                return view
        raise CustodyError(f"no run {key!r} in this case", hint="reload the page")

    def start(self, wish: Wish) -> None:
        """Begin a run in the background, as `vmforensics run` does with a case file that says so.

        Raises
        ------
        CaseError
            What is asked for isn't possible, or another run is going on.
        """
        case_file = self._asked(wish)

        def work(watcher: Watcher) -> str:
            (outcome,) = run_case(case_file, registry=self.registry, watcher=watcher)
            return outcome.folder.relative_to(self.folder.path).as_posix().removeprefix("runs/")

        self.jobs.begin(work)

    def assess(self, wish: Wish) -> None:
        """Begin an assessment of an exhibit in the background, as `vmforensics assess` does.

        Raises
        ------
        CaseError
            There is no such exhibit, or another run is going on.
        """
        exhibit = self._exhibit(wish.exhibit)
        camera = self.case_file().case.camera
        known = Knowledge(
            shutter=camera.shutter.value,
            row_time=camera.row_time,
            row_time_uncertainty=camera.row_time_uncertainty,
            exposure=camera.exposure,
            capture_fps=camera.capture_fps,
            region=Region(*wish.region) if wish.region else None,
        )

        def work(watcher: Watcher) -> str:
            folder = next_run_folder(self.folder.path / "assessments", evidence=[exhibit])
            return assess_clip(exhibit, folder, known=known, registry=self.registry, watcher=watcher).folder.name

        self.jobs.begin(work)

    def close(self) -> None:
        """Stop what is going on, and wait for its end."""
        self.jobs.close()

    def _exhibit(self, mark: str) -> Path:
        case_file = self.case_file()
        for exhibit in case_file.case.evidence:
            if exhibit.id == mark:
                return case_file.evidence_path(exhibit)
        raise CaseError(f"the case has no exhibit {mark!r}", hint="reload the page")

    def _asked(self, wish: Wish) -> CaseFile:
        """The case with one run that does what is asked: as the first run, but for estimator, exhibit and region."""
        case_file = self.case_file()
        self._exhibit(wish.exhibit)
        run = case_file.case.runs[0].model_copy(update={"evidence": wish.exhibit, "region": None})
        if wish.estimator is not None:
            run = run.model_copy(update={"motion_estimator": StageSpec(name=wish.estimator)})
        region = RegionOfInterest.model_validate(wish.region) if wish.region else None
        changes = {"runs": (run,), "region": region, "regions": (), "compare": None}
        case: Case = case_file.case.model_copy(update=changes)
        return parse_case(dump_case(case, leave_out_defaults=True), case_file.path)


def _key(name: str) -> str:
    """A run's name as an address and an element's id can hold it."""
    return "run-" + hashlib.sha256(name.encode()).hexdigest()[:12]
