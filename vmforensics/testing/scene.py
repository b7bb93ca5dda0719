"""Pictures that can be moved by any fraction of a pixel, exactly.

A scene is periodic and band-limited to `BAND_LIMIT`, so its samples define it everywhere (Shannon 1949,
doi:10.1109/JRPROC.1949.232969): there is a true value between the pixels, and moving the picture needs no guess.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import ParameterError

BAND_LIMIT = 0.4
"""Highest spatial frequency of any scene, in cycles per pixel, in every direction (Nyquist is 0.5)."""

_TAPER = 0.32  # cycles per pixel, where the roll-off to BAND_LIMIT begins: a lens and its anti-alias filter
_TOLERANCE = 1e-5  # largest term left out of the series, relative to the scene's peak

Texture = Callable[[int, int, np.random.Generator], NDArray[np.float64]]

PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "moon",
    "page",
    "rocket",
    "text",
)
"""Photographs that come inside scikit-image and need no download."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What the camera looks at.

    Parameters
    ----------
    name : str
        Its name in reports.
    texture : callable
        Makes the picture: (height, width, generator) → ndarray [shape=(height, width), float64], any scale.
    """

    name: str
    texture: Texture

    @classmethod
    def named(cls, name: str) -> Scene:
        """Find a built-in scene: one of `SCENES`, or of `PHOTOGRAPHS`.

        Raises
        ------
        ParameterError
            There is none of that name.
        """
        if name in SCENES:
            return cls(name, SCENES[name])
        if name in PHOTOGRAPHS:
            return cls(name, lambda height, width, _: _photograph(name, height, width))
        raise ParameterError(f"unknown scene {name!r}", hint="one of: " + ", ".join((*SCENES, *PHOTOGRAPHS)))

    @classmethod
    def of(cls, picture: NDArray[np.generic], name: str = "picture") -> Scene:
        """Make a scene of a picture [shape=(rows, cols)], enlarged or reduced to cover the frame.

        Raises
        ------
        ParameterError
            The picture has not two axes, or holds values that aren't finite.
        """
        values = np.asarray(picture, dtype=np.float64)
        if values.ndim != 2 or values.size == 0 or not np.all(np.isfinite(values)):
            raise ParameterError(f"scene {name!r}: shape {values.shape}; it must be a finite picture of rows and cols")
        return cls(name, lambda height, width, _: _cover(values, height, width))

    def canvas(self, height: int, width: int, generator: np.random.Generator) -> NDArray[np.float64]:
        """One period of the scene.

        Returns
        -------
        ndarray [shape=(height, width), float64]
            Mean 0 and largest magnitude 1 (all 0 for a scene without texture), periodic, band-limited.
        """
        spectrum = np.fft.rfft2(self.texture(height, width, generator))
        radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
        ramp = np.clip((BAND_LIMIT - radius) / (BAND_LIMIT - _TAPER), 0.0, 1.0)
        spectrum *= np.sin(ramp * np.pi / 2) ** 2
        spectrum[0, 0] = 0.0
        picture = np.fft.irfft2(spectrum, s=(height, width))
        peak = float(np.abs(picture).max())
        return np.asarray(picture / peak if peak > 1e-9 else np.zeros_like(picture))


def _noise(height: int, width: int, generator: np.random.Generator, exponent: float) -> NDArray[np.float64]:
    """Gaussian texture of unit variance whose amplitude falls as frequency**-exponent."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    radius = np.maximum(radius, 4 / max(height, width))  # no structure larger than a quarter of the picture
    spectrum = np.fft.rfft2(generator.standard_normal((height, width))) * radius**-exponent
    spectrum[0, 0] = 0.0
    picture = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(picture / picture.std())


