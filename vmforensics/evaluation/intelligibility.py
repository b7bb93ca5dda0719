"""How well speech would be understood, and what listeners would think of it, as established programs judge it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import UnknownPlugin
from vmforensics.evaluation.pieces import Pieces

STOI_BANDS = tuple(150.0 * 2 ** (k / 3) for k in range(15))
"""Hz; centres of the third-octave bands that STOI compares."""

_EPS = float(np.finfo(np.float64).eps)


def stoi(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Short-time objective intelligibility, -1 to 1, by pystoi (Taal, Hendriks, Heusdens and Jensen 2011).

    doi:10.1109/TASL.2011.2114881. Of a sound sampled below 10 kHz, the bands above half the rate hold nothing;
    see `bands_held`.
    """
    return _by_pystoi(reference, recovered, rate, extended=False)


def extended_stoi(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Extended short-time objective intelligibility, by pystoi (Jensen and Taal 2016).

    doi:10.1109/TASLP.2016.2585878.
    """
    return _by_pystoi(reference, recovered, rate, extended=True)


def bands_held(rate: float) -> int:
    """How many of STOI's 15 bands lie below half a rate (Hz)."""
    return sum(centre * 2 ** (1 / 6) <= rate / 2 for centre in STOI_BANDS)


def pesq(reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float) -> Pieces:
    """Perceptual evaluation of speech quality, by the program of that name (ITU-T P.862): 1 bad to 4.6 excellent.

    Narrow-band at 8 kHz, to which the sounds are brought. It scores a sound as a whole: there is no interval.

    Raises
    ------
    UnknownPlugin
        The program isn't installed.
    """
    try:
        import pesq as program
    except ImportError as error:
        raise UnknownPlugin(
            "PESQ needs the package 'pesq', which isn't installed", hint="pip install 'vmforensics[pesq]'"
        ) from error
    both = [_at(samples, rate, 8000) for samples in (reference, recovered)]
    peak = max(float(np.abs(both[0]).max()), float(np.abs(both[1]).max()))

    def reduce(values: NDArray[np.generic]) -> float | None:
        first, second = (np.real(values[:, k]).astype(np.float32) for k in (0, 1))
        try:
            return float(program.pesq(8000, first, second, "nb"))
        except program.PesqError:  # no utterance found
            return None

    return Pieces(np.stack(both, axis=1) / peak, 1 / 8000, reduce, resamples=0)


def _by_pystoi(
    reference: NDArray[np.float64], recovered: NDArray[np.float64], rate: float, *, extended: bool
) -> Pieces:
    """The score of every segment of 384 ms, whose mean is pystoi's score of the whole.

    Resampling, silent frames and third-octave bands are pystoi's own; only its mean over the segments isn't taken, so
    that blocks of them can be drawn anew.
    """
    from pystoi import utils
    from pystoi.stoi import BETA, DYN_RANGE, FS, N_FRAME, NFFT, OBM, N

    both = [np.asarray(_at(samples, rate, FS)) for samples in (reference, recovered)]
    hop = N_FRAME // 2
    empty = Pieces(np.zeros(0), hop / FS, _mean)
    if len(both[0]) <= N_FRAME:
        return empty
    both = utils.remove_silent_frames(*both, DYN_RANGE, N_FRAME, hop)
    if len(both[0]) <= N_FRAME:
        return empty
    spectra = [utils.stft(samples, N_FRAME, NFFT, overlap=2).T for samples in both]
    bands = [np.sqrt(OBM @ np.abs(spectrum) ** 2) for spectrum in spectra]
    if bands[0].shape[1] < N:
        return empty
    x, y = (np.lib.stride_tricks.sliding_window_view(band, N, axis=1).swapaxes(0, 1) for band in bands)
    if extended:
        x, y = (_unit(_unit(each, axis=2), axis=1) for each in (x, y))
        scores = np.sum(x * y, axis=(1, 2)) / N
    else:
        lengths = [np.linalg.norm(each, axis=2, keepdims=True) for each in (x, y)]
        clipped = np.minimum(y * (lengths[0] / (lengths[1] + _EPS)), x * (1 + 10 ** (-BETA / 20)))
        scores = np.mean(np.sum(_unit(x, axis=2) * _unit(clipped, axis=2), axis=2), axis=1)
    return Pieces(scores, hop / FS, _mean)


def _unit(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Of zero mean and unit length along an axis."""
    apart = values - values.mean(axis=axis, keepdims=True)
    return np.asarray(apart / (np.linalg.norm(apart, axis=axis, keepdims=True) + _EPS))


def _mean(values: NDArray[np.generic]) -> float | None:
    return float(np.real(values).mean()) if len(values) else None


def _at(samples: NDArray[np.float64], rate: float, wanted: int) -> NDArray[np.float64]:
    """The sound at another rate, as pystoi resamples."""
    from pystoi.utils import resample_oct

    return samples if rate == wanted else np.asarray(resample_oct(samples, wanted, round(rate)))
