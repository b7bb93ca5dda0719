"""How much of a small motion a codec left in the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.coded.readings import CodedReadings

_PARTS = 20  # of the clip, for the jackknife
_LEAST_FRAMES = 40
_LEAST_OF_A_TYPE = 10  # frames; a lone key frame says nothing of the clip
_LEAST_KNOWN = 50.0  # times the variance of a stripe's error that the motion's must be
_LEAST_KNOWN_OF_WHOLE_FRAMES = 200.0  # what many blocks err by alike weighs more, the more blocks a sample holds
_LEAST_STEADY = 0.1  # of what the best tenth of the frames tell, that the worst tenth must
_LEAST_APART = 0.75  # of what is stated, that the halves must differ by; less, and both hold to what was predicted
_LEAST_SHOWN = 0.75  # of the motion of frames known so well; where pixels lost more, what is inferred falls short, too
_LEAST_READ, _MOST_READ = 0.95, 1.1  # shares of the motion that frames known so well may read
_LEAST_KNOWN_OF_TABLES = 15.0
_LARGEST_SHOWN = 1.02  # of the motion; more contradicts what was inferred
_LARGEST_ERROR = 0.03  # standard error beyond which nothing is said
_VAGUEST = 0.1  # half an interval and standard error together, beyond which its middle isn't worth saying


def gain_left(
    plain: NDArray[np.float64], inferred: CodedReadings, best_known: tuple[float, float] = (0.8, 0.2)
) -> float | None:
    """The share of the motion that the pixels still show, by what the codec's decisions show.

    Pixels of one half and inferred displacements of the other err independently. Their mean product p0·s1 is therefore
    g times the motion's power, and that of both inferred halves, s0·s1, is the power itself, as far as inferred
    displacements don't fall short of the motion. They do where cells are wide, towards the prediction x that a frame
    was coded from:

    - Frames that aren't predicted from both sides (P and I frames) are used where the motion is known so well, and
      shown by the pixels so far, that little of it is missing; p0·s1 / s0·s1 is then g at the most, and some 0.95 of it
      at the least.
    - Of B frames s - x = κ (d - x) of the motion d. Their motion has the power of the frames about them, and x is taken
      for the mean of these frames' pixels; the mean products of p, s and x then yield κ (`_of_both_sides`). If all
      blocks fall short alike it is right so. The other extreme is that s is short by nothing where p is short by
      less than all.

    The middle of the interval between these extremes is given. A jackknife over parts of the clip tells its standard
    error (Efron & Stein 1981, doi:10.1214/aos/1176345462).

    Parameters
    ----------
    plain : ndarray [shape=(frames, samples, 4), float64, px]
        What plain least squares reads off the pixels: x and y of either half.
    inferred
        What was inferred from the codec's decisions, of the same samples and halves.
    best_known : (float, float)
        The shares of the samples, those known best, that count, and that the motion must be known well in. Stripes
        differ in their texture; of whole frames there is one sample, which both must hold.

    Returns
    -------
    float or None
        None where it can't be told within 0.1.
    """
    of = inferred.kinds
    if len(of) < _LEAST_FRAMES:
        return None
    if inferred.vague:
        return None
    if inferred.by_table:
        usual = np.median(inferred.precision, axis=0).astype(np.float64)
        seen = _Seen.of(plain, inferred, usual, np.zeros(len(of), dtype=np.int64))
        return _gain_of_tables(seen)
    common = [kind for kind in sorted(set(of)) if kind and np.sum(of == kind) >= _LEAST_OF_A_TYPE]
    both_sides = np.isin(of, [kind for kind in common if kind == "B"])
    one_side = np.isin(of, [kind for kind in common if kind != "B"])
    if not one_side.any():
        return None
    usual = inferred.precision[one_side].mean(axis=0, dtype=np.float64)
    seen = _Seen.of(plain, inferred, usual, np.unique(of, return_inverse=True)[1])
    if not _well_known(seen.of_frames(one_side), _of_share(seen.weight, best_known[1])):
        return None
    products = _Products.of(seen, one_side, _of_share(seen.weight, best_known[0]))
    part = np.arange(len(of)) * _PARTS // len(of)
    found = [_interval(products, one_side & keep, both_sides & keep) for keep in (part >= 0, *_leaving_out(part))]
    intervals = np.array([interval for interval in found if interval is not None])
    if len(intervals) < len(found):
        return None
    middle, half = intervals.mean(axis=1), float(np.ptp(intervals[0])) / 2
    error = _jackknifed(middle[1:])
    sure = error < _LARGEST_ERROR and half + error < _VAGUEST
    return float(np.clip(middle[0], 0.0, 1.0)) if sure else None


def _gain_of_tables(seen: _Seen) -> float | None:
    """As `gain_left`, of pictures coded one like the other."""
    crossed, power = _crossed(seen.p, seen.s, seen.weight), _crossed(seen.s, seen.s, seen.weight)
    part = np.arange(len(seen.s)) * _PARTS // len(seen.s)
    without = [(crossed[keep].sum(), power[keep].sum()) for keep in _leaving_out(part)]
    if min(total for _, total in without) <= 0 or _times_known(seen, seen.weight) < _LEAST_KNOWN_OF_TABLES:
        return None
    gain, error = crossed.sum() / power.sum(), _jackknifed(np.array([moment / total for moment, total in without]))
    return float(np.clip(gain, 0.0, 1.0)) if error < _LARGEST_ERROR and gain < _LARGEST_SHOWN else None


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Displacement along the direction in which the inferred halves agree most, as a recovery takes it.

    Parameters
    ----------
    p, s : ndarray [shape=(frames, samples, 2), float64, px]
        The pixels', and what was inferred, of either half, about its mean over the frames of a type, which is the
        template's and not the motion's.
    known : ndarray [shape=(frames, samples, 2), float64, 1/px²]
        What is known of s.
    weight : ndarray [shape=(samples,), float64, 1/px²]
        What is usually known of it, of the half known less well.
    """

    p: NDArray[np.float64]
    s: NDArray[np.float64]
    known: NDArray[np.float64]
    weight: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        plain: NDArray[np.float64],
        inferred: CodedReadings,
        usual: NDArray[np.float64],
        kinds: NDArray[np.int64],
    ) -> _Seen:
        """Of readings in four channels, with the usual precision of each sample [shape=(samples, 4, 4)]."""
        p, s = (_centred(each.astype(np.float64), kinds) for each in (plain, inferred.displacement))
        halves = [slice(2 * half, 2 * half + 2) for half in (0, 1)]
        strength = np.sqrt(np.minimum(*(np.diagonal(usual[:, own, own], axis1=1, axis2=2) for own in halves)))
        moment = np.einsum("fsa,fsb,sa,sb->ab", s[..., :2], s[..., 2:], strength, strength)
        axis = np.linalg.eigh(moment + moment.T)[1][:, -1]
        towards = [usual[:, own, own] @ axis for own in halves]
        total = [np.maximum(each @ axis, np.finfo(float).tiny) for each in towards]
        along = [
            np.stack(
                [
                    np.einsum("fsa,sa->fs", each[..., own], t / n[:, None])
                    for own, t, n in zip(halves, towards, total, strict=True)
                ],
                -1,
            )
            for each in (p, s)
        ]
        known = np.stack(
            [np.einsum("fsab,a,b->fs", inferred.precision[..., own, own], axis, axis) for own in halves], axis=-1
        )
        return cls(along[0], along[1], known, np.minimum(*total))

    def of_frames(self, own: NDArray[np.bool_]) -> _Seen:
        """Some of the frames."""
        return _Seen(self.p[own], self.s[own], self.known[own], self.weight)


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    """Mean products of readings of either half with readings of the other, frame by frame [shape=(frames,), float64].

    s is an inferred displacement, p the pixels', x the mean of what the pixels show in the nearest frames before and
    after that aren't predicted from both sides; `about` is ss of these two.
    """

    ss: NDArray[np.float64]
    ps: NDArray[np.float64]
    sx: NDArray[np.float64]
    px: NDArray[np.float64]
    xx: NDArray[np.float64]
    about: NDArray[np.float64]

    @classmethod
    def of(cls, seen: _Seen, one_side: NDArray[np.bool_], weight: NDArray[np.float64]) -> _Products:
        """Of all samples, with their weights."""
        p, s = seen.p, seen.s
        number, places = np.arange(len(p)), np.nonzero(one_side)[0]
        before = places[np.maximum(np.searchsorted(places, number, "left") - 1, 0)]
        after = places[np.minimum(np.searchsorted(places, number, "right"), len(places) - 1)]
        x = (p[before] + p[after]) / 2
        ss, ps, sx, px, xx = (_crossed(a, b, weight) for a, b in ((s, s), (p, s), (s, x), (p, x), (x, x)))
        return cls(ss, ps, sx, px, xx, (ss[before] + ss[after]) / 2)


