"""A report as one self-contained HTML page."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vmforensics.report import quantities
from vmforensics.report.attachments import PAGE_BYTES, Attachment, Attachments
from vmforensics.report.catalogue import DEFAULT_LANGUAGE, Catalogue, catalogue
from vmforensics.report.content import Beside, ReportedRun, Subject, ambiguous_marks, content, exhibits
from vmforensics.report.figures import colour_scale, curve, frame_picture, signal_pair, small_multiples
from vmforensics.report.loudness import gains, loudness
from vmforensics.report.text import fact, label, visible
from vmforensics.report.traces import Trace, load_traces

TEMPLATES = Path(__file__).parent / "templates"
CHAPTERS = (
    "summary", "examined", "method", "results", "controls", "limits", "opinion",
    "steps", "custody", "environment", "check", "certificates", "fields", "facts",
)  # fmt: skip
"""The chapters in their order; each is a template and has its heading in the catalogue."""

_HEAT = {"assessment": "assessment.png", "vibration": "vibration_map.png"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file to listen to.

    Parameters
    ----------
    file : Attachment
    scale : mapping or None
        What wav-scale.json says of it; None where nobody says anything.
    """

    file: Attachment
    scale: Mapping[str, Any] | None

    @property
    def muted(self) -> bool:
        """Whether it is digital silence on purpose."""
        return bool(self.scale and self.scale["muted"])


@dataclass(frozen=True, slots=True)
class Report:
    """A report in its two forms for machines and people.

    Parameters
    ----------
    html : bytes
        An HTML document in UTF-8 that loads nothing from elsewhere.
    content : dict
        What report.json says.
    """

    html: bytes
    content: dict[str, Any]


def render_report(result: Mapping[str, Any], folder: Path, *, language: str = DEFAULT_LANGUAGE) -> bytes:
    """Write the report that a run leaves in its folder, before its ledger has ended.

    The same run gives the same bytes: the page holds no date and no path, and nothing of the ledger's times.

    Parameters
    ----------
    result
        What the run's result.json says.
    folder
        The run folder, with the files that the result lists; any of them may be missing from the list, because a case
        chooses its exporters.
    language
        Of the texts.

    Returns
    -------
    bytes
        An HTML document in UTF-8 that loads nothing from elsewhere.

    Raises
    ------
    CustodyError
        A file that the result lists isn't the one that the run wrote, or is gone.
    """
    run = ReportedRun(name=result["run"], folder=folder, place=".", result=result)
    return compose(Subject("result.json", [run]), language=language).html


def compose(subject: Subject, *, language: str = DEFAULT_LANGUAGE) -> Report:
    """Write a report about one run or many; the same runs give the same bytes.

    Raises
    ------
    CustodyError
        A file that a run lists isn't the one that the run wrote, or is gone.
    ParameterError
        There are no texts in that language.
    """
    t = catalogue(language)
    files = Attachments()
    views = run_views(subject.runs, files, t)
    told = content(subject, [view["loudness"] for view in views])
    style, script = page_style(t), page_script()
    runs = subject.runs
    results = [run.result for run in runs]
    text = (
        environment(language)
        .get_template("report.html.j2")
        .render(
            t=t,
            **{key: told[key] for key in ("program", "source", "case")},
            heading=runs[0].name + " · " + runs[0].result["evidence"]["name"] if len(runs) == 1 else subject.source,
            chapters=CHAPTERS,
            runs=views,
            exhibits=exhibits(subject),
            ambiguous_marks=ambiguous_marks(subject),
            settings=_settings(views),
            chain=_chain(results),
            rolling=next((view for view in views if view["result"]["shutter"]["kind"] == "rolling"), None),
            **{"global": next((view for view in views if view["result"]["shutter"]["kind"] == "global"), None)},
            verdicts={result["verdict"] for result in results},
            warnings=sum(len(result["warnings"]) for result in results),
            failed=subject.failed,
            calibrations=[_beside(each, "calibration.png", files) for each in subject.calibrations],
            assessed=_assessed(subject, views, files),
            exhibit_records=subject.exhibit_records,
            notes=subject.notes,
            case_events=subject.case_events,
            performed=_performed(runs),
            multiples=small_multiples([(view["name"], view["traces"]) for view in views], t) if len(runs) > 1 else [],
            size={
                "pictures": files.taken.get("image", 0) + sum(view["drawn_bytes"] for view in views),
                "sounds": files.taken.get("audio", 0),
                "limit": PAGE_BYTES,
            },
            style=Markup(style),  # noqa: S704 our own file
            script=Markup(script),  # noqa: S704 our own file
            content_security_policy=policy(style, script),
        )
    )
    return Report(text.encode("utf-8"), told)


