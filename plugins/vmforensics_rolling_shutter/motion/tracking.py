"""The path of a drifting picture, frame by frame, to about a tenth of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import SensorFrames
from vmforensics.errors import TooFewFrames, Unsuitable
from vmforensics.numerics.derivative import derivative
from vmforensics_rolling_shutter.motion.row_solver import pseudo_inverse

_SIZE = 320  # px; pictures are reduced until their longer side is about that
_BLUR = 1.5  # px of the reduced picture: what is finer would catch on a neighbour
_STEPS = 12
_SETTLED = 5e-3  # px of the reduced picture
_LOST = 4.0  # px of the reduced picture that one frame may surprise by
_LEAST_LIKENESS = 0.7  # correlation of a frame with the reference, where they overlap


class Lost(Unsuitable):
    """The picture can't be followed from frame to frame."""


class LostAtOnce(Lost):
    """Already the second frame doesn't look like the first, wherever it is: there may be nothing to see but noise."""


def track(frames: SensorFrames) -> NDArray[np.float64]:
    """Follow the picture from frame to frame, against the first.

    Gauss-Newton steps on reduced, blurred pictures (Lucas & Kanade 1981), from where the last two frames point to.
    A direction that the picture doesn't show stays at 0.

    Returns
    -------
    ndarray [shape=(frames, 2), float64, px]
        Displacement of each frame along x and y; NaN for one that couldn't be decoded.

    Raises
    ------
    TooFewFrames
        Not a single frame could be decoded.
    Lost
        The picture leaves itself, or changes beyond recognition.
    """
    from scipy.ndimage import spline_filter

    factor = max(1, max(frames.rows, frames.cols) // _SIZE)
    places = np.full((frames.frame_count, 2), np.nan)
    reference: NDArray[np.float64] | None = None
    first = np.empty(0)
    place, velocity, followed = np.zeros(2), np.zeros(2), False
    for block in frames.blocks():
        for index, luma in zip(block.index, block.luma, strict=True):
            picture = _reduced(luma, factor)
            if reference is None:
                first, reference = picture, spline_filter(picture, order=3, mode="mirror")
            else:
                found = _aligned(picture, reference, place + velocity)
                if found is None:  # a jolt: look everywhere
                    found = _aligned(picture, reference, _searched(picture, first))
                if found is None:
                    raise (Lost if followed else LostAtOnce)(
                        f"the picture can't be followed beyond frame {index}: it no longer looks like the first one",
                        hint="choose a region or a stretch of the clip that stays in view; what moves by itself (a "
                        "person, a string in full swing) can't serve",
                    )
                velocity, place, followed = found - place, found, True
            places[index] = place * factor
    if reference is None:
        raise TooFewFrames("no frame could be decoded")
    return places


def _reduced(luma: NDArray[np.generic], factor: int) -> NDArray[np.float64]:
    """Means of squares of `factor` px, blurred."""
    from scipy.ndimage import gaussian_filter

    rows, cols = (n // factor for n in luma.shape)
    squares = luma[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor)
    return np.asarray(gaussian_filter(squares.mean(axis=(1, 3), dtype=np.float64), _BLUR))


def _searched(picture: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement (x, y) to the pixel, wherever it is (Kuglin & Hines 1975, phase correlation)."""
    from skimage.registration import phase_cross_correlation

    (y, x), _, _ = phase_cross_correlation(picture, first)  # type: ignore[no-untyped-call]
    return np.array([x, y], dtype=np.float64)


def _aligned(
    picture: NDArray[np.float64], reference: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Displacement (x, y) of a picture against the reference's splines, in its px; None where it can't be found."""
    from scipy.ndimage import shift

    place = start.copy()
    rows, cols = picture.shape
    for _ in range(_STEPS):
        x, y = place
        if abs(x) > cols / 2 or abs(y) > rows / 2 or np.max(np.abs(place - start)) > _LOST:
            return None
        template = shift(reference, (y, x), order=3, mode="mirror", prefilter=False)
        top, left = (2 + max(0, int(np.ceil(d))) for d in (y, x))
        bottom, right = (size - 2 - max(0, int(np.ceil(-d))) for size, d in ((rows, y), (cols, x)))
        inner = (slice(top, bottom), slice(left, right))
        slopes = [-derivative(template, axis=axis)[inner].ravel() for axis in (1, 0)]
        level = template[inner].ravel()
        design = np.stack([*slopes, level - level.mean(), np.ones_like(level)])
        normal = design @ design.T
        nuisance = np.linalg.solve(normal[2:, 2:] + 1e-9 * np.trace(normal[2:, 2:]) * np.eye(2), normal[2:, :2])
        moment = design @ (picture[inner].ravel() - level)
        information = normal[:2, :2] - normal[:2, 2:] @ nuisance
        step = _inverse(information) @ (moment[:2] - nuisance.T @ moment[2:])
        place = place + np.clip(step, -1, 1)
        if np.max(np.abs(step)) < _SETTLED:
            break
    likeness = np.corrcoef(level, picture[inner].ravel())[0, 1]
    return place if likeness > _LEAST_LIKENESS else None


def _inverse(information: NDArray[np.float64]) -> NDArray[np.float64]:
    return pseudo_inverse(information, 0.01 * float(np.trace(information)) / 4)
