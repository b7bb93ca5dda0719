"""`vmforensics recover` and what it shares with `run`: telling what came out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import ClipArgument, Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.errors import CaseError

if TYPE_CHECKING:
    from vmforensics.recovery import Outcome

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder to make for the run; it must not hold anything yet.", readable=False),
]


def recover(
    clip: ClipArgument,
    *,
    capture_fps: Annotated[
        str | None, typer.Option(help="Frames per second as filmed; high-speed files claim 30.", metavar="HZ")
    ] = None,
    row_time: Annotated[
        str | None, typer.Option(help="Rolling shutter: time from row to row, as 19us.", metavar="TIME")
    ] = None,
    readout: Annotated[
        str | None, typer.Option(help="Instead: time to read the whole stored picture, as 15.7ms.", metavar="TIME")
    ] = None,
    line_time: Annotated[
        str | None,
        typer.Option(help="Instead: the sensor's own row time; see --sensor-rows-per-row.", metavar="TIME"),
    ] = None,
    row_time_uncertainty: Annotated[
        str | None, typer.Option(help="Standard uncertainty of the row time.", metavar="TIME")
    ] = None,
    row_time_source: Annotated[str, typer.Option(help="Who says so.", metavar="TEXT")] = "",
    exposure: Annotated[str | None, typer.Option(help="Exposure time, as 1/4000.", metavar="TIME")] = None,
    readout_direction: Annotated[
        str | None,
        typer.Option(help="top-to-bottom, bottom-to-top, left-to-right or right-to-left.", metavar="DIRECTION"),
    ] = None,
    sensor_rows_per_row: Annotated[
        float | None, typer.Option(help="Sensor rows averaged into a stored row (binning, scaling).", metavar="N")
    ] = None,
    rows_at_once: Annotated[
        int | None, typer.Option(help="Sensor rows that are exposed and read together.", metavar="N")
    ] = None,
    first_sensor_row: Annotated[
        int | None, typer.Option(help="Sensor rows read before the first stored one (a crop).", metavar="N")
    ] = None,
    roi: Annotated[str | None, typer.Option(help="Region of interest in px.", metavar="X,Y,W,H")] = None,
    shutter: Annotated[
        str | None, typer.Option(help="global or rolling; rolling if a row time is given.", metavar="KIND")
    ] = None,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Recover sound from a clip.

    Without settings the clip is assessed first, and method and region are chosen by what it promises.
    Leaves a run folder with recovered.wav, raw.wav, pictures, result.json, report.html and the ledger. The same is
    written as a case file (case.yaml) that can be changed and run again.

    \b
    Examples:
      vmforensics recover street.mp4
      vmforensics recover chips.avi --capture-fps 2200
      vmforensics recover street.mp4 --row-time 14.8us --exposure 1/500 --roi 400,200,600,500 --out runs/street
    """
    from vmforensics.recovery import recover_clip

    registry = registry_of(plugin, plugin_dir)
    timed = any(stated is not None for stated in (row_time, readout, line_time))
    kind = shutter or ("rolling" if timed else "global")
    if kind == "rolling" and not timed:
        raise CaseError(
            "a rolling shutter needs its row time, which is never guessed",
            hint="give --row-time (or --readout), from the camera's metadata, a measurement, or a published figure",
        )
    with Console(quiet=quiet or as_json) as console:
        settings: dict[str, Any] = {
            "shutter": kind,
            "row_time": row_time,
            "readout": readout,
            "line_time": line_time,
            "row_time_uncertainty": row_time_uncertainty,
            "row_time_source": row_time_source,
            "exposure": exposure,
            "readout_direction": readout_direction,
            "sensor_rows_per_row": sensor_rows_per_row,
            "rows_at_once": rows_at_once,
            "first_sensor_row": first_sensor_row,
            "capture_fps": capture_fps,
            "region": region_of(roi),
        }
        assessment = None
        if shutter is None and not timed and capture_fps is None and roi is None:
            assessment, choice = _chosen(clip, out, registry, console, exposure=exposure)
            settings |= choice.settings
        outcome = recover_clip(clip, out, **settings, assessment=assessment, registry=registry, watcher=console)
    report_outcomes([outcome], as_json=as_json, quiet=quiet)