@functools.cache
def environment(language: str) -> Environment:
    """The template engine: everything is escaped, nothing undefined passes, hidden characters are written out."""
    t = catalogue(language)
    words = {key: str(t(f"document.{key}")) for key in ("yes", "no", "none", "empty", "not_stated", "more")}
    unknown = t("document.not_stated")

    def stated(write: Any) -> Any:
        return lambda value, *more: unknown if value is None else write(value, *more)

    def measured(value: float | None, uncertainty: float | None, unit: str) -> str:
        if value is None or uncertainty:
            return stated(quantities.measured)(value, uncertainty, unit)  # type: ignore[no-any-return]
        return f"{quantities.quantity(value, unit, 6)}, {t('document.uncertainty_not_stated')}"

    engine = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: unknown if value is None else visible(value),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    engine.filters |= {
        "bytes": lambda size: quantities.quantity(size, str(t("unit.bytes"))),
        "fact": lambda value: fact(value, words),
        "label": label,
        "link": _link,
        "measured": measured,
        "number": stated(quantities.number),
        "percentage": stated(quantities.percentage),
        "quantity": stated(quantities.quantity),
    }
    return engine


def page_style(t: Catalogue) -> str:
    """The report's style sheet, with the words at the foot of printed pages."""
    words = re.sub(r"\{(pages?)\}", r'" counter(\1) "', str(t("document.page_of")).replace('"', r"\22 "))
    return (TEMPLATES / "report.css").read_text(encoding="utf-8").replace("PAGE_OF_PAGES", f'"{words}"')


def page_script() -> str:
    """The report's script: the listening desk."""
    return (TEMPLATES / "desk.js").read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """What the page may load: its one style sheet and script, and pictures and sounds that are part of it (CSP 3)."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _link(file: Attachment) -> Markup:
    return Markup('<a href="{link}">{name}</a>').format(link=file.link, name=visible(file.name))


def run_views(runs: Sequence[ReportedRun], files: Attachments, t: Catalogue) -> list[dict[str, Any]]:
    """Each run as the templates show it."""
    views: list[dict[str, Any]] = []
    for number, run in enumerate(runs, start=1):
        view = run_view(run, f"run-{number}", files, t)
        for step in view["steps"]:
            step["as_in"] = next((v["name"] for v in views if any(_same(step, other) for other in v["steps"])), None)
        view["same_environment_as"] = next(
            (v["name"] for v in views if run.record and v["record"] and _setting(v["record"]) == _setting(run.record)),
            None,
        )
        views.append(view)
    return views


def _same(step: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two stages are one implementation with the same parameters."""
    return all(step[key] == other[key] for key in ("kind", "name", "params", "source_sha256"))


def _setting(record: Mapping[str, Any]) -> tuple[object, object]:
    return record.get("environment"), record.get("plugins")


