"""How late each group of channels carries a shared signal, and how to undo it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion
from vmforensics_global_shutter.shares import Shares, found_shares
from vmforensics_global_shutter.whitened import Whitened

_FINE = 4  # lags tried a frame
_FALSE = 1e-3  # probability that noise alone delays any group of a clip
_AROUND = 3  # frames on either side that an interpolated one's noise is taken from
_ROUNDS = 6  # each reaches the groups that the last one's signal is known by


def found_delays(whitened: Whitened, reach: float) -> tuple[Shares, NDArray[np.float64]]:
    """Find what groups of channels carry of a shared signal, and how late, in rounds.

    In the first round a group's lag against the one that carries most, then against what all others carry, is looked
    for: the likelihood of a signal of either sign at a lag, in noise of known variance, grows with the squared
    correlation (Knapp & Carter 1976, doi:10.1109/TASSP.1976.1162830). A lag is taken if it is likelier than none by
    more than noise would make any group and lag tried; of the lags that do as well (a tone has many) the smallest.

    Parameters
    ----------
    whitened
    reach : float, frames
        Largest lag.

    Returns
    -------
    shares : Shares
        Of the groups, lags undone.
    lags : ndarray [shape=(groups,), float64, frames]
        Against the group that carries most; 0 for one that doesn't share the signal.
    """
    shares = found_shares(whitened)
    lags = np.zeros(len(whitened.groups))
    tries = math.floor(reach * _FINE + 1e-9)
    if tries == 0:
        return shares, lags
    carried = [float(shares.loads[g] @ shares.loads[g]) for g in whitened.groups]
    first = whitened.groups[int(np.argmax(carried))]
    reference = np.zeros_like(shares.loads)
    reference[first] = shares.loads[first]
    for _ in range(_ROUNDS):
        found = _lags(whitened, replace(shares, loads=reference), lags, tries)
        settled = np.abs(found - lags).max() < 1 / _FINE
        lags = found
        shares = found_shares(advanced(whitened, lags))
        reference = shares.loads
        if settled:
            break
    carried = [float(shares.loads[g] @ shares.loads[g]) for g in whitened.groups]
    lags = np.where(np.array(carried) > 0, lags - lags[int(np.argmax(carried))], 0.0)
    return shares, lags


def shifted(grid: Motion, lags: NDArray[np.float64]) -> Motion:
    """A motion whose channels are each taken as many frames later as they lag; beyond the ends it is unobserved.

    Parameters
    ----------
    grid
        Motion on the frames' grid. Channels of different lags share no noise.
    lags : ndarray [shape=(channels,), float64, frames]
    """
    if not lags.any():
        return grid
    seen = grid.observed[:, 0]
    where = np.arange(len(seen))
    displacement, precision = grid.displacement.copy(), grid.precision.copy()
    observed = seen.copy()
    for lag in np.unique(lags[lags != 0]).tolist():
        own = np.flatnonzero(lags == lag)
        whole = np.stack([np.interp(where, where[seen], grid.displacement[seen, 0, c]) for c in own], axis=1)
        displacement[:, 0, own] = _earlier(whole, lag)
        if len(precision) > 1:  # each frame's own
            block = np.ix_(where, np.zeros(1, np.int64), own, own)
            precision[block] = _between(grid.precision[block], lag)
        for step in {math.floor(lag), math.ceil(lag)}:
            source = where + step
            inside = (source >= 0) & (source < len(seen))
            observed &= inside & seen[np.clip(source, 0, len(seen) - 1)]
    notice = (
        f"{np.count_nonzero(lags)} of {len(lags)} channels were shifted, "
        f"by up to {1000 * np.abs(lags).max() / grid.frame_rate:.3g} ms"
    )
    return replace(
        grid,
        displacement=np.where(observed[:, None, None], displacement, np.float32(0)),
        precision=precision,
        observed=observed[:, None],
        warnings=(*grid.warnings, notice),
    )


def _between(precision: NDArray[np.float32], lag: float) -> NDArray[np.float32]:
    """The precision of what lies some frames later [shape=(frames, 1, channels, channels)], between two of them.

    Interpolation by a phase ramp takes noise from the frames around with the squares of a sinc's values.
    """
    covariance = np.linalg.pinv(precision.astype(np.float64), rcond=1e-9, hermitian=True)
    telling = np.trace(precision, axis1=2, axis2=3)[..., None, None] > 0
    mixture, total = np.zeros_like(covariance), np.zeros(telling.shape)
    where = np.arange(len(precision))
    for step in range(math.floor(lag) - _AROUND, math.ceil(lag) + _AROUND + 1):
        source = np.clip(where + step, 0, len(where) - 1)
        weight = np.sinc(lag - step) ** 2 * telling[source]
        mixture += weight * covariance[source]
        total += weight
    mixture /= np.where(total > 0, total, 1.0)
    return np.linalg.pinv(mixture, rcond=1e-9, hermitian=True).astype(np.float32)


def _earlier(values: NDArray[np.float64], lag: float) -> NDArray[np.float64]:
    """Values some frames later, at each frame: a phase ramp on the series, held beyond its ends."""
    pad = math.ceil(abs(lag)) + 16
    wide = np.pad(values, ((pad, pad), (0, 0)), mode="edge")
    slope = np.linspace(wide[0], wide[-1], len(wide))  # no step where the end meets the beginning
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(len(wide)) * lag)[:, None]
    moved = np.fft.irfft(np.fft.rfft(wide - slope, axis=0) * turn, len(wide), axis=0)
    rise = (wide[-1] - wide[0]) / (len(wide) - 1)
    return np.asarray((moved + slope + lag * rise)[pad:-pad])


def advanced(whitened: Whitened, lags: NDArray[np.float64]) -> Whitened:
    """Components with each group's lag [shape=(groups,), float64, frames] undone."""
    components = whitened.components.copy()
    for group, lag in zip(whitened.groups, lags.tolist(), strict=True):
        if lag:
            components[:, group] = _earlier(components[:, group].astype(np.float64), lag)
    return replace(whitened, components=components)


