"""The scene behind a drifting picture: the mean of the frames, each row put where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma

_REACH = 8  # rows on either side that an interpolated one is made of
_BETA = 6.0  # of the Kaiser window on the interpolating sinc: within 2e-3 up to 0.38 cycles/px
_MARGIN = 6  # px at the ends of a row, where interpolation looks beyond it
_ROWS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A rectangle of the scene that holds every place of the picture.

    Scene and picture coordinates agree where the picture stands at displacement 0.

    Parameters
    ----------
    top, left : int, px
        Row and column of the canvas at which the undisplaced picture begins.
    rows, cols : int, px
        Its size; `cols` suits the fast Fourier transform.
    """

    top: int
    left: int
    rows: int
    cols: int

    @classmethod
    def around(cls, rows: int, cols: int, places: NDArray[np.float64]) -> Canvas:
        """The canvas for a picture size and all its places [shape=(..., 2), float64, px]."""
        from scipy.fft import next_fast_len

        flat = places.reshape(-1, 2)
        (right, down), (left, up) = np.ceil(flat.max(axis=0)).astype(int), np.floor(flat.min(axis=0)).astype(int)
        pad = _REACH + 2
        wide = next_fast_len(int(cols + right - left + 4 * pad), real=True)
        return cls(int(down) + pad, int(right) + 2 * pad, int(rows + down - up + 2 * pad), wide)


