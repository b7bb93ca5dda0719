"""Row samples averaged onto a uniform grid, what is missing interpolated by an autoregressive model."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Motion, Signal
from vmforensics.errors import Unsuitable
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Hertz, Seconds
from vmforensics_rolling_shutter.gap.template import taken_by_template

_LOADING = 1e-6  # of the power, added to the autocovariance at lag 0: its matrix stays invertible for a pure tone


class JanssenParams(StageParams):
    """Parameters of `janssen`."""

    rate: Hertz = Field(default=8000.0, ge=500, le=96_000, description="sample rate of the signal, Hz")
    order: int = Field(default=64, ge=4, le=512, description="order of the autoregressive model, samples")
    window: Seconds = Field(default=0.2, ge=0.02, le=10, description="length of sound that one model is fitted to, s")
    passes: int = Field(default=5, ge=1, le=100, description="rounds of fitting the model and interpolating with it")


class Janssen(SignalCombiner):
    """The mean of the rows in each sample, as measured; the samples without a row interpolated by autoregression.

    In windows that overlap by half, two steps alternate: an autoregressive model is fitted to the window as it stands,
    and the missing samples u are set to what leaves the model's prediction error Σ e_n² least, (AᵀA)_uu u =
    -(AᵀA)_uk k for the known samples k. A filled sample's σ² is the innovation's variance times (AᵀA)_uu⁻¹;
    what went with the template is added to every sample's.

    The measured samples count as exact: their noise becomes part of the model, which then predicts less than it could,
    and each row counts at its sample's instant instead of its own. `autoregressive` does neither.
    """

    name: ClassVar[str] = "janssen"
    summary: ClassVar[str] = "weighted mean of the rows in each sample; missing samples by autoregressive interpolation"
    reference: ClassVar[str] = "Janssen, Veldhuis & Vries 1986, doi:10.1109/TASSP.1986.1164824"
    Params: ClassVar[type[StageParams]] = JanssenParams

    def combine(self, motion: Motion) -> Signal:
        """Average and interpolate; see the class.

        Raises
        ------
        Unsuitable
            Not a single row was observed.
        """
        rate = self.params.rate
        steady, sway = motion.steadied()
        axis = steady.principal_axis()
        instants = motion.instants
        start = float(instants.min())
        size = int(np.floor((instants.max() - start) * rate)) + 1
        measured = steady.onto_grid(axis, start=start, rate=rate, size=size)
        if not measured.observed.any():
            raise Unsuitable("not a single row of the clip could be measured", hint="choose a region with detail")
        samples, variance = _interpolate(
            measured.samples, measured.observed, self.params.order, round(self.params.window * rate), self.params.passes
        )
        template = taken_by_template(samples, rate / motion.frame_rate, *steady.along(axis))
        return Signal(
            samples=samples + sway.along(axis, measured.times),
            rate=rate,
            start=start,
            observed=measured.observed,
            sigma=np.sqrt(measured.sigma**2 + variance + template),
            axis=axis,
            quantity=motion.quantity,
            warnings=motion.warnings,
        )


def _interpolate(
    samples: NDArray[np.float64], known: NDArray[np.bool_], order: int, window: int, passes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fill the samples that aren't known, window by window.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64, px]
    known : ndarray [shape=(n,), bool]
    order, window
        Samples.
    passes
        Rounds in each window.

    Returns
    -------
    samples, variance : ndarray [shape=(n,), float64, px and px²]
        The known ones as they were, of no variance.
    """
    size = len(samples)
    half = max(window // 2, 1)
    last = max(int(np.ceil(size / half)) - 2, 0)
    filled, variance, total = (np.zeros(size) for _ in range(3))
    power = float(np.mean(samples[known] ** 2))
    for number in range(last + 1):
        part = slice(number * half, size if number == last else number * half + 2 * half)
        place = np.arange(part.stop - part.start)
        fade = np.sin(np.pi * (place + 0.5) / (2 * half)) ** 2
        if number == 0:
            fade[:half] = 1.0
        if number == last:
            fade[half:] = 1.0
        found, spread = _fill(samples[part], known[part], order, passes)
        if not known[part].any():
            spread = np.full(len(place), power)
        filled[part] += fade * found
        variance[part] += fade * spread
        total[part] += fade
    return np.where(known, samples, filled / total), np.where(known, 0.0, variance / total)


def _fill(
    samples: NDArray[np.float64], known: NDArray[np.bool_], order: int, passes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fill one window; see `_interpolate`."""
    from scipy.linalg import cho_solve_banded, cholesky_banded, solve_toeplitz

    missing = np.flatnonzero(~known)
    order = min(order, len(samples) // 3)
    filled, spread = np.where(known, samples, 0.0), np.zeros(len(samples))
    if not filled.any() or not len(missing) or order == 0:
        return filled, spread
    measured = filled.copy()
    for _ in range(passes):
        spectrum = np.abs(np.fft.rfft(filled, 2 * len(filled))) ** 2
        covariance = np.fft.irfft(spectrum)[: order + 1] / len(filled)
        covariance[0] *= 1 + _LOADING
        predictor = np.append(1.0, solve_toeplitz(covariance[:-1], -covariance[1:]))
        products = np.correlate(predictor, predictor, "full")  # AᵀA is Toeplitz: silence goes before and after
        band = np.zeros((order + 1, len(missing)))  # (AᵀA)_uu, its lower diagonals: no wider than AᵀA's own
        for k in range(min(order + 1, len(missing))):
            apart = missing[k:] - missing[: len(missing) - k]
            near = np.flatnonzero(apart <= order)
            band[k, near] = products[order + apart[near]]
        factor = cholesky_banded(band, lower=True)
        filled[missing] = cho_solve_banded((factor, True), -np.convolve(measured, products, "same")[missing])
    inverse = cho_solve_banded((factor, True), np.eye(len(missing)))
    share = np.count_nonzero(known) / len(known)  # what was filled has no prediction error of its own
    spread[missing] = float(predictor @ covariance) / share * np.diagonal(inverse)
    return filled, spread
