"""The still picture behind a clip's first frames, and which of the sensor's pixels can be relied on."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, Luma
from vmforensics.errors import TooFewFrames
from vmforensics.numerics.noise import QUANTISATION, NoiseModel
from vmforensics_global_shutter.still import View, moved, moved_mask, slope
from vmforensics_global_shutter.turned import put_back

_PAIR_PIXELS = 2**24  # that need be looked at, in whole pairs
_PAIRS = 32  # pairs of successive frames that the noise is measured on
_RESTLESS = 6.0  # times the noise that a pixel may vary by before it is left out
_QUIET, _NOISY = (
    0.03,
    0.5,
)  # a pixel with less than this share of a noise of at least so much (DN²) is no image of light
_CLIPPED = 3.0  # σ from the ends of the scale
_END = 0.015  # of the scale at its ends
_SAMPLE = 25_000  # pixels that tell the sensor's noise
_ROWS_APART = 4  # between those that tell a frame's brightness
_BAND = 2**15  # pixels that are worked on at a time
_STRANGE_PAIR = 30.0  # times the usual variance of the change between two frames
_SAME_LIGHT = 2e-3  # of a frame's contrast, by which it changes without its light
_WILD = 30.0  # times the usual variance; such a pixel doesn't tell the sensor's noise
_SPIKE = 0.15  # of full scale; a lens lets no single pixel stand out of its neighbours by so much
_KERNEL = (0.25, 0.5, 0.25)  # of neighbours that stand in for a missing pixel
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
_LEAST_PAIRS = 8  # before a pixel is called too quiet
_REACH = 3  # px around such a pixel that are left out with it
_FEW = 16  # frames
_CHANGED = 20.0  # times the variance that noise alone has
_UNLIKE = 0.1  # of the picture's own variance
_NEARBY = 32  # px; parts of the picture that may move apart
_THIN = 2  # every how-manieth row of such a part is looked at
_STEEP = 0.9  # quantile of the slopes from which on they tell motion
_FARTHEST = 1.0  # px² between successive frames; what changes by more isn't moving but flickering
_FAINT = 2e-4  # px² of motion that doesn't blur the picture
_LEAST_MOMENT = 1e-5  # px²; less changes no wave by as much as 1e-4
_SHARPENINGS = 2  # steps of the fixed point; each gains the share that the blur takes


@dataclass(frozen=True, eq=False)
class Head:
    """A clip's first frames.

    Parameters
    ----------
    blocks : sequence of FrameBlock
    mean : ndarray [shape=(rows, cols), float64, DN]
        Their temporal mean.
    bad : ndarray [shape=(rows, cols), bool]
        Pixels of the sensor that can't be relied on: hot or flickering ones, saturated or black areas, bars.
    noise : NoiseModel
    """

    blocks: Sequence[FrameBlock]
    mean: NDArray[np.float64]
    bad: NDArray[np.bool_]
    noise: NoiseModel
    mask: NDArray[np.bool_] | None = None

    @cached_property
    def excluded(self) -> NDArray[np.bool_]:
        """The pixels that are left out: the bad ones, those near them, and those that don't count.

        An ndarray [shape=(rows, cols), bool].
        """
        wide = self.bad.copy()
        for axis in (0, 1):
            before, lines = np.moveaxis(wide.copy(), axis, 0), np.moveaxis(wide, axis, 0)
            for step in range(1, _REACH + 1):
                lines[step:] |= before[:-step]
                lines[:-step] |= before[step:]
        return wide if self.mask is None else wide | ~self.mask

    @cached_property
    def picture(self) -> NDArray[np.float64]:
        """The mean, bad pixels filled in [shape=(rows, cols), float64, DN]."""
        return filled(self.mean, self.bad)

    @property
    def count(self) -> int:
        """How many frames they are."""
        return sum(len(block.index) for block in self.blocks)

    @classmethod
    def of(cls, blocks: Sequence[FrameBlock], full_scale: int, mask: NDArray[np.bool_] | None = None) -> Head:
        """Look at the first frames, of which only the pixels in a mask count.

        Raises
        ------
        TooFewFrames
            They are fewer than three.
        """
        count = sum(len(block.index) for block in blocks)
        if count < 3:
            raise TooFewFrames(
                f"only {count} frames could be decoded; motion needs at least 3",
                hint="is the clip damaged, or a picture?",
            )
        mean = np.zeros(blocks[0].luma.shape[1:])
        for block in blocks:
            mean += total(block.luma) / count
        temporal, pairs = _temporal_variance(blocks, count)
        level = mean.astype(np.float32)
        down, along = np.gradient(level)  # coarse, and enough to tell motion from noise
        noise = _noise(level, (along, down), temporal, full_scale)
        bad = _unreliable(level, along * along + down * down, temporal, noise, pairs, full_scale)
        return cls(blocks, mean, bad, noise, mask)

    def steady(self) -> bool:
        """Whether the last frames look like the first, but for noise and a little motion."""
        step = max(1, math.isqrt(self.mean.size // _SAMPLE))
        mean = self.mean[::step, ::step]
        first = self.blocks[0].luma[:_FEW, ::step, ::step]
        last = self.blocks[-1].luma[-_FEW:, ::step, ::step]
        change = total(first) / len(first) - total(last) / len(last)
        expected = self.noise.variance(mean) * (1 / len(first) + 1 / len(last))
        alike = np.mean(change**2) < _UNLIKE * np.var(mean)
        return bool(alike or np.median(change**2 / expected) < _CHANGED)

    def view(self) -> View:
        """The mean of all, as it is."""
        return View(self.picture, ~self.excluded, self.noise, self.count)

    def start(self, count: int) -> View:
        """The mean of the first few frames."""
        some = self.blocks[0].luma[:count]
        return View(filled(total(some) / len(some), self.bad), ~self.excluded, self.noise, len(some))

    def still(self, moments: NDArray[np.float64]) -> View:
        """The still picture behind the mean of frames that move a little.

        Parameters
        ----------
        moments : ndarray [shape=(2, 2), float64, px²]
            Covariance of the places where it stood.
        """
        return View(sharpened(self.picture, moments), ~self.excluded, self.noise, self.count)

    def registered(self, places: Sequence[NDArray[np.float64]], bins: NDArray[np.float64]) -> View:
        """The mean of the frames, each put where it belongs.

        Parameters
        ----------
        places : sequence of ndarrays [shape=(frames, 3), float64, px, px and radians]
            Where each frame of each block stood, and by how much it was turned about its middle before; NaN for one
            that is left out.
        bins : ndarray [shape=(3,), float64, px, px and radians]
            Frames that stand within so much of each other are put as one.
        """
        picture, weight = np.zeros(self.mean.shape), np.zeros(self.mean.shape)
        spread = np.zeros((2, 2))
        every = np.concatenate(list(places))
        block_of = np.repeat(np.arange(len(places)), [len(place) for place in places])
        known = np.isfinite(every[:, 0])
        keys = np.rint(np.where(known[:, None], every, 0) / bins).astype(np.int64)
        for key in np.unique(keys[known], axis=0):
            own = known & (keys == key).all(axis=1)
            count = int(own.sum())
            place = every[own].mean(axis=0)
            beyond = every[own, :2] - place[:2]
            spread += beyond.T @ beyond
            mean = np.zeros(self.mean.shape)
            for k, block in enumerate(self.blocks):
                mean += total(block.luma[own[block_of == k]]) / count
            if key[2]:
                back, inside = put_back(filled(mean, self.bad), ~self.excluded, place)
            else:
                x, y = (-place[:2]).tolist()
                back, inside = moved(filled(mean, self.bad), (x, y)), moved_mask(~self.excluded, (x, y))
            picture += np.where(inside, count * back, 0)
            weight += count * inside
        seen = weight >= 0.3 * weight.max()
        picture = filled(picture / np.maximum(weight, 1), ~seen)
        typical = max(1, round(float(np.median(weight[seen]))))
        return View(sharpened(picture, spread / max(1, known.sum())), seen, self.noise, typical)


def total(luma: Luma) -> NDArray[np.float64]:
    """Sum of frames; few enough at a time fit the narrow integers that are added fastest."""
    narrow, most = (np.uint16, 257) if luma.dtype == np.uint8 else (np.uint32, 65537)
    result = np.zeros(luma.shape[1:])
    for first in range(0, len(luma), most):
        result += np.add.reduce(luma[first : first + most], axis=0, dtype=narrow)
    return result


def filled(picture: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A picture whose missing pixels take the mean of their neighbours, or the value of the nearest pixel there is."""
    if not missing.any() or missing.all():
        return picture
    from scipy.ndimage import distance_transform_edt

    rows, cols = np.nonzero(missing)
    known = np.pad(~missing, 1)
    values = np.pad(picture, 1)
    shares, sums = np.zeros(len(rows)), np.zeros(len(rows))
    for (down, vertical), (right, horizontal) in product(enumerate(_KERNEL), enumerate(_KERNEL)):
        there = rows + down, cols + right
        share = vertical * horizontal * known[there]
        shares += share
        sums += share * values[there]
    near = shares > 0.3
    result = picture.copy()
    result[rows[near], cols[near]] = sums[near] / shares[near]
    if not near.all():
        y, x = distance_transform_edt(missing, return_distances=False, return_indices=True)
        far = rows[~near], cols[~near]
        result[far] = picture[y[far], x[far]]
    return result


