"""The still picture behind a clip's first frames, and which of the sensor's pixels can be relied on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, Luma
from vmforensics.errors import TooFewFrames
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import NoiseModel
from vmforensics_global_shutter.still import View, moved, moved_mask

_PAIRS = 32  # pairs of successive frames that the noise is measured on
_RESTLESS = 6.0  # times the noise that a pixel may vary by before it is left out
_QUIET, _NOISY = 0.03, 0.5  # a pixel with less than this share of a noise of at least so much (DN²) is no image of light
_CLIPPED = 3.0  # σ from the ends of the scale
_SPIKE = 6.0  # times what its neighbours differ by among themselves
_REACH = 3  # px around such a pixel that are left out with it
_FAINT = 2e-4  # px² of motion that doesn't blur the picture
_SAMPLE = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A clip's first frames.

    Parameters
    ----------
    blocks : sequence of FrameBlock
    mean : ndarray [shape=(rows, cols), float64, DN]
        Their temporal mean, with the pixels that can't be relied on filled in from their neighbours.
    excluded : ndarray [shape=(rows, cols), bool]
        Pixels of the sensor that can't be relied on: hot or flickering ones, saturated or black areas, bars.
    noise : NoiseModel
    """

    blocks: Sequence[FrameBlock]
    mean: NDArray[np.float64]
    excluded: NDArray[np.bool_]
    noise: NoiseModel

    @property
    def count(self) -> int:
        """How many frames they are."""
        return sum(len(block.index) for block in self.blocks)

    @classmethod
    def of(cls, blocks: Sequence[FrameBlock], full_scale: int) -> Head:
        """Look at the first frames.

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
        mean = sum(total(block.luma) for block in blocks) / count
        temporal, pairs = _temporal_variance(blocks, count)
        slopes = (derivative(mean, axis=1), derivative(mean, axis=0))
        noise = NoiseModel.fitted(mean, slopes, temporal)
        excluded = _unreliable(mean, slopes, temporal, noise, pairs, full_scale)
        return cls(blocks, filled(mean, excluded), excluded, noise)

    def view(self) -> View:
        """The mean of all, as it is."""
        return View(self.mean, ~self.excluded, self.noise, self.count)

    def start(self, count: int) -> View:
        """The mean of the first few frames."""
        some = self.blocks[0].luma[:count]
        return View(filled(total(some) / len(some), self.excluded), ~self.excluded, self.noise, len(some))

    def still(self, moments: NDArray[np.float64]) -> View:
        """The still picture behind the mean of frames that move a little.

        Parameters
        ----------
        moments : ndarray [shape=(2, 2), float64, px²]
            Covariance of the places where it stood.
        """
        return View(sharpened(self.mean, moments), ~self.excluded, self.noise, self.count)

    def registered(self, places: Sequence[NDArray[np.float64]], bins: float) -> View:
        """The mean of the frames, each put where it belongs.

        Parameters
        ----------
        places : sequence of ndarrays [shape=(frames, 2), float64, px]
            Where each frame of each block stood; NaN for one that is left out.
        bins : float, px
            Frames that stand within so much of each other are put as one.
        """
        picture, weight = np.zeros(self.mean.shape), np.zeros(self.mean.shape)
        spread = np.zeros((2, 2))
        every = np.concatenate(list(places))
        luma = np.concatenate([block.luma for block in self.blocks])
        known = np.isfinite(every[:, 0])
        keys = np.rint(np.where(known[:, None], every, 0) / bins).astype(np.int64)
        for key in np.unique(keys[known], axis=0):
            own = np.flatnonzero(known & (keys == key).all(axis=1))
            x, y = every[own].mean(axis=0)
            spread += (every[own] - (x, y)).T @ (every[own] - (x, y))
            mean = filled(total(luma[own]) / len(own), self.excluded)
            inside = moved_mask(~self.excluded, (-x, -y))
            picture += np.where(inside, len(own) * moved(mean, (-x, -y)), 0)
            weight += len(own) * inside
        seen = weight >= 0.3 * weight.max()
        picture = filled(picture / np.maximum(weight, 1), ~seen)
        count = max(1, round(float(np.median(weight[seen]))))
        return View(sharpened(picture, spread / max(1, known.sum())), seen, self.noise, count)


def total(luma: Luma) -> NDArray[np.float64]:
    """Sum of frames; few enough at a time fit the narrow integers that are added fastest."""
    narrow, most = (np.uint16, 257) if luma.dtype == np.uint8 else (np.uint32, 65537)
    parts = [np.add.reduce(luma[k : k + most], axis=0, dtype=narrow) for k in range(0, len(luma), most)]
    return np.asarray(np.sum(parts, axis=0, dtype=np.float64))


def filled(picture: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A picture whose missing pixels take the value of the nearest one that isn't."""
    if not missing.any() or missing.all():
        return picture
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return np.asarray(picture[tuple(nearest)])


