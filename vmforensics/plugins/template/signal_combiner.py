"""One sample a frame, along the direction in which the scene vibrates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from vmforensics.data import Motion, Signal
from vmforensics.errors import Unsuitable
from vmforensics.stages import SignalCombiner, StageParams


class MyStageParams(StageParams):
    """Parameters of `my-stage`."""

    axis: Literal["strongest", "horizontal", "vertical"] = Field(
        default="strongest", description="direction along which the motion is taken"
    )


class MyStage(SignalCombiner):
    """The channels' weighted mean along an axis, for global shutters; a frame that is missing leaves a gap."""

    name: ClassVar[str] = "my-stage"
    summary: ClassVar[str] = "weighted mean of the channels along an axis, one sample a frame"
    Params: ClassVar[type[StageParams]] = MyStageParams

    def combine(self, motion: Motion) -> Signal:
        """Combine.

        Raises
        ------
        Unsuitable
            The rows were exposed one after another, or nothing was observed.
        """
        if np.ptp(motion.row_offsets) > 0:
            raise Unsuitable(
                "my-stage takes one instant a frame; these rows were exposed one after another",
                hint="choose a combiner for rolling shutters, see: vmforensics plugins list",
            )
        if not motion.observed.any():
            raise Unsuitable("my-stage: no frame was observed", hint="choose another region")
        axes = {"horizontal": (1.0, 0.0), "vertical": (0.0, 1.0)}
        axis = axes.get(self.params.axis) or motion.steadied()[0].principal_axis()
        first, last = float(motion.frame_times[0]), float(motion.frame_times[-1])
        signal = motion.onto_grid(
            axis,
            start=first + float(motion.row_offsets[0]),
            rate=motion.frame_rate,
            size=math.floor((last - first) * motion.frame_rate + 0.5) + 1,
        )
        return replace(signal, warnings=motion.warnings)
