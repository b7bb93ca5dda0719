"""`vmforensics assess` and `vmforensics scan`: what a clip allows, before anything is recovered."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmforensics.cli.console import ClipArgument, Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.cli.recover import OutOption, region_of
from vmforensics.errors import ParameterError

if TYPE_CHECKING:
    from vmforensics.assessment import Knowledge
    from vmforensics.recovery import Outcome

CaptureOption = Annotated[
    str | None, typer.Option(help="Frames per second as filmed; high-speed files claim 30.", metavar="HZ")
]
ShutterOption = Annotated[str | None, typer.Option(help="rolling or global, where it is known.", metavar="KIND")]
RowTimeOption = Annotated[
    str | None, typer.Option(help="Rolling shutter: time from row to row, where it is known.", metavar="TIME")
]
ExposureOption = Annotated[str | None, typer.Option(help="Exposure time, where it is known.", metavar="TIME")]
RoiOption = Annotated[str | None, typer.Option(help="Look at this part of the picture only.", metavar="X,Y,W,H")]
_INDENT, _LABEL = " " * 13, 52


def assess(
    clip: ClipArgument,
    *,
    capture_fps: CaptureOption = None,
    shutter: ShutterOption = None,
    row_time: RowTimeOption = None,
    exposure: ExposureOption = None,
    roi: RoiOption = None,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say whether sound can be recovered from a clip, how faint, and where in the picture.

    Needs no settings. Leaves a folder with assessment.json, assessment.png (the noise of each part of the picture over
    a frame), a case.yaml that is ready to run where one can be written, and the ledger. That a clip isn't suitable is
    an answer too, with exit code 0.

    \b
    Examples:
      vmforensics assess street.mp4
      vmforensics assess chips.avi --capture-fps 2200 --out assessments/chips
    """
    known = knowledge(capture_fps, shutter, row_time, exposure, roi)
    outcome = _assessed(clip, out, known, 5, registry_of(plugin, plugin_dir), quiet=quiet or as_json)
    if as_json:
        print_json({**outcome.result, "run_dir": str(outcome.folder), "ledger_head_sha256": outcome.head})
    elif not quiet:
        report_assessment(outcome)


