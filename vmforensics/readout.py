"""Is the picture in readout order as stated? Its own slow motion tells.

While the rows are read the picture moves on: within a frame, displacement grows with the row's instant at the speed
that the picture has from frame to frame. Where it doesn't, the rows weren't exposed one after another at the stated
pace and in the stated direction: a global shutter, a stabiliser's warp, another direction or axis, another row time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_KNOWN = 0.15
"""Standard uncertainty of the pace up to which it says anything."""

_LEAST_DEVIATION = 0.3  # of the pace from 1; less is a matter of the row time's accuracy
_LEAST_SIGMAS = 4.0
_STRETCHES = 10  # of the clip, for the jackknife
_LEAST_FRAMES = 40
_ORDERS = 5  # polynomials over the rows: place, slope, and three that a slow motion hardly has
_SHOWN = 0.8  # of the frames that show the rows shown most
_CHANCE = 4.0  # times the power that such a polynomial shares with the path by chance


class ReadoutVerdict(StrEnum):
    """What the picture's slow motion says of the readout."""

    CONSISTENT = "consistent"  # the rows were exposed in the order and at the pace stated
    CONTRADICTED = "contradicted"  # they weren't
    UNKNOWN = "unknown"  # the picture rests, or its rows move in other ways


@dataclass(frozen=True, slots=True)
class Readout:
    """How far the picture moves on during readout, compared with its motion from frame to frame.

    Parameters
    ----------
    verdict : ReadoutVerdict
        What it says of the stated readout.
    pace : float or None
        1 for the readout as stated, 0 for rows exposed together, -1 for the reverse direction, q for a row time that is
        q times the stated one. None where there is too little to tell.
    uncertainty : float or None
        Its standard uncertainty.
    reason : str
        The finding in plain words.
    """

    verdict: ReadoutVerdict
    pace: float | None
    uncertainty: float | None
    reason: str


def judge_readout(motion: Motion) -> Readout:
    """Compare the motion within frames with the motion from frame to frame.

    In each frame orthogonal polynomials are fitted to displacement over row instants, and so they are to the smooth
    path through the frames' mean motion at the same instants. The measured slopes are regressed on the path's.
    The picture's place along x and y and its square are regressed out, so that nothing counts that depends on where
    the picture stands: a roll that goes with the sway, something that moves by itself, the template's bias.

    The uncertainty is a jackknife over stretches of the clip (Efron & Stein 1981, doi:10.1214/aos/1176345462). It grows
    by as much as polynomials of higher order follow the path or its speed: a slow motion has next to none of them,
    while a loud tone whose alias looks like a slow motion has as much of them as of the slope.

    Parameters
    ----------
    motion
        As measured, its sway still in it.
    """
    if motion.observed.shape[1] < 2 * _ORDERS or not np.ptp(motion.row_offsets) > 0:
        return _unknown("the rows share an instant")
    frames, rows = _block(motion)
    if len(frames) < _LEAST_FRAMES:
        return _unknown(f"it takes {_LEAST_FRAMES} frames, and the clip has {len(frames)}")
    paces = [_pace(*coefficients) for coefficients in _coefficients(motion, frames, rows)]
    known = np.array([pace for pace in paces if pace is not None and np.all(np.isfinite(pace))]).reshape(-1, 2)
    if not len(known):
        return _unknown("the picture rests")
    weight = 1 / np.maximum(known[:, 1], 1e-6) ** 2
    return _judged(float(weight @ known[:, 0] / weight.sum()), float(1 / np.sqrt(weight.sum())))


def _judged(pace: float, uncertainty: float) -> Readout:
    shown = f"during readout the picture moves by {pace:.2f} ± {uncertainty:.2f} of what its motion between frames"
    if uncertainty > _KNOWN:
        reason = "the picture rests, or its rows move in other ways"
        return Readout(ReadoutVerdict.UNKNOWN, pace, uncertainty, f"readout order couldn't be checked: {reason}")
    if abs(pace - 1) <= max(_LEAST_DEVIATION, _LEAST_SIGMAS * uncertainty):
        return Readout(ReadoutVerdict.CONSISTENT, pace, uncertainty, f"{shown} asks for")
    margin = max(_LEAST_DEVIATION, _LEAST_SIGMAS * uncertainty)
    if abs(pace) <= margin:
        meaning = (
            "its rows were exposed together (a global shutter, a stabiliser that redrew the frames), or the readout "
            "runs along the other axis"
        )
    elif abs(pace + 1) <= margin:
        meaning = "the readout runs in the opposite direction"
    else:
        meaning = (
            f"the row time is {pace:.2g} times the stated one"
            if pace > 0
            else f"the readout runs in the opposite direction, with {-pace:.2g} times the stated row time"
        ) + ", or a stabiliser redrew the frames"
    return Readout(ReadoutVerdict.CONTRADICTED, pace, uncertainty, f"{shown} asks for: {meaning}")


