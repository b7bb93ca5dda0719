"""Whether groups of channels share more than independent ones would by chance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCKS = 64  # of frames, or of frequencies
_LEAST_FRAMES = 16  # of a block, within which noise may be alike
_LEAST_WIDTH = 8  # frequencies of a block: those beside one another aren't independent in a clip that fades in and out
_TRIALS = 100  # independent groups exceed the largest of so many in one clip of a hundred
_STRONGEST = 4  # components that others are compared with
_FALSE = 1e-2  # probability that any of them seems to lag by chance
_SEED = 20140727


def beyond_chance(components: NDArray[np.float32], group: NDArray[np.int64]) -> bool:
    """Whether groups correlate more than the same groups would if nothing tied them together.

    The measure is the largest eigenvalue of the components' covariance, blocks within a group left out. What it is by
    chance is seen with each group's sign drawn anew for every block of frames, which leaves alone all that a group is
    by itself (wild bootstrap: Wu 1986, doi:10.1214/aos/1176350142).

    Parameters
    ----------
    components : ndarray [shape=(frames, components), float32]
        In comparable units; 0 where nothing was observed.
    group : ndarray [shape=(components,), int64]
        Which group a component belongs to.
    """
    blocks = np.array_split(components, max(1, min(_BLOCKS, len(components) // _LEAST_FRAMES)))
    products = np.stack([b.T @ b for b in blocks])
    return _exceeds(products, group, lambda random, shape: random.choice(np.array([-1, 1], np.float32), shape))


def beyond_chance_within(spectra: NDArray[np.complex64], band: NDArray[np.float64], group: NDArray[np.int64]) -> bool:
    """Whether groups correlate so within a narrow band, as of a tone, which lasts for many blocks of frames by itself.

    Here each group's phase is drawn anew for every block of frequencies (surrogate data: Theiler et al. 1992,
    doi:10.1016/0167-2789(92)90102-S).

    Parameters
    ----------
    spectra : ndarray [shape=(frequencies, components), complex64]
        Of components in comparable units.
    band : ndarray [shape=(frequencies,), float64]
        Weights of the frequencies.
    group : ndarray [shape=(components,), int64]
    """
    there = np.flatnonzero(band)
    if not len(there):
        return False
    weighted = spectra[there] * np.sqrt(band[there], dtype=np.float32)[:, None]
    width = max(_LEAST_WIDTH, math.ceil(len(band) / _BLOCKS))
    starts = np.flatnonzero(np.diff(there // width, prepend=-1))
    products = np.stack([b.conj().T @ b for b in np.split(weighted, starts[1:])])
    return _exceeds(
        products, group, lambda random, shape: np.exp(2j * np.pi * random.random(shape)).astype(np.complex64)
    )


_Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.inexact[Any]]]


def _exceeds(products: NDArray[np.inexact[Any]], group: NDArray[np.int64], draw: _Draw) -> bool:
    """Whether the sum of blocks' products has a larger eigenvalue than with factors drawn for each block and group."""
    between = np.where(group[:, None] != group[None, :], products, 0)
    found = _largest(between.sum(axis=0))
    random = np.random.Generator(np.random.PCG64(_SEED))
    for _ in range(_TRIALS):
        factors = draw(random, (len(between), int(group.max()) + 1))[:, group]
        if _largest(np.einsum("bc,bcd,bd->cd", factors.conj(), between, factors, optimize=True)) >= found:
            return False
    return True


def follow_one_another(
    spectra: NDArray[np.complex64], group: NDArray[np.int64], reach: int, unevenness: float = 1.0
) -> bool:
    """Whether what the strongest components hold occurs in other groups, earlier or later.

    The likelihood of a lag grows with -N/2·ln(1 - r²), where r is the correlation at it and N the number of independent
    samples, ΣS₁·ΣS₂/Σ(S₁·S₂) for power spectra S (Bartlett 1946, doi:10.2307/2983611).

    Parameters
    ----------
    spectra, group
        As for `beyond_chance_within`.
    reach : int, frames
        Largest lag.
    unevenness : float
        As in `Whitened`: N is smaller by it.
    """
    spectra = spectra[1:-1]
    power = np.abs(spectra) ** 2
    total = power.sum(axis=0, dtype=np.float64)
    if not total.any():
        return False
    strongest = np.argsort(-total, kind="stable")[:_STRONGEST]
    lags = np.arange(-min(reach, len(spectra)), min(reach, len(spectra)) + 1)
    threshold = math.log(len(strongest) * len(total) * len(lags) / _FALSE)
    for one in strongest[total[strongest] > 0]:
        others = (group != group[one]) & (total > 0)
        product = spectra[:, [one]].conj() * spectra[:, others]
        padded = 2 * (len(spectra) + 1)
        around = np.fft.irfft(np.pad(product, ((1, 1), (0, 0))), padded, axis=0)[lags] * (padded / 2)
        correlation = around / np.sqrt(total[one] * total[others])
        independent = 2 * total[one] * total[others] / (power[:, one] @ power[:, others]) / unevenness
        closest = np.abs(correlation).max(axis=0, initial=0.0)
        if np.any(-independent / 2 * np.log(np.maximum(1 - closest**2, 1e-12)) > threshold):
            return True
    return False


def _largest(covariance: NDArray[np.inexact[Any]]) -> float:
    from scipy.linalg import eigh

    last = len(covariance) - 1
    return float(eigh(covariance.real.astype(np.float64), subset_by_index=(last, last), eigvals_only=True)[0])
