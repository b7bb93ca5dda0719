"""Makes two sounds comparable: the same rate, clock, beginning, polarity and level."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import EvidenceUnreadable
from vmforensics.evaluation.recording import Recording

_LEAST_OVERLAP = 0.5  # of the shorter sound
_DRIFT_WINDOW = 0.5  # s; over which a lag is measured on its own
_DRIFT_ROUNDS = 3
_DRIFT_RANGE = 0.05  # s; by which such a lag may differ from the whole's
_DRIFT_RATE = 2000.0  # Hz
_FEWEST_WINDOWS = 5
_FINE = 4  # oversampling before a sound is read off between its samples


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Two sounds, sample against sample, and what was done to the reference.

    Parameters
    ----------
    reference, recovered : ndarray [shape=(n,), float64, the recovered one's unit]
        Of zero mean; the reference delayed, turned and scaled.
    rate : float, Hz
        Of both: the lower of the two rates.
    lag : float, s
        Time by which the recovered sound's file runs behind the reference's.
    polarity : int
        -1 where the recovered sound is upside down.
    gain : float
        Factor from the reference to the recovered sound, without its sign.
    drift : float or None
        Relative error of the reference's clock that was made up for, s/s; None if it wasn't looked for.
    observed : ndarray [shape=(n,), bool] or None
    sigma : ndarray [shape=(n,), float64] or None
        As in `Recording`, for the aligned samples.
    """

    reference: NDArray[np.float64]
    recovered: NDArray[np.float64]
    rate: float
    lag: float
    polarity: int
    gain: float
    drift: float | None
    observed: NDArray[np.bool_] | None
    sigma: NDArray[np.float64] | None


def align(
    recovered: Recording,
    reference: Recording,
    *,
    most_lag: float | None = None,
    drift: bool = False,
    scale: float | None = None,
) -> Aligned:
    """Align a reference with a recovered sound.

    Both are brought to the lower of their rates, for neither knows of what lies above half of it. The lag is where the
    cross-correlation's magnitude peaks (Knapp and Carter 1976, doi:10.1109/TASSP.1976.1162830), to a fraction of a
    sample; its sign there is the polarity; the gain is that of least squares.

    Parameters
    ----------
    recovered, reference
        The sounds.
    most_lag : float, s
        Largest lag looked for; any that leaves half of the shorter sound in common, if None.
    drift
        Whether to look for a clock that runs faster than the other, by up to 50 ms over the whole: of all lags that
        grow steadily, those are taken out along which windows of half a second correlate best.
    scale
        Known factor from the reference to the recovered sound's unit, instead of the gain of least squares: a wrong
        gain then counts as an error.

    Raises
    ------
    EvidenceUnreadable
        The sounds have too little in common in time, or are too short for what is asked.
    """
    rate = min(recovered.rate, reference.rate)
    x, r = _centred(_resampled(recovered, rate)), _centred(_resampled(reference, rate))
    ratio = _lag(x, r, rate, most_lag)
    skew = None
    if drift:
        skew, whole = 0.0, r
        for _ in range(_DRIFT_ROUNDS):  # each leaves a part of it, as windows aren't equally loud all over
            skew += _skew(x, r, rate, ratio, recovered)
            r = _centred(_read_off(whole, np.arange(int(len(whole) / (1 + skew)), dtype=np.float64) * (1 + skew)))
            ratio = _lag(x, r, rate, most_lag)
    shifted = _delayed(r, ratio, len(x))
    first, last = max(0, int(np.ceil(ratio))), min(len(x), int(np.floor(ratio)) + len(r))
    if last - first < 2:
        raise EvidenceUnreadable(f"{recovered.path} and {reference.path} have nothing in common in time")
    s, y = _centred(shifted[first:last]), _centred(x[first:last])
    product, power = float(s @ y), float(s @ s)
    if power == 0:
        raise EvidenceUnreadable(f"{reference.path} is silent while {recovered.path} lasts")
    sign = -1 if product < 0 else 1
    gain = abs(product) / power if scale is None else scale
    at = np.minimum(np.rint(np.arange(first, last) * recovered.rate / rate).astype(int), len(recovered.samples) - 1)
    return Aligned(
        reference=sign * gain * s,
        recovered=y,
        rate=rate,
        lag=ratio / rate,
        polarity=sign,
        gain=gain,
        drift=skew,
        observed=None if recovered.observed is None else recovered.observed[at],
        sigma=None if recovered.sigma is None else recovered.sigma[at],
    )


