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
_BLANK = 1.0  # DN that a blurred picture extends over, if it shows anything
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
    ndarray [shape=(frames, 3), float64, px, px and radians]
        Displacement of each frame along x and y, and by how much it is turned about its middle before it is displaced,
        x towards y; NaN for one that couldn't be decoded, or doesn't look like the others.

    Raises
    ------
    TooFewFrames
        Not a single frame could be decoded.
    Lost
        The picture leaves itself or changes beyond recognition, and doesn't come back.
    """
    from scipy.ndimage import spline_filter

    factor = max(1, max(frames.rows, frames.cols) // _SIZE)
    places = np.full((frames.frame_count, 3), np.nan)
    reference: NDArray[np.float64] | None = None
    first = np.empty(0)
    place, velocity, followed = np.zeros(3), np.zeros(3), False
    lost: int | None = None
    for block in frames.blocks():
        for index, luma in zip(block.index, block.luma, strict=True):
            picture = _reduced(luma, factor)
            if reference is None:
                first, reference = picture, spline_filter(picture, order=3, mode="mirror")
            else:
                found = _found(picture, first, reference, place + velocity)
                if found is None and not followed:
                    raise _lost(LostAtOnce, int(index))
                if found is None:
                    lost = int(index) if lost is None else lost
                    velocity = np.zeros(3)
                    continue
                velocity, place, followed, lost = found - place, found, True, None
            places[index] = place * (factor, factor, 1)
    if lost is not None:
        raise _lost(Lost, lost)
    if reference is None:
        raise TooFewFrames("no frame could be decoded")
    return places


def _lost(kind: type[Lost], frame: int) -> Lost:
    return kind(
        f"the picture can't be followed beyond frame {frame}: it no longer looks like the first one",
        hint="choose a region or a stretch of the clip that stays in view; what moves by itself (a person, a string in "
        "full swing) can't serve",
    )


def _reduced(luma: NDArray[np.generic], factor: int) -> NDArray[np.float64]:
    """Means of squares of `factor` px, blurred."""
    from scipy.ndimage import gaussian_filter

    rows, cols = (n // factor for n in luma.shape)
    squares = luma[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor)
    return np.asarray(gaussian_filter(squares.mean(axis=(1, 3), dtype=np.float64), _BLUR))


def _found(
    picture: NDArray[np.float64],
    first: NDArray[np.float64],
    reference: NDArray[np.float64],
    expected: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Place (x, y, angle) of a picture, near where it's expected or, after a jolt, anywhere; None where it isn't."""
    if np.ptp(picture) < _BLANK:
        return None
    near = _aligned(picture, reference, expected)
    return _aligned(picture, reference, _searched(picture, first)) if near is None else near


def _searched(picture: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement (x, y) to the pixel, wherever it is, unturned (Kuglin & Hines 1975, phase correlation)."""
    from skimage.registration import phase_cross_correlation

    (y, x), _, _ = phase_cross_correlation(picture, first)  # type: ignore[no-untyped-call]
    return np.array([x, y, 0], dtype=np.float64)


def _aligned(
    picture: NDArray[np.float64], reference: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Place (x, y, angle) of a picture against the reference's splines, in its px; None where it can't be found."""
    place = start.copy()
    rows, cols = picture.shape
    units = np.array([1, 1, np.hypot(rows, cols) / 4])  # a turn in px, as most of the picture sees it
    for _ in range(_STEPS):
        x, y, _ = place
        if abs(x) > cols / 2 or abs(y) > rows / 2 or np.max(np.abs(place - start) * units) > _LOST:
            return None
        template = _seen_from(reference, place)
        edge = abs(place[2]) * max(rows, cols) / 2
        top, left = (2 + max(0, int(np.ceil(d + edge))) for d in (y, x))
        bottom, right = (size - 2 - max(0, int(np.ceil(edge - d))) for size, d in ((rows, y), (cols, x)))
        inner = (slice(top, bottom), slice(left, right))
        along, down = (-derivative(template, axis=axis)[inner] for axis in (1, 0))
        # Only what columns move apart across the rows tells a turn: rows move apart as they are read one after another.
        about = (np.arange(cols)[inner[1]] - (cols - 1) / 2 - x) * down
        level = template[inner].ravel()
        design = np.stack(
            [along.ravel(), down.ravel(), about.ravel() / units[2], level - level.mean(), np.ones_like(level)]
        )
        normal = design @ design.T
        nuisance = np.linalg.solve(normal[3:, 3:] + 1e-9 * np.trace(normal[3:, 3:]) * np.eye(2), normal[3:, :3])
        moment = design @ (picture[inner].ravel() - level)
        information = normal[:3, :3] - normal[:3, 3:] @ nuisance
        step = _inverse(information) @ (moment[:3] - nuisance.T @ moment[3:])
        place = place + np.clip(step, -1, 1) / units
        if np.max(np.abs(step)) < _SETTLED:
            break
    likeness = np.corrcoef(level, picture[inner].ravel())[0, 1]
    return place if likeness > _LEAST_LIKENESS else None


def _seen_from(reference: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """The reference, from its splines, as it looks from a place (x, y, angle)."""
    from scipy.ndimage import affine_transform, shift

    x, y, angle = place
    if angle == 0:
        return np.asarray(shift(reference, (y, x), order=3, mode="mirror", prefilter=False))
    cos, sin = np.cos(angle), np.sin(angle)
    back = np.array([[cos, -sin], [sin, cos]])  # of (row, column)
    middle = (np.array(reference.shape) - 1) / 2
    offset = middle - back @ (middle + np.array([y, x]))
    return np.asarray(affine_transform(reference, back, offset, order=3, mode="mirror", prefilter=False))


def _inverse(information: NDArray[np.float64]) -> NDArray[np.float64]:
    return pseudo_inverse(information, 0.01 * float(np.trace(information[:2, :2])) / 4)