def _natural(height: int, width: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Amplitude as 1/f, as in natural images (Field 1987, doi:10.1364/JOSAA.4.002379)."""
    return np.tanh(0.7 * _noise(height, width, generator, 1.0))


def _print(height: int, width: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Fine, high-contrast texture, as print or crumpled foil."""
    return np.tanh(2.0 * _noise(height, width, generator, 0.5))


def _soft(height: int, width: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """A picture out of focus: nothing finer than about ten pixels."""
    return _noise(height, width, generator, 2.5)


def _bars(height: int, width: int, _: np.random.Generator) -> NDArray[np.float64]:
    """Oblique black and white bars, sixteen pixels to a pair: gradient in one direction only."""
    y, x = np.mgrid[:height, :width]
    across, down = (
        max(1, round(width / 20)),
        max(1, round(height / 27)),
    )  # whole periods, so that the canvas has no seam
    return np.asarray(np.sign(np.sin(2 * np.pi * (x * across / width + y * down / height) + 1e-3)))


def _edges(height: int, width: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Overlapping flat rectangles: sharp edges with nothing between them."""
    picture = np.zeros((height, width))
    for _ in range(max(20, height * width // 400)):
        y, x = generator.integers(height), generator.integers(width)
        tall, wide = generator.integers(4, 40, size=2)
        picture[y : y + tall, x : x + wide] = generator.uniform(-1, 1)
    return picture


def _grey(height: int, width: int, _: np.random.Generator) -> NDArray[np.float64]:
    """A blank wall: nothing that motion could be seen on."""
    return np.zeros((height, width))


SCENES: Mapping[str, Texture] = MappingProxyType(
    {"print": _print, "natural": _natural, "soft": _soft, "edges": _edges, "bars": _bars, "grey": _grey}
)
"""The procedural scenes."""


def _photograph(name: str, height: int, width: int) -> NDArray[np.float64]:
    import skimage.data
    from skimage.color import rgb2gray

    picture = getattr(skimage.data, name)()
    return _cover(rgb2gray(picture) if picture.ndim == 3 else picture.astype(np.float64), height, width)


def _cover(picture: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Scale a picture so that it covers the canvas, and cut out its middle."""
    from skimage.transform import resize

    scale = max(height / picture.shape[0], width / picture.shape[1])
    rows, cols = (max(need, math.ceil(n * scale)) for need, n in zip((height, width), picture.shape, strict=True))
    scaled = resize(  # type: ignore[no-untyped-call]
        picture, (rows, cols), order=3, mode="reflect", anti_aliasing=scale < 1, preserve_range=True
    )
    y, x = (rows - height) // 2, (cols - width) // 2
    return np.asarray(scaled[y : y + height, x : x + width], dtype=np.float64)


class MovingScene:
    """Renders a canvas row by row, each row at its own displacement.

    Along x a displacement is a phase ramp on the row's spectrum, exact for any amount. Along y it is whole rows
    plus a Taylor series of spectral derivatives about the nearest row. Motion during the exposure enters through
    the central moments of the displacement along the vibration's axis, which multiply derivatives along that axis:
    the time average of the moving picture, not the picture at the average place. Both series end where the largest
    term that the band limit allows falls below 1e-5 of the scene's peak.

    Parameters
    ----------
    canvas : ndarray [shape=(canvas rows, canvas cols), float64]
        One period of the scene, band-limited to `BAND_LIMIT`, in readout order.
    rows, cols : int, px
        Size of the frame, cut from the middle of the canvas.
    axis : (float, float)
        Unit vector of the vibration along the sensor row (x) and across rows (y).
    moves_across_rows : bool
        Whether any displacement has a y part; where none has, the series along y isn't needed.
    deviation : float, px
        Bound of the displacement's deviation from its mean during an exposure.
    """

    def __init__(
        self,
        canvas: NDArray[np.float64],
        rows: int,
        cols: int,
        *,
        axis: tuple[float, float],
        moves_across_rows: bool,
        deviation: float,
    ) -> None:
        self._rows, self._cols = rows, cols
        self._canvas_rows, self._canvas_cols = canvas.shape
        self._top, self._left = (canvas.shape[0] - rows) // 2, (canvas.shape[1] - cols) // 2
        kappa = 2 * np.pi * BAND_LIMIT
        self._terms = [
            (a, p)
            for a in range(40 if moves_across_rows else 1)
            for p in range(60)
            if p != 1  # the first central moment is zero
            and (kappa / 2) ** a / math.factorial(a) * (kappa * deviation) ** p / math.factorial(p) >= _TOLERANCE
        ]
        self.moments = max(p for _, p in self._terms)
        spectrum = np.fft.rfft2(canvas)
        ky = 2j * np.pi * np.fft.fftfreq(canvas.shape[0])[:, None]
        kx = 2j * np.pi * np.fft.rfftfreq(canvas.shape[1])[None, :]
        along = axis[0] * kx + axis[1] * ky
        bank = np.empty((canvas.shape[0], len(self._terms), spectrum.shape[1]), dtype=np.complex64)
        for k, (a, p) in enumerate(self._terms):
            factor = (-1.0) ** (a + p) / (math.factorial(a) * math.factorial(p))
            bank[:, k] = np.fft.ifft(spectrum * ky**a * along**p * factor, axis=0)
        self._bank = bank.view(np.float32)

    def render(
        self, x: NDArray[np.float64], y: NDArray[np.float64], moments: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Render frames.

        Parameters
        ----------
        x, y : ndarray [shape=(frames, rows or 1), float64, px]
            Displacement along and across the rows, averaged over the exposure; positive moves the picture to
            larger x and y.
        moments : ndarray [shape=(moments + 1, frames, rows or 1), float64, px**p]
            Central moments of the displacement along the axis during the exposure; the first two aren't used.

        Returns
        -------
        ndarray [shape=(frames, rows, cols), float32]
            In the canvas's unit.
        """
        frames = len(x)
        whole = np.rint(y).astype(np.int64)
        part = y - whole
        weights = np.stack([part**a * (moments[p] if p else 1.0) for a, p in self._terms], axis=-1)
        weights[np.abs(weights) < 1e-20] = 0.0  # they add nothing, and denormal floats are slow
        weights = np.ascontiguousarray(weights.transpose(1, 0, 2), dtype=np.float32)
        picture = np.empty((frames, self._rows, self._cols), dtype=np.float32)
        starts = [0, *(np.flatnonzero(np.any(np.diff(whole, axis=0) != 0, axis=1)) + 1).tolist(), frames]
        for first, last in itertools.pairwise(starts):  # runs of frames that draw on the same rows
            source = (self._top + np.arange(self._rows) - whole[first]) % self._canvas_rows
            picture[first:last] = self._run(self._bank[source], weights[:, first:last], x[first:last])
        return picture

    def _run(
        self, bank: NDArray[np.float32], weights: NDArray[np.float32], x: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        import scipy.fft

        spectra = np.matmul(weights, bank).view(np.complex64)  # (rows, frames, frequencies)
        if np.any(x):
            spectra *= _phase_ramp(x.T, spectra.shape[-1], self._canvas_cols)
        lines = scipy.fft.irfft(spectra, n=self._canvas_cols, axis=-1, overwrite_x=True)
        return np.asarray(lines[:, :, self._left : self._left + self._cols].transpose(1, 0, 2))


def _phase_ramp(x: NDArray[np.float64], size: int, period: int) -> NDArray[np.complex64]:
    """exp(−2πi·k·x/period) for k < size [shape=(*x.shape, size)], as coarse times fine steps: few exponentials."""
    step = math.isqrt(size - 1) + 1
    turn = -2j * np.pi / period * x[..., None]
    coarse = np.exp(turn * (step * np.arange(step))).astype(np.complex64)
    fine = np.exp(turn * np.arange(step)).astype(np.complex64)
    ramp = coarse[..., :, None] * fine[..., None, :]
    return np.asarray(ramp.reshape(*x.shape, step * step)[..., :size])
