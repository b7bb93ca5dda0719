"""`vmforensics evaluate`: how close a recovered sound comes to a reference."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json, printable
from vmforensics.errors import ParameterError


def evaluate(
    recovered: Annotated[
        Path, typer.Argument(help="A run folder, a signal.npz, or a WAV file.", metavar="RECOVERED", readable=False)
    ],
    reference: Annotated[
        Path, typer.Argument(help="What was really heard: a WAV or FLAC file.", metavar="REFERENCE", readable=False)
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make for evaluation.json and evaluation.png.", metavar="DIR")
    ] = None,
    drift: Annotated[bool, typer.Option("--drift", help="Make up for clocks of unequal pace.")] = False,
    most_lag: Annotated[str | None, typer.Option(help="Largest lag looked for: 2 s.", metavar="TIME")] = None,
    full_scale: Annotated[
        float | None,
        typer.Option(help="px that the reference's full scale stands for; its gain is then not aligned.", metavar="PX"),
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option(help="Only this score; may be given again.", metavar="NAME")
    ] = None,
    pesq: Annotated[bool, typer.Option("--pesq", help="PESQ too; needs the extra of that name.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare a recovered sound with a reference.

    Lag, polarity and gain are aligned first. Each score comes with a 95 % confidence interval, from resampling blocks
    of half a second. What the camera saw is told apart from what was filled in, where the recovered side knows.

    \b
    Examples:
      vmforensics evaluate chips-run chips.mkv.truth/truth.wav
      vmforensics evaluate recovered.wav played.flac --drift --out chips-evaluation
      vmforensics evaluate chips-run played.wav --score coherence --score stoi --json
    """
    from vmforensics.evaluation import USUAL
    from vmforensics.evaluation import evaluate as evaluated
    from vmforensics.units import seconds

    names = [*(score or USUAL), *(["pesq"] if pesq else [])]
    try:
        lag = None if most_lag is None else seconds(most_lag)
    except ValueError as error:
        raise ParameterError(f"--most-lag: {error}") from error
    content = evaluated(
        recovered,
        reference,
        out=out,
        names=names,
        most_lag=lag,
        drift=drift,
        scale=full_scale,
    )
    if as_json:
        print_json(content)
    elif not quiet:
        _report(content)
        if out is not None:
            typer.echo(
                f"\npicture:   {printable(out / 'evaluation.png')}\ncheck:     vmforensics verify {printable(out)}"
            )


def _report(content: dict[str, Any]) -> None:
    from vmforensics.evaluation import METRICS

    how = content["alignment"]
    typer.echo(
        f"aligned:   {how['duration_s']:.4g} s at {how['rate_hz']:.6g} samples/s; the recovered sound "
        f"{abs(how['lag_s']) * 1e3:.3f} ms {'behind' if how['lag_s'] >= 0 else 'ahead'}, "
        f"{'upside down, ' if how['polarity'] < 0 else ''}gain {how['gain']:.4g}"
        + ("" if how["gain_aligned"] else " (given)")
        + ("" if how["drift_ppm"] is None else f", clocks apart by {how['drift_ppm']:+.4g} ppm")
    )
    typer.echo("")
    for name, found in content["metrics"].items():
        typer.echo(f"{METRICS[name].title:<29}{_value(found)}")
    for label in ("observed", "synthesised"):
        if (part := content[label]) is not None and part["share"]:
            snr = "-" if part["snr_db"] is None else f"{part['snr_db']:.1f} dB"
            told = part["error_over_sigma"]
            honest = "" if told is None else f", error {told:.2f} times the stated uncertainty"
            which = f"{label}, {100 * part['share']:.3g} %"
            typer.echo(f"{which:<29}{snr:>10}{honest}")
    typer.echo("")
    for note in content["notes"]:
        typer.echo(textwrap.fill(printable(note), 110, initial_indent="note:      ", subsequent_indent=" " * 11))


def _value(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return f"{'-':>10}   (nothing here that it applies to)"
    digits = 1 if found["unit"] == "dB" else 3
    value = f"{found['value']:>{10 - len(found['unit']) - bool(found['unit'])}.{digits}f}"
    value += f" {found['unit']}" if found["unit"] else ""
    if found["low"] is None:
        return f"{value}   (no interval)"
    return f"{value}   ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