class RegisteredMean:
    """Gathers frames into a picture of the scene.

    Along a row, shifts are phase ramps on its spectrum; across rows, a windowed sinc that knows each row's place.

    Parameters
    ----------
    canvas
        Where the scene is drawn.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._total = np.zeros((canvas.rows, canvas.cols))
        self._count = np.zeros((canvas.rows, canvas.cols), dtype=np.float32)

    def add(self, luma: Luma, place: NDArray[np.float64], covered: NDArray[np.bool_] | None = None) -> None:
        """Add a frame.

        Parameters
        ----------
        luma : ndarray [shape=(rows, cols), uint8 or uint16, DN]
        place : ndarray [shape=(rows, 2), float64, px]
            Displacement of each row.
        covered : ndarray [shape=(rows, cols), bool] or None
            Pixels that show something else.
        """
        from scipy.fft import irfft, rfft

        canvas = self._canvas
        rows, cols = luma.shape
        x, y = place.T
        first, last = luma[:, :1].astype(np.float32), luma[:, -1:].astype(np.float32)
        rise = (last - first) / (cols - 1)  # a row less the line between its ends has no jump at its ends
        padded = np.zeros((rows, canvas.cols), dtype=np.float32)
        padded[:, canvas.left : canvas.left + cols] = luma - (first + rise * np.arange(cols, dtype=np.float32))
        shifted = irfft(rfft(padded) * ramp(-x, canvas.cols), canvas.cols)
        across = np.arange(canvas.cols) - canvas.left + x[:, None]  # picture column at each canvas column
        shifted += first + rise * across
        within = (across >= _MARGIN) & (across <= cols - 1 - _MARGIN)
        if covered is not None:
            column = np.clip(np.rint(across).astype(np.intp), 0, cols - 1)
            within &= ~np.take_along_axis(covered, column, axis=1)
        inside = within.astype(np.float32)
        shifted *= inside
        stands = canvas.top + np.arange(rows) - y  # canvas row of each picture row
        for part in _parts(canvas.rows):
            wanted = np.arange(part.start, part.stop, dtype=np.float64)
            near = np.flatnonzero((stands > wanted[0] - _REACH) & (stands < wanted[-1] + _REACH))
            if not len(near):
                continue
            kernel = sinc(wanted[:, None] - stands[None, near])
            norm = kernel.sum(axis=1, keepdims=True)
            complete = (wanted >= stands[0] + _REACH - 1) & (wanted <= stands[-1] - _REACH + 1)
            kernel = (kernel / np.where(complete[:, None], norm, 1.0) * complete[:, None]).astype(np.float32)
            own = slice(int(near[0]), int(near[-1]) + 1)
            seen = (kernel @ inside[own]) > 0.999
            self._total[part] += np.where(seen, kernel @ shifted[own], 0)
            self._count[part] += seen

    def finished(self) -> Scene:
        """The mean of what was added."""
        from scipy.fft import rfft

        canvas = self._canvas
        enough = self._count >= max(3.0, 0.3 * float(self._count.max(initial=0.0)))
        mean = self._total / np.maximum(self._count, 1)
        columns = np.arange(canvas.cols)
        known = np.flatnonzero(enough.any(axis=1))
        begin, end = np.zeros(canvas.rows, dtype=np.int64), np.zeros(canvas.rows, dtype=np.int64)
        for row in known:
            own = np.flatnonzero(enough[row])
            begin[row], end[row] = own[0], own[-1] + 1
            mean[row] = np.interp(columns, own, mean[row, own], period=canvas.cols)
        if len(known):
            mean[: known[0]], mean[known[-1] + 1 :] = mean[known[0]], mean[known[-1]]
        frames = float(np.median(self._count[enough])) if enough.any() else 0.0
        return Scene(canvas, rfft(mean.astype(np.float32)), begin, end, frames)


class Looked(Protocol):
    """A scene that can be looked at from the places where a picture's rows stood."""

    @property
    def frames(self) -> float:
        """How many frames a pixel is typically the mean of."""

    def seen_from(
        self, place: NDArray[np.float64], rows: slice, cols: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What some rows show from a place; see `Scene.seen_from`."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture of the scene that can be looked at from any place.

    Parameters
    ----------
    canvas
        Where it is drawn.
    spectra : ndarray [shape=(canvas rows, canvas cols // 2 + 1), complex64, DN]
        Fourier transform of each row.
    begin, end : ndarray [shape=(canvas rows,), int64]
        First column of each row that is known, and the one after the last; equal where none is.
    frames : float
        How many frames a pixel is typically the mean of.
    """

    canvas: Canvas
    spectra: NDArray[np.complex64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    frames: float

    def seen_from(
        self, place: NDArray[np.float64], rows: slice, cols: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What some rows of the picture show from a place.

        Parameters
        ----------
        place : ndarray [shape=(n, 2), float64, px]
            Displacement of each of the rows.
        rows
            The rows, as counted in the picture.
        cols
            Length of a row.

        Returns
        -------
        views : ndarray [shape=(3, n, cols), float32, DN and DN/px]
            The rows, and their derivatives along x and y.
        known : ndarray [shape=(n, cols), bool]
            What of them the scene knows well.
        """
        from scipy.fft import irfft

        canvas = self.canvas
        x, y = place.T
        stands = canvas.top + np.arange(rows.start, rows.stop) - y
        low = max(0, int(np.floor(stands.min())) - _REACH + 1)
        high = min(canvas.rows, int(np.ceil(stands.max())) + _REACH)
        offset = stands[:, None] - np.arange(low, high)
        kernel = np.concatenate([sinc(offset), sinc_slope(offset)]).astype(np.float32)
        near = self.spectra[low:high]
        mixed = (kernel @ near.view(np.float32)).view(np.complex64).reshape(2, len(stands), -1)
        mixed = mixed * ramp(x, canvas.cols)
        turn = np.arange(mixed.shape[2]) * np.complex64(2j * np.pi / canvas.cols)
        if canvas.cols % 2 == 0:
            turn[-1] = 0
        views = irfft(np.stack([mixed[0], mixed[0] * turn, mixed[1]]), canvas.cols)
        views = views[:, :, canvas.left : canvas.left + cols]
        nearest = np.clip(np.rint(stands).astype(np.int64), 0, canvas.rows - 1)
        column = canvas.left + np.arange(cols) - x[:, None]
        known = column >= self.begin[nearest, None] + _MARGIN
        known &= column < self.end[nearest, None] - _MARGIN
        reach = np.clip(nearest[:, None] + np.array([-_REACH, _REACH]), 0, canvas.rows - 1)
        known &= (self.end[reach] > self.begin[reach]).all(axis=1)[:, None]
        return views, known


def ramp(shift: NDArray[np.float64], size: int) -> NDArray[np.complex64]:
    """Factor on the spectra of rows of `size` px that moves them to the right by some shifts (px).

    As the product of a coarse and a fine ramp, which spares most exponentials.

    Returns
    -------
    ndarray [shape=(n, size // 2 + 1), complex64]
    """
    count = size // 2 + 1
    step = int(np.ceil(np.sqrt(count)))
    turn = -2j * np.pi / size * shift[:, None]
    coarse, fine = (np.exp(turn * (stride * np.arange(step))).astype(np.complex64) for stride in (step, 1))
    return np.asarray((coarse[:, :, None] * fine[:, None, :]).reshape(len(shift), -1)[:, :count])


def sinc(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolating sinc under a Kaiser window that ends at `_REACH` px."""
    return np.asarray(np.sinc(offset) * _window(offset))


def sinc_slope(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative of `sinc`, by a central difference that is exact to 1e-6."""
    step = 1e-3
    return np.asarray((sinc(offset + step) - sinc(offset - step)) / (2 * step))


def _window(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import i0

    inside = 1 - (offset / _REACH) ** 2
    return np.where(inside > 0, i0(_BETA * np.sqrt(np.maximum(inside, 0))) / i0(_BETA), 0.0)


def _parts(rows: int) -> Iterator[slice]:
    for first in range(0, rows, _ROWS_AT_ONCE):
        yield slice(first, min(first + _ROWS_AT_ONCE, rows))
