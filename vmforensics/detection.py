"""Is there a motion common to the whole region, beyond noise? The test that a run's verdict rests on.

The estimator measures the motion twice, on two disjoint sets of pixels. Sensor noise is independent between them, a
true motion is the same in both: their cross-spectrum has a positive real part. No noise level has to be known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Detection, Motion, Signal, Verdict

FALSE_ALARM_RATE = 0.01
"""Share of soundless clips on which the test may say `signal`."""

LEAST_P = 1e-12
"""Smallest p-value stated: no model of noise is known to hold farther out."""

LOWEST = 20.0
"""Hz; slower motion (a swaying camera) doesn't count."""

_SEGMENTS = (8, 32, 128, 512)  # clip length over segment length, coarse tones to short syllables
_AXES = 4  # independent directions that the axis was chosen from, on the same data
_LEAST_SEGMENT = 16  # samples
_LEAST_SUM = 64  # independent products in a sum that is to be normal out to its tail


@dataclass(frozen=True, slots=True)
class _Finding:
    p_value: float
    band: tuple[float, float]


def detect(motion: Motion, signal: Signal, *, false_alarm_rate: float = FALSE_ALARM_RATE) -> Detection:
    """Test whether the two halves of a motion share a signal.

    On segments of several lengths, the real part of the coherence of the halves is tested, bin by bin (Student's t)
    and summed over third-octave bands and over the whole band (normal); Bonferroni's correction covers all of them.

    Parameters
    ----------
    motion
        What was measured, with channels marked as half 0 and half 1.
    signal
        The combined signal: its axis and time line. The picture's sway is taken out of both halves.
    false_alarm_rate
        Probability of the verdict `signal` on a clip without any common motion.

    Returns
    -------
    Detection
        `undetermined` where the estimator made no halves or doubts what it measured, or where the clip is too short.

    Notes
    -----
    Coherence and its distribution for independent noise: Carter 1987, doi:10.1109/PROC.1987.13723.
    """
    if motion.doubt:
        return _undetermined(motion.doubt, false_alarm_rate)
    steady, _ = motion.steadied()
    halves = [steady.half(k) for k in (0, 1)]
    if not all(half.channels for half in halves):
        return _undetermined("the motion estimator made no two independent halves to compare", false_alarm_rate)
    size = len(signal.samples)
    grids = [half.onto_grid(signal.axis, start=signal.start, rate=signal.rate, size=size) for half in halves]
    seen = grids[0].observed & grids[1].observed
    first, second = (np.where(seen, grid.samples, 0.0) for grid in grids)
    findings = list(_tests(first, second, seen, signal.rate))
    if not findings:
        return _undetermined("the clip is too short to compare the halves", false_alarm_rate)
    best = min(findings, key=lambda finding: finding.p_value)
    tests = _AXES * len(findings)
    p_value = min(1.0, max(best.p_value * tests, LEAST_P))
    shown = f"p = {p_value:.2g}" if p_value > LEAST_P else f"p < {LEAST_P:.0e}"
    low, high = best.band
    if p_value > false_alarm_rate:
        return Detection(
            Verdict.NO_SIGNAL,
            p_value,
            false_alarm_rate,
            None,
            f"no motion beyond noise is common to the two halves of the region ({shown})",
        )
    widest = max(f.band[1] - f.band[0] for f in findings)
    significant = [f.band for f in findings if f.p_value * tests <= false_alarm_rate and f is not best]
    significant = [b for b in significant if b[1] - b[0] < 0.9 * widest] or [best.band]
    extent = (min(b[0] for b in significant), max(b[1] for b in significant))
    return Detection(
        Verdict.SIGNAL,
        p_value,
        false_alarm_rate,
        extent,
        f"the two halves of the region share a motion, most surely in {low:.0f}-{high:.0f} Hz ({shown}); "
        "whether it is sound is for the analyst to judge",
    )


def _undetermined(reason: str, false_alarm_rate: float) -> Detection:
    return Detection(Verdict.UNDETERMINED, None, false_alarm_rate, None, reason)


def _tests(
    first: NDArray[np.float64], second: NDArray[np.float64], seen: NDArray[np.bool_], rate: float
) -> Iterator[_Finding]:
    """Every test made, as uncorrected p-values; about as many as there are independent ones."""
    from scipy.stats import norm, t

    size = len(first)
    for segments in _SEGMENTS:
        length = size // segments
        if length < _LEAST_SEGMENT:
            return
        window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
        stacked = [x[: segments * length].reshape(segments, length) * window for x in (first, second)]
        a, b = (np.fft.rfft(x, axis=1) for x in stacked)
        frequency = np.fft.rfftfreq(length, 1 / rate)
        keep = (frequency >= max(LOWEST, 2.5 * rate / length)) & (frequency <= 0.48 * rate)
        power = np.sqrt(np.sum(np.abs(a) ** 2, axis=0) * np.sum(np.abs(b) ** 2, axis=0))
        keep &= power > 0
        if not keep.any():
            continue
        coherence = np.sum((a * b.conj()).real, axis=0)[keep] / power[keep]
        frequency = frequency[keep]
        weight = window**2 * seen[: segments * length].reshape(segments, length)
        energy = weight.sum(axis=1)
        spread = np.sum(np.abs(np.fft.rfft(weight, axis=1)) ** 2, axis=0)
        inflation = float(1 + 2 * spread[1:].sum() / spread[0])  # window and gaps spread noise over several bins
        effective = energy.sum() ** 2 / np.sum(energy**2)  # segments that lie in a gap count for little
        freedom = 2 * effective
        limited = np.clip(coherence, -1 + 1e-15, 1 - 1e-15)
        tails = t.sf(limited * np.sqrt(freedom / (1 - limited**2)), freedom)
        half_bin = rate / length / 2
        for tail, f in zip(tails, frequency, strict=True):
            yield _Finding(float(tail), (float(f - half_bin), float(f + half_bin)))
        for low, high in _bands(frequency[0], frequency[-1]):
            inside = (frequency >= low) & (frequency < high)
            count = int(np.count_nonzero(inside))
            independent = count / min(inflation, count)
            if independent >= 2 and independent * effective >= _LEAST_SUM:
                score = np.sqrt(freedom * independent) * coherence[inside].mean()
                yield _Finding(float(norm.sf(score)), (float(low), float(min(high, frequency[-1] + half_bin))))


def _bands(lowest: float, highest: float) -> list[tuple[float, float]]:
    """Third octaves from the lowest frequency up, and the whole."""
    count = max(1, int(np.ceil(3 * np.log2(highest / lowest))))
    edges = lowest * 2 ** (np.arange(count + 1) / 3)
    return [*zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True), (lowest, highest * 1.001)]