def _unknown(why: str) -> Readout:
    return Readout(ReadoutVerdict.UNKNOWN, None, None, f"readout order couldn't be checked: {why}")


def _block(motion: Motion) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that nearly all frames show (a drift takes some at the edges), and the frames that show all of these."""
    share = motion.observed.mean(axis=0)
    rows = np.flatnonzero(share >= _SHOWN * share.max(initial=0.0)) if share.any() else np.flatnonzero(share)
    return np.flatnonzero(motion.observed[:, rows].all(axis=1)), rows


def _coefficients(
    motion: Motion, frames: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """For x and y: the polynomials' coefficients in each frame's rows, and in the path's.

    Yields
    ------
    measured, predicted : ndarray [shape=(frames, orders), float64]
        Weighted so that noise has the same variance in each.
    place : ndarray [shape=(frames, 2), float64, px]
        Of the path.
    """
    offsets, response = motion.row_offsets[rows], motion.response
    instants = motion.frame_times[frames, None] + offsets
    places, taken_out = motion.sway().at(instants), _followed(motion, instants)
    span = np.ptp(offsets)
    polynomials = np.polynomial.legendre.legvander(2 * (offsets - offsets.min()) / span - 1, _ORDERS - 1)
    precision = motion.precision.mean(axis=0, dtype=np.float64)
    precision = precision[rows] if len(precision) > 1 else precision
    for axis in ((1.0, 0.0), (0.0, 1.0)):
        displacement, information = motion.along(axis)
        displacement, information = displacement[np.ix_(frames, rows)], information[np.ix_(frames, rows)]
        weight = np.sqrt(information.mean(axis=0))
        if np.count_nonzero(weight) < 2 * _ORDERS:
            continue
        functional = precision @ (response @ np.asarray(axis))  # what `along` reads for a motion along x and y
        norm = functional @ (response @ np.asarray(axis))
        gain = (functional @ response) / np.where(norm > 0, norm, 1.0)[:, None]
        basis = np.linalg.qr(polynomials * weight[:, None])[0] * weight[:, None]
        moved = displacement + np.einsum("fra,ra->fr", taken_out, gain)
        yield moved @ basis, np.einsum("fra,ra->fr", places, gain) @ basis, places.mean(axis=1)


def _followed(motion: Motion, instants: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the estimator took out of the displacement: its path, at the rows' stated instants."""
    from scipy.interpolate import make_interp_spline

    if motion.path is None:
        return np.zeros((*instants.shape, 2))
    middle = motion.frame_times + float(motion.row_offsets.mean())
    return np.asarray(make_interp_spline(middle, motion.path, k=min(5, len(middle) - 1))(instants))


def _pace(
    measured: NDArray[np.float64], predicted: NDArray[np.float64], place: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Regression of the measured slopes on the path's: coefficient and standard uncertainty; None without motion."""
    frames = len(place)
    nuisance = _orthonormal(np.column_stack([np.ones(frames), place, place**2]))
    expected, found = (c[:, 1] - nuisance @ (nuisance.T @ c[:, 1]) for c in (predicted, measured))
    product, power = expected * found, expected**2
    if not power.sum() > 0:
        return None
    stretches = np.array_split(np.arange(frames), _STRETCHES)
    left = np.array([(product.sum() - product[s].sum()) / max(power.sum() - power[s].sum(), 1e-300) for s in stretches])
    variance = (_STRETCHES - 1) / _STRETCHES * np.sum((left - left.mean()) ** 2)
    beyond = (measured - predicted)[:, 2:]
    beyond = beyond - beyond.mean(axis=0)
    followed = np.sum((_orthonormal(np.column_stack([expected, place - place.mean(axis=0)])).T @ beyond) ** 2, axis=1)
    chance = _CHANCE * np.sum(beyond**2) / frames
    other = np.sum(np.maximum(followed - chance, 0.0)) / beyond.shape[1]
    return float(product.sum() / power.sum()), float(np.sqrt(variance + other / power.sum()))


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns, however unlike their sizes."""
    return np.asarray(np.linalg.qr(columns / np.maximum(np.abs(columns).max(axis=0), 1e-300))[0])
