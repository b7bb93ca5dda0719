"""The still picture that frames are compared with: the temporal mean, and the noise about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, SensorFrames
from vmforensics.errors import TooFewFrames
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import NoiseModel

_NOISE_PAIRS = 96  # frame pairs, spread over the clip, that the noise is measured on
_NOISE_PIXELS = 50_000  # and pixels, in whole rows: enough for a model of two coefficients
_LEAST_NOISE_ROWS = 32
_PILE = 5e-4  # share of the pixels from which reaching the clip's own highest or lowest code is clipping
_BESIDE = 3  # px beside a clipped pixel at which the slope, which reaches 8 px out but weakly, is still spoiled
_LEAST_NOISE_PIXELS = 64  # unclipped ones that the noise is measured on


@dataclass(frozen=True, slots=True, eq=False)
class MeanTemplate:
    """The temporal mean of a region.

    Parameters
    ----------
    mean : ndarray [shape=(rows, cols), float64, DN]
        Temporal mean.
    slopes : two ndarrays [shape=(rows, cols), float64, DN/px]
        Its derivatives along and across the rows.
    noise : NoiseModel
        The variance of a pixel about it.
    frames : int
        How many frames went into it.
    usable : ndarray [shape=(rows, cols), bool]
        False where a frame was clipped, or close beside: what is clipped doesn't follow the light, and looks moved.
        And where the pixels don't count (`SensorFrames.mask`).
    clipped : float
        Share of the pixels that count which were clipped, or close beside one.
    """

    mean: NDArray[np.float64]
    slopes: tuple[NDArray[np.float64], NDArray[np.float64]]
    noise: NoiseModel
    frames: int
    usable: NDArray[np.bool_]
    clipped: float = 0.0

    @property
    def still(self) -> StillPicture:
        """The mean as the picture that coded frames are compared with."""
        return StillPicture(self.mean, self.slopes)

    @classmethod
    def measure(cls, frames: SensorFrames) -> MeanTemplate:
        """One pass: the mean and the extremes of all frames; the noise from the differences of successive ones.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        total = np.zeros((frames.rows, frames.cols), dtype=np.uint64)
        highest = np.zeros((frames.rows, frames.cols), dtype=np.uint16)
        lowest = np.full_like(highest, np.iinfo(np.uint16).max)
        sample = slice(None, None, _row_step(frames.rows, frames.cols))
        squares = np.zeros_like(total[sample], dtype=np.float64)
        count = pairs = 0
        stride = max(1, frames.frame_count // _NOISE_PAIRS)
        last: Luma | None = None
        for block in frames.blocks():
            _add(block.luma, total)
            np.maximum(highest, np.maximum.reduce(block.luma, axis=0, initial=0), out=highest)
            np.minimum(lowest, np.minimum.reduce(block.luma, axis=0, initial=frames.full_scale), out=lowest)
            count += len(block.index)
            for index, luma in zip(block.index, block.luma[:, sample], strict=True):
                if last is not None and index % stride == 0:
                    difference = _without_flicker(luma.astype(np.float32), last.astype(np.float32))
                    squares += difference * difference
                    pairs += 1
                last = luma
            last = None if last is None else last.copy()  # a source may use a block's memory again
        if count < 3 or pairs < 1:
            raise TooFewFrames(f"{count} frame(s) could be decoded; motion needs at least 3")
        mean = total / count
        slopes = (derivative(mean, axis=1), derivative(mean, axis=0))
        usable = _unclipped(highest, lowest, frames.full_scale)
        counting = np.ones_like(usable) if frames.mask is None else frames.mask
        clipped = 1 - float(np.mean(usable[counting])) if counting.any() else 0.0
        usable &= counting
        noisy = usable[sample]  # a clipped pixel has no noise
        if np.count_nonzero(noisy) < _LEAST_NOISE_PIXELS:
            noisy = np.ones_like(noisy)
        along, down = (slope[sample][noisy] for slope in slopes)
        noise = NoiseModel.fitted(mean[sample][noisy], (along, down), squares[noisy] / (2 * pairs))
        return cls(mean, slopes, noise, count, usable, clipped)


def _unclipped(highest: NDArray[np.uint16], lowest: NDArray[np.uint16], full_scale: int) -> NDArray[np.bool_]:
    """Where neither a pixel nor one close to it was clipped in any frame [shape=(rows, cols), bool].

    Parameters
    ----------
    highest, lowest : ndarray [shape=(rows, cols), uint16, DN]
        Each pixel's extremes over the frames.
    full_scale
        Largest code of the pixel format.
    """
    from scipy.ndimage import binary_dilation

    clipped = (highest >= full_scale) | (lowest == 0)
    for own_limit in (highest == highest.max(), lowest == lowest.min()):  # limited range, or a tone curve after it
        if np.mean(own_limit) > _PILE:
            clipped |= own_limit
    return ~np.asarray(binary_dilation(clipped, iterations=_BESIDE))


def _without_flicker(luma: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a frame's rows differ by from those before, each row's change of gain and of offset apart."""
    # Fitted without the pixels at either end of the codes in use, which may be clipped.
    top, bottom = max(luma.max(), before.max()), min(luma.min(), before.min())
    free = (np.maximum(luma, before) < top) & (np.minimum(luma, before) > bottom)
    count = np.maximum(np.count_nonzero(free, axis=1), 1)[:, None].astype(np.float32)
    change = luma - before
    detail = before - np.sum(before, axis=1, keepdims=True, where=free) / count
    change -= np.sum(change, axis=1, keepdims=True, where=free) / count
    fitted = detail * free
    gain = np.einsum("rc,rc->r", change, fitted) / np.maximum(np.einsum("rc,rc->r", fitted, fitted), 1.0)
    return np.asarray(change - gain[:, None].astype(np.float32) * detail)


def _row_step(rows: int, cols: int) -> int:
    """Every how-manieth row the noise is measured on."""
    return max(1, min(rows * cols // _NOISE_PIXELS, rows // _LEAST_NOISE_ROWS))


def _add(luma: Luma, total: NDArray[np.uint64]) -> None:
    """Add a block's frames to a total; sums of few enough frames fit the narrow integers that are added fastest."""
    narrow, most = (np.uint16, 257) if luma.dtype == np.uint8 else (np.uint32, 65537)
    for first in range(0, len(luma), most):
        total += np.add.reduce(luma[first : first + most], axis=0, dtype=narrow)
