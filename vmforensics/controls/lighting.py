"""The light in parts of the picture, and the motion without what goes with it.

Where a lamp or a screen lights a part of the picture and flickers, the edge of its light comes and goes. An estimator
that makes up for brightness in each of its tiles sees a slope of light there, and a slope passes for a motion: the same
in both halves, for the edge lies in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, Motion, SensorFrames
from vmforensics.numerics.derivative import derivative

_TEMPLATE_FRAMES = 64
_TILE, _MOST_TILES = 16, 16  # px, and tiles each way
_LOWEST, _STANDING = 20.0, 7  # Hz, and frames: slower changes don't bear on the verdict
_MOST_COURSES, _SHARE = 8, 1 / 8  # at most so many, and of the frames: each takes one frame's worth of every row
_SQUARED = 2  # courses strong enough for what they do to a nonlinear estimator to count to second order
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Lighting:
    """How the light in tiles of the picture changes from frame to frame.

    Parameters
    ----------
    index : ndarray [shape=(frames,), int64]
        Positions of the frames that were seen.
    light : ndarray [shape=(frames, tile rows, tile columns), float64, DN]
        Each tile's change, as far as it is the picture itself grown brighter or darker: the root of its energy.
    slopes : ndarray [shape=(frames, tile rows, tile columns, 2), float64, DN]
        As far as it is the picture's slopes along x and y added or taken away, as motion does.
    strength : ndarray [shape=(tile rows, tile columns), float64, DN]
        The root of the picture's own energy.
    offsets : ndarray [shape=(tile rows,), float64, s]
        Mean instant of each tile row after its frame's time.
    rate : float, Hz
        Frames per second.
    """

    index: NDArray[np.int64]
    light: NDArray[np.float64]
    slopes: NDArray[np.float64]
    strength: NDArray[np.float64]
    offsets: NDArray[np.float64]
    rate: float

    @classmethod
    def of(cls, frames: SensorFrames) -> Lighting:
        """Two passes over the frames, the first over their beginning alone."""
        picture = _picture(frames)
        parts = (picture, derivative(picture, axis=1), derivative(picture, axis=0))
        rows, cols = (_starts(size) for size in picture.shape)
        scales = [np.sqrt(_sums(p * p, rows, cols)) + _NOTHING for p in parts]
        single = [p.astype(np.float32) for p in parts]
        index: list[int] = []
        read: list[NDArray[np.float64]] = []
        for k, luma in _each(frames):
            change = luma - single[0]
            shares = [_sums(change * p, rows, cols) / scale for p, scale in zip(single, scales, strict=True)]
            read.append(np.stack(shares, axis=-1))
            index.append(k)
        every = np.stack(read)
        instants = frames.row_offsets()
        offsets = np.add.reduceat(instants, rows) / np.diff(np.append(rows, len(instants)))
        return cls(np.asarray(index), every[..., 0], every[..., 1:], scales[0], offsets, frames.clock.rate)

    @property
    def depth(self) -> float:
        """RMS change of the light, relative, in the tile where it changes most; that of noise, where it is steady."""
        return float((_high_passed(self.light, self.rate).std(axis=0) / self.strength).max(initial=0.0))

    def without(self, motion: Motion) -> Motion:
        """The motion less what goes with the light: each row's and channel's least-squares fit of its courses.

        A row goes with the light of the tiles that it crosses; the one sample of a global shutter's frame, with all.
        """
        steady = motion.steadied()[0].displacement.astype(np.float64)
        displacement = motion.displacement.copy()
        if len(motion.row_offsets) > 1:
            nearest = np.argmin(np.abs(motion.row_offsets[:, None] - self.offsets), axis=1)
        else:
            nearest = np.zeros(1, np.int64)
        for tiles in np.unique(nearest):
            own = nearest == tiles
            crossed = slice(max(tiles - 1, 0), tiles + 2) if len(motion.row_offsets) > 1 else slice(None)
            courses = self._courses(crossed)
            design = np.zeros((len(motion.frame_times), courses.shape[1]))
            design[self.index] = courses
            displacement[:, own] -= _fit(steady[:, own], motion.observed[:, own], design)
        return replace(motion, displacement=displacement)

    def _courses(self, crossed: slice) -> NDArray[np.float64]:
        """Courses in time [shape=(frames, courses), float64] of the light in some tile rows.

        Principal components of what changes fast, where light explains more of the tiles' change than motion does: a
        thing that moves changes the brightness of tiles too, but their slopes by far more. Those of mere noise do no
        harm. To second order, for what an estimator makes of them needn't be linear.
        """
        light = self.light[:, crossed].reshape(len(self.light), -1)
        slopes = self.slopes[:, crossed].reshape(len(self.light), -1)
        fast, motion = (_high_passed(v, self.rate) for v in (light, slopes))
        courses, size, _ = np.linalg.svd(fast, full_matrices=False)
        most = min(_MOST_COURSES, int(_SHARE * len(light)))
        moved = np.sum((courses[:, :most].T @ motion) ** 2, axis=1) / 2
        courses = courses[:, :most][:, size[:most] ** 2 > moved]
        first = courses[:, :_SQUARED]
        return np.asarray(np.concatenate([courses, first**2, (first * first[:, ::-1])[:, 1:]], axis=1))


def _picture(frames: SensorFrames) -> NDArray[np.float64]:
    """Mean of the first frames."""
    total, count = np.zeros((frames.rows, frames.cols)), 0
    for _, luma in _each(frames):
        total += luma
        count += 1
        if count == _TEMPLATE_FRAMES:
            break
    return total / max(count, 1)


def _each(frames: SensorFrames) -> Iterator[tuple[int, Luma]]:
    for block in frames.blocks():
        yield from zip(block.index.tolist(), block.luma, strict=True)


def _starts(size: int) -> NDArray[np.int64]:
    """Where tiles begin along a side (px)."""
    count = int(np.clip(size // _TILE, 1, _MOST_TILES))
    return np.asarray(np.linspace(0, size, count, endpoint=False).astype(np.int64))


def _sums(values: NDArray[np.floating], rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over tiles."""
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, axis=0), cols, axis=1), dtype=np.float64)


def _high_passed(values: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Courses [shape=(frames, ...)] less their running mean."""
    from scipy.ndimage import uniform_filter1d

    length = min(len(values), max(_STANDING, round(rate / _LOWEST)))
    return np.asarray(values - uniform_filter1d(values, length, axis=0, mode="nearest"))


def _fit(
    displacement: NDArray[np.float64], observed: NDArray[np.bool_], design: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What some courses [shape=(frames, courses)] explain of a displacement [shape=(frames, rows, channels)]."""
    result = np.zeros_like(displacement)
    seen_alike, kind = np.unique(observed, axis=1, return_inverse=True)
    for number, seen in enumerate(seen_alike.T):
        if not seen.any():
            continue
        own = np.ix_(seen, kind.ravel() == number)
        basis = _orthonormal(design[seen] - design[seen].mean(axis=0))
        values = displacement[own].reshape(len(basis), -1)
        result[own] = (basis @ (basis.T @ values)).reshape(displacement[own].shape)
    return result


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of what some columns span."""
    basis, size, _ = np.linalg.svd(columns / np.maximum(np.linalg.norm(columns, axis=0), _NOTHING), full_matrices=False)
    return np.asarray(basis[:, size > _NOTHING])
