"""Weighted least squares of a drifting picture's rows against the scene, as seen from where each row stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.numerics.noise import NoiseModel
from vmforensics_rolling_shutter.motion.covered import CellTest, hides, in_pixels, with_those_beside
from vmforensics_rolling_shutter.motion.halves import CHANNELS
from vmforensics_rolling_shutter.motion.registered import Looked
from vmforensics_rolling_shutter.motion.row_solver import DARKEST, pseudo_inverse

ONE_WAY = 0.02
"""Share of the information in the clearer direction, below which motion in the other isn't believed."""

_NOISE_STEP = 7  # every how-manieth pixel of a row the noise is measured on
_SLOPE_NOISE = np.pi**2 / 3  # variance of the derivative of white noise of variance 1
_SURE = 0.05  # px; a quarter that is known less well has no say
_ROWS_AT_ONCE = 64
_GROUP = 8  # neighbouring rows whose motion counts as one towards the path


@dataclass(frozen=True, slots=True, eq=False)
class FrameFit:
    """The normal equations of a frame's rows, for each half of the left and the right side of the picture.

    Parameters
    ----------
    normal : ndarray [shape=(rows, 2, 2, 4, 4), float64]
        By row, side and half: of the picture, one, its slopes along and across the rows.
    moment : ndarray [shape=(rows, 2, 2, 4), float64]
    pixels : ndarray [shape=(rows, 2, 2), int64]
        How many went into each.
    covered : ndarray [shape=(cell rows, cell cols), bool]
        Cells (`covered.CellTest`) that show something else; they and those beside them took no part.
    """

    normal: NDArray[np.float64]
    moment: NDArray[np.float64]
    pixels: NDArray[np.int64]
    covered: NDArray[np.bool_]

    def _projected(
        self, normal: NDArray[np.float64], moment: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Information on (dx, dy) and its moments, with gain and offset projected out."""
        nuisance, mixed = normal[..., :2, :2], normal[..., :2, 2:]
        trace = np.trace(nuisance, axis1=-2, axis2=-1)[..., None, None]
        share = np.linalg.solve(nuisance + (1e-9 * trace + 1e-12) * np.eye(2), mixed)
        share = np.swapaxes(share, -1, -2)
        information = normal[..., 2:, 2:] - share @ mixed
        return information, -(moment[..., 2:] - (share @ moment[..., :2, None])[..., 0])

    def whole(self) -> NDArray[np.float64]:
        """Motion of the whole frame [shape=(2,), float64, px]."""
        information, moment = self._projected(self.normal.sum(axis=(1, 2)), self.moment.sum(axis=(1, 2)))
        return _solved(information.sum(axis=0), moment.sum(axis=0))

    def groups(self, places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where groups of neighbouring rows stand (px), and the information about it (1/px²).

        `places` [shape=(rows, 2), px] is where they were looked for.
        """
        normal = self._projected(self.normal.sum(axis=(1, 2)), self.moment.sum(axis=(1, 2)))
        moved, known = motion_of_groups(*normal)
        return mean_of_groups(places) + moved, known

    def information(self) -> NDArray[np.float64]:
        """About the motion of the whole frame [shape=(2, 2), float64, 1/px²]."""
        known, _ = self._projected(self.normal.sum(axis=(1, 2)), self.moment.sum(axis=(1, 2)))
        return np.asarray(known.sum(axis=0))

    def sides(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Information on (dx, dy) of each row's left and right side [shape=(rows, 2, 2, 2)], and its moments."""
        return self._projected(self.normal.sum(axis=2), self.moment.sum(axis=2))

    def quarters_apart(self) -> float:
        """Largest distance (px) of a quarter of the picture from the whole, among those that are well known."""
        whole = self.whole()
        information, moment = self.sides()
        largest = 0.0
        for part in np.array_split(np.arange(len(information)), 2):
            for side in (0, 1):
                known, moved = information[part, side].sum(axis=0), moment[part, side].sum(axis=0)
                values, vectors = np.linalg.eigh(known)
                apart = vectors.T @ (pseudo_inverse(known, 0.0) @ moved - whole)
                largest = max(largest, float(np.abs(apart[values > 1 / _SURE**2]).max(initial=0.0)))
        return largest

    def halves(self, frames: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement of each row in each half, and its precision.

        Parameters
        ----------
        frames
            How many frames the scene is the mean of.

        Returns
        -------
        displacement : ndarray [shape=(rows, channels), float64, px]
        precision : ndarray [shape=(rows, channels, channels), float64, 1/px²]
        """
        rows = len(self.normal)
        displacement, precision = np.zeros((rows, len(CHANNELS))), np.zeros((rows, len(CHANNELS), len(CHANNELS)))
        information, moment = self._projected(self.normal.sum(axis=1), self.moment.sum(axis=1))
        floor = _SLOPE_NOISE / max(frames, 1.0) * self.pixels.sum(axis=1)
        inverse = pseudo_inverse(information - floor[..., None, None] * np.eye(2), floor[..., None])
        covariance = inverse @ information @ inverse * (1 + 1 / max(frames, 1.0))
        known = pseudo_inverse(covariance, 0.0)
        # A brighter row shows the same motion in larger differences.
        level = self.normal[..., 0, 1].sum(axis=(1, 2))
        light = 1 + self.moment[..., 1].sum(axis=(1, 2)) / np.where(level > 0, level, 1.0)
        brightness = np.maximum(light, DARKEST)[:, None]
        for half in (0, 1):
            channel = slice(2 * half, 2 * half + 2)
            displacement[:, channel] = (inverse[:, half] @ moment[:, half, :, None])[..., 0] / brightness
            precision[:, channel, channel] = known[:, half]
        return displacement, precision


class RowFit:
    """Weighted least squares of rows against the scene as seen from a place.

    Parameters
    ----------
    scene
        What the rows are compared with.
    half_of : ndarray [shape=(cols,), int64]
        The half that each column belongs to.
    noise
        Of a pixel.
    full_scale : DN
        Largest code of the pixel format.
    settled
        Whether the places are known well. Then less tells a cover, and a frame that is mostly covered is left out; else
        it takes part as it is.
    """

    def __init__(
        self, scene: Looked, half_of: NDArray[np.int64], noise: NoiseModel, full_scale: int, *, settled: bool = True
    ) -> None:
        self.scene = scene
        self._noise, self._settled = noise, settled
        self._cells = CellTest(noise, full_scale, settled)
        side = (np.arange(len(half_of)) >= len(half_of) // 2).astype(np.int64)
        self._columns = [[np.flatnonzero((side == s) & (half_of == h)) for h in (0, 1)] for s in (0, 1)]

    def frame(self, luma: Luma, place: NDArray[np.float64], sample: NoiseSample | None) -> FrameFit:
        """The normal equations of a frame's rows [shape=(rows, cols), DN] at their places [shape=(rows, 2 or 3)]."""
        rows, cols = luma.shape
        normal, moment = np.zeros((rows, 2, 2, 4, 4)), np.zeros((rows, 2, 2, 4))
        pixels = np.zeros((rows, 2, 2), dtype=np.int64)
        parts = [slice(first, min(first + _ROWS_AT_ONCE, rows)) for first in range(0, rows, _ROWS_AT_ONCE)]
        seen = [self.scene.seen_from(place[part], part, cols) for part in parts]
        covered = np.concatenate(
            [
                self._cells.covered(luma[part] - views[0], views[0], known)
                for part, (views, known) in zip(parts, seen, strict=True)
            ]
        )
        shown = ~in_pixels(with_those_beside(covered), rows, cols)
        if self._settled and hides(covered):
            shown[:] = False
        for part, (views, certain) in zip(parts, seen, strict=True):
            known = certain & shown[part]
            picture = views[0].astype(np.float64)
            weight = known / self._noise.variance(picture)
            beyond = luma[part] - picture
            design = np.stack([picture, np.ones_like(picture), views[1], views[2], beyond], axis=1)
            for side in (0, 1):
                for half in (0, 1):
                    own = self._columns[side][half]
                    mine = design[:, :, own]
                    product = (mine[:, :4] * weight[:, None, own]) @ mine.transpose(0, 2, 1)
                    normal[part, side, half], moment[part, side, half] = product[..., :4], product[..., 4]
                    pixels[part, side, half] = known[:, own].sum(axis=1)
            if sample is not None:
                sample.add(design, known, normal[part].sum(axis=(1, 2)), moment[part].sum(axis=(1, 2)))
        return FrameFit(normal, moment, pixels, covered)


class NoiseSample:
    """What is left of pixels after their row was fitted."""

    def __init__(self) -> None:
        self._taken: list[NDArray[np.float64]] = []

    def add(
        self,
        design: NDArray[np.float64],
        known: NDArray[np.bool_],
        normal: NDArray[np.float64],
        moment: NDArray[np.float64],
    ) -> None:
        """Take some rows' residuals."""
        normal = normal + 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4) + 1e-12 * np.eye(4)
        fitted = np.linalg.solve(normal, moment[..., None])
        left = design[:, 4] - (design[:, :4] * fitted).sum(axis=1)
        keep = known.copy()
        keep[:, np.arange(keep.shape[1]) % _NOISE_STEP != 0] = False
        picture, _, along, down = (design[:, k][keep] for k in range(4))
        self._taken.append(np.stack([picture, along, down, left[keep] ** 2]))

    def model(self) -> NoiseModel:
        """The noise model fitted to them."""
        level, x, y, squares = np.concatenate(self._taken, axis=1)[:, :, None]
        return NoiseModel.fitted(level, (x, y), squares)


def _solved(information: NDArray[np.float64], moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacements from normal equations [shape=(..., 2, 2) and (..., 2)]."""
    # Along an edge nothing is known, and nothing is to be believed.
    floor = ONE_WAY / 4 * np.trace(information, axis1=-2, axis2=-1)[..., None]
    return np.asarray((pseudo_inverse(information, floor) @ moment[..., None])[..., 0])


def mean_of_groups(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each group of neighbouring rows [shape=(rows, ...)]."""
    first = np.arange(0, len(rows), _GROUP)
    size = np.diff(np.append(first, len(rows)))
    return np.asarray((np.add.reduceat(rows, first).T / size).T)


def motion_of_groups(
    information: NDArray[np.float64], moment: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Motion of each group of neighbouring rows (px), and the information about it (1/px²), by least squares.

    Parameters
    ----------
    information, moment : ndarray [shape=(rows, 2, 2) and (rows, 2), float64]
        Normal equations of each row.
    """
    first = np.arange(0, len(moment), _GROUP)
    information, moment = np.add.reduceat(information, first), np.add.reduceat(moment, first)
    return _solved(information, moment), np.trace(information, axis1=1, axis2=2) / 2
