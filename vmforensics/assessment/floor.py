"""The noise floor that a motion estimator shows on a stretch of the clip itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion

_LEAST_SEGMENT, _SEGMENTS = 32, 8
_LEAST_BINS = 4
_SINGULAR = 1e-4  # of the information in the clearer direction, below which the other one isn't known
_STANDS_OUT = 10 ** (2 / 20)  # times the noise, which isn't known better, from which motion is worth a word
_ROW_RATE = 8000.0  # Hz; of the time line that rows are put on, as recoveries do


@dataclass(frozen=True, slots=True)
class Floor:
    """The noise of a motion, as a density over frequency.

    Parameters
    ----------
    stated : float, px/√Hz
        What the estimator's own uncertainties say of the median observed sample, one-sided.
    excess : float or None
        Times as much that the two halves, measured on disjoint pixels, show in the band that counts, in the direction
        that the picture moves most in. None: too little to tell.
    seen : float or None
        Times as much that the motion itself shows there, sound and all: noise can't be more. None as for `excess`.
    axis : (float, float)
        Direction that is measured most surely, and that `stated` is told of.
    along_row, across_rows : float or None, px/√Hz
        As `stated`, in these directions; None where nothing shows in them.
    observed : float
        Share of the time that something was seen in.
    rate : float, Hz
        Samples per second of the time line that this was measured on.
    own : bool
        Whether each frame has an uncertainty of its own, as where it was inferred from a codec's decisions.
    """

    stated: float
    excess: float | None
    seen: float | None
    axis: tuple[float, float]
    along_row: float | None
    across_rows: float | None
    observed: float
    rate: float
    own: bool = False

    @property
    def density(self) -> float:
        """One-sided noise density: as stated, times what the halves show beyond it (px/√Hz).

        Halves that agree better than stated are frames that a codec copied from one another, in part. What the motion
        shows in all is then the noise, where all frames are said to be known alike. Where each has its own uncertainty,
        the noise lies between what is stated and `held` of it, and the geometric mean is taken.
        """
        held = float(np.sqrt(self.held)) if self.own else self.held
        return self.stated * max(self.excess or 1.0, 1.0) * held

    @property
    def held(self) -> float:
        """Least share of the stated noise that there must be: less than 1 where a codec holds frames alike.

        The halves' disagreement, and what they have in common, which is no more than the motion shows in all.
        """
        if self.excess is None or self.seen is None:
            return 1.0
        return min(max(self.excess, self.seen), 1.0)

    @property
    def most(self) -> float:
        """Noise density, one-sided, if nothing of what the stretch shows is sound (px/√Hz); no less than `density`."""
        return max(self.density, self.stated * (self.seen or 0.0))

    @property
    def firm(self) -> bool:
        """Whether the stretch shows next to nothing beyond the noise."""
        return self.most < _STANDS_OUT * self.density

    def of_more(self, share: float) -> Floor:
        """The floor of a larger region, of whose information on motion this one holds a share."""
        factor = float(np.sqrt(share))
        along, across = (None if side is None else factor * side for side in (self.along_row, self.across_rows))
        return replace(self, stated=factor * self.stated, along_row=along, across_rows=across)

    def rms(self, low: float, high: float) -> float | None:
        """RMS noise (px) in a band (Hz); None where the band is empty."""
        return self.density * float(np.sqrt(high - low)) if high > low else None


def floor_of(motion: Motion, *, lowest: float, highest: float) -> Floor | None:
    """Measure the noise floor between two frequencies (Hz); None where the motion holds no information.

    What is stated is told of the direction, of x, y and that of most information, whose median observed sample is known
    best: rows with horizontal edges alone know much, but seldom. What halves and motion show beyond it is told of the
    direction that a recovery takes, in which the picture moves most: what drift, light or a codec do is seldom alike in
    all directions.
    """
    rolling = motion.observed.shape[1] > 1
    rate = _ROW_RATE if rolling else motion.frame_rate
    start = float(motion.instants.min())
    size = int((float(motion.instants.max()) - start) * rate) + 1
    found: dict[tuple[float, float], tuple[float, float]] = {}
    for axis in ((1.0, 0.0), (0.0, 1.0), _clearest(motion)):
        grid = motion.onto_grid(axis, start=start, rate=rate, size=size)
        if grid.observed.any():
            density = float(np.median(grid.sigma[grid.observed])) * float(np.sqrt(2 / rate))
            found[axis] = density, float(grid.observed.mean())
    if not found:
        return None
    best = min(found, key=lambda axis: found[axis][0] / found[axis][1])
    steady, band = motion.steadied()[0], (lowest, min(highest, rate / 2))
    taken = steady.principal_axis()
    excess, seen = (_strength(each, steady, band, rate) for each in (_unlike(steady, taken), _alike(steady, taken)))
    each = [found[axis][0] if axis in found else None for axis in ((1.0, 0.0), (0.0, 1.0))]
    own = len(motion.precision) > 1
    return Floor(found[best][0], excess, seen, best, each[0], each[1], found[best][1], rate, own)


def _clearest(motion: Motion) -> tuple[float, float]:
    gain = np.einsum("ca,frcd->ad", motion.response, motion.precision, dtype=np.float64) @ motion.response
    x, y = np.linalg.eigh(gain)[1][:, -1]
    return (float(x), float(y)) if x > 0 or (x == 0 and y > 0) else (-float(x), -float(y))


def _unlike(motion: Motion, axis: tuple[float, float]) -> NDArray[np.float64]:
    """What two halves differ by, over what their uncertainties say [shape=(frames, rows)]; NaN where it isn't known.

    A common motion isn't in it.
    """
    first, second = (_solved(motion.half(k), axis) for k in (0, 1))
    variance = np.broadcast_to(first[1] + second[1], motion.observed.shape)
    return _relative(first[0] - second[0], np.where(motion.observed, 1 / variance, 0.0))


def _alike(motion: Motion, axis: tuple[float, float]) -> NDArray[np.float64]:
    """The motion, over its uncertainty [shape=(frames, rows)]; NaN where it isn't known."""
    return _relative(*motion.along(axis))


