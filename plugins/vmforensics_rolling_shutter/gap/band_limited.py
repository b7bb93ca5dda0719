"""One uniform signal from irregular row samples with gaps: least squares over band-limited functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from vmforensics.data import Motion, Signal
from vmforensics.errors import ParameterError, Unsuitable
from vmforensics.stages import SignalCombiner, StageParams
from vmforensics.units import Hertz
from vmforensics_rolling_shutter.gap.template import taken_by_template

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_REACH = 8  # knots to either side of which a kernel reaches
_KAISER = 6.0  # of the kernel's window: flat within 0.1 % up to _FLAT
_FLAT = 0.38  # of the knots' rate, the end of the kernels' pass band; their stop band begins at 1 - _FLAT
_LOOSENESS = 4.0  # times the mean square of what was read, the prior variance: the tighter, the more a sound shrinks
_WINDOW = 256  # knots solved for at a time; windows overlap by half


class BandLimitedParams(StageParams):
    """Parameters of `band-limited`."""

    rate: Hertz = Field(default=8000.0, ge=500, le=96_000, description="sample rate of the signal, Hz")
    bandwidth: Hertz = Field(
        default=2000.0, ge=50, le=20_000, description="highest frequency that the signal may hold, Hz"
    )


class BandLimited(SignalCombiner):
    """Weighted least squares over all functions up to a bandwidth, each row at its own instant.

    The signal is x(t) = Σ c_k φ(ρt - k) with a Kaiser-windowed sinc φ and knots at ρ = bandwidth / 0.38, and the
    coefficients minimise Σ w (y - x(t))² + Σ c_k² / p: (ΦᵀWΦ + I/p) c = ΦᵀWy, banded, in windows that overlap by
    half. Where rows are dense the second term does next to nothing; in a gap, where the rows leave combinations of
    coefficients undetermined, it chooses the smallest. With p four times the mean square of what the window's rows
    read, the inverse of the same matrix gives σ: the rows' noise where there are rows, up to twice the level of the
    sound in the middle of a gap. What went with the template is part of it.

    Nothing is learnt of the sound but its bandwidth: what the `autoregressive` combiner finds beyond that, it finds by
    its prior. Sound above 1.6 times the bandwidth isn't represented and counts as noise.
    """

    name: ClassVar[str] = "band-limited"
    summary: ClassVar[str] = "least squares over band-limited functions; gaps as the smallest solution leaves them"
    reference: ClassVar[str] = (
        "Feichtinger, Gröchenig & Strohmer 1995, doi:10.1007/s002110050101 (irregular band-limited samples)"
    )
    Params: ClassVar[type[StageParams]] = BandLimitedParams

    def combine(self, motion: Motion) -> Signal:
        """Fit; see the class.

        Raises
        ------
        ParameterError
            The rate can't hold the bandwidth.
        Unsuitable
            Not a single row was observed.
        """
        rate, knots = self.params.rate, self.params.bandwidth / _FLAT
        if rate < 2 * (1 - _FLAT) * knots:
            raise ParameterError(
                f"band-limited: a rate of {rate:g} Hz can't hold a bandwidth of {self.params.bandwidth:g} Hz with its "
                "flank",
                hint=f"take a rate of at least {2 * (1 - _FLAT) * knots:.0f} Hz, or a bandwidth of at most "
                f"{rate * _FLAT / (1 - _FLAT) / 2:.0f} Hz",
            )
        steady, sway = motion.steadied()
        axis = steady.principal_axis()
        displacement, information = steady.along(axis)
        seen = information > 0
        if not seen.any():
            raise Unsuitable("not a single row of the clip could be measured", hint="choose a region with detail")
        instants = motion.instants
        start = float(instants.min())
        grid = start + np.arange(int(np.floor((instants.max() - start) * rate)) + 1) / rate
        sort = np.argsort(instants[seen], kind="stable")
        samples, variance = _fit(
            (instants[seen][sort] - start) * knots,
            displacement[seen][sort],
            information[seen][sort],
            (grid - start) * knots,
        )
        variance += taken_by_template(samples, rate / motion.frame_rate, displacement, information)
        return Signal(
            samples=samples + sway.along(axis, grid),
            rate=rate,
            start=start,
            observed=motion.onto_grid(axis, start=start, rate=rate, size=len(grid)).observed,
            sigma=np.sqrt(variance),
            axis=axis,
            quantity=motion.quantity,
            warnings=motion.warnings,
        )


def _fit(
    position: NDArray[np.float64], value: NDArray[np.float64], weight: NDArray[np.float64], wanted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The fit and its variance at some places.

    Parameters
    ----------
    position, wanted : ndarray [shape=(m,) and (n,), float64, knots]
        Where it was read, and where it is wanted, both increasing.
    value, weight : ndarray [shape=(m,), float64, px and 1/px²]
        What was read, and the inverse variance of that.

    Returns
    -------
    samples, variance : ndarray [shape=(n,), float64, px and px²]
    """
    from scipy.linalg import cho_solve, cholesky

    everywhere = float(np.average(value**2, weights=weight)) or 1.0
    half = _WINDOW // 2
    margin = 2 * _REACH  # knots beyond a window, which take up what is read near its ends
    size = _WINDOW + 2 * margin
    last = max(int(np.ceil(wanted[-1] / half)) - 2, 0)
    samples, variance, total = (np.zeros(len(wanted)) for _ in range(3))
    for window in range(last + 1):
        begin = window * half
        first = begin - margin
        read = slice(*np.searchsorted(position, (first, first + size - 1)))
        power = float(np.average(value[read] ** 2, weights=weight[read])) if read.stop > read.start else 0.0
        kernel = _kernels(position[read] - first, size)
        weighted = kernel.T * weight[read]
        normal = (weighted @ kernel).toarray() + np.eye(size) / (_LOOSENESS * (power or everywhere))
        factor = cholesky(normal, lower=True)
        ours = slice(*np.searchsorted(wanted, (begin, begin + _WINDOW)))
        kernel = _kernels(wanted[ours] - first, size)
        inside = (wanted[ours] - begin) / _WINDOW
        fade = np.sin(np.pi * inside) ** 2 + 1e-12
        if window == 0:
            fade[inside < 0.5] = 1.0
        if window == last:
            fade[inside >= 0.5] = 1.0
        samples[ours] += fade * (kernel @ cho_solve((factor, True), weighted @ value[read]))
        spread = (kernel @ cho_solve((factor, True), np.eye(size))) * kernel.toarray()
        variance[ours] += fade * spread.sum(axis=1)
        total[ours] += fade
    return samples / total, variance / total


def _kernels(position: NDArray[np.float64], size: int) -> csr_array:
    """The value of each of `size` knots' kernels at some places within them (knots) [shape=(len(position), size)]."""
    from scipy.sparse import csr_array

    knot = np.floor(position).astype(np.int64)[:, None] + np.arange(1 - _REACH, 1 + _REACH)
    offset = position[:, None] - knot
    window = np.sqrt(np.clip(1 - (offset / _REACH) ** 2, 0.0, None))
    kernel = np.sinc(offset) * np.i0(_KAISER * window) / np.i0(_KAISER)
    kernel[(knot < 0) | (knot >= size)] = 0.0
    row = np.broadcast_to(np.arange(len(position))[:, None], knot.shape)
    entries = (kernel.ravel(), (row.ravel(), np.clip(knot, 0, size - 1).ravel()))
    return csr_array(entries, shape=(len(position), size))
