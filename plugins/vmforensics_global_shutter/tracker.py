"""Reads displacement off frames by functionals of the view near each frame's place, and follows it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics_global_shutter.functionals import Part
from vmforensics_global_shutter.linearise import Lineariser
from vmforensics_global_shutter.still import View, derivatives

GRID = 0.25
"""px; places that the picture is linearised around are multiples of it."""

LINEAR = 0.2
"""px from such a place, up to which the functionals serve."""

_FIRST_ORDER = 0.02  # px; what moves less is read to first order
_HIGHEST = 4  # order of the series beyond
_PLACED = 0.02  # px; a tile whose place is known so well is straightened by it
_ROUNDS = 8  # of looking for a frame's place
_STRIDE = 1.0  # px that a round may correct it by
_AT_ONCE = 8  # frames whose place is looked for
_KEPT_PIXELS = 2**24  # of linearisations that are kept for a picture that comes back
_DARKEST = 0.2  # of the still picture's contrast; a frame that shows less of it shows something else
_LIGHT_STEP = 2  # every how-manieth row tells a frame's contrast; its error counts as much as it moves
_LIGHT_KNOWN = 1e-3  # of the contrast, to which it must be known to be used


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What frames read near a place.

    Parameters
    ----------
    raw : ndarray [shape=(frames, channels), float64, px]
        Displacement from that place, to first order and for the still picture's brightness.
    light : ndarray [shape=(frames, 1), float64]
        Each frame's contrast relative to the still picture.
    place : ndarray [shape=(frames, 2), float64, px]
        Displacement of the whole picture from that place, to first order.
    near : ndarray [shape=(frames,), bool]
        Whether the frame looks like the still picture from there, and stands within the linear range.
    """

    raw: NDArray[np.float64]
    light: NDArray[np.float64]
    place: NDArray[np.float64]
    near: NDArray[np.bool_]

    def some(self, which: slice | NDArray[np.bool_]) -> Readings:
        """Those of some of the frames."""
        return Readings(self.raw[which], self.light[which], self.place[which], self.near[which])


