"""`vmforensics simulate`: a clip with known truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from vmforensics.cli.console import JsonOption, QuietOption, print_json
from vmforensics.errors import OutputError, ParameterError

_SCENE, _CAMERA, _FILE = "Scene and sound", "Camera", "File"  # groups of options

_Number = TypeVar("_Number", int, float)


def simulate(
    out: Annotated[
        Path,
        typer.Argument(
            help="Clip to write (.mkv, .mp4, .mov, .avi), or a folder for PNG pictures.", metavar="OUT", readable=False
        ),
    ],
    *,
    scene: Annotated[
        str,
        typer.Option(
            help="print, natural, soft, edges, bars, grey, or a photograph: astronaut, brick, camera, chelsea, "
            "coffee, coins, grass, gravel, moon, page, rocket, text.",
            rich_help_panel=_SCENE,
        ),
    ] = "print",
    sound: Annotated[
        str,
        typer.Option(help="melody, speech, tone:HZ, chirp:HZ-HZ, silence, or a WAV file.", rich_help_panel=_SCENE),
    ] = "melody",
    displacement: Annotated[
        str, typer.Option(help="RMS of the vibration over the clip, px.", rich_help_panel=_SCENE)
    ] = "0.03",
    direction: Annotated[
        float, typer.Option(help="Of the vibration, degrees: 0 is to the right, 90 down.", rich_help_panel=_SCENE)
    ] = 0.0,
    moving: Annotated[
        str | None,
        typer.Option(help="X,Y,W,H: only this part vibrates, the rest is still.", rich_help_panel=_SCENE),
    ] = None,
    drift: Annotated[
        str, typer.Option(help="X,Y: slow motion of everything over the clip, px.", rich_help_panel=_SCENE)
    ] = "0,0",
    sway: Annotated[
        str, typer.Option(help="Amplitude of a slow swinging along the drift, px.", rich_help_panel=_SCENE)
    ] = "0",
    handheld: Annotated[
        str, typer.Option(help="How far a hand that holds the camera wanders, px.", rich_help_panel=_SCENE)
    ] = "0",
    flicker: Annotated[
        str | None,
        typer.Option(help="Frequency of flickering light: twice the mains', 100 Hz.", rich_help_panel=_SCENE),
    ] = None,
    flicker_depth: Annotated[
        float, typer.Option(help="Modulation depth of the flicker, 0 to 1.", rich_help_panel=_SCENE)
    ] = 0.1,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT of the coded picture.", rich_help_panel=_CAMERA)] = "640x360",
    fps: Annotated[str, typer.Option(help="True frame rate: 60, 2200, 60000/1001.", rich_help_panel=_CAMERA)] = "60",
    duration: Annotated[
        str, typer.Option("--seconds", help="Length of the clip: 2, 500ms.", rich_help_panel=_CAMERA)
    ] = "1",
    shutter: Annotated[
        str | None,
        typer.Option(help="global or rolling (needs --row-time).", rich_help_panel=_CAMERA),
    ] = None,
    row_time: Annotated[
        str | None,
        typer.Option(help="Time from row to row of a rolling shutter: 19us.", rich_help_panel=_CAMERA),
    ] = None,
    exposure: Annotated[
        str | None, typer.Option(help="Exposure of a row: 1/2000. Without it: an instant.", rich_help_panel=_CAMERA)
    ] = None,
    readout_direction: Annotated[
        str,
        typer.Option(help="top-to-bottom, bottom-to-top, left-to-right, right-to-left.", rich_help_panel=_CAMERA),
    ] = "top-to-bottom",
    rows_at_once: Annotated[
        int, typer.Option(help="Sensor rows that are exposed and read together.", rich_help_panel=_CAMERA)
    ] = 1,
    sensor_rows_per_row: Annotated[
        float, typer.Option(help="Sensor rows averaged into a stored row: 2, 1.5.", rich_help_panel=_CAMERA)
    ] = 1.0,
    first_sensor_row: Annotated[
        int, typer.Option(help="Sensor rows read before the first stored one.", rich_help_panel=_CAMERA)
    ] = 0,
    noise: Annotated[
        str, typer.Option(help="A,B: noise variance A + B*I at pixel value I.", rich_help_panel=_CAMERA)
    ] = "1,0",
    bits: Annotated[int, typer.Option(help="8, 10, 12 or 16 bits a pixel.", rich_help_panel=_CAMERA)] = 8,
    brightness: Annotated[float, typer.Option(help="Mean, share of full scale.", rich_help_panel=_CAMERA)] = 0.5,
    contrast: Annotated[float, typer.Option(help="Peak, share of full scale.", rich_help_panel=_CAMERA)] = 0.4,
    gain: Annotated[float, typer.Option(help="Factor on the picture before noise.", rich_help_panel=_CAMERA)] = 1.0,
    jitter: Annotated[
        str, typer.Option(help="RMS deviation of the frame times: 100us.", rich_help_panel=_CAMERA)
    ] = "0",
    drop: Annotated[str | None, typer.Option(help="Frames that are lost: 10,11,40.", rich_help_panel=_CAMERA)] = None,
    repeat: Annotated[
        str | None, typer.Option(help="Frames replaced by the one before: 10,40.", rich_help_panel=_CAMERA)
    ] = None,
    codec: Annotated[
        str, typer.Option(help="ffv1, rawvideo, libx264, libx265, mjpeg.", rich_help_panel=_FILE)
    ] = "ffv1",
    quality: Annotated[
        int | None, typer.Option(help="crf (libx264, libx265) or q (mjpeg).", rich_help_panel=_FILE)
    ] = None,
    preset: Annotated[str, typer.Option(help="Speed of libx264, libx265.", rich_help_panel=_FILE)] = "medium",
    gop: Annotated[int | None, typer.Option(help="Largest distance of intra frames.", rich_help_panel=_FILE)] = None,
    b_frames: Annotated[int | None, typer.Option(help="Largest run of B frames.", rich_help_panel=_FILE)] = None,
    pixel_format: Annotated[
        str | None, typer.Option(help="FFmpeg's name; else what suits the codec.", rich_help_panel=_FILE)
    ] = None,
    container_fps: Annotated[
        str | None, typer.Option(help="Frame rate the file claims, if not the true one.", rich_help_panel=_FILE)
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Folder for the truth; OUT.truth by default.", rich_help_panel=_FILE, readable=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of texture, voice and noise.")] = 0,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Simulate a clip whose vibration is known.

    Writes the clip, and its truth beside it in OUT.truth: truth.npz (instants, displacement per row or frame, the
    continuous sound), truth.json (every setting) and truth.wav. The same options give the same bytes.

    \b
    Examples:
      vmforensics simulate clip.mkv --sound melody --shutter rolling --row-time 19us --size 1280x720 --seconds 2
      vmforensics simulate chips.mp4 --fps 2200 --container-fps 30 --size 240x180 --sound voice.wav --codec libx264
      vmforensics simulate still.mkv --sound silence
      vmforensics simulate frames --sound tone:310
    """
    from vmforensics.data import ReadoutDirection, Region, Shutter
    from vmforensics.testing import Camera, Flicker, write_clip, write_image_sequence, write_truth
    from vmforensics.testing import simulate as make
    from vmforensics.units import hertz, pixels, seconds

    line_delay = _quantity("--row-time", seconds, row_time) or 0.0
    _check_shutter(shutter, line_delay)
    rate = _quantity("--fps", hertz, fps) or 0.0
    width, height = _numbers("--size", int, size.lower(), 2, "x")
    a, b = _numbers("--noise", float, noise, 2)
    across, down = _numbers("--drift", float, drift, 2)
    if readout_direction not in list(ReadoutDirection):
        raise ParameterError(
            f"--readout-direction {readout_direction!r} isn't known", hint="one of " + ", ".join(ReadoutDirection)
        )
    camera = Camera(
        width=width,
        height=height,
        fps=rate,
        frames=round((_quantity("--seconds", seconds, duration) or 0.0) * rate),
        shutter=Shutter(
            line_delay=line_delay,
            line_delay_source="simulated" if line_delay else "",
            exposure=_quantity("--exposure", seconds, exposure),
            direction=ReadoutDirection(readout_direction),
            sensor_rows_per_row=sensor_rows_per_row,
            rows_at_once=rows_at_once,
            first_sensor_row=first_sensor_row,
        ),
        bits=bits,
        noise=(a, b),
        brightness=brightness,
        contrast=contrast,
        gain=gain,
        jitter=_quantity("--jitter", seconds, jitter) or 0.0,
        dropped=tuple(_numbers("--drop", int, drop)) if drop else (),
        repeated=tuple(_numbers("--repeat", int, repeat)) if repeat else (),
    )
    light = _quantity("--flicker", hertz, flicker)
    simulation = make(
        camera,
        scene=scene,
        sound=sound,
        rms_px=_quantity("--displacement", pixels, displacement) or 0.0,
        direction=direction,
        drift=(across, down),
        sway=_quantity("--sway", pixels, sway) or 0.0,
        handheld=_quantity("--handheld", pixels, handheld) or 0.0,
        moving=Region(*_numbers("--moving", int, moving, 4)) if moving else None,
        flicker=None if light is None else Flicker(light, flicker_depth),
        seed=seed,
    )
    beside = truth or out.with_name(f"{out.name}.truth")
    for path in (out, beside):
        if path.exists():
            raise OutputError(f"{path} exists already", hint="choose another name, or remove it")
    if out.suffix:
        write_clip(
            simulation,
            out,
            codec=codec,
            quality=quality,
            preset=preset,
            gop=gop,
            b_frames=b_frames,
            pixel_format=pixel_format,
            container_fps=_quantity("--container-fps", hertz, container_fps),
        )
    else:
        write_image_sequence(simulation, out)
    written = write_truth(simulation, beside)
    if as_json:
        facts = {"clip": str(out), "truth": [str(path) for path in written], "settings": simulation.settings()}
        print_json(facts)
    elif not quiet:
        frames = len(simulation.frame_times)
        kind = f"rolling shutter, {line_delay * 1e6:g} us a row" if line_delay else "global shutter"
        typer.echo(f"{out}: {frames} frames of {width}x{height} px at {rate:g} fps, {kind}")
        typer.echo(f"{beside}: {simulation.sound.name}, {simulation.rms_px:g} px RMS")


def _check_shutter(shutter: str | None, line_delay: float) -> None:
    if shutter not in (None, "global", "rolling"):
        raise ParameterError(f"--shutter {shutter!r} isn't known", hint="global or rolling")
    if shutter == "rolling" and not line_delay:
        raise ParameterError("--shutter rolling needs the row time", hint="give --row-time, as in --row-time 19us")
    if shutter == "global" and line_delay:
        raise ParameterError("--shutter global has no row time", hint="leave --row-time out, or say --shutter rolling")


def _quantity(option: str, read: Callable[[object], float], text: str | None) -> float | None:
    try:
        return None if text is None else read(text)
    except ValueError as error:
        raise ParameterError(f"{option}: {error}") from error


def _numbers(
    option: str, number: type[_Number], text: str, count: int | None = None, separator: str = ","
) -> list[_Number]:
    try:
        values = [number(part) for part in text.split(separator)]
    except ValueError as error:
        raise ParameterError(f"{option} {text!r} isn't a list of numbers with {separator!r} between") from error
    if count is not None and len(values) != count:
        raise ParameterError(f"{option} {text!r} has {len(values)} numbers; it must have {count}")
    return values
