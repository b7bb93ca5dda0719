"""`vmforensics calibrate`: the row time of a rolling shutter, with its uncertainty."""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import typer

from vmforensics.cli.console import ClipArgument, Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of
from vmforensics.cli.recover import OutOption, region_of
from vmforensics.errors import ParameterError

_MAINS, _LIGHT, _CAMERA = "mains-flicker", "known-light", "camera-profile"


def calibrate(
    clip: ClipArgument,
    *,
    mains: Annotated[
        int | None, typer.Option(help="Mains frequency where it was filmed: 50 or 60.", metavar="HZ")
    ] = None,
    light_hz: Annotated[
        str | None, typer.Option(help="Frequency of an LED or laser filmed for this purpose.", metavar="HZ")
    ] = None,
    light_hz_uncertainty: Annotated[str | None, typer.Option(help="Its standard uncertainty.", metavar="HZ")] = None,
    camera: Annotated[
        str | None, typer.Option(help="Camera model, for the published prior: Sony A7 III.", metavar="NAME")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="Only this method; may be given again.", metavar="NAME")
    ] = None,
    readout_direction: Annotated[
        str, typer.Option(help="top-to-bottom, bottom-to-top, left-to-right or right-to-left.", metavar="DIRECTION")
    ] = "top-to-bottom",
    roi: Annotated[str | None, typer.Option(help="Region of interest in px.", metavar="X,Y,W,H")] = None,
    capture_fps: Annotated[
        str | None, typer.Option(help="Frames per second as filmed; high-speed files claim 30.", metavar="HZ")
    ] = None,
    out: OutOption = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Estimate a rolling shutter's row time, with its uncertainty.

    Tries the file's telemetry, the flicker of lamps on the mains, and steady tones in the rows' motion; with
    --light-hz, the bands under a light of known frequency, for which a single picture will do. Where none of them can
    tell, the answer is "indeterminate", with the reason, and still exit code 0. Leaves a run folder with
    calibration.json, calibration.png and the ledger.

    \b
    Examples:
      vmforensics calibrate street.mp4
      vmforensics calibrate street.mp4 --mains 50
      vmforensics calibrate led.png --light-hz 1000 --out runs/led
    """
    from vmforensics.calibration import calibrate_clip
    from vmforensics.data import ReadoutDirection, Region
    from vmforensics.units import hertz

    if readout_direction not in list(ReadoutDirection):
        raise ParameterError(
            f"--readout-direction {readout_direction!r} isn't known", hint="one of " + ", ".join(ReadoutDirection)
        )
    registry = registry_of(plugin, plugin_dir)
    given = {"mains": mains, "frequency": light_hz, "frequency_uncertainty": light_hz_uncertainty, "camera": camera}
    methods = _methods(method, given)
    rectangle = region_of(roi)
    try:
        rate = hertz(capture_fps) if capture_fps is not None else None
    except ValueError as error:
        raise ParameterError(f"--capture-fps: {error}") from error
    with Console(quiet=quiet or as_json) as console:
        outcome = calibrate_clip(
            clip,
            out,
            methods=methods,
            params=_params(registry, methods, given),
            readout_direction=ReadoutDirection(readout_direction),
            capture_fps=rate,
            region=Region(*rectangle) if rectangle else None,
            registry=registry,
            watcher=console,
        )
    if as_json:
        print_json({**outcome.result, "run_dir": str(outcome.folder), "ledger_head_sha256": outcome.head})
    elif not quiet:
        _report(outcome)


def _methods(named: list[str] | None, given: dict[str, Any]) -> list[str] | None:
    """The methods that the options ask for; None for the usual ones."""
    if named:
        return named
    chosen = []
    if given["frequency"] is not None:
        chosen = ["telemetry", _LIGHT]
    elif given["frequency_uncertainty"] is not None:
        raise ParameterError("--light-hz-uncertainty without --light-hz", hint="give the light's frequency too")
    if given["mains"] is not None:
        chosen = [*(chosen or ["telemetry"]), _MAINS]
    if given["camera"] is not None:
        from vmforensics.calibration import USUAL_METHODS

        chosen = [*(chosen or USUAL_METHODS), _CAMERA]
    return chosen or None


def _params(registry: Any, methods: list[str] | None, given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Options go to every method that has a parameter of that name."""
    stated = {key: value for key, value in given.items() if value is not None}
    params = {}
    for name in methods or ():
        fields = registry.find("row_time_calibrator", name).stage.Params.model_fields
        params[name] = {key: value for key, value in stated.items() if key in fields}
    if lost := [key for key in stated if methods and not any(key in each for each in params.values())]:
        options = {"mains": "--mains", "frequency": "--light-hz", "frequency_uncertainty": "--light-hz-uncertainty"}
        told = ", ".join(options.get(key, f"--{key}") for key in lost)
        raise ParameterError(f"{told}: none of the methods {', '.join(methods or ())} takes it", hint="leave one out")
    return params


def _report(outcome: Any) -> None:
    """Every method's answer, the verdict, and what to paste."""
    from vmforensics.report.quantities import measured, quantity

    result = outcome.result
    for each in result["methods"]:
        value = measured(each["row_time_s"], each["row_time_uncertainty_s"], "s")
        answer = value if each["row_time_s"] is not None else "indeterminate"
        typer.echo(f"{each['name']:<16}{answer}{' (prior)' if each['verdict'] == 'prior' else ''}")
        typer.echo(textwrap.fill(printable(each["reason"]), 100, initial_indent=" " * 16, subsequent_indent=" " * 16))
    typer.echo("")
    if result["row_time_s"] is None:
        told = printable(result["reason"]) if "contradict" in result["reason"] else "no method can tell the row time"
        lines = [("verdict", f"INDETERMINATE: {told}")]
    else:
        told = measured(result["row_time_s"], result["row_time_uncertainty_s"], "s")
        way = result["readout_direction"] or f"{result['readout_direction_assumed']} assumed; not determined"
        lines = [
            ("verdict", f"row time {told}, readout {quantity(result['readout_s'], 's', 6)}, by {result['method']}"),
            ("direction", way),
            ("good up to", f"{quantity(result['trusted_up_to_hz'], 'Hz', 3)} (phase error below 0.05 cycle)"),
        ]
    lines += [
        ("plot", str(outcome.folder / "calibration.png")),
        ("facts", str(outcome.folder / "calibration.json")),
        ("check", f"vmforensics verify {outcome.folder}"),
        ("ledger head", outcome.head),
    ]
    for label, text in lines:
        typer.echo(f"{label + ':':<13}{printable(text)}")
    if result["row_time_s"] is not None:
        typer.echo("\nfor a case file:\n" + "\n".join(printable(line) for line in result["case_lines"].splitlines()))
        typer.echo("\nfor vmforensics recover:\n" + printable(result["recover_options"]))