def _lags(whitened: Whitened, shares: Shares, before: NDArray[np.float64], tries: int) -> NDArray[np.float64]:
    """Each group's lag against what the others carry, with the lags found before undone in them."""
    frames = len(whitened.components)
    ahead = advanced(whitened, before).components
    shaped = np.fft.rfft(ahead @ shares.loads) * shares.band
    padded = _FINE * frames
    lags = before.copy()
    threshold = math.log(len(lags) * (2 * tries + 1) / _FALSE)
    for number, group in enumerate(whitened.groups):
        if not np.delete(shares.loads, group).any():
            continue
        others = shaped - np.fft.rfft(ahead[:, group] @ shares.loads[group]) * shares.band
        energy = 2 * float(np.sum(np.abs(others) ** 2)) / frames
        spectra = np.fft.rfft(whitened.components[:, group], axis=0)
        products = np.fft.irfft(spectra * others.conj()[:, None], padded, axis=0) * (padded / frames)
        around = np.concatenate([products[-tries:], products[: tries + 1]])
        gain = np.sum(around**2, axis=1) / energy / 2
        rest = np.sum(whitened.components[:, group].astype(np.float64) ** 2) - 2 * gain.max()
        noise = max(1.0, rest / (frames * len(group)))
        lags[number] = _likeliest(gain / noise, tries, threshold) / _FINE
    return lags


def _likeliest(gain: NDArray[np.float64], tries: int, threshold: float) -> float:
    """The lag of the greatest likelihood, refined by a parabola; 0 unless that beats it by a threshold."""
    if gain.max() - gain[tries] <= threshold:
        return 0.0
    inner = np.arange(1, len(gain) - 1)
    peaks = inner[(gain[inner] >= gain[inner - 1]) & (gain[inner] > gain[inner + 1])]
    peaks = peaks[gain[peaks] > gain.max() - threshold]
    if not len(peaks):
        return float(np.argmax(gain) - tries)
    best = int(peaks[np.argmin(np.abs(peaks - tries))])
    left, top, right = gain[best - 1 : best + 2]
    return float(best - tries + (left - right) / (2 * (left - 2 * top + right)))
