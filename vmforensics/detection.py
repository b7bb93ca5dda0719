"""Is there a motion common to the whole region, beyond noise? The test that a run's verdict rests on.

The estimator measures the motion twice, on two disjoint sets of pixels. Sensor noise is independent between them, a
true motion is the same in both: their cross-spectrum has a positive real part. No noise level has to be known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import DISPLACEMENT, Detection, Motion, Signal, Verdict
from vmforensics.data.sway import Sway

FALSE_ALARM_RATE = 0.01
"""Share of soundless clips on which the test may say `signal`."""

LEAST_P = 1e-12
"""Smallest p-value stated: no model of noise is known to hold farther out."""

LOWEST = 20.0
"""Hz; slower motion (a swaying camera) doesn't count."""

_SEGMENTS = (8, 32, 128, 512)  # clip length over segment length, coarse tones to short syllables
_WANDERS = 0.5  # px that a camera's path extends over before it matters
_TRACES, _HAND = 2.5, 100.0  # times the frame rate, and Hz, up to which a followed hand leaves traces
_AXES = 4  # independent directions that the axis was chosen from, on the same data
_DEGREE = 4  # of the curve that is taken out of a segment; it takes next to nothing from 2.5 cycles a segment on
_LATEST = 5e-3  # s; by how much one half may lag behind the other
_FROZEN = 0.1  # standard uncertainties RMS; a motion measured on real frames is never so still
_BESIDE = 6  # halves of a resolution cell around a lamp's line that it may stray by
_BESIDE_BINS = 2.5  # of a test, around such a line that it doesn't look at
_AT_ONCE = 16384  # samples
_LEAST_SEGMENT = 16  # samples
_LEAST_SEGMENTS = 8  # fewer can't agree by more than chance
_LEAST_BINS = 4  # in a band
_LAG = 0.5  # share of the travel between key frames that a codec's lag can amount to
_LEAST_ROWS = 8  # for frames to have a pattern
_LAGS = 60  # frames over which patterns are compared
_LOUD = 0.01  # share of the loudest band's power that still counts as the signal's, not as what gaps spread of it
_SHORT = 1.5  # times the lowest frequency that counts, from which on that of the tests is worth a word
_STANDING = 7  # frames; what stands in a row for longer is a pattern, not sound


@dataclass(frozen=True, slots=True)
class _Finding:
    """One test: its p-value, its band in Hz, and the common power density there, in units of the samples' variance."""

    p_value: float
    band: tuple[float, float]
    power: float


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two measurements of the motion with independent noise [shape=(n,), float64, standard uncertainties].

    `choices` is the number of ways to compare them, of which the data chose this one; `common` the RMS of what they
    have in common, in px.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    seen: NDArray[np.bool_]
    choices: int
    common: float

    @classmethod
    def of(cls, first: Signal, second: Signal) -> _Pair:
        """Two signals, each found on its own half, at the lag and with the sign that fit best above 20 Hz."""
        seen = first.observed & second.observed
        one, other = (_centred(s, seen) for s in (first, second))
        size, most = len(one), round(_LATEST * first.rate)
        cross = np.fft.rfft(one, 2 * size) * np.fft.rfft(other, 2 * size).conj()
        cross[np.fft.rfftfreq(2 * size, 1 / first.rate) < LOWEST] = 0
        lags = np.arange(-min(most, size - 1), min(most, size - 1) + 1)
        product = np.fft.irfft(cross, 2 * size)[lags]
        lag = int(lags[np.argmax(np.abs(product))])
        later = np.roll(other, lag) * np.sign(product[lags == lag][0])
        seen &= np.roll(seen, lag)
        seen[: max(lag, 0)] = seen[size + min(lag, 0) :] = False
        one, later = np.where(seen, one, 0.0), np.where(seen, later, 0.0)
        units = [float(np.median(s.sigma[s.observed])) if s.observed.any() else 0.0 for s in (first, second)]
        return cls(one, later, seen, 2 * len(lags), _common(units[0] * one, units[1] * later, first.rate))

    def without_lines(self, rate: float, lines: Sequence[float]) -> _Pair:
        """Both without what lies at, or close beside, some frequencies (Hz)."""
        if not lines:
            return self
        first, second = _without_lines(np.stack([self.first, self.second]), self.seen, rate, lines)
        return replace(self, first=first, second=second)


