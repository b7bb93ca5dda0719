"""How much of a small motion a codec left in the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.readings import CodedReadings

_PARTS = 20  # of the clip, for the jackknife
_LEAST_FRAMES = 40
_LEAST_OF_A_TYPE = 10  # frames; a lone key frame says nothing of the clip
_LEAST_KNOWN = 9.0  # times the variance of a sample's error that the motion's must be
_LARGEST_ERROR = 0.1  # standard error beyond which nothing is said


def gain_left(
    plain: NDArray[np.float64], inferred: CodedReadings, best_known: tuple[float, float] = (0.8, 0.2)
) -> float | None:
    """The share of the motion that the pixels still show, by what the codec's decisions show.

    Of each type of frame and each half, the samples known best are taken. Where both halves are among them, the
    mean product of their displacements s0·s1 is k² times the motion's power, with k = 1 for the type that is known
    best, and less where a flat likelihood falls short of the motion. The pixels' displacement p0 of one half
    times s1 of the other, whose noise is another, is then g·k times that power. (For the type known best a larger share
    is taken, for k is 1.) The mean of g over all frames is given.
    A jackknife over parts of the clip tells the standard error (Efron & Stein 1981, doi:10.1214/aos/1176345462).

    Parameters
    ----------
    plain : ndarray [shape=(frames, samples, 4), float64, px]
        What plain least squares reads off the pixels: x and y of either half.
    inferred
        What was inferred from the codec's decisions, of the same samples and halves.
    best_known : (float, float)
        The two shares of a type's samples that are taken, the larger one first. Stripes differ in their texture; whole
        frames are known the better the farther they move, and of these all must be taken.

    Returns
    -------
    float or None
        None where there is too little motion to tell within 0.1.
    """
    of = inferred.kinds
    kinds = [kind for kind in sorted(set(of)) if kind and np.sum(of == kind) >= _LEAST_OF_A_TYPE]
    if len(of) < _LEAST_FRAMES or not kinds:
        return None
    coded = inferred.displacement.astype(np.float64)
    known = np.diagonal(inferred.precision, axis1=2, axis2=3)
    if inferred.by_table:
        return _gain_of_tables(plain - plain.mean(axis=0), coded - coded.mean(axis=0), known)
    best = max(kinds, key=lambda kind: float(np.median(known[of == kind])))
    scale = known[of == best].mean(axis=(0, 1), dtype=np.float64)
    sums = np.zeros((2, 4, len(of)))  # of many and of few samples, of each frame: s0·s1, how many, p·s, how many
    for k, share in enumerate(best_known):
        clear = np.zeros(known.shape, dtype=bool)
        for kind in kinds:
            own = of == kind
            clear[own] = known[own] >= np.quantile(known[own], 1 - share, axis=(0, 1))
        for first, second in ((0, 2), (1, 3)):  # x and y of either half
            p0, p1, s0, s1 = (
                _centred(readings[..., channel], of) for readings in (plain, coded) for channel in (first, second)
            )
            c0, c1 = clear[..., first], clear[..., second]
            terms = (s0 * s1 * (c0 & c1), 1.0 * (c0 & c1), p0 * s1 * c1 + p1 * s0 * c0, 1.0 * c0 + c1)
            sums[k] += min(scale[first], scale[second]) * np.array([np.sum(term, axis=1) for term in terms])
    own = of == best
    if sums[0, 0, own].sum() < _LEAST_KNOWN * np.sum(sums[0, 1, own]) / float(np.median(known[own].max(axis=2))):
        return None
    part = np.arange(len(of)) * _PARTS // len(of)
    without = [_gain(sums, of, kinds, best, part != k) for k in range(_PARTS)]
    whole = _gain(sums, of, kinds, best, part >= 0)
    if whole is None or any(gain is None for gain in without):
        return None
    values = np.array(without, dtype=np.float64)
    error = float(np.sqrt((_PARTS - 1) / _PARTS * np.sum((values - values.mean()) ** 2)))
    return whole if error < _LARGEST_ERROR else None


def _gain_of_tables(plain: NDArray[np.float64], coded: NDArray[np.float64], known: NDArray[np.float32]) -> float | None:
    """As `gain_left`, of pictures coded one like the other: each sample weighs by its usual precision in all frames."""
    usual = np.median(known, axis=0)
    crossed, power = np.zeros((2, len(plain)))
    for first, second in ((0, 2), (1, 3)):  # x and y of either half
        weight = np.minimum(usual[:, first], usual[:, second])
        (p0, p1), (s0, s1) = ((each[..., first], each[..., second]) for each in (plain, coded))
        crossed += (p0 * s1 + p1 * s0) @ weight / 2
        power += (s0 * s1) @ weight
    part = np.arange(len(plain)) * _PARTS // len(plain)
    without = [(crossed[part != k].sum(), power[part != k].sum()) for k in range(_PARTS)]
    if min(total for _, total in without) <= 0:
        return None
    values = np.array([moment / total for moment, total in without])
    error = float(np.sqrt((_PARTS - 1) / _PARTS * np.sum((values - values.mean()) ** 2)))
    return float(np.clip(crossed.sum() / power.sum(), 0.0, 1.0)) if error < _LARGEST_ERROR else None


def _gain(
    sums: NDArray[np.float64], of: NDArray[np.object_], kinds: list[str], best: str, keep: NDArray[np.bool_]
) -> float | None:
    """The mean gain over some of the frames; None where they show no motion."""
    total = count = power = 0.0
    for kind in sorted(kinds, key=lambda kind: kind != best):
        own = keep & (of == kind)
        many, few = sums[:, :, own].sum(axis=2)
        if min(*many, *few) <= 0:
            return None
        if kind == best:
            power, gain = few[0] / few[1], many[2] / many[3] / (many[0] / many[1])
        else:
            gain = few[2] / few[3] / np.sqrt(power * min(few[0] / few[1], power))
        total += np.count_nonzero(own) * gain
        count += np.count_nonzero(own)
    return float(np.clip(total / count, 0.0, 1.0))


def _centred(values: NDArray[np.float64], kinds: NDArray[np.object_]) -> NDArray[np.float64]:
    """Without each sample's own mean over the frames of a type, which is the template's and not the motion's."""
    centred = values.copy()
    for kind in set(kinds):
        centred[kinds == kind] -= values[kinds == kind].mean(axis=0)
    return centred
