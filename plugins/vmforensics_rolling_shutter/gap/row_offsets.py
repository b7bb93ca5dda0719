"""What each row lost to the template: its own mean of the sound over the frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics_rolling_shutter.gap.readings import Readings

Unexplained = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From the readings' values to W(v - Hx): what the sound that they best fit leaves of them, weighted; linear."""

_STEPS = 12  # of conjugate gradients: the offsets that show most clearly come first, the rest stays small
_PLAUSIBLE = 2.0  # times their expected power that offsets may have; with more, the sound isn't what its priors say
_LEAST_LOST = 0.1  # share of the offsets' power that isn't found: sounds aren't quite what their priors say
_GONE = 0.2  # share of their expected power below which the rows' means count as gone


@dataclass(frozen=True, slots=True, eq=False)
class RowOffsets:
    """The offsets c_r in y = Hx + c_r + noise, which all frames share, told apart from the sound x.

    A row is compared with the mean over the frames, which holds the row's own mean of the sound: so much is missing
    from all its readings. Where the sound rests, or hums apart from k·fps, that shows. With E dealing each row's
    offset to its readings, M = Eᵀ W (I - HS) E, and the offsets' own covariance LLᵀ, they are c = Lz where
    (I + LᵀML) z = Lᵀ Eᵀ W (I - HS) y; by conjugate gradients (Hestenes & Stiefel 1952, doi:10.6028/jres.049.044).

    Parameters
    ----------
    row : ndarray [shape=(m,), int64]
        The sensor row of each reading.
    factor : ndarray [shape=(rows, n), float64, px]
        L.
    unexplained
        W(I - HS).
    """

    row: NDArray[np.int64]
    factor: NDArray[np.float64]
    unexplained: Unexplained

    def found(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The offsets in some readings [shape=(rows,), float64, px]; all 0 where what fits can't be offsets."""
        from scipy.sparse.linalg import LinearOperator, cg

        def apply(z: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(z + self._projected((self.factor @ z)[self.row]))

        size = self.factor.shape[1]
        operator = LinearOperator((size, size), matvec=apply, dtype=np.float64)
        solution, _ = cg(operator, self._projected(values), rtol=1e-3, maxiter=_STEPS)
        offsets = np.asarray(self.factor @ solution)
        plausible = np.sum(offsets**2) <= _PLAUSIBLE * np.sum(self.factor**2)
        return offsets if plausible else np.zeros_like(offsets)

    def undetermined_share(self, like: NDArray[np.float64]) -> float:
        """How much of the offsets' power can't be told from sound.

        Tried on the offsets that a sound of the same kind would leave.

        Parameters
        ----------
        like : ndarray [shape=(m,), float64, px]
            What the rows would read of such a sound.
        """
        rows = len(self.factor)
        offsets = np.bincount(self.row, like, rows) / np.maximum(np.bincount(self.row, minlength=rows), 1)
        left = offsets - self.found(offsets[self.row])
        share = float(np.sum(left**2) / max(float(np.sum(offsets**2)), 1e-300))
        return min(max(share, _LEAST_LOST), 1.0)

    def _projected(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(self.row, self.unexplained(values), len(self.factor)) @ self.factor)


def spectral_factor(
    autocovariance: NDArray[np.float64], positions: NDArray[np.float64], frames: int
) -> NDArray[np.float64]:
    """L of the covariance LLᵀ of a sound's mean over some frames, at the rows' positions.

    By its spectral representation: frames far enough apart to be independent leave 1/F of the sound's spectrum.

    Parameters
    ----------
    autocovariance : ndarray [shape=(lags,), float64, px²]
        Of the sound, from lag 0 on.
    positions : ndarray [shape=(rows,), float64, samples]
    frames
        F.
    """
    known = len(autocovariance)
    size = 2 * max(known, int(np.ptp(positions)) + 1)  # so that the period doesn't fold the rows onto one another
    lags = np.zeros(size)
    lags[:known] = autocovariance * np.cos(np.pi / 2 * np.arange(known) / known) ** 2
    lags[size - known + 1 :] = lags[known - 1 : 0 : -1]
    power = np.maximum(np.fft.rfft(lags).real, 0.0) / (size * frames)
    power[1:-1] *= 2
    turn = 2 * np.pi * np.outer(positions, np.arange(len(power)) / size)
    return np.concatenate([np.cos(turn), np.sin(turn)], axis=1) * np.sqrt(np.tile(power, 2))


def went_with_template(readings: Readings, rows: int, spread: float) -> bool:
    """Whether the rows' means are gone, as they are where the template was the mean of these very frames.

    Parameters
    ----------
    spread : float, px²
        Variance that the means would have.
    """
    total = np.bincount(readings.row, readings.value, minlength=rows)
    means = total / np.maximum(np.bincount(readings.row, minlength=rows), 1)
    return bool(np.mean(means**2) < _GONE * spread)
