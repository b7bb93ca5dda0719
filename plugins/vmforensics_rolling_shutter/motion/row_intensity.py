"""Brightness of each sensor row against its temporal mean: the light's own signal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vmforensics.data import BRIGHTNESS, Channel, Motion, Quantity, SensorFrames
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.stages import MotionEstimator, StageParams
from vmforensics_rolling_shutter.motion.halves import StripeParams, half_of_columns

_LEAST_COLS = 8
_DARK = 1e-9  # mean level, DN, at and below which a row has no brightness to change


class RowIntensity(MotionEstimator):
    """Relative brightness of every sensor row: lamps, LEDs, mains flicker. Not motion, and not sound.

    With Y the sum of a row's pixels and Ȳ its mean over the frames, the row reads Y / Ȳ - 1. The row's columns are
    dealt in stripes to two halves that are read apart. The pixels' noise comes from the clip itself: half the mean
    square of successive frames' differences, less each row's common change, which is the flicker itself; a sum over
    pixels of that variance gives σ.

    A light that flickers is common to both halves; so is a shadow, and an object that moves through the row. The
    detector therefore says only that the *light* holds a common signal.
    """

    name: ClassVar[str] = "row-intensity"
    summary: ClassVar[str] = "brightness of every sensor row (lamps, LEDs, mains flicker); a light signal, not sound"
    reference: ClassVar[str] = (
        "Garg, Varna, Hajj-Ahmad & Wu 2013, doi:10.1109/TIFS.2013.2272217 (mains in video); "
        "Su, Hajj-Ahmad, Garg & Wu 2014, doi:10.1109/ICIP.2014.7025084 (by the rows of a rolling shutter)"
    )
    Params: ClassVar[type[StageParams]] = StripeParams
    quantity: ClassVar[Quantity] = BRIGHTNESS

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure every row of every frame.

        Raises
        ------
        RegionError
            The region is too narrow for two halves, or black.
        TooFewFrames
            Fewer than three frames could be decoded.
        """
        if frames.cols < _LEAST_COLS:
            raise RegionError(
                f"the region has rows of {frames.cols} px; row intensity needs at least {_LEAST_COLS} px",
                hint="take a wider region",
            )
        member = half_of_columns(frames.cols, int(self.params.stripe))
        halves = np.stack([member == 0, member == 1], axis=1).astype(np.float64)
        level = np.zeros((frames.frame_count, frames.rows, 2))
        seen = np.zeros(frames.frame_count, dtype=bool)
        squares = np.zeros((frames.rows, 2))
        pairs = 0
        last = None
        for block in frames.blocks():
            level[block.index] = block.luma @ halves
            seen[block.index] = True
            for luma in block.luma.astype(np.float64):
                if last is not None:
                    change = luma - last * (luma.sum(axis=1) / np.maximum(last.sum(axis=1), 1.0))[:, None]
                    squares += change**2 @ halves
                    pairs += 1
                last = luma
        if pairs < 2:
            raise TooFewFrames(f"{int(seen.sum())} frame(s) could be decoded; row intensity needs at least 3")
        mean = level[seen].mean(axis=0)
        lit = (mean > _DARK).all(axis=1)
        if not lit.any():
            raise RegionError("the region is black in every row", hint="choose a region that light falls on")
        safe = np.where(mean > _DARK, mean, 1.0)
        count = int(seen.sum())
        rounding = halves.sum(axis=0) / 12  # to whole digital numbers: a still picture has this doubt at least
        variance = np.maximum(squares / (2 * pairs), rounding) * (1 + 1 / count) / safe**2
        observed = seen[:, None] & lit
        precision = np.where(lit[:, None], 1 / variance, 0.0)
        return Motion(
            displacement=np.where(observed[..., None], level / safe - 1, 0.0).astype(np.float32),
            precision=(precision[:, :, None] * np.eye(2)).astype(np.float32)[None],
            observed=observed,
            frame_times=frames.clock.times,
            row_offsets=frames.row_offsets(),
            channels=tuple(Channel(f"brightness, half {half}", (1.0, 0.0), half) for half in (0, 1)),
            frame_rate=frames.clock.rate,
            exposure=frames.shutter.aperture,
            quantity=self.quantity,
        )
