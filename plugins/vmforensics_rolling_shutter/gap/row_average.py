"""Row samples averaged onto a uniform grid, gaps left empty."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from pydantic import Field

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Hertz


class RowAverageParams(StageParams):
    """Parameters of `row-average`."""

    rate: Hertz = Field(default=8000.0, ge=100, le=200_000, description="sample rate of the signal, Hz")


class RowAverage(SignalCombiner):
    """The information-weighted mean of the rows that fall into each sample; what was not seen is 0.

    Nothing is inferred: the baseline to compare gap-filling combiners with.
    """

    name: ClassVar[str] = "row-average"
    summary: ClassVar[str] = "weighted mean of the rows in each sample, gaps left empty (the baseline)"
    reference: ClassVar[str] = "Davis et al. 2014, doi:10.1145/2601097.2601119, section 6"
    Params: ClassVar[type[StageParams]] = RowAverageParams

    def combine(self, motion: Motion) -> Signal:
        """Average; see the class."""
        instants = motion.instants
        start = float(instants.min())
        size = int(np.floor((instants.max() - start) * self.params.rate)) + 1
        axis = motion.steadied()[0].principal_axis()
        signal = motion.onto_grid(axis, start=start, rate=self.params.rate, size=size)
        return replace(signal, warnings=motion.warnings)
