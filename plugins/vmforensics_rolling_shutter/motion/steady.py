"""Row motion of a picture that stays in place, but for a sway of a few tenths of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.data.sway import Sway
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics_rolling_shutter.motion.covered import PassingTest
from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.places import FIRST_ORDER, Places
from vmforensics_rolling_shutter.motion.relinearise import Expansion, Spread, relinearise
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.row_solver import RowSolver
from vmforensics_rolling_shutter.motion.turn_meter import TurnMeter

_RANGE = 0.35  # px of frame motion beyond which the series' remainder can pass for a faint sound
_SLOW_RANGE = 0.5  # px of slow frame motion beyond which the picture is followed instead
_ROWS_RANGE = 0.305  # px RMS of the rows' motion up to which a sound's level is right, its peaks being far higher
_FAST_RANGE = 0.6  # px up to which the series holds at all
_LEAN_RANGE = 0.05  # px that a slow turn moves the outermost rows by, beyond which the picture is followed instead
_LEAN_SEEN = 0.003  # px of it that are taken out of the rows, where it would be a sawtooth
_WILD = 2.0  # px; a row that reads as more in such a picture shows something else, or next to nothing
_AGREEMENT = 3.0  # times what two measurements of the turn differ by, RMS, that it has to be
_LOUD = 0.1  # px that a fifth of the rows move by in a sound so loud that it looks like something passing
_EDGE_ROWS = 8  # rows at the top and bottom whose derivatives are less exact than a sway asks for


def measure(frames: SensorFrames, template: MeanTemplate, half_of: NDArray[np.int64]) -> RowReadings | None:
    """Measure every row of every frame against the temporal mean, in one pass.

    A row is read by fixed functionals, so that a block of frames is one product of
    matrices; what moves by more than a few hundredths of a pixel is taken beyond first order afterwards.

    Parameters
    ----------
    frames
        The clip.
    template
        Its temporal mean.
    half_of : ndarray [shape=(cols,), int64]
        The half that each column belongs to.

    Returns
    -------
    RowReadings or None
        None where the picture moves farther than this holds, or something passes in front of it.

    Raises
    ------
    RegionError
        The mean has no texture.
    """
    solver = RowSolver.build(template, half_of)
    count, rows = frames.frame_count, frames.rows
    displacement = np.zeros((count, rows, len(CHANNELS)), dtype=np.float32)
    seen = np.zeros(count, dtype=bool)
    passing = PassingTest(template, frames.full_scale) if frames.mask is None else None
    passes = False
    meter, turns = TurnMeter.build(template), np.full((count, 2), np.nan)
    for block in frames.blocks():
        passes = passes or (passing is not None and passing.passes(block.luma))
        displacement[block.index] = solver.read(block.luma)
        turns[block.index] = meter.read(block.luma)
        seen[block.index] = True
    if passes and float(np.percentile(np.abs(displacement[seen]), 80)) < _LOUD:
        return None
    observed = seen[:, None] & solver.informative
    places = Places.of(displacement, solver.precision, frames.shutter.line_delay)
    sway = float(np.hypot(*places.sway[seen].T).max(initial=0.0))
    if sway > _FAST_RANGE:
        return None
    if float(np.hypot(*_slow_part(frames, places.sway, seen).T).max(initial=0.0)) > _SLOW_RANGE:
        return None
    turn = _agreed(_slow_part(frames, turns, seen))
    lean = float(np.abs(turn[seen]).max(initial=0.0)) * rows / 2
    if lean > _LEAN_RANGE:
        return None
    wild = np.abs(displacement).max(axis=-1) > _WILD
    if wild.any():
        observed &= ~wild
        displacement[wild] = 0
        places = Places.of(displacement, solver.precision, frames.shutter.line_delay)
    spread = Spread.of(place[observed[part]] for part, place in places)
    if spread.largest > FIRST_ORDER:
        expansion = Expansion.of(template, solver.functionals[:, :-1], spread)
        for part, place in places:
            relinearise(displacement[part], expansion, place, x_y=np.array([0, 1, 0, 1]))
    if lean > _LEAN_SEEN:
        lever = (rows - 1) / 2 - np.arange(rows)
        displacement[..., ::2] -= (turn[:, None] * lever)[..., None].astype(np.float32)
    if sway > FIRST_ORDER and rows > 4 * _EDGE_ROWS:
        observed[:, :_EDGE_ROWS] = observed[:, rows - _EDGE_ROWS :] = False  # their derivatives look out of the region
    displacement[~observed] = 0
    return RowReadings(displacement, solver.precision[None], observed, doubt=_doubt(sway, spread))


def _doubt(sway: float, spread: Spread) -> str:
    """Why motion so large can't be relied on; "" where it can."""
    if sway > _RANGE:
        return (
            f"the whole picture shakes by up to {sway:.2f} px; beyond {_RANGE} px the shaking's own trace in the rows "
            "can't be told from a faint sound"
        )
    if spread.rms > _ROWS_RANGE:
        return (
            f"the rows move by {spread.rms:.2f} px RMS, with peaks of {spread.largest:.2f} px or more; beyond "
            f"{_ROWS_RANGE} px RMS the peaks are read wrong, and with them the level and the shape of the sound"
        )
    return ""


def _agreed(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The turn that two measurements [shape=(frames, 2)] agree on [shape=(frames,)]; 0 where they hardly do."""
    turn, apart = turns.mean(axis=1), np.diff(turns, axis=1)[:, 0] / 2
    return turn if np.mean(turn**2) > _AGREEMENT**2 * np.mean(apart**2) else np.zeros_like(turn)


def _slow_part(frames: SensorFrames, places: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The frames' smooth path [shape=(frames, 2)]; the rest is too fast to be a camera's, as a loud sound is."""
    times = frames.clock.times
    known = np.where(seen[:, None], places, 0.0)
    path = Sway.through(known, seen.astype(np.float64), times, frame_rate=frames.clock.rate).at(times)
    return np.where(seen[:, None], path, 0.0)