def sharpened(mean: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """The still picture whose mean over places with the given second moments (px²) is given, to second order."""
    if np.trace(moments) < _FAINT:
        return mean
    terms = ((moments[0, 0] / 2, (1, 1)), (moments[0, 1], (1, 0)), (moments[1, 1] / 2, (0, 0)))
    still = mean
    for _ in range(_SHARPENINGS):
        single = still.astype(np.float32)
        still = mean.copy()
        for moment, (first, second) in terms:
            if abs(moment) > _LEAST_MOMENT:
                still -= np.float32(moment) * slope(slope(single, axis=first), axis=second)
    return still


def _temporal_variance(blocks: Sequence[FrameBlock], count: int) -> tuple[NDArray[np.float32], int]:
    """Half the mean square difference of successive frames in the same light; from how many pairs."""
    most = int(np.clip(_PAIR_PIXELS // blocks[0].luma[0].size, _LEAST_PAIRS, _PAIRS))
    stride = max(1, count // most)
    pairs = [(block.luma[k - 1], block.luma[k]) for block in blocks for k in range(1, len(block.luma), stride)]
    if not pairs:  # blocks of a single frame each
        pairs = [(a.luma[0], b.luma[0]) for a, b in zip(blocks[:-1:stride], blocks[1::stride], strict=False)]
    some = slice(None, None, _ROWS_APART)
    pairs = _alike(pairs, some)
    lights = [_light(before[some], after[some]) for before, after in pairs]
    squares = np.zeros(blocks[0].luma.shape[1:], np.float32)
    for own in _bands(squares.shape):
        difference = np.empty(squares[own].shape, np.float32)
        for (before, after), (gain, offset) in zip(pairs, lights, strict=True):
            if gain == 1:
                np.subtract(after[own], before[own], out=difference, dtype=np.float32)
            else:
                np.multiply(before[own], -gain, out=difference, dtype=np.float32)
                difference += after[own]
            difference -= offset
            difference *= difference
            squares[own] += difference
    squares /= 2 * len(pairs)
    return squares, len(pairs)


def _alike(pairs: list[tuple[Luma, Luma]], some: slice) -> list[tuple[Luma, Luma]]:
    """The pairs but those that differ by far more than most do: a flash, or a frame of something else."""
    changes = np.array([np.var(after[some].astype(np.float32) - before[some]) for before, after in pairs])
    usual = _STRANGE_PAIR * max(float(np.median(changes)), QUANTISATION)
    return [pair for pair, change in zip(pairs, changes, strict=True) if change <= usual]


def _light(before: Luma, after: Luma) -> tuple[np.float32, np.float32]:
    """Gain and offset (DN) of a frame's light against the one before; a gain of 1 where it changes too little."""
    gain = float(after.std() / max(float(before.std()), 1e-9))
    if abs(gain - 1) < _SAME_LIGHT:
        gain = 1.0
    return np.float32(gain), np.float32(float(after.mean()) - gain * float(before.mean()))


def _bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """A picture's rows in bands that stay in the processor's cache."""
    rows = max(1, _BAND // shape[1])
    return (slice(top, top + rows) for top in range(0, shape[0], rows))


def _noise(
    level: NDArray[np.float32],
    slopes: tuple[NDArray[np.float32], NDArray[np.float32]],
    temporal: NDArray[np.float32],
    full_scale: int,
) -> NoiseModel:
    """The sensor's noise, from pixels within the scale that show nothing wild."""
    some = slice(None, None, max(1, level.size // (2 * _SAMPLE)))
    mean, along, down, variance = (values.ravel()[some].astype(np.float64) for values in (level, *slopes, temporal))
    usual = (mean > _END * full_scale) & (mean < (1 - _END) * full_scale)
    usual &= variance < _WILD * max(float(np.median(variance)), QUANTISATION)
    sample = np.flatnonzero(usual if usual.any() else np.ones_like(usual))
    sample = sample[:: max(1, len(sample) // _SAMPLE)]
    return NoiseModel.fitted(mean[sample], (along[sample], down[sample]), variance[sample])


def _unreliable(
    mean: NDArray[np.float32],
    strength: NDArray[np.float32],
    temporal: NDArray[np.float32],
    noise: NoiseModel,
    pairs: int,
    full_scale: int,
) -> NDArray[np.bool_]:
    """Pixels that show no light, or not the scene's; `strength` is the squared slope."""
    variance = np.float32(noise.b) * mean
    variance += np.float32(noise.a)
    np.maximum(variance, np.float32(QUANTISATION), out=variance)
    moving, owners = _local_motion(temporal, variance, strength)
    restless = np.float32(_RESTLESS * (1 + 8 / math.sqrt(2 * pairs)))
    padded = np.pad(mean, 1, mode="reflect")
    result = np.empty(mean.shape, np.bool_)
    for own in _bands(mean.shape):
        level, least, found = mean[own], variance[own], temporal[own]
        moved = 4 * moving[owners[0][own]][:, owners[1]]
        moved *= strength[own]
        bad = found > restless * (least + moved)
        if pairs >= _LEAST_PAIRS:
            bad |= (found < _QUIET * least) & (least > _NOISY)
        margin = _CLIPPED * np.sqrt(least)
        bad |= (level > full_scale - np.maximum(margin, _END * full_scale)) | (level < np.minimum(margin, 1.0))
        wide = padded[own.start : own.start + len(level) + 2]
        around = [wide[1 + y : len(level) + 1 + y, 1 + x : wide.shape[1] - 1 + x] for x, y in _NEIGHBOURS]
        highest, lowest = (functools.reduce(extreme, around) for extreme in (np.maximum, np.minimum))
        allowed = _SPIKE * full_scale + highest - lowest
        bad |= (level > highest + allowed) | (level < lowest - allowed)
        result[own] = bad
    return result


def _local_motion(
    temporal: NDArray[np.float32], variance: NDArray[np.float32], strength: NDArray[np.float32]
) -> tuple[NDArray[np.float32], list[NDArray[np.int64]]]:
    """Mean square motion between frames in each part of the picture, or a part beside it.

    Not everything moves alike: where one part vibrates, its pixels aren't restless.

    Parameters
    ----------
    temporal, variance : ndarray [shape=(rows, cols), float32, DN²]
        Variance, and what there is of it by noise.
    strength : ndarray [shape=(rows, cols), float32, DN²/px²]
        The squared slope.

    Returns
    -------
    moving : ndarray [shape=(parts down, parts across), float32, px²]
    owners : list of two ndarrays [shape=(rows,) and (cols,), int64]
        Which part each row and each column belongs to.
    """
    from scipy.ndimage import maximum_filter

    starts, owners = [], []
    for size in strength.shape:
        count = max(1, round(size / _NEARBY))
        starts.append(np.append(_NEARBY * np.arange(count - 1), max(0, size - _NEARBY)))
        owners.append(np.minimum(np.arange(size) // _NEARBY, count - 1))
    window = tuple(min(_NEARBY, size) for size in strength.shape)
    keep = max(1, round((1 - _STEEP) * window[0] * window[1] / _THIN))
    moving = np.zeros((len(starts[0]), len(starts[1])), np.float32)
    for row, top in enumerate(starts[0]):
        own = slice(top, top + window[0], _THIN)
        slopes, excess = (
            sliding_window_view(values, window[1], axis=1)[:, starts[1]].swapaxes(0, 1).reshape(len(starts[1]), -1)
            for values in (strength[own], temporal[own] - variance[own])
        )
        steep = np.argpartition(slopes, -keep, axis=1)[:, -keep:]
        size = np.median(np.take_along_axis(slopes, steep, axis=1), axis=1)
        moving[row] = np.median(np.take_along_axis(excess, steep, axis=1), axis=1) / np.maximum(size, 1e-9)
    return np.asarray(maximum_filter(np.clip(moving, 0, _FARTHEST), size=3)), owners
