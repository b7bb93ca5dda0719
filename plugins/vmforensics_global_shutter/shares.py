"""How much of one shared signal each group of channels carries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics_global_shutter.chance import beyond_chance, beyond_chance_within, follow_one_another
from vmforensics_global_shutter.misfit import misfits
from vmforensics_global_shutter.whitened import Whitened

_ROUNDS = 8  # of filling in the blocks that are left out
_LEAST = 3.0  # times the power that noise gives a group's loads; one with less carries nothing
_WHOLE = 0.9  # share of the frames that must have been observed for spectra to tell anything
_SURE = 3.0  # standard errors by which the power at a frequency must stand out of the noise


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """What the components of a motion carry of the strongest signal that several groups share.

    Parameters
    ----------
    loads : ndarray [shape=(components,), float64]
        z = loads · signal + noise of variance 1; up to one common factor.
    band : ndarray [shape=(frequencies,), float64]
        Weight of each frequency, from 0 to the Nyquist frequency, in what is shared.
    errors : ndarray [shape=(components,), float64]
        Relative standard error of the loads of each component's group; infinite where it carries nothing.
    """

    loads: NDArray[np.float64]
    band: NDArray[np.float64]
    errors: NDArray[np.float64]


def share_a_signal(whitened: Whitened, reach: float) -> bool:
    """Whether groups share more than independent ones would by chance, at once or up to so many frames later."""
    spectra, bands, noise = _comparable(whitened, _all_that_they_hold(whitened))
    if beyond_chance(whitened.components * np.sqrt(noise).astype(np.float32), whitened.group):
        return True
    if whitened.seen < _WHOLE:  # gaps spread every frequency over others
        return False
    narrow = any(beyond_chance_within(spectra, band, whitened.group) for band in bands[1:])
    return narrow or follow_one_another(spectra, whitened.group, math.floor(reach), whitened.unevenness)


def found_shares(whitened: Whitened) -> Shares:
    """Find the strongest signal that several groups share, if they do (`share_a_signal`).

    The loads are the leading eigenvector of the components' covariance, whose blocks within a group are left out and
    filled in from the rest, so that neither a group's noise nor what moves in it alone has a part (Zhang, Cai & Wu
    2022, doi:10.1214/21-AOS2074). The covariance is taken over all frequencies, and again over those where the power
    stands out of the noise, for a quiet tone drowns in the whole band; the result is taken whose eigenvalue exceeds
    that of noise more (Marchenko & Pastur 1967, doi:10.1070/SM1967v001n04ABEH001994). Each group's loads are shrunk
    towards 0 by some times the share of noise that they hold (James & Stein 1961).

    What moves loudly by itself would correlate with anything by chance: groups are first taken in units of all that
    they hold, then of what they hold besides the signal (`misfits`).
    """
    first = _found(whitened, _all_that_they_hold(whitened))
    return _found(whitened, misfits(whitened, first.loads))


def _all_that_they_hold(whitened: Whitened) -> NDArray[np.float64]:
    """Variance of each group [shape=(groups,), float64]; at least that of its noise."""
    power = np.mean(whitened.components.astype(np.float64) ** 2, axis=0)
    return np.array([max(1.0, float(power[g].mean())) for g in whitened.groups])


def _comparable(
    whitened: Whitened, variances: NDArray[np.float64]
) -> tuple[NDArray[np.complex64], list[NDArray[np.float64]], NDArray[np.float64]]:
    """Spectra in units of some variance of each group [shape=(groups,)], bands to look at, and each one's noise."""
    from scipy.fft import rfft  # in single precision, unlike numpy's

    scale = np.sqrt(variances)[whitened.group].astype(np.float32)
    spectra = np.asarray(rfft(whitened.components / scale, axis=0), np.complex64)
    noise = 1 / scale.astype(np.float64) ** 2
    power = np.mean(np.abs(spectra) ** 2, axis=1) / len(whitened.components) / noise.mean()
    bands = [np.ones(len(power)), _standing_out(power, spectra.shape[1])]
    for band in bands:
        band[[0, -1]] = 0  # constants and alternating signs have no phase: any two agree
    return spectra, [band for band in bands if band.any()], noise


def _found(whitened: Whitened, variances: NDArray[np.float64]) -> Shares:
    """Shares in a motion whose groups are taken in units of some variance [shape=(groups,), float64]."""
    spectra, bands, noise = _comparable(whitened, variances)
    found = [(_loads(spectra, band, noise, whitened), band) for band in bands]
    (loads, errors, _), band = max(found, key=lambda f: f[0][2])
    return Shares(loads * np.sqrt(variances)[whitened.group], band, errors)


def _standing_out(power: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Wiener weights of the frequencies at which the mean power is more than noise."""
    excess = power - 1 - _SURE / np.sqrt(components)
    return np.asarray(np.maximum(excess, 0) / np.maximum(1 + excess, 1))


def _loads(
    spectra: NDArray[np.complex64], band: NDArray[np.float64], noise: NDArray[np.float64], whitened: Whitened
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Loads within a band, their relative errors, and the eigenvalue relative to that of noise alone."""
    total = float(band.sum())
    frames = len(whitened.components)
    independent = 2 * total**2 / float(np.sum(band**2))
    weighted = spectra * np.sqrt(band / total / frames, dtype=np.float32)[:, None]
    covariance = np.asarray((weighted.conj().T @ weighted).real, dtype=np.float64)
    groups = whitened.groups
    apart = whitened.group[:, None] != whitened.group[None, :]
    own = covariance * ~apart
    between = covariance * apart
    filled = between.copy()
    for _ in range(_ROUNDS):
        value, top = _leading(filled)
        filled = between + np.where(apart, 0, value * np.outer(top, top))
        for g in groups:  # no more than the group has beyond noise
            block = np.ix_(g, g)
            most = max(float(np.trace(own[block])) - float(noise[g].sum()), 0.0)
            filled[block] *= min(1.0, most / max(float(np.trace(filled[block])), 1e-300))
    value, loads = _leading(filled)
    errors = np.full(len(loads), np.inf)
    for g in groups:
        others = np.where(whitened.group == whitened.group[g[0]], 0.0, loads)
        moment = between[g] @ others
        chance = float(others @ covariance @ others) / independent
        strength = float(moment @ moment) / max(chance, 1e-300)
        share = max(0.0, 1 - _LEAST * len(g) / max(strength, 1e-300))
        loads[g] *= share
        if share:
            errors[g] = 1 / np.sqrt(strength)
    ratio = len(loads) / independent
    return loads, errors, value / (2 * np.sqrt(ratio) + ratio)


def _leading(matrix: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The largest eigenvalue of a symmetric matrix, and its vector."""
    from scipy.linalg import eigh

    last = len(matrix) - 1
    values, vectors = eigh(matrix, subset_by_index=(last, last))
    return float(values[0]), vectors[:, 0]
