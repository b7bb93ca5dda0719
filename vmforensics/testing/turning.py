"""Pictures that can be turned as well as moved, each row by its own angle."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vmforensics.testing.scene import BAND_LIMIT

_FINER = 2  # samples a pixel: there a quintic spline is within 3e-4 at the band limit, and 5e-5 where a scene has power
_ORDER = 5
_TOLERANCE = 1e-5  # largest term left out of the series, relative to the scene's peak


class TurningScene:
    """Renders a canvas row by row, each row turned and moved by its own amounts.

    The canvas is band-limited: it is sampled more finely by its spectrum, and between those samples by splines. Motion
    during the exposure enters as in `MovingScene`, along an axis that turns with the scene.

    Parameters
    ----------
    canvas : ndarray [shape=(canvas rows, canvas cols), float64]
        One period of the scene, band-limited to `BAND_LIMIT`, in readout order.
    rows, cols : int, px
        Size of the frame, cut from the middle of the canvas.
    axis : (float, float)
        Unit vector of the vibration along the sensor row (x) and across rows (y).
    deviation : float, px
        Bound of the displacement's deviation from its mean during an exposure.
    """

    def __init__(
        self, canvas: NDArray[np.float64], rows: int, cols: int, *, axis: tuple[float, float], deviation: float
    ) -> None:
        from scipy.ndimage import spline_filter

        self._rows, self._cols = rows, cols
        self._top, self._left = (canvas.shape[0] - rows) // 2, (canvas.shape[1] - cols) // 2
        kappa = 2 * np.pi * BAND_LIMIT
        self._powers = [p for p in range(60) if p != 1 and (kappa * deviation) ** p / math.factorial(p) >= _TOLERANCE]
        self.moments = max(self._powers)
        spectrum = np.fft.fft2(canvas)
        ky = 2j * np.pi * np.fft.fftfreq(canvas.shape[0])[:, None]
        kx = 2j * np.pi * np.fft.fftfreq(canvas.shape[1])[None, :]
        along = axis[0] * kx + axis[1] * ky
        self._splines = [
            spline_filter(_finer(spectrum * (-along) ** p / math.factorial(p)), order=_ORDER, mode="grid-wrap")
            for p in self._powers
        ]

    def render(
        self, x: NDArray[np.float64], y: NDArray[np.float64], turn: NDArray[np.float64], moments: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Render frames.

        Parameters
        ----------
        x, y : ndarray [shape=(frames, rows or 1), float64, px]
            Displacement along and across the rows, averaged over the exposure.
        turn : ndarray [shape=(frames, rows or 1), float64, radians]
            About the middle of the frame, before it is displaced; positive turns x towards y.
        moments : ndarray [shape=(moments + 1, frames, rows or 1), float64, px**p]
            Central moments of the displacement along the axis during the exposure; the first two aren't used.

        Returns
        -------
        ndarray [shape=(frames, rows, cols), float32]
            In the canvas's unit.
        """
        from scipy.ndimage import map_coordinates

        picture = np.zeros((len(x), self._rows, self._cols), np.float32)
        middle_x, middle_y = (self._cols - 1) / 2, (self._rows - 1) / 2
        for frame in range(len(x)):
            along = np.arange(self._cols) - middle_x - x[frame, :, None]
            across = np.arange(self._rows)[:, None] - middle_y - y[frame, :, None]
            cos, sin = np.cos(turn[frame, :, None]), np.sin(turn[frame, :, None])
            source = np.stack(
                [
                    self._top + middle_y - sin * along + cos * across,
                    self._left + middle_x + cos * along + sin * across,
                ]
            )
            for p, spline in zip(self._powers, self._splines, strict=True):
                weight = moments[p, frame, :, None] if p else 1.0
                picture[frame] += weight * map_coordinates(
                    spline, _FINER * source, order=_ORDER, mode="grid-wrap", prefilter=False
                )
        return picture


def _finer(spectrum: NDArray[np.complex128]) -> NDArray[np.float64]:
    """The picture of a spectrum, sampled more finely."""
    for axis in (0, 1):
        size = spectrum.shape[axis]
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, (_FINER - 1) * size)
        whole = np.moveaxis(np.pad(spectrum, pad), axis, 0)
        high = whole[(size + 1) // 2 : size].copy()
        whole[(size + 1) // 2 : size] = 0
        whole[_FINER * size - len(high) :] = high
        spectrum = np.moveaxis(whole, 0, axis)
    return np.asarray(np.fft.ifft2(spectrum).real * _FINER**2)
