"""The still picture as it looks from a place at an angle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.numerics.finer import Finer
from vmforensics_global_shutter.still import View

_BORDER = 4  # px at the edge of what is known, where an interpolated pixel is made of others
_PIXELS = 2**16  # that are interpolated at a time


class Turnable:
    """A still picture that can be turned about its middle, and then moved.

    Parameters
    ----------
    view : View
        At place (0, 0), upright.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._picture = Finer(view.picture)
        self._known = inner(view.known)

    def seen_from(self, place: NDArray[np.float64], excluded: NDArray[np.bool_]) -> View:
        """The view from a place.

        Parameters
        ----------
        place : ndarray [shape=(3,), float64, px, px and radians]
            Displacement to the right and down, and the angle; positive turns right towards down.
        excluded : ndarray [shape=(rows, cols), bool]
            Pixels of the sensor that can't be relied on wherever the picture stands.
        """
        x, y, angle = place.tolist()
        picture, known = _resampled(self._picture, self._known, (-x, -y), -angle, before=True)
        return replace(self._view, picture=picture, known=known & ~excluded, place=(x, y), angle=angle)


def put_back(
    picture: NDArray[np.float64], known: NDArray[np.bool_], place: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A picture that stands at a place (px, px and radians), as it looks from (0, 0), upright; and what of it is known.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
    known : ndarray [shape=(rows, cols), bool]
    place : ndarray [shape=(3,), float64]
    """
    x, y, angle = place.tolist()
    return _resampled(Finer(picture), inner(known), (x, y), angle, before=False)


def inner(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is known, less its border."""
    from scipy.ndimage import binary_erosion

    return np.asarray(binary_erosion(known, np.ones((2 * _BORDER + 1,) * 2), border_value=0))


def _resampled(
    picture: Finer, known: NDArray[np.bool_], shift: tuple[float, float], angle: float, *, before: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each pixel from where it is found turned by an angle about the middle and shifted, `before` the turn or after."""
    rows, cols = known.shape
    middle_y, middle_x = (rows - 1) / 2, (cols - 1) / 2
    result, seen = np.empty(known.shape), np.empty(known.shape, np.bool_)
    cos, sin = np.cos(angle), np.sin(angle)
    (early_x, early_y), (late_x, late_y) = (shift, (0.0, 0.0)) if before else ((0.0, 0.0), shift)
    along = np.arange(cols) - middle_x + early_x
    step = max(1, _PIXELS // cols)
    for first in range(0, rows, step):
        part = slice(first, min(first + step, rows))
        across = (np.arange(part.start, part.stop) - middle_y + early_y)[:, None]
        x = middle_x + cos * along - sin * across + late_x
        y = middle_y + sin * along + cos * across + late_y
        result[part] = picture.at(y, x)
        whole_x, whole_y = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
        inside = (whole_x >= 0) & (whole_x < cols) & (whole_y >= 0) & (whole_y < rows)
        seen[part] = inside & known[np.clip(whole_y, 0, rows - 1), np.clip(whole_x, 0, cols - 1)]
    return result, seen