def sharpened(mean: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """The still picture whose mean over places with the given second moments (px²) is given, to second order."""
    if np.trace(moments) < _FAINT:
        return mean
    along, down = derivative(mean, axis=1), derivative(mean, axis=0)
    blur = moments[0, 0] / 2 * derivative(along, axis=1) + moments[1, 1] / 2 * derivative(down, axis=0)
    return np.asarray(mean - blur - moments[0, 1] * derivative(along, axis=0))


def _temporal_variance(blocks: Sequence[FrameBlock], count: int) -> tuple[NDArray[np.float64], int]:
    """Half the mean square difference of successive frames, less each pair's mean change; from how many pairs."""
    stride = max(1, count // _PAIRS)
    squares = np.zeros(blocks[0].luma.shape[1:], np.float32)
    pairs = 0
    for block in blocks:
        for k in range(1, len(block.luma), stride):
            difference = block.luma[k].astype(np.float32) - block.luma[k - 1]
            difference -= difference.mean()
            squares += difference * difference
            pairs += 1
    if not pairs:  # blocks of a single frame each
        for before, block in zip(blocks[:-1:stride], blocks[1::stride], strict=False):
            difference = block.luma[0].astype(np.float32) - before.luma[0]
            squares += np.square(difference - difference.mean())
            pairs += 1
    return squares.astype(np.float64) / (2 * pairs), pairs


def _unreliable(
    mean: NDArray[np.float64],
    slopes: tuple[NDArray[np.float64], NDArray[np.float64]],
    temporal: NDArray[np.float64],
    noise: NoiseModel,
    pairs: int,
    full_scale: int,
) -> NDArray[np.bool_]:
    """Pixels that show no light, or not the scene's."""
    from scipy.ndimage import binary_dilation, median_filter

    variance = noise.variance(mean)
    strength = slopes[0] ** 2 + slopes[1] ** 2
    moving = max(0.0, float(np.median((temporal - variance)[strength >= np.quantile(strength, 0.9)])))
    moving /= max(float(np.median(strength[strength >= np.quantile(strength, 0.9)])), 1e-9)
    expected = variance + 4 * moving * strength
    threshold = _RESTLESS * (1 + 8 / np.sqrt(2 * pairs))
    bad = temporal > threshold * expected
    if pairs >= 8:
        bad |= (temporal < _QUIET * variance) & (variance > _NOISY)
    sigma = np.sqrt(variance)
    bad |= (mean > full_scale - _CLIPPED * sigma) | (mean < np.minimum(_CLIPPED * sigma, 1.0))
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    middle = median_filter(mean, footprint=around, mode="nearest")
    rough = median_filter(np.abs(mean - median_filter(mean, size=3, mode="nearest")), size=5, mode="nearest")
    bad |= np.abs(mean - middle) > _SPIKE * (rough + sigma) + 0.2 * full_scale
    if not bad.any():
        return bad
    return np.asarray(binary_dilation(bad, np.ones((2 * _REACH + 1,) * 2)))
