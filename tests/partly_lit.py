"""A camera that sees a lamp, a screen or its reflection light a part of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.testing import Camera, Flicker


@dataclass(frozen=True, slots=True)
class PartlyLitCamera(Camera):
    """A camera in whose picture the flicker that is simulated lights a part only.

    Parameters
    ----------
    centre, radius : (float, float)
        Of the part, across and down, as shares of the picture's sides.
    screen : bool
        Whether it is a rectangle with an edge of three pixels; else a spot of light with a Gaussian's slope.
    """

    centre: tuple[float, float] = (0.5, 0.5)
    radius: tuple[float, float] = (0.2, 0.2)
    screen: bool = False

    def expose(self, picture: NDArray[np.float32], light: NDArray[np.float64], generator: np.random.Generator) -> Luma:
        """Pixel values, the light on its part alone; see `Camera.expose`."""
        lit = 1 + (light - 1)[:, :, None].astype(np.float32) * self._part()
        picture = picture * lit + np.float32(self.brightness / self.contrast) * (lit - 1)
        return Camera.expose(self, picture, np.ones_like(light), generator)

    def _part(self) -> NDArray[np.float32]:
        """Share of the light that each pixel gets [shape=(rows, cols)]."""
        y, x = (np.arange(n) / n for n in (self.sensor_rows, self.sensor_cols))
        u, v = (x - self.centre[0]) / self.radius[0], ((y - self.centre[1]) / self.radius[1])[:, None]
        if not self.screen:
            return np.exp(-1.5 * (u**2 + v**2)).astype(np.float32)
        inside = np.minimum(
            (1 - abs(u)) * self.radius[0] * self.sensor_cols, (1 - abs(v)) * self.radius[1] * self.sensor_rows
        )
        return np.clip(inside / 3 + 0.5, 0, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Screen(Flicker):
    """Brightness of a screen that shows a film: noise up to a frequency, with the RMS of a sine of the same depth."""

    def light(self, instants: NDArray[np.float64], exposure: float) -> NDArray[np.float64]:
        """Brightness averaged over exposures centred on the instants (s)."""
        generator = np.random.default_rng(5)
        parts = [
            replace(Flicker(), frequency=f, depth=self.depth / math.sqrt(40), phase=p)
            for f, p in zip(generator.uniform(1, self.frequency, 40), generator.uniform(0, 2 * np.pi, 40), strict=True)
        ]
        return np.asarray(1 + sum(part.light(instants, exposure) - 1 for part in parts))
