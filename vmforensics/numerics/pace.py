"""How far a picture moves on while its rows are read, compared with its motion from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_STRETCHES = 10  # of the clip, for the jackknife
_LEAST_FRAMES = 40
_ORDERS = 5  # polynomials over the rows: place, slope, and three that a slow motion hardly has
_LEAST_ASPECT = 0.02  # of the information in the direction that shows least, to that which shows most
_SHOWN = 0.8  # of the frames that show the rows shown most
_CHANCE = 4.0  # times the power that such a polynomial shares with the path by chance


@dataclass(frozen=True, slots=True, eq=False)
class Pace:
    """The rows' pace, in units of the stated one.

    Parameters
    ----------
    value : float
        1 for a readout as stated, 0 for rows exposed together, -1 for the reverse direction, q for a row time that is
        q times the stated one.
    uncertainty : float
        Its standard uncertainty.
    expected, found : ndarray [shape=(frames,), float64, px·sqrt(weight)]
        Each frame's motion during readout: what the path asks for, and what was measured; of the direction that says
        most.
    """

    value: float
    uncertainty: float
    expected: NDArray[np.float64]
    found: NDArray[np.float64]


def pace_of(motion: Motion) -> Pace | str:
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

    Returns
    -------
    Pace or str
        Or why there is too little to tell.
    """
    if motion.observed.shape[1] < 2 * _ORDERS or not np.ptp(motion.row_offsets) > 0:
        return "the rows share an instant"
    frames, rows = _block(motion)
    if len(frames) < _LEAST_FRAMES:
        return f"it takes {_LEAST_FRAMES} frames, and the clip has {len(frames)}"
    if _one_directional(motion):
        return "the picture has detail in one direction only"
    paces = [_pace(*coefficients) for coefficients in _coefficients(motion, frames, rows)]
    known = [pace for pace in paces if pace and np.isfinite(pace.value) and np.isfinite(pace.uncertainty)]
    if not known:
        return "the picture rests"
    weight = np.array([1 / max(pace.uncertainty, 1e-6) ** 2 for pace in known])
    value = float(weight @ [pace.value for pace in known] / weight.sum())
    clearest = known[int(np.argmax(weight))]
    return Pace(value, float(1 / np.sqrt(weight.sum())), clearest.expected, clearest.found)


def _one_directional(motion: Motion) -> bool:
    """Whether the motion along edges, that nothing shows, may pass for motion across them."""
    gain = np.einsum("ca,frcd->ad", motion.response, motion.precision, dtype=np.float64)
    values = np.linalg.eigvalsh(gain @ motion.response)
    return bool(values[0] < _LEAST_ASPECT * values[-1])


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
    taken_out = _followed(motion, instants)
    places = taken_out + motion.steadied()[1].at(instants)
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


def _pace(measured: NDArray[np.float64], predicted: NDArray[np.float64], place: NDArray[np.float64]) -> Pace | None:
    """Regression of the measured slopes on the path's; None without motion."""
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
    uncertainty = float(np.sqrt(variance + other / power.sum()))
    return Pace(float(product.sum() / power.sum()), uncertainty, expected, found)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns, however unlike their sizes."""
    return np.asarray(np.linalg.qr(columns / np.maximum(np.abs(columns).max(axis=0), 1e-300))[0])
