"""A signal as overlapping windows and their spectra, there and back: the frame of every spectral denoiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Signal

_OVERLAP = 4  # windows over each sample
_SPAN = 0.1  # s; over which what was taken out is averaged, to be held against σ


@dataclass(frozen=True, slots=True, eq=False)
class ShortTime:
    """Short-time Fourier transform of one signal: sine windows, each a quarter of its length after the last.

    Analysis and synthesis window are the same but for a factor, so that spectra left alone give the signal back.

    Parameters
    ----------
    signal : Signal
        What is transformed.
    held : ndarray [shape=(n,), bool]
        Samples that hold something; the rest are empty gaps, of which nothing is ever filled.
    power : ndarray [shape=(frequencies, frames), float64, `unit`²]
        |Y|² of every window, with Y = Σ w·y·exp(-iωt) and Σ w² half the window's length.
    """

    signal: Signal
    held: NDArray[np.bool_]
    power: NDArray[np.float64]
    _spectrum: NDArray[np.complex128]
    _transform: Any

    @classmethod
    def of(cls, signal: Signal, window: float) -> Self | None:
        """Transform a signal with windows of a length (s); None where it is too short to hold a single one."""
        from scipy.signal import ShortTimeFFT

        length = _OVERLAP * max(round(window * signal.rate / _OVERLAP), 1)
        if len(signal.samples) < length:
            return None
        transform = ShortTimeFFT(_sine(length), hop=length // _OVERLAP, fs=signal.rate, fft_mode="onesided")
        held = signal.observed | (signal.samples != 0) | (signal.sigma > 0)
        spectrum = transform.stft(np.where(held, signal.samples, 0.0))
        return cls(signal, held, np.abs(spectrum) ** 2, spectrum, transform)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Frequency of every bin [shape=(frequencies,), float64, Hz]."""
        return np.asarray(self._transform.f)

    @property
    def whole(self) -> slice:
        """The windows that lie wholly within the signal; all of them where hardly one does."""
        first = self._transform.lower_border_end[1] - self._transform.p_min
        last = self._transform.upper_border_begin(len(self.signal.samples))[1] - self._transform.p_min
        return slice(first, last) if last - first >= _OVERLAP else slice(None)

    def stated_noise(self) -> NDArray[np.float64]:
        """Σ w²σ² in each window [shape=(frames,), float64, `unit`²]: E|Y|² of white noise with the signal's own σ."""
        from scipy.signal import ShortTimeFFT

        length, hop = self._transform.m_num, self._transform.hop
        variance = ShortTimeFFT(_sine(length) ** 2, hop=hop, fs=self.signal.rate, fft_mode="onesided")
        return np.asarray(np.abs(variance.stft(self.signal.sigma**2)[0]))  # the bin at 0 Hz

    def scaled(self, gain: NDArray[np.float64]) -> Signal:
        """The signal with its spectra scaled, phases unchanged, and σ enlarged where more than noise went.

        Taking out no more than noise leaves an error of at most that noise: there σ stays, an upper bound. Where the
        RMS of what was taken out, over 0.1 s, exceeds the RMS of σ, the excess was sound (or noise that σ doesn't know
        of): there σ grows by their ratio.

        Parameters
        ----------
        gain : ndarray [shape=(frequencies, frames), float64]
            Factors, 0 to 1.
        """
        from scipy.ndimage import uniform_filter1d

        signal = self.signal
        samples = np.asarray(self._transform.istft(gain * self._spectrum, k1=len(signal.samples)), dtype=np.float64)
        samples = np.where(self.held, samples, 0.0)
        size = min(max(round(_SPAN * signal.rate), 1), len(samples))
        taken, stated = (
            uniform_filter1d(np.where(self.held, x, 0.0) ** 2, size, mode="nearest")
            for x in (signal.samples - samples, signal.sigma)
        )
        grown = np.sqrt(np.maximum(taken, 0.0) / np.where(stated > 0, stated, np.inf))
        return replace(signal, samples=samples, sigma=signal.sigma * np.maximum(grown, 1.0))


def _sine(length: int) -> NDArray[np.float64]:
    return np.asarray(np.sin(np.pi * (np.arange(length) + 0.5) / length))
