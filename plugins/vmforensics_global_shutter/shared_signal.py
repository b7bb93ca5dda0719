"""Finds which parts of the picture share a signal, and how they carry it: how much, which way, how late, which sign."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from vmforensics.data import Motion, Signal
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Seconds
from vmforensics_global_shutter.alike import likeness
from vmforensics_global_shutter.delays import advanced, found_delays, shifted
from vmforensics_global_shutter.frame_grid import as_signal, on_frame_grid
from vmforensics_global_shutter.misfit import misfits
from vmforensics_global_shutter.mixing import mixed
from vmforensics_global_shutter.shares import share_a_signal
from vmforensics_global_shutter.whitened import Whitened

_MOST_LOST = 0.25  # share of the frames that lie beside gaps when parts are brought together


class SharedSignalParams(StageParams):
    """Parameters of `shared-signal`."""

    max_lag: Seconds = Field(
        default=5e-3,
        ge=0,
        le=0.1,
        description="Largest delay of one part of the picture against another, in s; 0 never aligns",
    )


class SharedSignal(SignalCombiner):
    """The strongest signal that several parts of the picture share, each weighed by what it carries of it.

    Not everything in view vibrates, and what does may do so with other signs, directions and delays. Parts (tiles,
    or whatever channels share no noise with one another) are sorted out by how their fast motion correlates; what a
    part holds besides the signal counts as its noise. The level is that of the parts that vibrate most. Where parts
    share no more than they would by chance, or all may move as one, it is the maximum-likelihood sum of all.
    """

    name: ClassVar[str] = "shared-signal"
    summary: ClassVar[str] = "Finds the tiles that share a signal, with delays and signs, and weighs them by it"
    reference: ClassVar[str] = (
        "Brennan 1959, doi:10.1109/JRPROC.1959.287136; Zhang, Cai & Wu 2022, doi:10.1214/21-AOS2074; "
        "Knapp & Carter 1976, doi:10.1109/TASSP.1976.1162830"
    )
    Params: ClassVar[type[StageParams]] = SharedSignalParams
    selects: ClassVar[bool] = True

    def combine(self, motion: Motion) -> Signal:
        """Combine channels into one signal at the frame rate.

        Raises
        ------
        StageError
            The rows have different instants (a rolling shutter), or nothing was observed.
        """
        with threadpool_limits(limits=1, user_api="blas"):  # products this small are slower on several threads
            return self._combined(on_frame_grid(motion, self.name))

    def _combined(self, grid: Motion) -> Signal:
        whitened = Whitened.of(grid)
        reach = self.params.max_lag * grid.frame_rate
        count = len(whitened.groups)
        if count < 2 or not share_a_signal(whitened, reach):
            return _of_all(
                grid, whitened, self.name, f"the sum of all {count} parts, which share no more than by chance"
            )
        shares, lags = found_delays(whitened, reach)
        if not shares.loads.any() or _lost(grid, lags) > _MOST_LOST:
            return _of_all(grid, whitened, self.name, f"the sum of all {count} parts, of which none stands out")
        whitened = advanced(whitened, lags)
        excess = misfits(whitened, shares.loads)
        late, misfit, errors = np.zeros(len(grid.channels)), np.ones(len(grid.channels)), np.zeros(len(grid.channels))
        for group, lag, own_excess in zip(whitened.groups, lags, excess, strict=True):
            own = whitened.turn[:, group].any(axis=1)
            late[own], misfit[own], errors[own] = lag, own_excess, shares.errors[group[0]]
        precision = (grid.precision / np.sqrt(np.outer(misfit, misfit))).astype(np.float32)
        aligned = shifted(replace(grid, precision=precision), late)
        alike = likeness(whitened, grid, shares.loads, excess)
        if alike is not None and alike.as_one:
            axis = _fast_axis(grid, whitened)
            as_one = as_signal(aligned if late.any() else grid, axis, self.name)
            return replace(as_one, method=f"the sum of all {count} parts, which may move as one")
        carrying = sum(bool(shares.loads[group].any()) for group in whitened.groups)
        mixture, axis = mixed(aligned, whitened.gains(shares.loads), errors)
        method = f"{carrying} of {count} parts, which share a signal and don't move alike"
        return replace(as_signal(mixture, axis, self.name), method=method)


def _lost(grid: Motion, lags: NDArray[np.float64]) -> float:
    """Share of the observed frames that have no partner when groups are shifted by their lags."""
    seen = grid.observed[:, 0]
    both = np.all([np.roll(seen, -step) for lag in lags for step in (math.floor(lag), math.ceil(lag))], axis=0)
    return 1 - float(np.count_nonzero(both & seen)) / np.count_nonzero(seen)


def _of_all(grid: Motion, whitened: Whitened, name: str, method: str) -> Signal:
    """The maximum-likelihood sum of all channels, and why it is."""
    return replace(as_signal(grid, _fast_axis(grid, whitened), name), method=method)


def _fast_axis(grid: Motion, whitened: Whitened) -> tuple[float, float]:
    """Direction of the strongest fast motion: what a drift leaves is slow."""
    return replace(grid, displacement=whitened.fast[:, None]).principal_axis()
