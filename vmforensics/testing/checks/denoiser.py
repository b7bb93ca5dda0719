"""What is asked of a denoiser: signals whose clean form is known."""

from __future__ import annotations

import contextlib
import pickle
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import BRIGHTNESS, Signal
from vmforensics.errors import VmforensicsError
from vmforensics.stages import Denoiser
from vmforensics.testing.checks.signal_combiner import SIGNAL_DTYPES
from vmforensics.testing.checks.subject import Subject, check, check_arrays, read_only, require, same, use

_RATE = 8000.0  # Hz
_AXIS = (0.8, 0.6)


def signal_of(samples: NDArray[np.float64], *, sigma: float = 0.0, gaps: bool = False) -> Signal:
    """Make a signal at 8 kHz, a sixth of it unobserved if asked."""
    observed = np.ones(len(samples), bool)
    if gaps:
        observed.reshape(-1)[len(samples) // 3 : len(samples) // 2] = False
    return Signal(
        samples=np.where(observed, samples, 0.0),
        rate=_RATE,
        start=0.25,
        observed=observed,
        sigma=np.where(observed, sigma, 0.0),
        axis=_AXIS,
        warnings=("said before",),
    )


def tone() -> NDArray[np.float64]:
    """Half a second of 440 Hz, in px."""
    return np.asarray(0.02 * np.sin(2 * np.pi * 440.0 * np.arange(4000) / _RATE))


def noise(size: int = 4000) -> NDArray[np.float64]:
    """White noise of 0.004 px."""
    return np.asarray(0.004 * np.random.default_rng(8).standard_normal(size))


def _denoised(subject: Subject, signal: Signal) -> Signal:
    given = pickle.loads(pickle.dumps(signal))  # noqa: S301 - our own bytes
    result = subject.make().denoise(given)
    require(isinstance(result, Signal), f"denoise returned {type(result).__name__}")
    check_arrays(result, SIGNAL_DTYPES)
    require(same(given, signal), "it changed the signal that it was given")
    return cast(Signal, result)


@check(Denoiser, "keeps the time line")
def _denoiser_times(subject: Subject) -> None:
    """Rate, start, length, axis, quantity and the observed mask stay as they are, and so do earlier warnings."""
    before = signal_of(tone() + noise(), sigma=0.004, gaps=True)
    after = _denoised(subject, before)
    for name in ("rate", "start", "quantity", "axis", "observed"):
        require(same(getattr(before, name), getattr(after, name)), f"it changed the signal's {name}")
    require(after.samples.shape == before.samples.shape, f"{len(before.samples)} samples became {len(after.samples)}")
    require(set(before.warnings) <= set(after.warnings), "it lost the warnings of the stages before it")


@check(Denoiser, "deterministic")
def _denoiser_deterministic(subject: Subject) -> None:
    """The same signal gives the same result, bit for bit."""
    signal = signal_of(tone() + noise(), sigma=0.004)
    require(same(_denoised(subject, signal), _denoised(subject, signal)), "the same signal gave another result")


@check(Denoiser, "zeros stay zeros")
def _denoiser_zeros(subject: Subject) -> None:
    """Digital silence stays digital silence."""
    for sigma in (0.0, 0.004):
        after = _denoised(subject, signal_of(np.zeros(4000), sigma=sigma))
        require(not after.samples.any(), f"digital silence (σ {sigma}) became {np.abs(after.samples).max():.2g} px")


@check(Denoiser, "short and constant signals")
def _denoiser_short(subject: Subject) -> None:
    """Few samples, or constant ones, are denoised or refused."""
    for size in (1, 2, 3, 17, 100):
        signal = signal_of(noise(size), sigma=0.004)
        with contextlib.suppress(VmforensicsError):  # to refuse is allowed
            after = _denoised(subject, signal)
            require(after.samples.shape == (size,), f"{size} samples became {len(after.samples)}")
    after = _denoised(subject, signal_of(np.full(4000, 0.5), sigma=0.004))
    require(np.abs(after.samples).max() < 1.0, "a constant signal is more than doubled")


@check(Denoiser, "does no harm")
def _denoiser_harmless(subject: Subject) -> None:
    """A tone of 440 Hz well above the noise stays; neither its error nor noise alone grows."""
    clean, around = tone(), noise()
    after = _denoised(subject, signal_of(clean + around, sigma=0.004))
    correlation = float(np.corrcoef(after.samples, clean)[0, 1])
    require(correlation > 0.95, f"a tone of 440 Hz well above the noise is lost: correlation {correlation:.3f}")
    error = float(np.std(after.samples - clean) / np.std(around))
    require(error < 1.1, f"it makes a tone's error {error:.2f} times as large")
    alone = _denoised(subject, signal_of(around, sigma=0.004)).samples
    growth = float(np.std(alone) / np.std(around))
    require(growth < 1.05, f"it makes noise {growth:.2f} times as loud")


@check(Denoiser, "takes what can't be written to")
def _denoiser_read_only(subject: Subject) -> None:
    """It works on arrays that can't be written to, as a run hands them over."""
    before = signal_of(tone() + noise(), sigma=0.004, gaps=True)
    given = read_only(pickle.loads(pickle.dumps(before)))  # noqa: S301 - our own bytes
    after = subject.make().denoise(given)
    require(same(after, _denoised(subject, before)), "arrays that can't be written to give another result")


@check(Denoiser, "works in any unit")
def _denoiser_units(subject: Subject) -> None:
    """A thousand times the signal with a thousand times the uncertainty gives a thousand times the result."""
    before = signal_of(tone() + noise(), sigma=0.004)
    after = _denoised(subject, before).samples
    for factor, quantity in ((1e3, before.quantity), (1e-3, BRIGHTNESS)):
        scaled = replace(before, samples=before.samples * factor, sigma=before.sigma * factor, quantity=quantity)
        off = float(np.abs(_denoised(subject, scaled).samples - factor * after).max())
        require(
            off <= 1e-6 * factor * float(np.abs(after).max()),
            f"{factor:g} times the signal, with {factor:g} times the σ, doesn't give {factor:g} times the result",
        )


@check(Denoiser, "σ covers what is left")
def _denoiser_sigma(subject: Subject) -> None:
    """The stated uncertainty isn't smaller than the error that is left."""
    clean, error = tone(), noise()
    after = _denoised(subject, signal_of(clean + error, sigma=0.004, gaps=True))
    seen = after.observed
    require((after.sigma[seen] > 0).all(), "σ is 0 for samples that were observed")
    spread = float(np.sqrt(np.mean((after.samples - clean)[seen] ** 2) / np.mean(after.sigma[seen] ** 2)))
    require(spread < 1.3, f"its error is {spread:.2f} times the stated σ")


@use(Denoiser)
def _use(subject: Subject) -> None:
    _denoised(subject, signal_of(noise(), sigma=0.004))
