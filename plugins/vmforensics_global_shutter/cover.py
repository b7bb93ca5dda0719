"""Which tiles of a frame show something else than the still picture: a hand, a branch, somebody who walks through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics_global_shutter.functionals import Part
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.still import View, slope

_STRAY = 5.0  # standard uncertainties that a tile's motion must differ by from the picture's to be looked at
_APART = 0.01  # px likewise; less is what a codec does to tiles
_NOISE = 3.0  # times the noise's variance that may be left of a tile when its own motion and light are taken out,
_SHARE = 0.02  # and of the picture's: what is opaque leaves about twice its own share of the tile
_LIT = 0.1  # of the tile's level, RMS: a lamp that lights a part of it alone may leave as much
_FARTHEST = 0.5  # px of motion in a tile whose higher orders are allowed for
_SAMPLE = 2**8  # pixels of a tile that are looked at
_LEAST = 64  # pixels of a tile that are known, for it to be looked at


class Cover:
    """Looks whether tiles that seem to move by themselves do, or are covered.

    Parameters
    ----------
    view : View
        What the frames should look like.
    linearisation : Linearisation
        What reads the tiles; channels that look at no place of their own can't be left out.
    levers : ndarray [shape=(channels,), float64, px/radian]
        What the channels read of a turn.
    """

    def __init__(self, view: View, linearisation: Linearisation, levers: NDArray[np.float64]) -> None:
        self._view = replace(view)  # without what it has worked out, which would be kept
        channels = linearisation.channels
        apart = bool(channels) and all(c.place is not None for c in channels)
        self._parts = linearisation.functionals.parts if apart else ()
        self._design = np.column_stack([np.array([c.response for c in channels]).reshape(-1, 2), levers])
        known = np.diag(linearisation.precision)
        self._strength = np.sqrt(known)
        self._tiles: dict[int, _Tile | None] = {}

    def found(
        self, luma: Luma, readings: NDArray[np.float64], place: NDArray[np.float64]
    ) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Look at some frames.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]
        readings : ndarray [shape=(frames, channels), float64, px]
        place : ndarray [shape=(frames, 3), float64, px, px and radians]
            Motion that all tiles seem to share.

        Yields
        ------
        frame : int
            One in which something is covered.
        covered : ndarray [shape=(channels,), bool]
            Which channels are.
        """
        if not self._parts:
            return
        apart = np.abs(readings - place @ self._design.T)
        stray = (apart * self._strength > _STRAY) & (apart > _APART)
        if not stray.any():
            return
        covered = np.zeros_like(stray)
        looked = np.zeros((len(luma), len(self._parts)), np.bool_)
        for number, part in enumerate(self._parts):
            looked[:, number] = stray[:, part.channels].any(axis=1)
        self._look(luma, looked, covered)
        something = covered.any(axis=1)
        self._look(luma, something[:, None] & ~looked, covered)  # a tile that is covered in part may seem to move alike
        for frame in np.flatnonzero(covered.any(axis=1)).tolist():
            yield frame, covered[frame]

    def light(self, luma: Luma, covered: NDArray[np.bool_], place: NDArray[np.float64]) -> float | None:
        """A frame's contrast relative to the view, where it isn't covered; None where that can't be told.

        Parameters
        ----------
        luma : ndarray [shape=(rows, cols), uint8 or uint16, DN]
        covered : ndarray [shape=(channels,), bool]
        place : ndarray [shape=(2 or more,), float64, px]
            Displacement of the picture from the view.
        """
        seen = self._view.known.copy()
        for part in self._parts:
            if covered[part.channels].any():
                seen[part.rows, part.cols] = False
        if not seen.any():
            return None
        picture = self._view.picture[seen]
        contrast = picture - picture.mean()
        expected = picture - place[:2] @ self._view.gradient[:, seen]
        energy = float(contrast @ expected)
        return float(contrast @ luma[seen]) / energy if energy > 0 else None

    def _look(self, luma: Luma, where: NDArray[np.bool_], covered: NDArray[np.bool_]) -> None:
        """Note in `covered` [shape=(frames, channels)] which of some tiles are [shape=(frames, tiles)]."""
        for number in np.flatnonzero(where.any(axis=0)).tolist():
            part, frames = self._parts[number], np.flatnonzero(where[:, number])
            sample = luma[:, *_thinned(part)]
            covered[frames, part.channels] = self._covered(number, sample[frames])[:, None]

    def _covered(self, number: int, luma: Luma) -> NDArray[np.bool_]:
        """Whether a tile is covered in some frames, of which only its sample is given [shape=(frames,), bool]."""
        if number not in self._tiles:
            self._tiles[number] = _Tile.of(self._view, self._parts[number])
        tile = self._tiles[number]
        return np.zeros(len(luma), np.bool_) if tile is None else tile.covered(luma)