def run_view(run: ReportedRun, key: str, files: Attachments, t: Catalogue) -> dict[str, Any]:
    """One run as the templates show it: its numbers, its pictures drawn, its files taken in."""
    result, digests = run.result, run.result["files"]
    names = {kind: _names(result, kind) for kind in ("motion_estimator", "signal_combiner")}
    suffix = next(name.removeprefix("rms_") for name in result["signal"] if name.startswith("rms_"))
    traces = load_traces(run.folder, digests)
    heat = [(what, files.take(run.folder, name, digests, "image/png", run.place)) for what, name in _HEAT.items()]
    region, facts = result["region"], result["evidence"]["facts"]
    trusted, upper = result["band"]["trusted_up_to_hz"], result["band"]["upper_limit_hz"]
    raw, recovered = (_sound(run, stem, files) for stem in ("raw", "recovered"))
    view: dict[str, Any] = {
        "key": key,
        "name": run.name,
        "result": result,
        "record": run.record,
        "set_aside": (run.record or {}).get("set_aside", ""),
        "estimator": names["motion_estimator"],
        "combiner": names["signal_combiner"],
        "suffix": suffix,
        "unit": "px" if suffix == "px" else "1",
        "trusted": upper if trusted is None else min(trusted, upper),
        "whole": (region["width"], region["height"]) == (facts.get("width"), facts.get("height")),
        "steps": _steps(run),
        "traces": traces,
        "frame": _frame(run, files, t),
        "heat": [(what, file) for what, file in heat if file is not None],
        "raw": raw,
        "recovered": recovered,
        "loudness": _loudness(raw, recovered),
        "signals": signal_pair(traces, result, t) if traces else None,
        "levels": colour_scale(result, traces, t) if traces else None,
        "spectrogram": None if traces else files.take(run.folder, "spectrogram.png", digests, "image/png", run.place),
        "over_time": _over_time(result, t),
        "power": _power(result, t),
    }
    drawn = [view["frame"], view["levels"], *(view["signals"] or ())]
    view["drawn_bytes"] = sum(len(each) for each in drawn if each is not None)
    return view


def _names(result: Mapping[str, Any], kind: str) -> str:
    return ", ".join(step["name"] for step in result["method"] if step["kind"] == kind)


def _frame(run: ReportedRun, files: Attachments, t: Catalogue) -> Markup | None:
    """The frame with the region drawn into it, where the run kept one."""
    picture = run.result.get("picture")
    if not picture:
        return None
    file = files.take(run.folder, picture["file"], run.result["files"], "image/png", run.place)
    return frame_picture(file.uri, picture, [run.result["region"]], t) if file is not None and file.uri else None


def _over_time(result: Mapping[str, Any], t: Catalogue) -> Markup | None:
    found = result.get("detection_over_time")
    if not found or len(found["times_s"]) < 2:
        return None
    titles = (str(t("picture.time")), str(t("results.statistic")))
    return curve(found["times_s"], found["statistic"], t("results.over_time_alt"), titles, threshold=found["threshold"])


def _power(result: Mapping[str, Any], t: Catalogue) -> Markup | None:
    injection = (result.get("controls") or {}).get("injection") or {}
    points = injection.get("power_curve") or []
    if len(points) < 2:
        return None
    x, y = zip(*points, strict=True)
    limit = injection.get("detection_limit_px")
    titles = (str(t("controls.power_x")), str(t("controls.power_y")))
    return curve(x, y, t("controls.power_alt"), titles, marks=[limit] if limit else [], logarithmic=min(x) > 0)


def _steps(run: ReportedRun) -> list[dict[str, Any]]:
    """The stages with what the ledger adds: how long each took, and the digest of what it gave."""
    events = list((run.record or {}).get("events", ()))
    begun = [event for event in events if event["event"] == "step-started" and "stage" in event]
    ended = [event for event in events if event["event"] == "step-finished"]
    steps = []
    for step in run.result["method"]:
        event: Mapping[str, Any] = {}
        for each in begun:
            if (each["step"], each["stage"]) == (step["kind"], step["name"]):
                begun.remove(each)
                event = next((e for e in ended if e["seq"] > each["seq"] and e["step"] == step["kind"]), {})
                break
        steps.append({**step, "duration_s": event.get("duration_s"), "output_sha256": event.get("output_sha256")})
    return steps


