"""What plain least squares reads off the decoded pixels of two halves of the picture, as if no codec had been there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics_global_shutter.calibrated import chunks
from vmforensics_global_shutter.equations import Equations
from vmforensics_global_shutter.macroblocks import half_of_pixels
from vmforensics_global_shutter.still import View

_FARTHEST = 0.99  # quantile of the frames
_BEHIND = 0.125  # of the picture's squared slopes, by which blocks left behind at the farthest differ
_USUAL = 4.0  # DN², that a codec's key frames may differ by from the frames between, which repeat one another


@dataclass(frozen=True, slots=True, eq=False)
class PixelHalves:
    """Displacement of either half, and what it leaves unexplained.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, 4), float32, px]
        x and y of half 0, and of half 1; 0 where a frame wasn't decoded.
    precision : ndarray [shape=(4, 4), float32, 1/px²]
        Inverse covariance of their noise, as if it were white.
    strange : ndarray [shape=(frames,), float64]
        Mean square difference from the still picture that the motion doesn't make, in units of what noise and a codec
        do, which leaves some blocks behind the motion of the others.
    seen : ndarray [shape=(frames,), bool]
        Whether the frame was decoded.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    strange: NDArray[np.float64]
    seen: NDArray[np.bool_]

    @classmethod
    def measure(cls, frames: SensorFrames, template: MeanTemplate) -> PixelHalves:
        """One pass over the frames."""
        picture = template.mean.astype(np.float32).ravel()
        half = half_of_pixels(frames)
        functionals, precision = np.zeros((4, picture.size), np.float32), np.zeros((4, 4), np.float32)
        for k in (0, 1):
            own = slice(2 * k, 2 * k + 2)
            view = View(template.mean, template.usable & (half == k), template.noise, template.frames)
            functionals[own], precision[own, own] = Equations.of(view).solved((slice(None), slice(None)))
        displacement = np.zeros((frames.frame_count, 4), np.float32)
        square, seen = np.zeros(frames.frame_count), np.zeros(frames.frame_count, np.bool_)
        usable = np.flatnonzero(template.usable)
        for index, luma in chunks(frames):
            change = luma.reshape(len(luma), -1) - picture
            displacement[index] = change @ functionals.T
            change = change[:, usable]
            square[index] = np.einsum("fp,fp->f", change, change) / max(len(usable), 1)
            seen[index] = True
        slopes = np.stack([slope.ravel()[usable] for slope in template.slopes])
        steep = slopes @ slopes.T / max(len(usable), 1)
        moved = displacement[:, :2] / 2 + displacement[:, 2:] / 2
        square -= np.einsum("fa,ab,fb->f", moved, steep, moved)
        farthest = float(np.quantile(np.hypot(*moved[seen].T), _FARTHEST)) if seen.any() else 0.0
        usual = max(float(np.median(square[seen])) if seen.any() else 0.0, _USUAL)
        usual += _BEHIND * float(np.trace(steep)) * farthest**2
        return cls(displacement, precision, np.where(seen, square / usual, 0.0), seen)
