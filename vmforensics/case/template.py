"""New cases: one to fill in by hand, and one for a single clip."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypedDict, Unpack

from vmforensics.case.model import VERSION, Case
from vmforensics.case.reader import build_case
from vmforensics.errors import OutputError

CASE_FILE = "case.yaml"
"""What the case file is called in its folder."""

_CASE = f"""\
# A vmforensics case. Fill in every line that ends in a colon with nothing after it; the rest can stay.
# Then:  vmforensics run {CASE_FILE}
#
# Quantities take units: 19us, 15.7 ms, 1/4000 (of a second), 80 Hz, 60000/1001 (frames per second).
# A bare number is in seconds, hertz or pixels. Text that holds ": " or " #" goes in quotes.

version: {VERSION}

case:
  id:                         # required: the reference the laboratory or the court uses
  title: ""
  examiner: ""
  organisation: ""
  authority: ""               # warrant, order or consent under which the recording is examined
  notes: ""                   # the question asked, the condition of the material

evidence:                     # one exhibit or more; files are only ever opened for reading
  - id: E1
    path:                     # required: such as evidence/clip.mkv, counted from this file; or a folder of pictures
    # sha256: ""              # the 64 hexadecimal digits it should have; the run stops if it differs
    notes: ""                 # where it came from, and in what condition

camera:
  shutter:                    # required: rolling (nearly every phone and camera) or global (most high-speed cameras)

  # Rolling shutter only. The row time is the time between the exposures of two consecutive rows of the stored
  # picture: readout time / rows. It is required, and it isn't guessed: measure it by filming an LED of known
  # frequency with the same camera in the same mode. 1 % of error distorts a tone of 1 kHz at -13 dB; aim at 0.3 %.
  # row_time: 19us
  # readout: 15.7 ms          # instead of it: the time to read the whole stored picture, as published figures state
  # line_time: 14.8us         # instead of it: the sensor's own; the row time is this times sensor_rows_per_row
  # row_time_uncertainty: 0.1us
  # row_time_source: ""       # who says so: a measurement and its date, the file's metadata, a publication
  # readout_direction: top-to-bottom      # or bottom-to-top, left-to-right, right-to-left, on the un-rotated picture
  # sensor_rows_per_row: 1    # 2 where the camera binned or scaled to half the height; may be a fraction
  # rows_at_once: 1           # sensor rows that are exposed and read together
  # first_sensor_row: 0       # sensor rows read before the stored picture's first one, where it is a crop

  # Both shutters.
  # exposure: 1/4000          # exposure time of a row; leave it out if unknown
  # capture_fps: 2200         # frames per second as filmed; high-speed files often state their playback rate instead

# region: [0, 0, 640, 360]    # x, y, width, height in px: the vibrating object; the whole frame if left out
# regions:                    # instead of it, several places; every run is carried out on each
#   - {{name: cup, box: [0, 0, 64, 64]}}
#   - {{name: plant, polygon: [[70, 0], [99, 0], [85, 60]]}}

# plugins: {{allow: [media, rolling-shutter, denoise]}}     # the only plugins that the case may use

# compare:                    # methods that `vmforensics compare` tries, each with each
#   denoiser: [[], high-pass, [high-pass, wiener-known-noise]]

# What to do. Without it, one run named "recovery" is made with the stages usual for the shutter. With several runs,
# methods are compared side by side: change one word, see what it does. A stage left out is the usual one:
#
#                      global shutter                      rolling shutter
#   frame_source       auto                                auto            (the first that accepts the evidence)
#   motion_estimator   adaptive                            row-motion
#   signal_combiner    shared-signal                       autoregressive
#   denoiser           high-pass, spectral-subtraction     high-pass       (in this order; [] for none)
#   exporter           wav, spectrogram, arrays            wav, spectrogram, arrays
#
# `vmforensics plugins list` shows all stages, `vmforensics plugins show NAME` a stage's parameters.
#
# runs:
#   - name: usual             # becomes a folder's name
#     evidence: E1            # the first exhibit if left out
#   - name: without-denoising
#     denoiser: []
#   - name: higher-cutoff
#     denoiser:
#       - name: high-pass
#         params: {{cutoff: 80 Hz}}
"""

_README = f"""\
This folder is a case of vmforensics.

{CASE_FILE}    what was handed in and what is to be done; fill it in first
evidence/    a place for working copies of the exhibits; originals can stay where they are
runs/        one numbered folder a run, never overwritten: sound, pictures, ledger, report

  vmforensics run {CASE_FILE}          carries it out
  vmforensics verify runs/001          checks that nothing in a run has changed since
"""


def new_case(folder: Path) -> list[Path]:
    """Lay out a case folder with a commented case file to fill in.

    Parameters
    ----------
    folder
        The case's folder; it is made if it isn't there. What is in it already is left alone.

    Returns
    -------
    list of Path
        What was made: case.yaml, and README.txt, evidence/ and runs/ where they weren't there.

    Raises
    ------
    OutputError
        The folder has a case file already, or can't be written to.
    """
    folder = Path(folder)
    made = [folder / CASE_FILE]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(made[0], _CASE)
        readme = folder / "README.txt"
        if not readme.exists():
            _write_new(readme, _README)
            made.append(readme)
        for name in ("evidence", "runs"):
            if not (folder / name).is_dir():
                (folder / name).mkdir()
                made.append(folder / name)
    except FileExistsError as error:
        taken = error.filename or folder
        raise OutputError(f"{taken} is there already", hint="choose another folder; nothing is overwritten") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{folder}: can't be written to: {reason}", hint="choose another folder") from error
    return made


class CameraSettings(TypedDict, total=False):
    """What may be known of the camera beside its shutter, as in a case file; None is as good as nothing.

    Durations are numbers (s) or text with a unit ("19us"), rates likewise (Hz).
    """

    row_time: float | str | None
    readout: float | str | None
    line_time: float | str | None
    row_time_uncertainty: float | str | None
    row_time_source: str
    exposure: float | str | None
    readout_direction: str | None
    sensor_rows_per_row: float | None
    rows_at_once: int | None
    first_sensor_row: int | None
    capture_fps: float | str | None


def case_for_clip(
    clip: Path,
    *,
    shutter: str,
    region: tuple[int, int, int, int] | None = None,
    folder: Path | None = None,
    **camera: Unpack[CameraSettings],
) -> Case:
    """Make the case that recovers one clip in the usual way.

    Parameters
    ----------
    clip
        The evidence.
    shutter
        "rolling" or "global".
    region : px
        x, y, width, height; the whole frame if None.
    folder
        Where the case file is to lie: the clip's path is then written relative to it, so that both can be moved
        together. As given if None.
    **camera
        What else is known of the camera.

    Raises
    ------
    CaseError
        A value isn't allowed.
    """
    clip = Path(clip)
    path = clip
    if folder is not None:  # without symbolic links, for they and ".." don't go together; the clip keeps its name
        path = Path(os.path.relpath(clip.parent.resolve() / clip.name, Path(folder).resolve()))
    content: dict[str, object] = {
        "version": VERSION,
        "case": {"id": clip.absolute().stem},
        "evidence": [{"path": path.as_posix()}],
        "camera": {"shutter": shutter, **{key: value for key, value in camera.items() if value is not None}},
    }
    if region is not None:
        content["region"] = list(region)
    return build_case(content)


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