def _chain(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every stage once, in journey order."""
    order = ("frame_source", "motion_estimator", "signal_combiner", "denoiser", "exporter")
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for result in results:
        for step in result["method"]:
            found.setdefault((step["kind"], step["name"]), step)
    return sorted(found.values(), key=lambda step: order.index(step["kind"]) if step["kind"] in order else len(order))


def _settings(views: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs with the same clock, shutter and region on the same exhibit, together."""
    groups: list[dict[str, Any]] = []
    for view in views:
        r = view["result"]
        same = (r["evidence"]["sha256"], r["clock"], r["shutter"], r["region"])
        group = next((each for each in groups if each["same"] == same), None)
        if group is None:
            groups.append({"same": same, "runs": [view]})
        else:
            group["runs"].append(view)
    return groups


def _performed(runs: Sequence[ReportedRun]) -> str:
    """First and last day of the runs, by their ledgers."""
    days = sorted({run.record["started"][:10] for run in runs if run.record and run.record["started"]})
    return " – ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def _beside(each: Beside, name: str, files: Attachments) -> dict[str, Any]:
    picture = files.take(each.folder, name, each.digests, "image/png", each.place)
    return {"name": each.name, "content": each.content, "head": each.head, "picture": picture}


def _assessed(
    subject: Subject, views: Sequence[dict[str, Any]], files: Attachments
) -> list[tuple[str, Mapping[str, Any], Attachment | None]]:
    """The assessments made beforehand, in the case or in its runs, with their heat maps."""
    within = [(view["name"], view["result"]["assessment"], None) for view in views if view["result"].get("assessment")]
    beside = [_beside(each, "assessment.png", files) for each in subject.assessments]
    return [*within, *((each["name"], each["content"], each["picture"]) for each in beside)]


def _sound(run: ReportedRun, stem: str, files: Attachments) -> Sound | None:
    """The listening copy of a signal, or its file at the native rate where there is no copy."""
    digests = run.result["files"]
    copies = sorted(name for name in digests if name.startswith(f"{stem}_") and name.endswith(".wav"))
    for name in (*copies, f"{stem}.wav"):
        file = files.take(run.folder, name, digests, "audio/wav", run.place)
        if file is not None:
            return Sound(file, _scale(run.result["audio"], name))
    return None


def _loudness(raw: Sound | None, recovered: Sound | None) -> dict[str, Any]:
    """How loud the two sounds are, and the gains that make them equally loud."""
    raw_lkfs, recovered_lkfs = (
        loudness(sound.file.content) if sound and sound.file.content else None for sound in (raw, recovered)
    )
    gain_raw, gain_recovered = gains(raw_lkfs, recovered_lkfs)
    return {
        "raw_lkfs": raw_lkfs, "recovered_lkfs": recovered_lkfs, "gain_raw": gain_raw, "gain_recovered": gain_recovered,
    }  # fmt: skip


def _scale(audio: object, name: str) -> Mapping[str, Any] | None:
    """A file's entry in wav-scale.json, which any exporter may have written; None unless it is complete."""
    entry = audio.get(name) if isinstance(audio, Mapping) else None
    if not isinstance(entry, Mapping) or not entry.keys() >= {"unit", "rate_hz", "subtype", "muted"}:
        return None
    scale = [value for key, value in entry.items() if str(key).endswith("_per_unit")]  # px_per_unit, for a displacement
    numbers = len(scale) == 1 and all(isinstance(value, int | float | None) for value in (*scale, entry["rate_hz"]))
    return {**entry, "per_unit": scale[0]} if numbers else None


__all__ = ["CHAPTERS", "Report", "Sound", "Trace", "compose", "render_report"]