def detect(
    motion: Motion,
    signal: Signal,
    *,
    chosen: tuple[Signal, Signal] | None = None,
    key_interval: float = 0.0,
    dead_zone: float = 0.0,
    lamp_lines: Sequence[float] = (),
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> Detection:
    """Test whether the two halves of a motion share a signal.

    On segments of several lengths, the halves' agreement is tested bin by bin, in third-octave bands and in the whole
    band; Bonferroni's correction covers all of these tests, and the choice of the axis.

    Parameters
    ----------
    motion
        What was measured, with channels marked as half 0 and half 1.
    signal
        The combined signal: its axis and time line. The picture's sway is taken out of both halves.
    chosen : two Signals or None
        What a combiner that selects channels made of either half alone. The two are compared as well, at the lag and
        with the sign that fit best, which the correction covers.
    key_interval : float, s
        Mean time between the key frames of a lossy codec that predicts frames from one another; 0 for any other. Such
        a codec repeats its errors from frame to frame: what several frames of a rolling shutter repeat counts once, and
        where that decides there is no verdict. And it lags behind a moving picture until the next key frame: what
        is no larger than such a lag gets no verdict.
    dead_zone : float, px
        RMS up to which such a codec may have made up the motion; 0 where its own decisions tell what it kept. What is
        no larger gets no verdict.
    lamp_lines : sequence of float, Hz
        Frequencies at which the light flickers (`light.lamp_lines`): what is found there doesn't count.
    false_alarm_rate
        Probability of the verdict `signal` on a clip without any common motion.

    Returns
    -------
    Detection
        `undetermined` where the estimator made no halves or doubts what it measured, where the clip is too short, or
        where the codec could have made what was found.

    Notes
    -----
    Coherence and its distribution for independent noise: Carter 1987, doi:10.1109/PROC.1987.13723.
    """
    if motion.doubt:
        return _undetermined(motion.doubt, false_alarm_rate)
    steady = _without_standing_patterns(motion.steadied()[0])
    halves = [steady.half(k) for k in (0, 1)]
    if not all(half.channels for half in halves):
        return _undetermined("the motion estimator made no two independent halves to compare", false_alarm_rate)
    grids = [_on_grid(half, signal) for half in halves]
    seen = grids[0].observed & grids[1].observed
    first, second = (_in_sigmas(grid, seen) for grid in grids)
    if max(_spread(first, seen), _spread(second, seen)) < _FROZEN:
        return Detection(
            Verdict.NO_SIGNAL,
            1.0,
            false_alarm_rate,
            None,
            "the picture changes by less than a tenth of what its noise would: there is nothing in it but copies",
        )
    fresh = _fresh_share(halves[0], halves[1], signal.axis) if key_interval else 1.0
    one, other = (np.where(seen, grid.samples, 0.0) for grid in grids)
    pairs = [_Pair(first, second, seen, _AXES, _common(one, other, signal.rate))]
    if chosen is not None:
        pairs.append(_Pair.of(*chosen))
    pairs = [pair.without_lines(signal.rate, lamp_lines) for pair in pairs]
    lines, lowest = tuple(lamp_lines), _slowest(motion)
    tested = [
        (pair, list(_tests(pair.first, pair.second, pair.seen, signal.rate, fresh, lines, lowest))) for pair in pairs
    ]
    tested = [(pair, findings) for pair, findings in tested if findings]
    if not tested:
        return _undetermined("the clip is too short to compare the halves", false_alarm_rate)
    moving = motion.quantity == DISPLACEMENT
    subject, meaning = (
        ("motion", "whether it is sound is for the analyst to judge")
        if moving
        else (f"signal in {motion.quantity.name}", "it tells of the light, and is not sound")
    )
    pair, findings = min(tested, key=lambda t: t[0].choices * len(t[1]) * min(f.p_value for f in t[1]))
    best = min(findings, key=lambda finding: finding.p_value)
    tests = len(tested) * pair.choices * len(findings)
    slowest = min(finding.band[0] for _, each in tested for finding in each)
    p_value = min(1.0, max(best.p_value * tests, LEAST_P))
    shown = f"p = {p_value:.2g}" if p_value > LEAST_P else f"p < {LEAST_P:.0e}"
    if p_value > false_alarm_rate and fresh < 1:
        plain = list(_tests(pair.first, pair.second, pair.seen, signal.rate, 1.0, lines, lowest))
        if min(finding.p_value for finding in plain) * tests <= false_alarm_rate:
            return _undetermined(
                "the two halves of the region share a pattern, but the frames repeat one another so much that the "
                "codec's repeated errors can't be told from a steady tone",
                false_alarm_rate,
            )
    if p_value > false_alarm_rate:
        return Detection(
            Verdict.NO_SIGNAL,
            p_value,
            false_alarm_rate,
            None,
            f"no {subject} beyond noise is common to the two halves of the region ({shown})"
            + _not_looked_at(lowest, slowest),
        )
    if key_interval and moving:
        travel, found = _travel(motion, signal, key_interval, apart=chosen is not None), pair.common
        if _LAG * travel > found:
            return _undetermined(
                f"the picture travels {travel:.2g} px from key frame to key frame, and an inter-coding codec lags "
                f"behind it; the common motion of {found:.2g} px RMS may be no more than that lag",
                false_alarm_rate,
            )
        if found < dead_zone:
            return _undetermined(
                f"the two halves of the region share a motion ({shown}) of {found:.2g} px RMS; below {dead_zone:g} px "
                "a codec that predicts frames, and whose quantisers aren't known, moves whole parts of the picture by "
                "itself",
                false_alarm_rate,
            )
    sure = [f for f in findings if f.p_value * tests <= false_alarm_rate and f.power > 0]
    narrow = [f for f in sure if f.band[1] < 2 * f.band[0]] or [best]
    loudest = max(narrow, key=lambda finding: finding.power)
    loud = [f.band for f in narrow if f.power >= _LOUD * loudest.power] or [loudest.band]
    extent = (min(b[0] for b in loud), max(b[1] for b in loud))
    low, high = loudest.band
    return Detection(
        Verdict.SIGNAL,
        p_value,
        false_alarm_rate,
        extent,
        f"the two halves of the region share a {subject} ({shown}), the strongest at {low:.0f}-{high:.0f} Hz"
        f"{_not_looked_at(lowest, slowest)}; {meaning}",
    )


def compared(motion: Motion, signal: Signal) -> tuple[Signal, Signal] | None:
    """What the test compares: the two halves' motion along a signal's axis, on its time line.

    None where there are no halves. Take the sway out first (`Motion.steadied`).
    """
    steady = _without_standing_patterns(motion)
    halves = [steady.half(k) for k in (0, 1)]
    if not all(half.channels for half in halves):
        return None
    first, second = (_on_grid(half, signal) for half in halves)
    return first, second


def agreement(
    first: NDArray[np.float64], second: NDArray[np.float64], seen: NDArray[np.bool_], rate: float, *, fresh: float = 1.0
) -> float | None:
    """The p-value of the test on two halves, in standard uncertainties; None of too short a clip.

    `fresh` is the share of the data that is no repetition (`fresh_share`).
    """
    findings = list(_tests(first, second, seen, rate, fresh))
    return min(1.0, min(f.p_value for f in findings) * _AXES * len(findings)) if findings else None


def fresh_share(motion: Motion, axis: tuple[float, float]) -> float:
    """Share of an inter-coded clip's frames that are independent of one another, as the test counts them.

    Take the sway out first (`Motion.steadied`).
    """
    steady = _without_standing_patterns(motion)
    return _fresh_share(steady.half(0), steady.half(1), axis)


def _slowest(motion: Motion) -> float:
    """Hz; slower motion doesn't count.

    Where rows were read along a camera's path, which is known once a frame, what of the hand is faster than that leaves
    traces in the rows between: around multiples of the frame rate, the farther up the closer a tremor comes to half of
    it.
    """
    if motion.path is None or len(motion.row_offsets) == 1 or np.ptp(motion.path, axis=0).max(initial=0.0) < _WANDERS:
        return LOWEST
    return max(LOWEST, _HAND, _TRACES * motion.frame_rate)


def _not_looked_at(lowest: float, slowest: float) -> str:
    """What a verdict on motion from some frequency (Hz) on, and on what was tested from another on, leaves open."""
    if slowest > _SHORT * lowest:
        return f"; below {slowest:.0f} Hz it can't tell, for the clip is short"
    if lowest > LOWEST:
        return f"; below {lowest:.0f} Hz, where a hand that is followed leaves traces, it can't tell"
    return ""


def _on_grid(half: Motion, signal: Signal) -> Signal:
    """A half's motion on a signal's axis and time line, about its mean: else gaps, where it is 0, would make a pattern.

    Whatever the two halves have in common must be motion; a distance from where the picture stood at first isn't.
    """
    grid = half.onto_grid(signal.axis, start=signal.start, rate=signal.rate, size=len(signal.samples))
    if not grid.observed.any():
        return grid
    return replace(grid, samples=np.where(grid.observed, grid.samples - grid.samples[grid.observed].mean(), 0.0))


def _centred(signal: Signal, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Samples about their mean, in units of their median uncertainty; 0 where not seen."""
    if not seen.any():
        return np.zeros(len(seen))
    return np.where(seen, signal.samples - signal.samples[seen].mean(), 0.0) / float(np.median(signal.sigma[seen]))


def _spread(samples: NDArray[np.float64], seen: NDArray[np.bool_]) -> float:
    """RMS of what was seen."""
    return float(np.sqrt(np.mean(samples[seen] ** 2))) if seen.any() else 0.0


def _in_sigmas(grid: Signal, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Samples in units of their uncertainty: rows that show next to nothing don't drown the rest."""
    sigma = np.where(seen & (grid.sigma > 0), grid.sigma, np.inf)
    return np.asarray(np.where(seen, grid.samples, 0.0) / sigma)


def _common(one: NDArray[np.float64], other: NDArray[np.float64], rate: float) -> float:
    """RMS of what two measurements have in common above 20 Hz, from their cross-spectrum."""
    cross = (np.fft.rfft(one) * np.fft.rfft(other).conj()).real
    fast = cross[np.fft.rfftfreq(len(one), 1 / rate) >= LOWEST]
    return float(np.sqrt(max(2 * fast.sum(), 0.0)) / len(one))


def _travel(motion: Motion, signal: Signal, interval: float, *, apart: bool) -> float:
    """RMS distance (px) that the picture's slow motion covers in an interval (s), or the whole clip.

    A signal that was made of a part of the picture, `apart`, travels with it: the longer way counts.
    """
    times = motion.frame_times
    if len(times) < 2:
        return 0.0
    step = int(np.clip(round(interval * motion.frame_rate), 1, len(times) - 1))
    paths = [motion.sway().along(signal.axis, times)]
    if apart:
        known = np.where(signal.observed, 1 / np.square(signal.sigma), 0.0)
        along = np.stack([signal.samples, np.zeros_like(signal.samples)], axis=1)
        paths.append(Sway.through(along, known, signal.times, frame_rate=signal.rate).at(times)[:, 0])
    return max(float(np.sqrt(np.mean((path[step:] - path[:-step]) ** 2))) for path in paths)


def _undetermined(reason: str, false_alarm_rate: float) -> Detection:
    return Detection(Verdict.UNDETERMINED, None, false_alarm_rate, None, reason)


def _without_standing_patterns(motion: Motion) -> Motion:
    """Take each row's running mean over a few frames out of it.

    What a codec writes once and then repeats, or a sway's trace in the rows, stands in the picture for many frames:
    two halves' patterns that agree by chance would agree again in each. Sound moves on from frame to frame; this costs
    only what lies within a few hertz of a multiple of the frame rate. A global shutter's one row is left alone.
    """
    frames, rows = motion.observed.shape
    if rows == 1 or frames < _STANDING:
        return motion
    from scipy.ndimage import uniform_filter1d

    share = uniform_filter1d(motion.observed.astype(np.float32), _STANDING, axis=0, mode="constant")
    mean = uniform_filter1d(motion.displacement, _STANDING, axis=0, mode="constant")
    mean /= np.maximum(share, 1 / _STANDING)[..., None]
    displacement = np.where(motion.observed[..., None], motion.displacement - mean, 0)
    return replace(motion, displacement=displacement.astype(np.float32))


def _fresh_share(first: Motion, second: Motion, axis: tuple[float, float]) -> float:
    """Share of the frames that are independent of one another, as far as the halves' agreement goes.

    Bartlett's formula over frames: F_eff / F = 1 / (1 + 2 Σ_k (1 - k/F) ρ_k), with ρ_k the mean product of the two
    halves' own similarities between frames k apart (Bartlett 1946, doi:10.2307/2983611). Beyond the lags that are
    looked at, the mean of the upper half of them goes on. 1 for a global shutter, whose frames have no rows.
    """
    frames, rows = first.observed.shape
    if rows < _LEAST_ROWS:
        return 1.0
    patterns = []
    for half in (first, second):
        displacement, information = half.along(axis)
        weighted = displacement * np.sqrt(information)
        norm = np.sqrt(np.sum(weighted**2, axis=1, keepdims=True))
        patterns.append(weighted / np.where(norm > 0, norm, 1.0))
    lags = min(frames - 1, _LAGS)
    similarity = np.zeros(frames)
    for lag in range(1, lags + 1):
        pairs = [np.einsum("fr,fr->f", p[lag:], p[:-lag]) for p in patterns]
        similarity[lag] = float(np.mean(pairs[0] * pairs[1]))
    similarity[lags + 1 :] = similarity[(lags + 1) // 2 : lags + 1].mean()
    repeats = 2 * float(np.sum((1 - np.arange(frames) / frames) * similarity))
    return 1 / (1 + max(repeats, 0.0))


def _tests(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    seen: NDArray[np.bool_],
    rate: float,
    fresh: float,
    lines: Sequence[float] = (),
    lowest: float = LOWEST,
) -> Iterator[_Finding]:
    """Every test made, as uncorrected p-values; about as many as there are independent ones.

    `fresh` is the share of the data that is no repetition. No segment counts for more than another, however loud: a
    codec's key frame shakes both halves at once, and their signs agree every other time. A bin's statistic is the mean
    cosine of the phase between the halves (1/2 variance under independence), a band's is Student's t of the segments'
    coherences. Bins beside a lamp's line are left out: what its removal left in both halves is alike.
    """
    from scipy.stats import norm, t

    size = len(first)
    for segments in _SEGMENTS:
        length = size // segments
        if length < _LEAST_SEGMENT:
            return
        window = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
        weight = window**2 * seen[: segments * length].reshape(segments, length)
        used = weight.sum(axis=1) > 0.5 * weight.sum(axis=1).max(initial=0.0)  # some lie in a gap
        count = int(np.count_nonzero(used))
        if count < _LEAST_SEGMENTS:
            continue
        there, *own = (x[: segments * length].reshape(segments, length)[used] for x in (seen, first, second))
        a, b = (np.fft.rfft(_tapered(x, there, window), axis=1) for x in own)
        frequency = np.fft.rfftfreq(length, 1 / rate)
        keep = (frequency >= max(lowest, 2.5 * rate / length)) & (frequency <= 0.495 * rate)
        for line in lines:
            keep &= np.abs(frequency - line) > _BESIDE_BINS * rate / length
        if not keep.any():
            continue
        a, b, frequency = a[:, keep], b[:, keep], frequency[keep]
        half_bin = rate / length / 2
        product = a * b.conj()
        modulus = np.abs(product)
        cosine = np.divide(product.real, modulus, out=np.zeros_like(modulus), where=modulus > 0)
        common = product.real.mean(axis=0) / np.sum(window**2) / rate
        tails = norm.sf(cosine.sum(axis=0) * np.sqrt(2 * fresh / count))
        for tail, f, power in zip(tails, frequency, common, strict=True):
            yield _Finding(float(tail), (float(f - half_bin), float(f + half_bin)), float(power))
        whitened = [x / np.maximum(np.sqrt(np.mean(np.abs(x) ** 2, axis=0)), 1e-300) for x in (a, b)]
        for low, high in _bands(frequency[0], frequency[-1]):
            inside = (frequency >= low) & (frequency < high)
            if np.count_nonzero(inside) < _LEAST_BINS:
                continue
            x, y = (w[:, inside] for w in whitened)
            energy = np.sqrt(np.sum(np.abs(x) ** 2, axis=1) * np.sum(np.abs(y) ** 2, axis=1))
            coherence = np.sum((x * y.conj()).real, axis=1) / np.maximum(energy, 1e-300)
            spread = max(float(coherence.std(ddof=1)), 1e-9)
            score = float(coherence.mean()) / spread * np.sqrt(count * fresh)
            band = (float(low), float(min(high, frequency[-1] + half_bin)))
            yield _Finding(float(t.sf(score, max(count * fresh - 1, 1))), band, float(common[inside].mean()))


def _tapered(
    segments: NDArray[np.float64], seen: NDArray[np.bool_], window: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Segments [shape=(segments, samples)] less the slow curve that fits each best, tapered by a window.

    What a hand's path leaves in a short segment exceeds its noise a hundredfold, and would leak past the window's main
    lobe into the band that is tested.
    """
    curves = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(window)), _DEGREE)
    weight = window**2 * seen
    normal = np.einsum("sn,ni,nj->sij", weight, curves, curves, optimize=True)
    normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(_DEGREE + 1)
    fitted = np.linalg.solve(normal, ((weight * segments) @ curves)[..., None])[..., 0]
    return np.asarray((segments - fitted @ curves.T) * seen * window)


def _without_lines(
    samples: NDArray[np.float64], seen: NDArray[np.bool_], rate: float, lines: Sequence[float]
) -> NDArray[np.float64]:
    """Signals [shape=(signals, n)] less the sinusoids that fit them best around some frequencies (Hz).

    Half a resolution cell apart, they follow a line whose frequency isn't known exactly, or wanders a little.
    """
    size = samples.shape[1]
    offsets = np.arange(-_BESIDE, _BESIDE + 1) * rate / (2 * size)
    frequency = np.array([f + o for f in lines if f <= rate / 2 for o in offsets])
    frequency = frequency[(frequency > 0) & (frequency <= rate / 2)]
    if not len(frequency):
        return samples
    normal, moment = np.zeros((2 * len(frequency),) * 2), np.zeros((2 * len(frequency), len(samples)))

    def waves(part: slice) -> NDArray[np.float64]:
        phase = 2 * np.pi * np.outer(np.arange(part.start, part.stop) / rate, frequency)
        return np.where(seen[part, None], np.concatenate([np.cos(phase), np.sin(phase)], axis=1), 0.0)

    parts = [slice(first, min(first + _AT_ONCE, size)) for first in range(0, size, _AT_ONCE)]
    for part in parts:
        each = waves(part)
        normal += each.T @ each
        moment += each.T @ samples[:, part].T
    fitted = np.linalg.lstsq(normal, moment, rcond=1e-10)[0]
    return np.concatenate([samples[:, part] - (waves(part) @ fitted).T for part in parts], axis=1)


def _bands(lowest: float, highest: float) -> list[tuple[float, float]]:
    """Third octaves from the lowest frequency up, and the whole."""
    count = max(1, int(np.ceil(3 * np.log2(highest / lowest))))
    edges = lowest * 2 ** (np.arange(count + 1) / 3)
    return [*zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True), (lowest, highest * 1.001)]