def _interval(
    products: _Products, one_side: NDArray[np.bool_], both_sides: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """The least and the largest gain, over some of the frames; None where they show too little of the motion."""
    moment, power = products.ps[one_side].sum(), products.ss[one_side].sum()
    if power <= 0 or moment < _LEAST_SHOWN * power:
        return None
    least, largest = _LEAST_READ * moment, moment
    if both_sides.any():
        total = products.about[both_sides].sum()
        found = _of_both_sides(products, both_sides, total) if total > 0 else None
        if found is None:
            return None
        least, largest, power = least + total * found[0], largest + total * found[1], power + total
    return float(least / power), float(largest / power)


def _of_both_sides(products: _Products, own: NDArray[np.bool_], power: float) -> tuple[float, float] | None:
    """The least and the largest gain of B frames of that power of motion; None where their readings contradict it.

    In units of the power, with u = s - x = κ (d - x) and v = p - x: the mean of d² = (x + u/κ)² is 1, a quadratic
    equation for κ, and g is the mean of p·d = p·x + x·u/κ + v·u/κ. Where blocks differ, the last of these is too large:
    each block's κ is 1 at most, and v·u the least that v·(d - x) can be.
    """
    ss, ps, sx, px, xx = (
        float(each[own].sum()) / power for each in (products.ss, products.ps, products.sx, products.px, products.xx)
    )
    across, square, shown = sx - xx, ss - 2 * sx + xx, ps - px - sx + xx  # x·u, u², v·u
    if xx >= 1 or across**2 + square * (1 - xx) < 0:
        return None
    short = (across + np.sqrt(across**2 + square * (1 - xx))) / (1 - xx)
    if not 0 < short <= _MOST_READ:
        return None
    ends = (px + across / short + shown * stretch for stretch in (min(1.0, 1 / short), 1 / short))
    least, largest = sorted(ends)
    return float(least), float(largest)


def _well_known(seen: _Seen, weight: NDArray[np.float64]) -> bool:
    """Whether inferred displacements hardly fall short of the motion.

    The motion must exceed their errors by far, their precision be much the same in all frames, and the halves disagree
    as far as it says: where a codec rounds most changes to nothing, it's known well now and then, and the halves agree
    on what was predicted.
    """
    s, known = seen.s, seen.known
    least, most = np.quantile(known.mean(axis=2) @ weight, (0.1, 0.9))
    both = known.prod(axis=2) / np.maximum(known.sum(axis=2), np.finfo(float).tiny)
    apart = float(np.sum((s[..., 0] - s[..., 1]) ** 2 * both)) / max(int(np.count_nonzero(both)), 1)
    enough = _LEAST_KNOWN if s.shape[1] > 1 else _LEAST_KNOWN_OF_WHOLE_FRAMES
    return _times_known(seen, weight) >= enough and bool(least >= _LEAST_STEADY * most and apart >= _LEAST_APART)


def _times_known(seen: _Seen, weight: NDArray[np.float64]) -> float:
    """How many times the motion's power exceeds the variance of an inferred displacement in the usual frame."""
    power = _crossed(seen.s, seen.s, weight).mean() / weight.sum()
    return float(power * np.median(seen.known.mean(axis=2) @ weight) / weight.sum())


def _of_share(weight: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The same weights for the share of the samples that are known best, 0 for the others."""
    return np.where(weight >= np.quantile(weight, 1 - share), weight, 0.0)


def _crossed(a: NDArray[np.float64], b: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of a's half 0 with b's half 1, and the other way round, summed over the samples of each frame."""
    return np.asarray((a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]) @ weight / 2)


def _centred(values: NDArray[np.float64], kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Without each sample's own mean over the frames of a kind."""
    centred = values.copy()
    for kind in np.unique(kinds):
        centred[kinds == kind] -= values[kinds == kind].mean(axis=0)
    return centred


def _leaving_out(part: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """The frames without each of the clip's parts."""
    return [part != k for k in range(_PARTS)]


def _jackknifed(values: NDArray[np.float64]) -> float:
    """Standard error of what is estimated from all, by the estimates from all but one part."""
    return float(np.sqrt((len(values) - 1) / len(values) * np.sum((values - values.mean()) ** 2)))
