"""Brightness of the picture against its temporal mean: the light's own signal, one sample a frame."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vmforensics.data import BRIGHTNESS, Channel, Motion, Quantity, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.calibrated import chunks

_LEAST = 8  # px each way
_GAP = 32  # px between the two halves, a quarter of the width at most: no block of a codec has a part in both
_PULSE = 0.25  # DN RMS; silent clips at crf 10 to 28 of H.264 show up to 0.1, common to both halves
_DARK = 1e-9  # mean level, DN, at and below which there is no brightness to change


class MeanIntensity(MotionEstimator):
    """Relative brightness of the region: lamps, LEDs, mains flicker, shadows. Not motion, and not sound.

    With Y the sum of a half's pixels and Ȳ its mean over the frames, it reads Y / Ȳ - 1. The pixels' noise comes from
    the clip itself: half the mean square of successive frames' differences, less their common change of brightness.
    Where the two halves differ by more than independent pixels would (a codec's blocks), that is the noise.
    """

    name: ClassVar[str] = "mean-intensity"
    summary: ClassVar[str] = "brightness of the picture, one sample a frame; a light signal, not sound"
    reference: ClassVar[str] = "Garg, Varna, Hajj-Ahmad & Wu 2013, doi:10.1109/TIFS.2013.2272217 (mains in video)"
    quantity: ClassVar[Quantity] = BRIGHTNESS

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure every frame, at the mean instant of the rows.

        Raises
        ------
        RegionError
            The region is too small for two halves, or black.
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        if min(frames.rows, frames.cols) < _LEAST:
            raise RegionError(
                f"the region has {frames.rows} rows of {frames.cols} px; mean intensity needs {_LEAST} each way",
                hint="take a larger region",
            )
        outside = (frames.cols - min(_GAP, frames.cols // 4)) // 2
        column = np.arange(frames.cols)
        halves = np.stack([column < outside, column >= frames.cols - outside], axis=1).astype(np.float64)
        level = np.zeros((frames.frame_count, 2))
        seen = np.zeros(frames.frame_count, np.bool_)
        squares, pairs, last = np.zeros(2), 0, None
        for index, luma in chunks(frames):
            level[index] = luma.sum(axis=1, dtype=np.float64) @ halves
            seen[index] = True
            for picture in luma:
                if last is not None:
                    gain = picture.sum(dtype=np.float64) / max(float(last.sum(dtype=np.float64)), 1.0)
                    squares += np.square(picture - gain * last).sum(axis=0, dtype=np.float64) @ halves
                    pairs += 1
                last = picture
        if pairs < 2:
            raise TooFewFrames(f"{int(seen.sum())} frame(s) could be decoded; mean intensity needs at least 3")
        mean = level[seen].mean(axis=0)
        if mean.min() <= _DARK:
            raise RegionError("the region is black", hint="choose a region that light falls on")
        rounding = frames.rows * halves.sum(axis=0) / 12  # to whole digital numbers: no doubt is smaller
        variance = np.maximum(squares / (2 * pairs), rounding) * (1 + 1 / int(seen.sum())) / mean**2
        change = float(np.std(level[seen].sum(axis=1)) / (frames.rows * halves.sum()))
        doubt = ""
        if frames.stream.facts.get("inter_coded") is True and change < _PULSE:
            doubt = (
                f"the brightness changes by {change:.2g} digital numbers RMS, no more than an inter-coding codec makes "
                "it pulse from frame to frame"
            )
        relative = np.where(seen[:, None], level / mean - 1, 0.0)
        apart = float(np.var(relative[seen, 0] - relative[seen, 1]))
        variance *= max(1.0, apart / float(variance.sum()))
        return Motion(
            displacement=relative.astype(np.float32)[:, None],
            precision=np.diag(1 / variance).astype(np.float32)[None, None],
            observed=seen[:, None],
            frame_times=frames.clock.times,
            row_offsets=np.array([frames.row_offsets().mean()]),
            channels=tuple(Channel(f"brightness, half {half}", (1.0, 0.0), half) for half in (0, 1)),
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.exposure,
            quantity=self.quantity,
            doubt=doubt,
        )
