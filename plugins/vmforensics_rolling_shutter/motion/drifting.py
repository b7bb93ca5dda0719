"""Row motion of a picture that drifts and turns: its path is tracked, each row compared with the scene seen from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, SensorFrames
from vmforensics.errors import Unsuitable
from vmforensics.numerics.noise import NoiseModel
from vmforensics_rolling_shutter.motion.covered import hides, in_pixels, told, with_those_beside
from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.path import Path
from vmforensics_rolling_shutter.motion.places import FIRST_ORDER
from vmforensics_rolling_shutter.motion.registered import Canvas, Looked, RegisteredMean
from vmforensics_rolling_shutter.motion.row_fit import ONE_WAY, NoiseSample, RowFit, mean_of_groups, motion_of_groups
from vmforensics_rolling_shutter.motion.row_readings import RowReadings
from vmforensics_rolling_shutter.motion.tracking import track
from vmforensics_rolling_shutter.motion.turned import TurnedMean, canvas_around
from vmforensics_rolling_shutter.motion.turning import placed

_ROUNDS = 4  # at most, of registering the frames and looking again where they stand
_SETTLED = 0.03  # px; a correction of the path so small leaves the registered mean as it is
_NOISE_FRAMES = 32  # spread over the clip, that the noise is measured on
_PARTS_APART = 0.5  # px that the quarters of the picture may move apart, or it isn't one rigid picture
_PARTS_DOUBTED = 0.2
_TURNED = 0.025  # px RMS at the picture's corners that it must turn by to be turned back
_STRAYED = 0.1  # of the picture's longer side, that a row may turn out to stand from where its frame was found
_EVERYTHING = np.ones((1, 1), np.bool_)  # a frame that doesn't look like the others is covered wholly
_TURN_TOLD = 0.05  # px from end to end at the corners that are worth a word
_PASSED = 0.02  # of the frames
_RESTING = 0.3  # px of travel that a picture at rest may have
_COVER_SETTLED = 0.1  # of the covered cells, that may have changed
_MEAN_FRAMES = 128  # spread over the clip, that the scene of a turning picture is the mean of; its noise adds 0.03 dB


def measure(frames: SensorFrames, half_of: NDArray[np.int64]) -> RowReadings:
    """Measure every row of every frame against the registered mean of the frames.

    Parameters
    ----------
    frames
        The clip.
    half_of : ndarray [shape=(cols,), int64]
        The half that each column belongs to.

    Raises
    ------
    Unsuitable
        The picture can't be followed, leaves more than half of itself, or doesn't move as one.
    """
    instants = frames.clock.times[:, None] + frames.row_offsets()
    path, followed = _tracked(frames, instants)
    places = tracked = path.at(instants)
    turns = places.shape[-1] > 2
    noise = NoiseModel(1.0, 0.0)
    stride = max(1, frames.frame_count // _NOISE_FRAMES)
    covered = {int(index): _EVERYTHING for index in np.flatnonzero(~followed)}
    for attempt in range(_ROUNDS):
        scene = _scene(frames, places, followed, covered)
        fit = RowFit(scene, half_of, noise, frames.full_scale, settled=attempt > 0)
        covered, before_covered = {}, covered
        sample, moves, apart, known = NoiseSample(), [], [], np.zeros((2, 2))
        for index, luma in _each(frames):
            if not followed[index]:
                covered[index] = _EVERYTHING
                continue
            found = fit.frame(luma, places[index], sample if index % stride == 0 else None)
            own = places[index]
            moves.append((index, *(placed(found, own, frames.cols) if turns else found.groups(own))))
            covered[index] = found.covered
            apart.append(found.quarters_apart())
            known += found.information()
        if not known.any():
            _refuse_region(frames, path, instants)
        _refuse_parts(np.array(apart), known)
        noise = sample.model()
        before, (path, places) = places, _corrected(path, moves, instants)
        _refuse_strayed(_in_px(places - tracked, frames)[followed], frames)
        shown = [index for index, cells in covered.items() if not hides(cells)]
        unsettled = float(np.percentile(np.abs(_in_px((places - before)[shown], frames)), 99)) if shown else 0.0
        if unsettled < _SETTLED and _alike(covered, before_covered):
            break
    fit = RowFit(scene, half_of, noise, frames.full_scale)
    count, rows = instants.shape
    displacement = np.zeros((count, rows, len(CHANNELS)), dtype=np.float32)
    precision = np.zeros((count, rows, len(CHANNELS), len(CHANNELS)), dtype=np.float32)
    for index, luma in _each(frames):
        if not followed[index]:
            continue
        found = fit.frame(luma, places[index], None)
        moved, precision[index] = found.halves(scene.frames)
        covered[index] = found.covered
        displacement[index] = moved + np.tile((places[index] - path.at(instants[index]))[:, :2], 2)
    observed = np.trace(precision, axis1=2, axis2=3) > 0
    displacement[~observed] = 0
    if not observed.any():
        _refuse_region(frames, path, instants)
    rest = _taken_out(displacement, precision, instants)
    displacement[~observed] = 0
    shown = observed.any(axis=1)
    stood = (path.at(instants)[..., :2] + rest.at(instants)).mean(axis=1)
    for axis in (0, 1):  # between them it isn't known
        stood[:, axis] = np.interp(frames.clock.times, frames.clock.times[shown], stood[shown, axis])
    notes = told(covered)
    if turns:
        notes = (*_turn_told(path.at(instants[shown])[..., 2], frames), *notes)
    predicted = frames.stream.facts.get("inter_coded") is True
    doubt = _doubt(np.array(apart), known, unsettled) or _passed(covered, stood, predicted=predicted)
    return RowReadings(displacement, precision, observed, doubt, stood, notes)


def _passed(covered: dict[int, NDArray[np.bool_]], stood: NDArray[np.float64], *, predicted: bool) -> str:
    """Why motion behind something that passes can't be relied on; "" where it can.

    A codec that predicts frames from one another leaves traces of it where it has gone.
    """
    count = sum(bool(cells.any()) for cells in covered.values())
    travel = float(np.hypot(*np.ptp(stood, axis=0)))
    if count <= _PASSED * len(stood) or (travel < _RESTING and not predicted):
        return ""
    which = "that moves" if travel >= _RESTING else "whose frames were predicted from one another"
    return (
        f"something passes in front of a picture {which}, in {count} of {len(stood)} frames: what its edges leave "
        "can't be told from motion; choose a region or a stretch of the clip without it"
    )


def _alike(covered: dict[int, NDArray[np.bool_]], before: dict[int, NDArray[np.bool_]]) -> bool:
    """Whether what is covered is nearly what it was taken for when the scene was drawn."""
    cells = sum(int(np.count_nonzero(c)) for c in covered.values())
    if not before:
        return cells == 0
    return sum(int(np.count_nonzero(c != before.get(k, ~c))) for k, c in covered.items()) <= _COVER_SETTLED * cells


def _in_px(places: NDArray[np.float64], frames: SensorFrames) -> NDArray[np.float64]:
    """Places whose angle, if they have one, counts as it moves most of the picture."""
    return np.asarray(places * np.array([1, 1, np.hypot(frames.rows, frames.cols) / 4])[: places.shape[-1]])


def _turn_told(angles: NDArray[np.float64], frames: SensorFrames) -> tuple[str, ...]:
    turn = float(np.ptp(angles))
    corner = turn * np.hypot(frames.rows, frames.cols) / 2
    if corner < _TURN_TOLD:
        return ()
    return (f"the picture turns by {np.degrees(turn):.2g}°, {corner:.2g} px at its corners: it was followed",)


def _corrected(
    path: Path,
    moves: list[tuple[int, NDArray[np.float64], NDArray[np.float64]]],
    instants: NDArray[np.float64],
) -> tuple[Path, NDArray[np.float64]]:
    """The path through where the rows were found, and the rows' places.

    A row's place is the path's, and where its neighbourhood was found beyond that if it is more than the first order
    reaches: a loud sound would blur the scene.

    Parameters
    ----------
    path
        Up to now.
    moves
        Frame, and for each group of its rows the place (x, y and perhaps the angle, px and radians) and the information
        about it in 1/px².
    instants : ndarray [shape=(frames, rows), float64, s]

    Returns
    -------
    Path
    ndarray [shape=(frames, rows, 2 or 3), float64, px and radians]
    """
    times = {index: mean_of_groups(instants[index]) for index, _, _ in moves}
    every = np.concatenate([times[index] for index, _, _ in moves])
    found = np.concatenate([place for _, place, _ in moves])
    weight = np.concatenate([known for _, _, known in moves])
    path = path.corrected(every, found - path.at(every), weight)
    places = path.at(instants)
    local = np.zeros_like(places)
    for index, place, known in moves:
        share = known / (known + 1 / FIRST_ORDER**2)
        beyond = share[:, None] * (place - path.at(times[index]))
        for axis in (0, 1):
            local[index, :, axis] = np.interp(instants[index], times[index], beyond[:, axis])
    return path, places + local if np.abs(local).max() > FIRST_ORDER else places


def _taken_out(
    displacement: NDArray[np.float32], precision: NDArray[np.float32], instants: NDArray[np.float64]
) -> Path:
    """Take what is left of the slow motion out of the rows, in place, and return it."""
    response = np.array([channel.response for channel in CHANNELS])
    moves = []
    for moved, known, times in zip(displacement, precision, instants, strict=True):
        gain = response.T @ known.astype(np.float64)
        moves.append((mean_of_groups(times), *motion_of_groups(gain @ response, (gain @ moved[..., None])[..., 0])))
    begin, end, rate = float(instants[0, 0]), float(instants[-1, -1]), 1 / float(np.diff(instants[:, 0]).mean())
    rest = Path.resting(begin, end, rate).corrected(*(np.concatenate(one) for one in zip(*moves, strict=True)))
    for index, times in enumerate(instants):
        displacement[index] -= np.tile(rest.at(times), 2)
    return rest


def _tracked(frames: SensorFrames, instants: NDArray[np.float64]) -> tuple[Path, NDArray[np.bool_]]:
    """The path to begin with, through the places of whole frames, and which frames were found [shape=(frames,)]."""
    from scipy.interpolate import make_interp_spline

    places = track(frames)
    known = np.isfinite(places[:, 0])
    middle = instants.mean(axis=1)
    times = np.linspace(middle[known][0], middle[known][-1], 4 * len(middle))
    coordinates = 3 if _turns(middle[known], places[known], frames) else 2
    places = places[:, :coordinates]
    smooth = min(3, int(known.sum()) - 1) if known.all() else 1  # over a gap it would swing
    spline = make_interp_spline(middle[known], places[known], k=smooth)
    path = Path.resting(float(instants[0, 0]), float(instants[-1, -1]), frames.clock.rate, coordinates)
    path = path.corrected(times, spline(times), np.ones(len(times)))
    along, across = _travel(path, instants)
    if along > frames.cols / 2 or across > frames.rows / 2:
        raise Unsuitable(
            f"the picture travels by {along:.0f} px along and {across:.0f} px across the rows of a region of "
            f"{frames.cols} px and {frames.rows} rows; it may leave at most half of it",
            hint="choose a larger region, or a stretch of the clip that stays in view",
        )
    return path, known


def _turns(times: NDArray[np.float64], places: NDArray[np.float64], frames: SensorFrames) -> bool:
    """Whether the picture turns by more than its motion during the readout feigns, in proportion to its speed.

    Parameters
    ----------
    times : ndarray [shape=(n,), float64, s]
    places : ndarray [shape=(n, 3), float64, px, px and radians]
        Where whole frames were found then.
    """
    if len(times) < 2 * places.shape[1]:
        return False
    feigned = np.column_stack([np.ones(len(times)), np.gradient(places[:, :2], times, axis=0)])
    rest = places[:, 2] - feigned @ np.linalg.lstsq(feigned, places[:, 2], rcond=None)[0]
    return bool(np.std(rest) * np.hypot(frames.rows, frames.cols) / 2 > _TURNED)


def _travel(path: Path, instants: NDArray[np.float64]) -> tuple[float, float]:
    """How far the path leads along and across the rows, px."""
    along, across = np.ptp(path.at(instants.mean(axis=1))[:, :2], axis=0)
    return float(along), float(across)


def _each(frames: SensorFrames) -> Iterator[tuple[int, Luma]]:
    for block in frames.blocks():
        yield from zip(block.index.tolist(), block.luma, strict=True)


def _scene(
    frames: SensorFrames,
    places: NDArray[np.float64],
    followed: NDArray[np.bool_],
    covered: dict[int, NDArray[np.bool_]],
) -> Looked:
    """The registered mean of the frames.

    Parameters
    ----------
    frames
        The clip.
    places : ndarray [shape=(frames, rows, 2 or 3), float64, px and radians]
        Where the rows stand.
    followed : ndarray [shape=(frames,), bool]
        Which of the frames were found at all.
    covered : dict of int to ndarray [shape=(cell rows, cell cols), bool]
        By frame, cells that show something else.
    """
    shape = (frames.rows, frames.cols)
    mean: TurnedMean | RegisteredMean = RegisteredMean(Canvas.around(*shape, places[followed, :, :2]))
    stride = 1
    if places.shape[-1] > 2:
        mean = TurnedMean(canvas_around(*shape, places[followed]), shape)
        stride = max(1, frames.frame_count // _MEAN_FRAMES)
    for index, luma in _each(frames):
        cells = covered.get(index, np.zeros((1, 1), np.bool_))
        if index % stride == 0 and followed[index] and not hides(cells):
            mean.add(luma, places[index], in_pixels(with_those_beside(cells), *shape) if cells.any() else None)
    return mean.finished()


def _refuse_strayed(strayed: NDArray[np.float64], frames: SensorFrames) -> None:
    """Refuse places that a closer look leads far from where whole frames were found: it looks at something else."""
    farthest = float(np.abs(strayed).max())
    if farthest > _STRAYED * max(frames.rows, frames.cols):
        raise Unsuitable(
            f"the picture can't be followed: its rows seem to stand up to {farthest:.0f} px from where their frames do",
            hint="choose a larger region with detail, or a stretch of the clip with less motion and a better picture",
        )


def _refuse_region(frames: SensorFrames, path: Path, instants: NDArray[np.float64]) -> NoReturn:
    along, across = _travel(path, instants)
    raise Unsuitable(
        f"the picture travels by {along:.1f} px along and {across:.1f} px across the rows, and a region of "
        f"{frames.rows} rows of {frames.cols} px leaves nothing to follow it by",
        hint="choose a larger region with detail, or a stretch of the clip that stays in place",
    )


def _refuse_parts(apart: NDArray[np.float64], known: NDArray[np.float64]) -> None:
    usual = float(np.percentile(apart, 90))
    if usual > _PARTS_APART and not _one_way(known):
        raise Unsuitable(
            f"parts of the picture move apart by {usual:.1f} px: it doesn't move as one, and more than "
            f"{_PARTS_APART:g} px can't be followed",
            hint="choose a region that moves as one; what moves by itself (a person, a string in full swing) "
            "can't serve",
        )


def _one_way(known: NDArray[np.float64]) -> bool:
    """Whether the picture shows motion in one direction only, by the information on it [shape=(2, 2)]."""
    least, most = np.linalg.eigvalsh(known)
    return bool(least < ONE_WAY * most)


def _doubt(apart: NDArray[np.float64], known: NDArray[np.float64], unsettled: float) -> str:
    """Why a drifting picture's rows can't be relied on, if so.

    Parameters
    ----------
    apart : ndarray [shape=(frames,), float64, px]
        How far parts of the picture move apart.
    known : ndarray [shape=(2, 2), float64]
        Information on the motion of the whole picture.
    unsettled : float, px
        By how much the last correction of the rows' places changed them.
    """
    if unsettled >= _SETTLED:
        return f"the picture drifts, and its path is known to {unsettled:.2g} px only; what is wrong can pass for sound"
    if _one_way(known):
        return (
            "the picture drifts, and has detail in one direction only: how far it went along its edges can't be known, "
            "and what changes on the way can pass for sound"
        )
    usual = float(np.percentile(apart, 90))
    if usual > _PARTS_DOUBTED:
        return f"parts of the picture move apart by {usual:.2f} px; beyond {_PARTS_DOUBTED} px that can pass for sound"
    return ""