class _Tile:
    """Least squares for light and motion in one tile, to see what they leave.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
    slopes : ndarray [shape=(2, rows, cols), float32, DN/px]
    known : ndarray [shape=(rows, cols), bool]
    noise : float, DN²
    """

    def __init__(
        self, picture: NDArray[np.float64], slopes: NDArray[np.float32], known: NDArray[np.bool_], noise: float
    ) -> None:
        self._picture, self._known = picture[known].astype(np.float32), known
        self._contrast = float(np.var(self._picture))
        allowed = _NOISE * noise + _SHARE * self._contrast
        self._allowed = allowed + (_LIT * max(float(self._picture.mean()), 0.0)) ** 2
        steep = float(np.mean(slopes[:, known] ** 2))
        self._bend = steep**2 / max(2 * self._contrast, 1e-9)  # DN²/px⁴ that the second order leaves of a motion
        contrast = self._picture - self._picture.mean()
        self._design = np.stack([contrast, np.ones_like(contrast), *slopes[:, known]])

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        normal = (self._design @ self._design.T).astype(np.float64)
        return np.asarray(np.linalg.pinv(normal, rcond=1e-9, hermitian=True))

    @classmethod
    def of(cls, view: View, part: Part) -> _Tile | None:
        """That of a part of a view; None where too little of it is known."""
        sample = _thinned(part)
        known = view.known[sample]
        if np.count_nonzero(known) < _LEAST:
            return None
        picture = view.picture[sample]
        noise = float(np.median(view.noise.variance(picture)))
        whole = view.picture[part.rows, part.cols].astype(np.float32)
        step = sample[0].step
        slopes = np.stack([slope(whole, axis=axis)[::step, ::step] for axis in (1, 0)])
        return cls(picture, slopes, known, noise)

    def covered(self, luma: Luma) -> NDArray[np.bool_]:
        """Whether it is, in some frames [shape=(frames,), bool]."""
        pixels = luma.reshape(len(luma), -1)
        change = (pixels if self._known.all() else pixels[:, self._known.ravel()]) - self._picture
        moments = change @ self._design.T
        fitted = moments @ self._inverse
        left = (np.sum(change * change, axis=1) - np.sum(moments * fitted, axis=1)) / change.shape[1]
        moved = np.minimum(np.hypot(fitted[:, 2], fitted[:, 3]), _FARTHEST)
        return np.asarray(left > self._allowed + self._bend * moved**4)


def _thinned(part: Part) -> tuple[slice, slice]:
    """The pixels of a tile that tell whether it is covered: every so-manieth row and column."""
    rows, cols = part.rows, part.cols
    step = max(1, round(math.sqrt((rows.stop - rows.start) * (cols.stop - cols.start) / _SAMPLE)))
    return slice(rows.start, rows.stop, step), slice(cols.start, cols.stop, step)


def told(covered: NDArray[np.float64]) -> Iterator[str]:
    """What was left out, in words.

    Parameters
    ----------
    covered : ndarray [shape=(frames,), float64]
        Share of the picture that shows something else; 1 for a frame that was left out for it.
    """
    hidden, some = covered >= 1, np.flatnonzero(covered)
    if not len(some):
        return
    partly = covered[some][covered[some] < 1]
    if len(partly):
        yield (
            f"something covers up to {partly.max():.0%} of the picture in {len(partly)} of the frames {some[0]} to "
            f"{some[-1]}: the tiles that it covers count for nothing there"
        )
    if hidden.any():
        yield f"something hides the picture in {np.count_nonzero(hidden)} frames; they count as gaps"
