"""Where the picture stood in each of a clip's first frames, near enough to tell how it moves and turns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics_global_shutter.equations import Equations
from vmforensics_global_shutter.spectral import derivative
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.template import Head
from vmforensics_global_shutter.tiles import grid_of

_SAMPLE = 2**14  # pixels that are looked at
_TILE = 64  # pixels of the sample each way, over which the light changes alike
_DARKEST = 0.2  # of the mean's contrast
_NOTHING = 1e-9  # DN²
_TURN_KNOWN = 0.05  # px at the corners, to which a turn must be known to be told


def head_places(head: Head) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacement and turn of each first frame from their mean, to first order, and the covariance of their noise.

    Least squares on the gradient of an even sample of the pixels, with a gain and an offset in each tile.

    Returns
    -------
    places : ndarray [shape=(frames, 3), float64, px]
        To the right, down, and as the corners move by a turn about the middle, right towards down; 0 along a direction
        that nothing shows.
    noise : ndarray [shape=(3, 3), float64, px²]
    """
    picture = head.picture
    step = max(1, math.isqrt(picture.size // _SAMPLE))
    some = np.s_[::step, ::step]
    slopes = [derivative(picture[::step], 1)[:, ::step], derivative(picture[:, ::step], 0)[::step]]
    sample = View(picture[some], ~head.excluded[some], head.noise, head.count)
    equations = Equations(sample.picture.astype(np.float32), np.stack(slopes), sample.weight, sample.frames)
    frames = np.concatenate([block.luma[:, *some] for block in head.blocks])
    moments, information = np.zeros((head.count, 3)), np.zeros((3, 3))
    middle_y, middle_x = ((n - 1) / 2 for n in equations.picture.shape)
    corner = math.hypot(middle_x, middle_y)
    rows, cols = equations.picture.shape
    for tile in grid_of(rows, cols, _TILE):
        functionals, known = equations.solved((tile.rows, tile.cols))
        change = frames[:, tile.rows, tile.cols] - equations.picture[tile.rows, tile.cols]
        x, y = (s.start + (s.stop - s.start - 1) / 2 for s in (tile.cols, tile.rows))
        rigid = np.array([[1, 0, (middle_y - y) / corner], [0, 1, (x - middle_x) / corner]])
        moments += change.reshape(len(frames), -1) @ functionals.T @ known @ rigid
        information += rigid.T @ known @ rigid
    noise = np.linalg.pinv(information, rcond=1e-3, hermitian=True).astype(np.float64)
    if not 0 < noise[2, 2] < _TURN_KNOWN**2:
        information[2] = information[:, 2] = moments[:, 2] = 0
        noise = np.linalg.pinv(information, rcond=1e-3, hermitian=True).astype(np.float64)
    return moments @ noise / _light(equations, frames)[:, None], noise


def _light(equations: Equations, frames: Luma) -> NDArray[np.float64]:
    """Each frame's contrast relative to the mean's [shape=(frames,), float64]: what is brighter changes by more."""
    known = equations.weight > 0
    picture = equations.picture.astype(np.float64)
    contrast = np.where(known, picture - picture[known].mean(), 0) if known.any() else np.zeros_like(picture)
    energy = max(float(np.sum(contrast**2)), _NOTHING)
    functional = (contrast / energy).ravel().astype(np.float32)
    part = frames.reshape(len(frames), -1).astype(np.float32) @ functional
    return np.maximum(1 + part - picture.ravel() @ functional, _DARKEST)
