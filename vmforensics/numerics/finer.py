"""A picture that can be read between its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REACH = 10  # px on either side that a value between two pixels is made of
_BETA = 7.0  # of the Kaiser window on the interpolating sinc
_ORDER = 5  # of the splines between the finer samples


class Finer:
    """A picture sampled twice as finely by a windowed sinc, with quintic splines between.

    Within 1e-3 up to 0.38 cycles/px; quintic splines through the pixels alone would be 8 % off there.
    Beyond an edge the picture goes on mirrored.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), DN]
    """

    def __init__(self, picture: NDArray[np.generic]) -> None:
        from scipy.ndimage import correlate1d, spline_filter

        fine = picture.astype(np.float32)
        for axis in (0, 1):
            between = correlate1d(fine, _TAPS, axis=axis, mode="mirror", origin=-1)
            fine = np.stack([fine, between], axis=axis + 1).reshape(
                [2 * n if k == axis else n for k, n in enumerate(fine.shape)]
            )
        self._splines = spline_filter(fine, order=_ORDER, output=np.float32, mode="mirror")

    def at(self, row: NDArray[np.float64], col: NDArray[np.float64]) -> NDArray[np.float64]:
        """The picture at some points [shape=row.shape, float64, DN]."""
        from scipy.ndimage import map_coordinates

        points = 2 * np.stack([row, col])
        return np.asarray(
            map_coordinates(self._splines, points, order=_ORDER, mode="mirror", prefilter=False, output=np.float64)
        )


def _half_pixel() -> NDArray[np.float32]:
    """Taps that read half a pixel beyond the one before the middle."""
    offset = np.arange(-_REACH, _REACH) + 0.5
    taps = np.sinc(offset) * np.i0(_BETA * np.sqrt(1 - (offset / _REACH) ** 2))
    return np.asarray(taps / taps.sum(), dtype=np.float32)


_TAPS = _half_pixel()
