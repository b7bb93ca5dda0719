"""Who vibrates: what each tile of the picture shares with the motion that was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Motion, Region, Signal, Vibration
from vmforensics.detection import LOWEST

_LATEST = 5e-3  # s; by how much a tile may lag behind the others
_FALSE = 1e-3  # probability that noise alone colours any tile
_LEAST_FRAMES = 64
_FAINTEST = -60.0  # dB
_SPECTRA = 4  # segments that a tile's spectrum is averaged over
_FINEST = 4096  # samples of a segment, at most


def vibrations(
    motion: Motion,
    halves: tuple[Sequence[Signal], Sequence[Signal]],
    turned: Callable[[Region, tuple[float, float]], tuple[Region, tuple[float, float]]],
) -> tuple[Vibration, ...]:
    """Compare each tile with the signal of the other half of the pixels, whose noise is independent of its own.

    With r that signal and d the tile's displacement, both above 20 Hz, the share at a lag is Σ d·r / Σ r²; the lag is
    the likeliest (Knapp & Carter 1976, doi:10.1109/TASSP.1976.1162830). The noise of r, by its stated uncertainty, is
    taken out of its power. A tile carries the motion if its likelihood beats no motion by more than noise would in any
    tile and at any lag.

    Parameters
    ----------
    motion
        What was measured; tiles are its channels' places.
    halves
        What was made of half 0 and of half 1, on the frames' times; of several signals the clearest is taken.
    turned
        From a rectangle and a direction in readout order to those of the stored picture.

    Returns
    -------
    tuple of Vibration
        One for each tile; none where the estimator doesn't measure by tiles, or rows have instants of their own.
    """
    tiles: dict[tuple[Region, int], list[int]] = {}
    for number, channel in enumerate(motion.channels):
        if channel.place is not None and channel.half is not None:
            tiles.setdefault((channel.place, channel.half), []).append(number)
    seen = np.logical_and.reduce([motion.observed[:, 0], *(_at(s, motion)[1] for half in halves for s in half)])
    if motion.observed.shape[1] > 1 or np.count_nonzero(seen) < _LEAST_FRAMES:
        return ()
    references, noises = zip(*(_clearest(half, motion, seen) for half in halves), strict=True)
    precision = motion.precision.mean(axis=(0, 1), dtype=np.float64)
    found = []
    for (place, half), own in tiles.items():
        response = motion.response[own]
        weight = response.T @ precision[np.ix_(own, own)]
        information = weight @ response
        solution = np.linalg.pinv(information, rcond=1e-3, hermitian=True) @ weight
        moved = _fast(motion.displacement[:, 0, own] @ solution.T, seen, motion.frame_rate)
        found.append(
            _compared(
                moved, information, references[1 - half], noises[1 - half], motion.frame_rate, len(tiles), place, turned
            )
        )
    return tuple(found)


def _clearest(half: Sequence[Signal], motion: Motion, seen: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Of the signals made of one half the one that stands out most of its noise, and that noise (px²)."""
    made = [
        (_fast(_at(s, motion)[0][:, None], seen, motion.frame_rate)[:, 0], float(np.median(s.sigma[s.observed])) ** 2)
        for s in half
    ]
    return max(made, key=lambda m: float(m[0] @ m[0]) / max(m[1], 1e-300))


def _compared(
    moved: NDArray[np.float64],
    information: NDArray[np.float64],
    reference: NDArray[np.float64],
    noise: float,
    rate: float,
    tiles: int,
    place: Region,
    turned: Callable[[Region, tuple[float, float]], tuple[Region, tuple[float, float]]],
) -> Vibration:
    """One tile's displacement [shape=(frames, 2), px] against the other half's signal [shape=(frames,), px]."""
    from scipy.signal import csd

    size, most = len(reference), round(_LATEST * rate)
    spectrum = np.fft.rfft(moved, 2 * size, axis=0) * np.fft.rfft(reference, 2 * size).conj()[:, None]
    lags = np.arange(-most, most + 1)
    products = np.fft.irfft(spectrum, 2 * size, axis=0)[lags]
    energy = max(float(reference @ reference), 1e-300)
    gain = np.einsum("li,ij,lj->l", products, information, products) / energy / 2
    best = int(np.argmax(gain))
    total = float(np.einsum("ti,ij,tj->", moved, information, moved))
    directions = max(1, int(np.linalg.matrix_rank(information, tol=1e-3 * float(np.trace(information) or 1.0))))
    rest = max(1.0, (total - 2 * float(gain[best])) / (size * directions))
    power = max(energy / size - noise, 0.0)
    share = products[best] / size / math.sqrt(power) if power > 0 else np.zeros(2)  # px RMS along x and y
    level = float(np.hypot(*share))
    snr = float(share @ information @ share) / rest
    carries = bool(gain[best] / rest > math.log(tiles * len(lags) / _FALSE)) and power > 0
    x, y = share / level if level else (1.0, 0.0)
    region, (right, down) = turned(place, (float(x), float(y)))
    length = int(np.clip(size // _SPECTRA, 16, _FINEST))
    frequencies, cross = csd(reference, moved @ [x, y], rate, nperseg=min(length, size))
    usable = frequencies >= min(LOWEST, float(frequencies[-1]))
    return Vibration(
        place=region,
        carries=carries,
        snr=10 * math.log10(max(snr, 10 ** (_FAINTEST / 10))),
        level=level,
        frequency=float(frequencies[usable][np.argmax(np.abs(cross[usable]))]),
        direction=math.degrees(math.atan2(down, right)) % 180,
        delay=float(lags[best] / rate),
    )


def _at(signal: Signal, motion: Motion) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A signal's samples at the frames, and which were observed."""
    slot = np.rint((motion.instants[:, 0] - signal.start) * signal.rate).astype(np.int64)
    slot = np.clip(slot, 0, len(signal.samples) - 1)
    return signal.samples[slot], signal.observed[slot]


def _fast(values: NDArray[np.float64], seen: NDArray[np.bool_], rate: float) -> NDArray[np.float64]:
    """What is above 20 Hz [shape=(frames, ...)]; what wasn't seen is bridged before and 0 after."""
    from scipy.signal import butter, sosfiltfilt

    where = np.arange(len(seen))
    whole = np.stack([np.interp(where, where[seen], column[seen]) for column in values.T], axis=1)
    whole -= whole.mean(axis=0)
    if rate > 4 * LOWEST:
        padding = min(int(3 * rate / LOWEST), len(seen) - 2)
        whole = sosfiltfilt(butter(4, LOWEST, "highpass", fs=rate, output="sos"), whole, axis=0, padlen=padding)
    return np.asarray(np.where(seen[:, None], whole, 0.0))