def scan(
    clip: ClipArgument,
    *,
    count: Annotated[int, typer.Option(help="How many regions to name.", min=1, max=50)] = 10,
    capture_fps: CaptureOption = None,
    shutter: ShutterOption = None,
    roi: RoiOption = None,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Find the parts of a picture that would show the faintest motion, rank them, and listen to each.

    The same as `assess`, told by region. On its first seconds each is asked whether its pixels share a motion beyond
    noise; one that doesn't may still be heard in a recovery, which takes the whole clip.

    \b
    Examples:
      vmforensics scan street.mp4
      vmforensics scan street.mp4 --count 20 --json
    """
    known = knowledge(capture_fps, shutter, None, None, roi)
    registry = registry_of(plugin, plugin_dir)
    outcome = _assessed(clip, out, known, count, registry, listening=True, quiet=quiet or as_json)
    result = outcome.result
    if as_json:
        keys = ("evidence", "best_region", "candidates")
        folder = {"run_dir": str(outcome.folder), "ledger_head_sha256": outcome.head}
        print_json({**{key: result[key] for key in keys}, **folder})
        return
    if quiet:
        return
    typer.echo(f"{'':<6}{'x,y,width,height':<22}{'px/√Hz':>10}{'px a frame':>12}{'direction':>11}{'share':>8}")
    best = [("best", result["best_region"])] if result["best_region"] else []
    for label, each in best + [(str(k), c) for k, c in enumerate(result["candidates"], start=1)]:
        place = ",".join(str(n) for n in each["region"])
        typer.echo(
            f"{label:<6}{place:<22}{each['noise_density_px_per_rthz']:>10.2g}{each['uncertainty_per_frame_px']:>12.2g}"
            f"{each['direction_deg']:>10.0f}°{100 * each['share_of_information']:>7.0f}%"
            f"{'  moves or flickers by itself' if each['moves_by_itself'] else ''}{_heard(each)}"
        )
    if not result["candidates"]:
        typer.echo("nothing in the picture shows motion")
    _tell(list(_silent([each["shared_motion"] for each in result["candidates"]])))
    _tell([("look", outcome.folder / "assessment.png"), ("facts", outcome.folder / "assessment.json")])


def _heard(candidate: dict[str, Any]) -> str:
    """What was heard in a candidate, if anything."""
    found = candidate.get("shared_motion")
    if found is None or found["verdict"] != "signal":
        return ""
    p_value = f"p = {found['p_value']:.1g}" if found["p_value"] > 1e-11 else "p < 1e-11"
    band = ", {:.0f}-{:.0f} Hz".format(*found["band_hz"]) if found["band_hz"] else ""
    return f"  shares a motion{band} ({p_value})"


def _silent(heard: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What was heard in none, or couldn't be told."""
    if heard and all(each["verdict"] == "no-signal" for each in heard):
        yield "heard", "no motion beyond noise in any of them, on the clip's first seconds"
    untold = [k for k, each in enumerate(heard, start=1) if each["verdict"] == "undetermined"]
    if untold:
        which = "" if len(untold) == len(heard) else f" of {', '.join(map(str, untold))}"
        yield "can't tell", f"{which}: {heard[untold[0] - 1]['reason']}".lstrip(": ")


def knowledge(
    capture_fps: str | None, shutter: str | None, row_time: str | None, exposure: str | None, roi: str | None
) -> Knowledge:
    """What the options say of a recording.

    Raises
    ------
    ParameterError
        A value isn't allowed.
    """
    from vmforensics.assessment.run import Knowledge
    from vmforensics.data import Region
    from vmforensics.units import hertz, seconds

    if shutter not in (None, "rolling", "global"):
        raise ParameterError(f"--shutter {shutter!r} isn't known", hint="rolling or global")
    if shutter == "global" and row_time is not None:
        raise ParameterError("--row-time contradicts --shutter global", hint="leave one of them out")
    values: dict[str, float | None] = {}
    for option, text, read in (
        ("--capture-fps", capture_fps, hertz),
        ("--row-time", row_time, seconds),
        ("--exposure", exposure, seconds),
    ):
        try:
            values[option] = None if text is None else read(text)
        except ValueError as error:
            raise ParameterError(f"{option}: {error}") from error
        if values[option] is not None and not (values[option] or 0) > 0:
            raise ParameterError(f"{option} {text} isn't allowed", hint="it must be greater than 0")
    rectangle = region_of(roi)
    return Knowledge(
        shutter=shutter or ("rolling" if row_time is not None else None),
        row_time=values["--row-time"],
        exposure=values["--exposure"],
        capture_fps=values["--capture-fps"],
        region=Region(*rectangle) if rectangle else None,
    )


def report_assessment(outcome: Outcome) -> None:
    """Tell the verdict, the reasons, and what the picture would show."""
    result = outcome.result
    typer.echo(f"{'verdict:':<13}{result['verdict'].upper()}")
    for reason in result["reasons"]:
        typer.echo(
            textwrap.fill(printable(reason), 100, initial_indent=_INDENT + "- ", subsequent_indent=_INDENT + "  ")
        )
    looked, clock = result["looked_at"], result["clock"]
    whole = (result["duration_s"] - looked["seconds"]) * clock["frame_rate_hz"] < 0.5
    lines: list[tuple[str, Any]] = [
        (
            "clip",
            f"{result['evidence']['name']}, {result['duration_s']:.4g} s at {clock['frame_rate_hz']:.6g} frames/s",
        ),
        (
            "looked at",
            f"{'all' if whole else 'the first'} {looked['frames']} "
            f"{'' if whole else 'of ' + str(looked['of_frames']) + ' '}frames, {looked['seconds']:.3g} s",
        ),
        ("clock", f"{clock['verdict']} ({clock['basis']})"),
    ]
    if result["row_time"]:
        from vmforensics.report.quantities import measured

        found = result["row_time"]
        value = measured(found["row_time_s"], found["row_time_uncertainty_s"], "s")
        told = value if found["row_time_s"] is not None else "not known"
        lines.append(("row time", f"{told} ({found['method']}: {found['reason']})"))
    _tell(lines)
    for method in result["methods"]:
        _tell_method(method)
    lines = list(_places(result))
    lines.append(("look", outcome.folder / "assessment.png"))
    if (case := outcome.folder / "case.yaml").is_file():
        lines.append(("even so" if result["verdict"] == "not suitable" else "next", f"vmforensics run {case}"))
    lines += [("facts", outcome.folder / "assessment.json"), ("check", f"vmforensics verify {outcome.folder}")]
    _tell([*lines, ("ledger head", outcome.head)])


def _places(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where to look, and what that leaves out."""
    if not (best := result["best_region"]):
        return
    facts, picture = result["evidence"]["facts"], result["picture"]
    place = ",".join(str(n) for n in best["region"])
    if best["region"] == [0, 0, facts.get("width"), facts.get("height")]:
        why = "it moves as a whole" if picture["moves_as_a_whole"] else "nothing in it moves or flickers by itself"
        yield "best region", f"the whole picture ({why})" if not best["moves_by_itself"] else "the whole picture"
    else:
        yield (
            "best region",
            f"{place} (x,y,width,height) holds {100 * best['share_of_information']:.0f} % of what shows motion",
        )
    if picture["tiles_that_move_share"] and not best["moves_by_itself"]:
        yield (
            "left out",
            f"what moves or flickers by itself, in {100 * picture['tiles_that_move_share']:.2g} % of the picture; if "
            "just that is thought to vibrate, name it with --roi (`vmforensics scan` lists such places, too)",
        )


def _tell_method(method: dict[str, Any]) -> None:
    """One way of recovery: its noise, and what would stand above it."""
    typer.echo("")
    name = f"{method['shutter']}:"
    if method["noise_density_px_per_rthz"] is None:
        typer.echo(
            textwrap.fill(
                printable(method["refusal"] or "nothing shows motion"),
                100,
                initial_indent=f"{name:<13}",
                subsequent_indent=_INDENT,
            )
        )
        return
    chosen = f" ({method['method'].partition(':')[0]})" if method["method"] else ""
    part = method["part_measured"]
    up_to = "" if method["noise_is_firm"] else f" to {method['noise_density_at_most_px_per_rthz']:.2g}"
    told = (
        f"noise {method['noise_density_px_per_rthz']:.2g}{up_to} px/√Hz, by {method['motion_estimator']}{chosen} on "
        f"the first {method['frames_measured']} frames"
        + (f"; measured on the part {','.join(str(n) for n in part)}, and reckoned for the whole" if part else "")
        + ("" if method["noise_excess"] is not None else "; its own estimate, which so few frames can't check")
    )
    typer.echo(textwrap.fill(told, 100, initial_indent=f"{name:<13}", subsequent_indent=_INDENT))
    if method["refusal"]:
        typer.echo(
            textwrap.fill(
                f"refused: {printable(method['refusal'])}", 100, initial_indent=_INDENT, subsequent_indent=_INDENT
            )
        )
    tops = {band: min(float(band.split("_")[1]), method["upper_limit_hz"]) for band in method["detectable_rms_px"]}
    bands = [band for k, band in enumerate(tops) if tops[band] not in list(tops.values())[:k]]
    if method["detectable_rms_px"][bands[0]] is None:
        typer.echo(f"{_INDENT}nothing above {method['upper_limit_hz']:.4g} Hz shows")
        return
    heads = "".join(f"{f'80-{tops[band]:.0f} Hz':>14}" for band in bands)
    typer.echo(f"{_INDENT}{'':<{_LABEL}}{heads}")
    told = "".join(f"{_figure(method['detectable_rms_px'][band], '.2g', ' px'):>14}" for band in bands)
    typer.echo(f"{_INDENT}{'motion that equals the noise, RMS':<{_LABEL}}{told}")
    bound = method["codec_bound"] or {}
    at_best = bool(bound.get("at_best"))
    for label, key, told_by in (
        (f"bound that the codec left{', at best' if at_best else ''}", "rms_px", True),
        ("bound without the codec", "rms_without_codec_px", not at_best),
    ):
        if (values := bound.get(key)) and told_by:
            told = "".join(f"{_figure(values[band], '.2g', ' px'):>14}" for band in bands)
            typer.echo(f"{_INDENT}{label:<{_LABEL}}{told}")
    for loud in method["expected_snr_db"]:
        label = f"SNR of {loud['loudness']}, {loud['level_db']:.0f} dB"
        told = "".join(f"{_figure(loud[band], '+.0f', ' dB'):>14}" for band in bands)
        typer.echo(f"{_INDENT}{label:<{_LABEL}}{told}")


def _figure(value: float | None, form: str, unit: str) -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _tell(lines: list[tuple[str, Any]]) -> None:
    for label, text in lines:
        wrapped = textwrap.wrap(
            printable(text), 100 - len(_INDENT), break_long_words=False, break_on_hyphens=False
        ) or [""]
        typer.echo(f"{label + ':':<13}{wrapped[0]}")
        for line in wrapped[1:]:
            typer.echo(_INDENT + line)


def _assessed(
    clip: Any, out: Any, known: Knowledge, count: int, registry: Any, *, quiet: bool, listening: bool = False
) -> Outcome:
    from vmforensics.assessment import assess_clip

    with Console(quiet=quiet) as console:
        return assess_clip(clip, out, known=known, count=count, listening=listening, registry=registry, watcher=console)
