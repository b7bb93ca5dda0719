"""The least-squares solution of every row as fixed linear functionals of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.errors import RegionError
from vmforensics.numerics.derivative import NOISE_GAIN
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics_rolling_shutter.motion.halves import CHANNELS

_ROWS_AT_ONCE = 64  # what is worked on stays in the processor's cache

_ROUGH_ROWS = 4  # at the top and the bottom: the slope across them is wrong by 2 to 30 %

DARKEST = 0.1
"""Of the template's brightness; a darker row's differences aren't scaled up any further."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSolver:
    """Reads motion off rows: one functional a channel, and one for the row's brightness.

    Parameters
    ----------
    functionals : ndarray [shape=(rows, channels + 1, cols), float32, px/DN]
        One a channel of `halves.CHANNELS`; the last gives the row's brightness relative to the template (1/DN).
    still : ndarray [shape=(rows, channels + 1), float64, px]
        What they read on the template.
    precision : ndarray [shape=(rows, channels, channels), float32, 1/px²]
        Inverse covariance of what they read.
    """

    functionals: NDArray[np.float32]
    still: NDArray[np.float64]
    precision: NDArray[np.float32]

    @classmethod
    def build(cls, template: MeanTemplate, half_of: NDArray[np.int64]) -> RowSolver:
        """Solve the weighted least squares of every row and half.

        Parameters
        ----------
        template
            What the rows are compared with.
        half_of : ndarray [shape=(cols,), int64]
            The half that each column belongs to.

        Raises
        ------
        RegionError
            No row has any texture.
        """
        rows, cols = template.mean.shape
        functionals = np.zeros((rows, len(CHANNELS) + 1, cols), dtype=np.float32)
        still = np.zeros((rows, len(CHANNELS) + 1))
        precision = np.zeros((rows, len(CHANNELS), len(CHANNELS)), dtype=np.float32)
        columns = [np.flatnonzero(half_of == half) for half in (0, 1)]
        for part in _parts(rows):
            mean = template.mean[part]
            usable = template.usable[part]
            weight = usable / template.noise.variance(mean)
            level = mean - mean.mean(axis=1, keepdims=True)
            design = np.stack([level, np.ones_like(mean), *(slope[part] for slope in template.slopes)], axis=1)
            solved = np.zeros((len(mean), len(CHANNELS) + 1, cols))
            solved[:, -1] = usable / np.maximum(np.sum(mean * usable, axis=1, keepdims=True), 1.0)
            for half, own in enumerate(columns):
                channel = slice(2 * half, 2 * half + 2)
                functional, known = _solve(design[:, :, own], weight[:, own], template.frames)
                solved[:, channel, own] = functional
                precision[part, channel, channel] = known
            functionals[part] = solved
            still[part] = np.einsum("rkc,rc->rk", functionals[part], mean, dtype=np.float64)
        if rows > 4 * _ROUGH_ROWS:
            for edge in (slice(None, _ROUGH_ROWS), slice(rows - _ROUGH_ROWS, None)):
                _forget_across(precision[edge])
        if not precision.any():
            raise RegionError("the region has no texture to measure motion on", hint="choose a region with detail")
        return cls(functionals, still, precision)

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Whether a row says anything about motion at all [shape=(rows,), bool]."""
        return np.asarray(np.trace(self.precision, axis1=1, axis2=2) > 0)

    def read(self, luma: Luma) -> NDArray[np.float32]:
        """Displacement of every row, to first order.

        Parameters
        ----------
        luma : ndarray [shape=(frames, rows, cols), uint8 or uint16, DN]

        Returns
        -------
        ndarray [shape=(frames, rows, channels), float32, px]
        """
        frames, rows, cols = luma.shape
        readings = np.empty((rows, len(CHANNELS) + 1, frames), dtype=np.float32)
        pixels = np.empty((min(rows, _ROWS_AT_ONCE), frames, cols), dtype=np.float32)
        for part in _parts(rows):
            own = pixels[: part.stop - part.start]
            own[...] = luma[:, part].transpose(1, 0, 2)
            np.matmul(self.functionals[part], own.transpose(0, 2, 1), out=readings[part])
        moved = readings[:, :-1] - self.still[:, :-1, None]
        # A brighter row shows the same motion in larger differences.
        moved /= np.maximum(1 + readings[:, -1:] - self.still[:, -1:, None], DARKEST)
        return np.ascontiguousarray(moved.transpose(2, 0, 1), dtype=np.float32)


def _forget_across(precision: NDArray[np.float32]) -> None:
    """Leave, in place, what rows know along themselves while nothing is known across them.

    Parameters
    ----------
    precision : ndarray [shape=(rows, channels, channels), float32, 1/px²]
    """
    for x in range(0, len(CHANNELS), 2):
        y = x + 1
        across = precision[:, y, y]
        precision[:, x, x] -= np.where(across > 0, precision[:, x, y] ** 2 / np.where(across > 0, across, 1), 0)
        precision[:, y] = precision[:, :, y] = 0.0


def _parts(rows: int) -> Iterator[slice]:
    for first in range(0, rows, _ROWS_AT_ONCE):
        yield slice(first, min(first + _ROWS_AT_ONCE, rows))


def _solve(
    design: NDArray[np.float64], weight: NDArray[np.float64], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Functionals for (dx, dy) with gain and offset projected out, and the inverse covariance of what they read.

    Parameters
    ----------
    design : ndarray [shape=(rows, 4, cols), float64]
        Level, one, and the slopes along and across the rows.
    weight : ndarray [shape=(rows, cols), float64, 1/DN²]
        0 for a pixel that is left out.
    frames
        How many frames the template is the mean of.

    Returns
    -------
    functionals : ndarray [shape=(rows, 2, cols), float64, px/DN]
    precision : ndarray [shape=(rows, 2, 2), float64, 1/px²]
    """
    weighted = design * weight[:, None]
    normal = weighted @ design.transpose(0, 2, 1)
    nuisance, mixed, slopes = normal[:, :2, :2], normal[:, :2, 2:], normal[:, 2:, 2:]
    size = np.maximum(np.trace(nuisance, axis1=1, axis2=2), 1e-30)  # of a row that is left out wholly
    ridge = 1e-9 * size[:, None, None] * np.eye(2)
    share = np.linalg.solve(nuisance + ridge, mixed).transpose(0, 2, 1)  # of gain and offset in the slopes
    information = slopes - share @ mixed
    # Noise of the template, as its derivative sees it: what the normal equations hold too much of.
    noise = NOISE_GAIN / frames * np.count_nonzero(weight, axis=1)[:, None]
    inverse = pseudo_inverse(information - noise[..., None] * np.eye(2), noise)
    covariance = inverse @ information @ inverse * (1 + 1 / frames)
    return -inverse @ (weighted[:, 2:] - share @ weighted[:, :2]), pseudo_inverse(covariance, 0.0)


def pseudo_inverse(matrices: NDArray[np.float64], floor: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Pseudo-inverse of symmetric 2×2 matrices on the directions whose eigenvalue is above 4·floor, and above 0.

    Parameters
    ----------
    matrices : ndarray [shape=(..., 2, 2), float64]
    floor : float or ndarray that broadcasts to [shape=(..., 2)]
        What noise alone feigns.
    """
    values, vectors = np.linalg.eigh(matrices)
    keep = (values > np.maximum(4 * floor, 1e-9 * values[..., -1:])) & (values > 0)
    inverse = np.where(keep, 1 / np.where(keep, values, 1.0), 0.0)
    return np.asarray((vectors * inverse[..., None, :]) @ np.swapaxes(vectors, -1, -2))
