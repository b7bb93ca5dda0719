"""The clips that the accuracy table in the documentation is measured on, made by the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vmforensics.data import Shutter
from vmforensics.errors import OutputError
from vmforensics.testing import Camera, simulate, write_clip, write_truth

_ROW_TIME = 19e-6  # s


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: seed of the simulation, a scene moved by a sound along a direction, px RMS, in front of a camera."""

    name: str
    seed: int
    scene: str
    sound: str
    rms_px: float
    direction: float
    camera: Camera


def _global(noise: float) -> Camera:
    return Camera(width=112, height=84, fps=2200.0, frames=1760, noise=(noise, 0.0))


def _rolling(noise: float) -> Camera:
    shutter = Shutter(line_delay=_ROW_TIME)
    return Camera(width=96, height=720, fps=60.0, frames=72, shutter=shutter, noise=(noise, 0.0))


STANDARD = (
    Clip("global-melody", 1, "print", "melody", 0.005, 0.0, _global(4.0)),
    Clip("global-chirp", 3, "brick", "chirp:100-900", 0.005, 90.0, _global(4.0)),
    Clip("rolling-melody", 4, "print", "melody", 0.02, 0.0, _rolling(4.0)),
    Clip("rolling-chirp", 6, "brick", "chirp:100-1500", 0.02, 0.0, _rolling(4.0)),
)
"""Two sounds on two scenes, for either shutter; 8 bit, noise of 2 DN, losslessly coded."""

_CASE = """version: 1
case:
  id: {name}
  notes: Simulated; the truth is known.
evidence:
  - path: clip.mkv
camera:
  shutter: {shutter}
"""


def write_standard_clips(folder: Path) -> list[Path]:
    """Write the standard clips, each in a folder of its own with its case.yaml and truth.wav.

    Raises
    ------
    OutputError
        The folder exists, or can't be written.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be made: {error.strerror}", hint="name a folder that isn't there") from error
    written = []
    for clip in STANDARD:
        own = folder / clip.name
        own.mkdir()
        simulation = simulate(
            clip.camera,
            scene=clip.scene,
            sound=clip.sound,
            rms_px=clip.rms_px,
            direction=clip.direction,
            seed=clip.seed,
        )
        write_clip(simulation, own / "clip.mkv")
        truth = write_truth(simulation, own / "truth", rate=16_000)
        next(path for path in truth if path.name == "truth.wav").rename(own / "truth.wav")
        rolling = clip.camera.shutter.is_rolling
        text = _CASE.format(name=clip.name, shutter="rolling" if rolling else "global")
        text += f"  row_time: {1e6 * _ROW_TIME:g}us\n" if rolling else f"  capture_fps: {clip.camera.fps:g}\n"
        (own / "case.yaml").write_text(text, encoding="utf-8")
        written.append(own)
    return written
