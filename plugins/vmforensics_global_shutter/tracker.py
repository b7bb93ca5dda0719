"""Reads displacement off frames by functionals of the view near each frame's place and angle, and follows it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics_global_shutter.cover import Cover
from vmforensics_global_shutter.functionals import Part
from vmforensics_global_shutter.linearise import Lineariser
from vmforensics_global_shutter.still import View, derivatives
from vmforensics_global_shutter.turn import turned_by
from vmforensics_global_shutter.turned import Turnable

GRID = 0.25
"""px; places that the picture is linearised around are multiples of it, and angles turn its corners by multiples."""

LINEAR = 0.2
"""px from such a place, up to which the functionals serve."""

_FIRST_ORDER = 0.02  # px; what moves less is read to first order
_HIGHEST = 4  # order of the series beyond
_PLACED = 0.02  # px; a tile whose place is known so well is straightened by it
_TURN_KNOWN = 0.02  # px at the corners, to which a turn must be known to be followed
_TURN_NEAR = 0.5  # px; farther from a frame's place its turn isn't corrected yet
_ROUNDS = 8  # of looking for a frame's place
_STRIDE = 1.0  # px that a round may correct it by
_HIDDEN = 0.5  # of what half of the tiles tell; a frame in which more is covered is left out
_STRANGE = 0.25  # of a frame that isn't found anywhere, covered where it was expected: then it is taken for hidden
_AT_ONCE = 8  # frames whose place is looked for
_KEPT_PIXELS = 2**24  # of linearisations that are kept for a picture that comes back
_DARKEST = 0.2  # of the still picture's contrast; a frame that shows less of it shows something else
_LIGHT_STEP = 2  # every how-manieth row tells a frame's contrast; its error counts as much as it moves
_LIGHT_PIXELS = 2**18  # of a picture; in a larger one half as many rows do
_LIGHT_SURE, _LIGHT_KNOWN = 1e-3, 0.03  # of the contrast: known so well, fewer rows do; known worse, it isn't used


Key = tuple[int, int, int]
"""A place in multiples of `GRID`: to the right, down, turned."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What frames read near a place.

    Parameters
    ----------
    raw : ndarray [shape=(frames, channels), float64, px]
        Displacement from that place, to first order and for the still picture's brightness.
    light : ndarray [shape=(frames, 1), float64]
        Each frame's contrast relative to the still picture.
    place : ndarray [shape=(frames, 3), float64, px, px and radians]
        Displacement of the whole picture from that place, and its turn, to first order.
    near : ndarray [shape=(frames,), bool]
        Whether the frame looks like the still picture from there, and stands within the linear range.
    covered : ndarray [shape=(frames,), float64]
        Share of the picture, by what it tells, that shows something else; its tiles read what the others do.
    """

    raw: NDArray[np.float64]
    light: NDArray[np.float64]
    place: NDArray[np.float64]
    near: NDArray[np.bool_]
    covered: NDArray[np.float64]

    def some(self, which: slice | NDArray[np.bool_]) -> Readings:
        """Those of some of the frames."""
        return Readings(self.raw[which], self.light[which], self.place[which], self.near[which], self.covered[which])


class Anchor:
    """The method's functionals around one place, and what they read beyond first order.

    Parameters
    ----------
    place : ndarray [shape=(3,), float64, px, px and radians]
    view : View
        The still picture from there.
    method : Lineariser
    look
        Whether to look for tiles that are covered.
    """

    def __init__(self, place: NDArray[np.float64], view: View, method: Lineariser, *, look: bool = True) -> None:
        self.place = place
        self.linearisation = method.linearise(view)
        self.informed = np.diag(self.linearisation.precision) > 0
        self._picture = view.picture
        self._light = _light(view)
        channels = self.linearisation.channels
        self.levers = self.linearisation.levers(view)
        self._radius = radius(view.picture.shape)
        self._rigid = self.rigid(range(len(channels)))
        self._cover = Cover(view, self.linearisation, self.levers) if look else None

    def rigid(self, own: Sequence[int]) -> NDArray[np.float64]:
        """What the readings of some channels contribute to displacement and turn [shape=(3, channels), float64]."""
        return self.linearisation.rigid(own, self.levers, _TURN_KNOWN / self._radius)

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
        place = (raw / light) @ self._rigid.T
        covered = np.zeros(len(luma))
        if self._cover is not None:
            for frame, tiles in self._cover.found(luma, raw / light, place):
                covered[frame], _, seen = self._without(tiles, raw[frame], light[frame])
                if covered[frame] == 1:  # or it stands elsewhere, and that is where all tiles together point to
                    continue
                place[frame] = seen
                bright = self._cover.light(luma[frame], tiles, place[frame]) or 0.0
                alike[frame] = bright > _DARKEST
                if alike[frame]:
                    light[frame] = bright * (1 + self._dimmed @ place[frame, :2])  # as all of the view would tell it
                    covered[frame], raw[frame], place[frame] = self._without(tiles, raw[frame], light[frame])
        alike &= covered < 1
        beyond = np.abs(place * (1, 1, self._radius)).max(axis=1)
        return Readings(raw, light, place, alike & (beyond <= LINEAR), covered)

    def _without(
        self, covered: NDArray[np.bool_], raw: NDArray[np.float64], light: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """What a frame reads without the covered channels, which then read what the others of their half do.

        Returns
        -------
        share : float
            Of the information in the covered ones; 1 if that is more than half of any half's.
        raw : ndarray [shape=(channels,), float64, px]
        place : ndarray [shape=(3,), float64]
        """
        linear = self.linearisation
        information = np.diag(linear.precision)
        share = float(information[covered].sum() / information.sum())
        result = raw.copy()
        for half in {c.half for c in linear.channels}:
            mine = np.array([c.half == half for c in linear.channels])
            if information[mine & covered].sum() > _HIDDEN * information[mine].sum():
                return 1.0, raw, np.zeros(3)
            own = np.flatnonzero(mine & ~covered).tolist()
            common = self.rigid(own) @ raw[own]
            hidden = mine & covered
            response = np.array([c.response for c in linear.channels])[hidden]
            result[hidden] = response @ common[:2] + common[2] * self.levers[hidden]
        seen = np.flatnonzero(~covered).tolist()
        return share, result, self.rigid(seen) @ raw[seen] / light

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

    @property
    def _dimmed(self) -> NDArray[np.float64]:
        """What the light reads of a motion by 1 px to the right, and down, to first order [shape=(2,), float64]."""
        powers, _, light = self._series
        return light[[powers.index((1, 0)), powers.index((0, 1))]]

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
        The still picture at place (0, 0), upright.
    excluded : ndarray [shape=(rows, cols), bool]
        Pixels that can't be relied on wherever the picture stands.
    method : Lineariser
    look
        Whether to look for tiles that are covered; where the still picture is vague, all would seem to be.

    Attributes
    ----------
    places : set of Key
        Places around which frames were read.
    """

    def __init__(self, view: View, excluded: NDArray[np.bool_], method: Lineariser, *, look: bool = True) -> None:
        self._view, self._excluded, self._method, self._looks = view, excluded, method, look
        self._anchors: OrderedDict[Key, Anchor] = OrderedDict()
        self._most = max(4, _KEPT_PIXELS // view.picture.size)
        self._span = 2**30
        self.units = np.array([GRID, GRID, GRID / radius(view.picture.shape)])
        self._key = (0, 0, 0)
        self.home = self._anchor(self._key)
        self.channels = self.home.linearisation.channels
        self.centres = self.home.linearisation.centres(self.home.levers)
        self.response = np.array([c.response for c in self.channels])
        self.precision = np.zeros_like(self.home.linearisation.precision)
        self.count = 0
        self.places: set[Key] = set()

    @property
    def turned(self) -> bool:
        """Whether the picture was read at an angle."""
        return any(turn for _, _, turn in self.places)

    @cached_property
    def _turnable(self) -> Turnable:
        return Turnable(self._view)

    def _nearest(self, place: NDArray[np.float64]) -> Key:
        x, y, turn = np.rint(place / self.units).astype(int).tolist()
        return x, y, turn

    def _anchor(self, key: Key) -> Anchor:
        found = self._anchors.get(key)
        if found is None:
            place = self.units * key
            if key[2]:
                view = self._turnable.seen_from(place, self._excluded)
            else:
                view = self._view.moved((float(place[0]), float(place[1])), self._excluded)
            found = Anchor(place, view, self._method, look=self._looks)
            self._anchors[key] = found
            while len(self._anchors) > self._most:
                self._anchors.popitem(last=False)
        self._anchors.move_to_end(key)
        return found

    def read(self, luma: Luma) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Follow the picture through the next frames.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]

        Returns
        -------
        displacement : ndarray [shape=(frames, channels), float64, px]
            NaN for a frame in which the picture wasn't found.
        place : ndarray [shape=(frames, 3), float64, px, px and radians]
            Displacement of the whole picture, and by how much it is turned about its middle before, likewise.
        covered : ndarray [shape=(frames,), float64]
            Share of the picture that shows something else; 1 for a frame that was left out for it.
        """
        displacement = np.full((len(luma), len(self.channels)), np.nan)
        place = np.full((len(luma), 3), np.nan)
        covered = np.zeros(len(luma))
        first = 0
        while first < len(luma):
            anchor = self._anchor(self._key)
            part = luma[first : first + self._span]
            readings = anchor.read(part)
            steady = len(part) if readings.near.all() else int(np.argmin(readings.near))
            own = slice(first, first + steady)
            displacement[own], place[own] = self._finished(anchor, readings.some(slice(steady)))
            covered[own] = readings.covered[:steady]
            first += steady
            if steady == len(part):
                self._span = min(2 * self._span, 2**30)
                continue
            own = slice(first, first + _AT_ONCE)
            start = anchor.place if first == 0 else place[first - 1]
            start = start if np.isfinite(start).all() else anchor.place
            displacement[own], place[own], covered[own] = self._sought(luma[own], start)
            first += len(luma[own])
            self._span = 2 * _AT_ONCE
            known = place[own][np.isfinite(place[own, 0])]
            if len(known):
                self._key = self._nearest(known[len(known) // 2 :].mean(axis=0))
        return displacement, place, covered

    def _sought(
        self, luma: Luma, start: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Find each frame's place by Newton's steps, and read it around the nearest point of the grid."""
        displacement = np.full((len(luma), len(self.channels)), np.nan)
        place = np.full((len(luma), 3), np.nan)
        covered = np.zeros(len(luma))
        guess = np.tile(start, (len(luma), 1))
        open_ = np.arange(len(luma))
        strange = self._anchor(self._nearest(start)).read(luma).covered > _STRANGE
        for _ in range(_ROUNDS):
            keys = [self._nearest(guess[k]) for k in open_]
            left = []
            for key in sorted(set(keys)):
                own = open_[[k == key for k in keys]]
                anchor = self._anchor(key)
                readings = anchor.read(luma[own])
                near = readings.near
                displacement[own[near]], place[own[near]] = self._finished(anchor, readings.some(near))
                covered[own[near]] = readings.covered[near]
                step = np.clip(readings.place / self.units * GRID, -_STRIDE, _STRIDE)
                step[np.abs(step[:, :2]).max(axis=1) > _TURN_NEAR, 2] = 0
                guess[own] = anchor.place + step * self.units / GRID
                left.append(own[~near])
            open_ = np.sort(np.concatenate(left))
            if not len(open_):
                break
        covered[open_] = strange[open_]  # found nowhere
        return displacement, place, covered

    def _finished(self, anchor: Anchor, readings: Readings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement and place from readings near an anchor."""
        if not len(readings.raw):
            return readings.raw, readings.place
        linear = anchor.linearisation
        straight = anchor.straightened(readings)
        response = np.array([c.response for c in linear.channels])
        displacement = np.empty_like(straight)
        shift = anchor.place[:2] + turned_by(anchor.place[2], self.centres)
        for half in {c.half for c in self.channels}:  # the halves stay apart
            own = [k for k, c in enumerate(self.channels) if c.half == half]
            common = straight[:, own] @ anchor.rigid(own).T
            explained = common[:, :2] @ response[own].T + common[:, 2:] * anchor.levers[own]
            rest = np.where(anchor.informed[own], straight[:, own] - explained, 0)
            moved = common[:, :2] @ self.response[own].T + common[:, 2:] * anchor.levers[own]
            displacement[:, own] = np.sum(self.response * shift, axis=1)[own] + moved + rest
        self.precision += len(straight) * linear.precision
        self.count += len(straight)
        self.places.add(self._nearest(anchor.place))
        beyond = straight @ anchor.rigid(range(len(self.channels))).T
        wild = ~(np.abs(beyond[:, :2]).max(axis=1) < _STRIDE)  # a damaged frame, whose higher orders run away
        displacement[wild] = beyond[wild] = np.nan
        return displacement, anchor.place + beyond


def radius(shape: tuple[int, ...]) -> float:
    """From the middle of a picture to its corners, px."""
    return math.hypot(*shape) / 2


def _powers(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The powers from 0 to the highest that the series has."""
    powers = [np.ones_like(values)]
    for _ in range(_HIGHEST):
        powers.append(powers[-1] * values)
    return powers


def _light(view: View) -> Part | None:
    """Reads a frame's contrast relative to the view; None where noise hides it.

    Its error times the distance from the anchor adds to the displacement's noise: little, for slopes are less than
    contrast. A flicker that isn't undone would turn the camera's own motion into sound.
    """
    cols, error = slice(None), np.inf
    for step in (2 * _LIGHT_STEP, _LIGHT_STEP) if view.picture.size > _LIGHT_PIXELS else (_LIGHT_STEP,):
        rows = slice(None, None, step)
        picture, known = view.picture[rows, cols], view.known[rows, cols]
        if not known.any():
            continue
        contrast = np.where(known, picture - picture[known].mean(), 0)
        energy = float(np.sum(contrast**2))
        noise = float(np.median(view.noise.variance(picture[known])))
        error = math.sqrt(noise / max(energy, 1e-9))
        if error < _LIGHT_SURE:
            break
    if error > _LIGHT_KNOWN:
        return None
    weights = (contrast / energy).ravel()[None].astype(np.float32)
    return Part(rows, cols, slice(0, 1), weights)