def _centred(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(samples - samples.mean())


def _resampled(recording: Recording, rate: float) -> NDArray[np.float64]:
    """The sound at a rate not above its own, without what that can't hold."""
    from scipy.signal import resample_poly

    if recording.rate == rate:
        return recording.samples
    ratio = Fraction(rate / recording.rate).limit_denominator(2000)
    return np.asarray(resample_poly(_centred(recording.samples), ratio.numerator, ratio.denominator))


def _lag(x: NDArray[np.float64], r: NDArray[np.float64], rate: float, most: float | None) -> float:
    """Delay of the reference, in samples, at which the cross-correlation is largest in magnitude.

    Its spectrum is half whitened first, lest a loud tone's many periods be near ties.
    """
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
    from scipy.optimize import minimize_scalar

    size = next_fast_len(len(x) + len(r), real=True)
    product = rfft(x, size) * np.conj(rfft(r, size))
    whitened = irfft(product / np.sqrt(np.abs(product) + 1e-12 * np.abs(product).max()), size)
    needed = _LEAST_OVERLAP * min(len(x), len(r))
    lags = np.arange(-int(len(r) - needed), int(len(x) - needed) + 1)
    if most is not None:
        lags = lags[np.abs(lags) <= most * rate]
    best = int(lags[np.argmax(np.abs(whitened[lags % size]))])
    turn = 2j * np.pi * rfftfreq(size)
    sign = np.sign(np.real(product @ np.exp(turn * best))) or 1.0

    def height(delay: float) -> float:
        return -float(sign * np.real(product @ np.exp(turn * delay)))

    return float(minimize_scalar(height, bounds=(best - 1, best + 1), method="bounded", options={"xatol": 1e-4}).x)


def _delayed(samples: NDArray[np.float64], delay: float, size: int) -> NDArray[np.float64]:
    """The first `size` samples of a sound that begins `delay` samples later, by its spectrum's phase."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    whole = int(np.floor(delay))
    room = next_fast_len(len(samples) + 64, real=True)  # for what rings around the ends
    turned = irfft(rfft(samples, room) * np.exp(-2j * np.pi * rfftfreq(room) * (delay - whole)), room)
    out = np.zeros(size)
    begin, end = max(whole, 0), min(whole + len(samples), size)
    if end > begin:
        out[begin:end] = turned[begin - whole : end - whole]
    return out


def _skew(x: NDArray[np.float64], r: NDArray[np.float64], rate: float, lag: float, recovered: Recording) -> float:
    """Relative error of the reference's clock: the line of lags along which the windows' correlations are largest."""
    from scipy.signal import resample_poly

    coarser = max(int(rate / _DRIFT_RATE), 1)  # what is higher says nothing new, and takes long
    here, there = (resample_poly(samples, 1, coarser) for samples in (x, _delayed(r, lag, len(x))))
    rate /= coarser
    length, reach = round(_DRIFT_WINDOW * rate), round(_DRIFT_RANGE * rate)
    starts = np.arange(0, len(here) - length + 1, max(length // 2, 1))
    if len(starts) < _FEWEST_WINDOWS:
        raise EvidenceUnreadable(
            f"{recovered.path} is too short to tell a clock's drift", hint="leave the drift out, or give 3 s of sound"
        )
    correlations = np.stack([_correlated(here[k : k + length], there[k : k + length], reach) for k in starts])
    correlations *= np.sign(float(here @ there)) or 1.0
    lags = np.arange(-reach * _FINE, reach * _FINE + 1) / _FINE
    middles = starts + length / 2 - len(here) / 2
    slope, step = 0.0, 0.5 / len(here)
    slopes = np.arange(-round(reach / len(here) / step), round(reach / len(here) / step) + 1) * step
    for _ in range(3):  # coarse, fine, finer
        total = [
            np.max(sum(np.interp(lags + turn * at, lags, row) for at, row in zip(middles, correlations, strict=True)))
            for turn in slopes
        ]
        slope = float(slopes[int(np.argmax(total))])
        step /= 8
        slopes = slope + np.arange(-10, 11) * step
    return -slope


def _correlated(x: NDArray[np.float64], r: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Cross-correlation at lags from -reach to +reach, some values a sample, each window of unit energy."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(x) + reach, real=True)
    product = rfft(x, size) * np.conj(rfft(r, size))
    energy = np.sqrt(float(x @ x) * float(r @ r))
    fine = irfft(product, size * _FINE) * _FINE / energy if energy else np.zeros(size * _FINE)
    return np.asarray(np.concatenate([fine[-reach * _FINE :], fine[: reach * _FINE + 1]]))


def _read_off(samples: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """A band-limited sound between its samples."""
    from scipy.interpolate import make_interp_spline
    from scipy.signal import resample_poly

    fine = resample_poly(samples, _FINE, 1)
    return np.asarray(make_interp_spline(np.arange(len(fine)), fine, k=3)(positions * _FINE))