def _relative(displacement: NDArray[np.float64], information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement about its mean, which gaps would smear over all frequencies, in units of its uncertainty."""
    known = information > 0
    if not known.any():
        return np.full(displacement.shape, np.nan)
    mean = np.average(displacement, weights=information)
    return np.where(known, (displacement - mean) * np.sqrt(information), np.nan)


def _strength(values: NDArray[np.float64], motion: Motion, band: tuple[float, float], rate: float) -> float | None:
    """RMS of values of unit variance, at a motion's instants, in a band (Hz); None where there are too few."""
    seen = motion.observed & np.isfinite(values)
    if not seen.any():
        return None
    instants = motion.instants
    slot = np.rint((instants[seen] - instants.min()) * rate).astype(np.int64)
    number = np.bincount(slot)
    mean = np.bincount(slot, values[seen]) / np.sqrt(np.maximum(number, 1))
    length = max(_LEAST_SEGMENT, len(number) // _SEGMENTS)
    count = len(number) // length
    frequency = np.fft.rfftfreq(length, 1 / rate)
    inside = (frequency >= band[0]) & (frequency < band[1])
    if count < 2 or np.count_nonzero(inside) < _LEAST_BINS:
        return None
    window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    weight = np.sum(window**2 * (number > 0)[: count * length].reshape(count, length), axis=1)
    used = weight > 0.5 * weight.max(initial=0.0)
    pieces = mean[: count * length].reshape(count, length)[used] * window
    power = np.abs(np.fft.rfft(pieces, axis=1)[:, inside]) ** 2
    return float(np.sqrt(np.median(power.mean(axis=1) / weight[used])))


def _solved(half: Motion, axis: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacement (px) along an axis, whatever the motion across it, and its variance (px²); infinite: not known."""
    if not half.channels:
        return np.zeros(half.observed.shape), np.full((1, 1), np.inf)
    gain = np.einsum("ca,frcd->frad", half.response, half.precision, dtype=np.float64)
    normal = gain @ half.response
    values, vectors = np.linalg.eigh(normal)
    known = values[..., 0] > _SINGULAR * np.maximum(values[..., 1], 1e-300)
    inverse = (vectors / np.where(known[..., None], values, 1.0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    unit = np.asarray(axis)
    weights = np.einsum("a,frab,frbc->frc", unit, inverse, gain)
    displacement = np.einsum("...c,...c->...", weights, half.displacement, dtype=np.float64)
    return displacement, np.where(known, np.einsum("a,frab,b->fr", unit, inverse, unit), np.inf)
