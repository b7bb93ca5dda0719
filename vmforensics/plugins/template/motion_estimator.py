"""How far the whole picture moved: least squares on the gradient of the mean frame."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Channel, Motion, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames, Unsuitable
from vmforensics.numerics.derivative import NOISE_GAIN, derivative
from vmforensics.numerics.noise import QUANTISATION
from vmforensics.stages import MotionEstimator, StageParams

_LEAST_FRAMES = 3
_TEXTURE = 2.0  # times the gradient that noise alone gives the mean frame


class MyStageParams(StageParams):
    """Parameters of `my-stage`."""

    margin: int = Field(default=2, ge=0, le=1000, description="pixels left out along each edge, px")


class MyStage(MotionEstimator):
    """One sample of (x, y) a frame, for global shutters, on the even and the odd columns apart.

    A pixel of the mean frame I that moves by d changes by -d·∇I. Each frame's difference from the mean is fitted by
    I_x, I_y and, for a lamp that flickers, by I and 1. What the fit leaves over is the noise.
    """

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "least squares on the gradient of the mean frame, one sample a frame"
    reference: ClassVar[str] = "Lucas and Kanade 1981, An iterative image registration technique"
    Params: ClassVar[type[StageParams]] = MyStageParams

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure displacement.

        Raises
        ------
        RegionError
            There are less than 8 rows or columns to measure on.
        TooFewFrames
            Less than three frames could be decoded.
        Unsuitable
            The picture shows no detail that a motion could be seen by.
        """
        margin = self.params.margin
        if min(frames.rows, frames.cols) - 2 * margin < 8:
            raise RegionError(
                f"my-stage: {frames.cols}x{frames.rows} px leave too little within a margin of {margin} px",
                hint="choose a larger region, or a smaller margin",
            )
        inner = np.s_[margin : frames.rows - margin, margin : frames.cols - margin]
        mean = frames.mean()
        along, across = (derivative(mean, axis=axis)[inner].ravel() for axis in (1, 0))
        level = mean[inner].ravel()
        even = np.broadcast_to(np.arange(frames.cols)[inner[1]] % 2 == 0, mean[inner].shape).ravel()
        halves = [_Fit(level, along, across, pixels) for pixels in (even, ~even)]

        size = frames.frame_count
        displacement = np.zeros((size, 1, 4), np.float32)
        observed = np.zeros((size, 1), bool)
        left = np.zeros(2)
        for block in frames.blocks():
            change = block.luma[:, *inner].reshape(len(block.luma), -1) - level
            observed[block.index] = True
            for half, fit in enumerate(halves):
                displacement[block.index, 0, 2 * half : 2 * half + 2] = fit.displacement(change)
                left[half] += fit.left_over(change)
        seen = int(observed.sum())
        if seen < _LEAST_FRAMES:
            raise TooFewFrames(f"my-stage: {seen} frames could be decoded, and it takes {_LEAST_FRAMES}")

        precision = np.zeros((1, 1, 4, 4), np.float32)
        for half, fit in enumerate(halves):
            noise = max(left[half] / seen / fit.freedom, QUANTISATION)
            if np.trace(fit.information) < _TEXTURE * 2 * NOISE_GAIN * noise / seen * fit.pixels:
                raise Unsuitable("my-stage: the picture shows no detail", hint="choose a region with texture")
            precision[0, 0, 2 * half : 2 * half + 2, 2 * half : 2 * half + 2] = fit.information / noise
        return Motion(
            displacement=displacement,
            precision=precision,
            observed=observed,
            frame_times=frames.clock.times,
            row_offsets=frames.row_offsets().mean(keepdims=True),
            channels=tuple(
                Channel(f"{name}, half {half}", response, half)
                for half in (0, 1)
                for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
            ),
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.exposure,
        )


class _Fit:
    """The least-squares fit on some of the pixels.

    Attributes
    ----------
    information : ndarray [shape=(2, 2), float64, DN²/px²]
        Inverse covariance of (x, y) for noise of variance 1, with level and gain fitted along.
    freedom : int
        Pixels less fitted quantities.
    """

    def __init__(
        self,
        level: NDArray[np.float64],
        along: NDArray[np.float64],
        across: NDArray[np.float64],
        chosen: NDArray[np.bool_],
    ) -> None:
        self._chosen = np.flatnonzero(chosen)
        self.pixels = len(self._chosen)
        light = np.linalg.qr(np.stack([np.ones(self.pixels), level[chosen]], axis=1))[0]
        slopes = -np.stack([along[chosen], across[chosen]], axis=1)
        self._design = slopes - light @ (light.T @ slopes)
        self._light = light
        self.information = self._design.T @ self._design
        self.freedom = self.pixels - 4

    def displacement(self, change: NDArray[np.float64]) -> NDArray[np.float64]:
        """(x, y) of each frame [shape=(frames, 2), float64, px]."""
        moment = change[:, self._chosen] @ self._design
        return np.asarray(moment @ np.linalg.pinv(self.information, rcond=1e-6, hermitian=True))

    def left_over(self, change: NDArray[np.float64]) -> float:
        """Sum of the squares that motion and light don't explain, over all frames, DN²."""
        mine = change[:, self._chosen]
        moved = np.sum(self.displacement(change) * (mine @ self._design))
        return float(np.sum(mine**2) - np.sum((mine @ self._light) ** 2) - moved)
