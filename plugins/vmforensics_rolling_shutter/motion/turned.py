"""The scene behind a picture that turns as it drifts: each row stands by its own displacement and angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.finer import Finer
from vmforensics_rolling_shutter.motion.registered import Canvas

_MARGIN = 8  # px at the edge of what is known, where interpolation looks beyond it
_ROUNDS = 3  # of finding the row that shows a point of the scene; each gains two digits


def scene_points(
    place: NDArray[np.float64], rows: NDArray[np.float64], cols: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What points of the scene some pixels show.

    A point U of the scene stands in the picture at c + R(angle)·(U - c) + displacement, with the picture's middle c.

    Parameters
    ----------
    place : ndarray [shape=(n, 3), float64, px, px and radians]
        Displacement of each of the rows along and across, and its angle; positive turns x towards y.
    rows, cols : ndarray [shape=(n,) and (m,), float64, px]
    shape
        Rows and columns of the picture.

    Returns
    -------
    x, y : ndarray [shape=(n, m), float64, px]
    """
    middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    cos, sin = np.cos(place[:, 2:]), np.sin(place[:, 2:])
    along = cols - middle_x - place[:, :1]
    across = (rows - middle_y - place[:, 1])[:, None]
    return middle_x + cos * along + sin * across, middle_y - sin * along + cos * across


def canvas_around(rows: int, cols: int, places: NDArray[np.float64]) -> Canvas:
    """The canvas for a picture size and all its places [shape=(frames, rows, 3), px, px and radians]."""
    ends = np.array([0.0, cols - 1.0])
    x, y = (
        np.concatenate(one)
        for one in zip(
            *(scene_points(p, np.arange(rows, dtype=float), ends, (rows, cols)) for p in places), strict=True
        )
    )
    left, top = (int(np.ceil(-one.min())) + _MARGIN for one in (x, y))
    right, bottom = (int(np.ceil(one.max())) + _MARGIN + 1 for one in (x, y))
    return Canvas(top, left, top + bottom, left + right)


class TurnedMean:
    """Gathers frames into a picture of the scene, as `registered.RegisteredMean` does for a picture that only drifts.

    Parameters
    ----------
    canvas
        Where the scene is drawn.
    shape
        Rows and columns of the picture.
    """

    def __init__(self, canvas: Canvas, shape: tuple[int, int]) -> None:
        self._canvas, self._shape = canvas, shape
        self._total = np.zeros((canvas.rows, canvas.cols))
        self._count = np.zeros((canvas.rows, canvas.cols), dtype=np.float32)

    def add(self, luma: Luma, place: NDArray[np.float64], covered: NDArray[np.bool_] | None = None) -> None:
        """Add a frame.

        Parameters
        ----------
        luma : ndarray [shape=(rows, cols), uint8 or uint16, DN]
        place : ndarray [shape=(rows, 3), float64, px, px and radians]
            Displacement and angle of each row.
        covered : ndarray [shape=(rows, cols), bool] or None
            Pixels that show something else.
        """
        canvas = self._canvas
        shape = self._shape
        middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
        along = np.arange(canvas.cols) - canvas.left - middle_x
        across = (np.arange(canvas.rows) - canvas.top - middle_y)[:, None]
        now = place[shape[0] // 2]
        row = middle_y + now[1] + np.sin(now[2]) * along + np.cos(now[2]) * across
        step = np.diff(place, axis=0, append=place[-1:])
        for _ in range(_ROUNDS):
            whole = np.clip(row.astype(np.int64), 0, shape[0] - 1)
            x, y, angle = np.moveaxis(place[whole] + step[whole] * (row - whole)[..., None], -1, 0)
            sin, cos = np.sin(angle), np.cos(angle)
            row = middle_y + y + sin * along + cos * across
        col = middle_x + x + cos * along - sin * across
        inside = (row >= _MARGIN) & (row <= shape[0] - 1 - _MARGIN) & (col >= _MARGIN) & (col <= shape[1] - 1 - _MARGIN)
        row, col = row[inside], col[inside]
        shown = np.ones(len(row), dtype=bool)
        if covered is not None:
            shown = ~covered[np.rint(row).astype(np.int64), np.rint(col).astype(np.int64)]
        self._total[inside] += np.where(shown, Finer(luma).at(row, col), 0)
        self._count[inside] += shown

    def finished(self) -> TurnedScene:
        """The mean of what was added."""
        from scipy.ndimage import binary_erosion, distance_transform_edt

        enough = self._count >= max(3.0, 0.3 * float(self._count.max(initial=0.0)))
        mean = self._total / np.maximum(self._count, 1)
        if enough.any() and not enough.all():
            nearest = distance_transform_edt(~enough, return_distances=False, return_indices=True)
            mean = mean[tuple(nearest)]
        known = np.asarray(binary_erosion(enough, np.ones((2 * _MARGIN + 1,) * 2)))
        frames = float(np.median(self._count[enough])) if enough.any() else 0.0
        return TurnedScene(self._canvas, self._shape, Finer(mean), Finer(derivative(mean, axis=0)), known, frames)


@dataclass(frozen=True, slots=True, eq=False)
class TurnedScene:
    """A picture of the scene that can be looked at from any place at any angle.

    Parameters
    ----------
    canvas
        Where it is drawn.
    shape
        Rows and columns of the picture that looks at it.
    picture, slope : Finer
        It, and its derivative down the canvas.
    known : ndarray [shape=(canvas rows, canvas cols), bool]
        Where it is known well.
    frames : float
        How many frames a pixel is typically the mean of.
    """

    canvas: Canvas
    shape: tuple[int, int]
    picture: Finer
    slope: Finer
    known: NDArray[np.bool_]
    frames: float

    def seen_from(
        self, place: NDArray[np.float64], rows: slice, cols: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What some rows of the picture show; see `registered.Scene.seen_from`.

        Parameters
        ----------
        place : ndarray [shape=(n, 3), float64, px, px and radians]
            Displacement and angle of each of the rows.
        rows
            The rows, as counted in the picture.
        cols
            Length of a row.
        """
        x, y = scene_points(place, np.arange(rows.start, rows.stop, dtype=float), np.arange(float(cols)), self.shape)
        x, y = x + self.canvas.left, y + self.canvas.top
        view, down = self.picture.at(y, x), self.slope.at(y, x)
        along = derivative(view, axis=1)
        sin, cos = np.sin(place[:, 2:]), np.cos(place[:, 2:])
        across = (sin * along + down) / cos  # sin·S_x + cos·S_y, with S_x = (along + sin·S_y) / cos
        nearest = tuple(
            np.clip(np.rint(v).astype(np.int64), 0, n - 1) for v, n in zip((y, x), self.known.shape, strict=True)
        )
        return np.stack([view, along, across]).astype(np.float32), np.asarray(self.known[nearest])