class Anchor:
    """The method's functionals around one place, and what they read beyond first order.

    Parameters
    ----------
    place : ndarray [shape=(2,), float64, px]
    view : View
        The still picture from there.
    method : Lineariser
    """

    def __init__(self, place: NDArray[np.float64], view: View, method: Lineariser) -> None:
        self.place = place
        self.linearisation = method.linearise(view)
        self.informed = np.diag(self.linearisation.precision) > 0
        self._picture = view.picture
        self._light = _light(view)

    def read(self, luma: Luma) -> Readings:
        """Read frames that stand near this place.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]
        """
        light = np.ones((len(luma), 1))
        if self._light is not None:
            light[:] = 0
            self._light.add(luma, light)
        alike = light[:, 0] > _DARKEST
        np.maximum(light, _DARKEST, out=light)
        raw = self.linearisation.functionals.read(luma)
        place = self.linearisation.place(raw / light)
        return Readings(raw, light, place, alike & (np.abs(place).max(axis=1) <= LINEAR))

    @cached_property
    def _series(self) -> tuple[list[tuple[int, int]], NDArray[np.float64], NDArray[np.float64]]:
        """Powers of x and y, and what each channel [shape=(powers, channels)] and the light [shape=(powers,)] read.

        A still picture displaced by (x, y) is Σ (-x)^i (-y)^j / (i! j!) ∂_x^i ∂_y^j S, and the functionals are linear.
        What the channels read of the first powers is what they are made to read.
        """
        powers, terms, light = [], [], []
        for (i, j), factor, picture in derivatives(self._picture, _HIGHEST):
            powers.append((i, j))
            terms.append((i + j > 1) * factor * self.linearisation.functionals.on(picture))
            light.append(0.0 if self._light is None else factor * float(self._light.on(picture)[0]))
        return powers, np.array(terms), np.array(light)

    def straightened(self, readings: Readings) -> NDArray[np.float64]:
        """Displacement from this place [shape=(frames, channels), float64, px].

        From the first-order readings is taken what they hold of higher orders at each part's own place (a tile's, where
        it is well known, for not everything moves alike; else its half's), and in a brighter frame, where the same
        motion makes larger differences, it reads the same.
        """
        straight = readings.raw / readings.light
        moving = np.abs(readings.place).max(axis=1) > _FIRST_ORDER
        certain, locators, part = self._parts
        for own in certain:
            moving |= np.abs(straight[:, own]).max(axis=1) > _FIRST_ORDER
        if not moving.any():
            return straight
        powers, terms, light_terms = self._series
        raw, light = readings.raw[moving], readings.light[moving]
        half = np.array([-1 if c.half is None else c.half for c in self.linearisation.channels])
        better = straight[moving]
        for _ in range(3):
            right, down = _powers(better @ locators[0]), _powers(better @ locators[1])
            beyond, dark = np.zeros_like(better), np.zeros_like(right[0])
            for (i, j), term, light_term in zip(powers, terms, light_terms, strict=True):
                product = right[i] * down[j]
                dark += product * light_term
                if i + j > 1:
                    beyond += product[:, part] * term
            dimmed = light - dark[:, half]
            better = raw / dimmed - beyond
        straight[moving] = better
        return straight

    @cached_property
    def _parts(self) -> tuple[list[list[int]], NDArray[np.float64], NDArray[np.intp]]:
        """Parts of the picture that may move apart.

        Returns
        -------
        certain : list of list of int
            The channels of each tile whose place is well known.
        locators : ndarray [shape=(2, channels, parts), float64]
            What readings contribute to the displacement of half 0, half 1, of those tiles, and of the whole.
        part : ndarray [shape=(channels,), int]
            Which of these a channel is straightened by.
        """
        channels = self.linearisation.channels
        certain = self.linearisation.certain_places(_PLACED)
        halves = [[k for k, c in enumerate(channels) if c.half == half] for half in (0, 1)]
        parts = [*halves, *certain, list(range(len(channels)))]
        locators = np.zeros((2, len(channels), len(parts)))
        part = np.array([-1 if c.half is None else c.half for c in channels], np.intp)
        for number, own in enumerate(parts):
            if own:
                locators[:, own, number] = self.linearisation.locator(own)
        for number, own in enumerate(certain, start=len(halves)):
            part[own] = number
        return certain, locators, part