def region_of(text: str | None) -> tuple[int, int, int, int] | None:
    """A region of interest as --roi writes it."""
    if text is None:
        return None
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise CaseError(f"--roi {text!r} isn't X,Y,W,H in whole pixels", hint="as in --roi 400,200,600,500") from error
    return x, y, width, height


def _chosen(clip: Path, out: Path | None, registry: Any, console: Console, *, exposure: str | None) -> tuple[Any, Any]:
    """Without a word on the recording, an assessment chooses method and region, and says why."""
    from vmforensics.assessment import assess_clip
    from vmforensics.assessment.choice import choose
    from vmforensics.cli.assess import knowledge

    beside = out.with_name(f"{out.name}-assessment") if out is not None else None
    known = knowledge(None, None, None, exposure, None)
    console.say("no shutter, row time or capture rate was given: assessing the clip first")
    assessment = assess_clip(clip, beside, known=known, registry=registry, watcher=console)
    choice = choose(assessment, clip)
    for reason in (f"assessed as {assessment.result['verdict']}", *choice.reasons, *assessment.result["reasons"]):
        console.say(f"chosen: {reason}" if reason in choice.reasons else reason)
    return assessment, choice


def report_outcomes(outcomes: list[Outcome], *, as_json: bool, quiet: bool) -> None:
    """Tell what runs found: verdict first, then the figures, then where things are."""
    if as_json:
        content = [{**o.result, "run_dir": str(o.folder), "ledger_head_sha256": o.head} for o in outcomes]
        print_json(content[0] if len(content) == 1 else content)
        return
    if quiet:
        return
    for outcome in outcomes:
        result, signal = outcome.result, outcome.result["signal"]
        lines = [
            ("verdict", f"{result['verdict'].upper()}: {result['verdict_reason']}"),
            ("evidence", f"{result['evidence']['name']}, SHA-256 {result['evidence']['sha256'][:16]}..., unchanged"),
            ("signal", _signal_line(signal)),
            *_trust_line(result),
            ("listen", outcome.folder / "recovered_48k.wav"),
            ("look", outcome.folder / "spectrogram.png"),
            ("report", outcome.folder / "report.html"),
            ("check", f"vmforensics verify {outcome.folder}"),
            ("ledger head", outcome.head),
        ]
        for label, text in lines:
            if isinstance(text, Path) and not text.is_file():
                continue
            typer.echo(f"{label + ':':<13}{printable(text)}")
        if len(outcomes) > 1 and outcome is not outcomes[-1]:
            typer.echo("")


def _trust_line(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Up to where the row times can be trusted, for a rolling shutter."""
    if result["shutter"]["kind"] != "rolling":
        return []
    band, limit = result["band"], result["band"]["trusted_up_to_hz"]
    if limit is None:
        lines = [("row time", "its uncertainty isn't stated: up to which frequency it can be trusted is unknown")]
    elif limit >= band["upper_limit_hz"]:
        lines = [("row time", "good over the whole band (phase error below 0.05 cycle)")]
    else:
        lines = [("row time", f"good up to {limit:.4g} Hz (phase error below 0.05 cycle)")]
    if band["exposure_undone_db"] and band["exposure_null_hz"]:
        undone = f"its loss made up for by {band['exposure_undone_db']:.2g} dB at most"
        lines.append(("exposure", f"{undone}; tones of {band['exposure_null_hz']:.4g} Hz and its multiples are lost"))
    return lines


def _signal_line(signal: dict[str, Any]) -> str:
    names = {key.rpartition("_")[0]: key for key in signal}  # "rms" of "rms_px": what was recovered is in its own unit
    unit = names["rms"].removeprefix("rms_")
    median = signal[names["median_sigma"]]
    sigma = f", uncertainty {median:.2g} {unit} a sample" if median else ""
    return (
        f"{signal['duration_s']:.3f} s at {signal['rate_hz']:.6g} Hz, {signal[names['rms']]:.2g} {unit} RMS{sigma}, "
        f"{100 * signal['synthesised_share']:.1f} % of samples not seen by the camera"
    )