class Tracker:
    """Reads frames one after another, each near its place.

    Parameters
    ----------
    view : View
        The still picture at place (0, 0).
    excluded : ndarray [shape=(rows, cols), bool]
        Pixels that can't be relied on wherever the picture stands.
    method : Lineariser

    Attributes
    ----------
    used : dict of place to int
        How many frames were read around each place.
    """

    def __init__(self, view: View, excluded: NDArray[np.bool_], method: Lineariser) -> None:
        self._view, self._excluded, self._method = view, excluded, method
        self._anchors: OrderedDict[tuple[int, int], Anchor] = OrderedDict()
        self._most = max(4, _KEPT_PIXELS // view.picture.size)
        self._span = 2**30
        self._key = (0, 0)
        self.home = self._anchor((0, 0))
        self.channels = self.home.linearisation.channels
        self.response = np.array([c.response for c in self.channels])
        self.precision = np.zeros_like(self.home.linearisation.precision)
        self.count = 0
        self.places: set[tuple[int, int]] = set()

    def _anchor(self, key: tuple[int, int]) -> Anchor:
        found = self._anchors.get(key)
        if found is None:
            x, y = GRID * key[0], GRID * key[1]
            found = Anchor(np.array([x, y]), self._view.moved((x, y), self._excluded), self._method)
            self._anchors[key] = found
            while len(self._anchors) > self._most:
                self._anchors.popitem(last=False)
        self._anchors.move_to_end(key)
        return found

    def read(self, luma: Luma) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Follow the picture through the next frames.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]

        Returns
        -------
        displacement : ndarray [shape=(frames, channels), float64, px]
            NaN for a frame in which the picture wasn't found.
        place : ndarray [shape=(frames, 2), float64, px]
            Displacement of the whole picture, likewise.
        """
        displacement = np.full((len(luma), len(self.channels)), np.nan)
        place = np.full((len(luma), 2), np.nan)
        first = 0
        while first < len(luma):
            anchor = self._anchor(self._key)
            part = luma[first : first + self._span]
            readings = anchor.read(part)
            steady = len(part) if readings.near.all() else int(np.argmin(readings.near))
            own = slice(first, first + steady)
            displacement[own], place[own] = self._finished(anchor, readings.some(slice(steady)))
            first += steady
            if steady == len(part):
                self._span = min(2 * self._span, 2**30)
                continue
            own = slice(first, first + _AT_ONCE)
            start = anchor.place if first == 0 else place[first - 1]
            start = start if np.isfinite(start).all() else anchor.place
            displacement[own], place[own] = self._sought(luma[own], start)
            first += len(luma[own])
            self._span = 2 * _AT_ONCE
            known = place[own][np.isfinite(place[own, 0])]
            if len(known):
                self._key = _nearest(known[len(known) // 2 :].mean(axis=0))
        return displacement, place

    def _sought(self, luma: Luma, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Find each frame's place by Newton's steps, and read it around the nearest point of the grid."""
        displacement = np.full((len(luma), len(self.channels)), np.nan)
        place = np.full((len(luma), 2), np.nan)
        guess = np.tile(start, (len(luma), 1))
        open_ = np.arange(len(luma))
        for _ in range(_ROUNDS):
            keys = [_nearest(guess[k]) for k in open_]
            left = []
            for key in sorted(set(keys)):
                own = open_[[k == key for k in keys]]
                anchor = self._anchor(key)
                readings = anchor.read(luma[own])
                near = readings.near
                displacement[own[near]], place[own[near]] = self._finished(anchor, readings.some(near))
                guess[own] = anchor.place + np.clip(readings.place, -_STRIDE, _STRIDE)
                left.append(own[~near])
            open_ = np.sort(np.concatenate(left))
            if not len(open_):
                break
        return displacement, place

    def _finished(self, anchor: Anchor, readings: Readings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement and place from readings near an anchor."""
        if not len(readings.raw):
            return readings.raw, readings.place
        linear = anchor.linearisation
        straight = anchor.straightened(readings)
        response = np.array([c.response for c in linear.channels])
        displacement = np.empty_like(straight)
        for half in {c.half for c in self.channels}:  # the halves stay apart
            own = [k for k, c in enumerate(self.channels) if c.half == half]
            common = linear.place(straight, half)
            rest = np.where(anchor.informed[own], straight[:, own] - common @ response[own].T, 0)
            displacement[:, own] = (anchor.place + common) @ self.response[own].T + rest
        self.precision += len(straight) * linear.precision
        self.count += len(straight)
        self.places.add(_nearest(anchor.place))
        return displacement, anchor.place + linear.place(straight)


def _powers(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The powers from 0 to the highest that the series has."""
    powers = [np.ones_like(values)]
    for _ in range(_HIGHEST):
        powers.append(powers[-1] * values)
    return powers


def _nearest(place: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.rint(place / GRID).astype(int).tolist()
    return x, y


def _light(view: View) -> Part | None:
    """Reads a frame's contrast relative to the view; None where noise hides it."""
    rows, cols = slice(None, None, _LIGHT_STEP), slice(None)
    picture, known = view.picture[rows, cols], view.known[rows, cols]
    if not known.any():
        return None
    contrast = np.where(known, picture - picture[known].mean(), 0)
    energy = float(np.sum(contrast**2))
    noise = float(np.median(view.noise.variance(picture[known])))
    if noise > _LIGHT_KNOWN**2 * energy:
        return None
    weights = (contrast / energy).ravel()[None].astype(np.float32)
    return Part(rows, cols, slice(0, 1), weights)
