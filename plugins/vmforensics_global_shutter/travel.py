"""How far a part of the picture moves by itself from one frame to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vmforensics.data import Luma, SensorFrames

_FRAMES = 256  # the first ones, that are looked at
_BYTES = 64 * 2**20
_PAIRS, _FEWEST = 48, 12
_LOOKED_AT = 2**23  # pixels, in pairs of frames
_PART = 32  # px each way
_VAGUE = 0.05  # px; a part whose motion is known worse than that tells none
_SURE = 4.0  # times the variance of its noise that a part's motion must have, squared
_RIDGE = 1e-3  # of a part's information, where it shows one direction only
_LEFT = 0.12  # of the whole picture's motion, that a fit to first order may leave


def apart(frames: SensorFrames) -> float:
    """Motion between successive frames of the part of the picture that moves most, beyond the picture's own, in px.

    What the whole picture does between two frames, motion and light, is fitted and taken out by least squares on its
    slopes; of what is left, each part's own motion is fitted likewise. Its noise is told by what that fit leaves. The
    median over pairs of frames leaves out what only passes by. Slopes see no more than their own width of a motion: one
    of several px reads as about one.

    Parameters
    ----------
    frames
        The clip, of which the first frames are read.

    Returns
    -------
    float
        0 where no part has texture or moves farther than what a fit of the whole picture's motion leaves anyway, or
        there are fewer than two frames.
    """
    first = _first(frames)
    if len(first) < 2:
        return 0.0
    count = int(np.clip(_LOOKED_AT // first[0].size, _FEWEST, _PAIRS))
    pairs = np.unique(np.linspace(0, len(first) - 2, count).astype(int))
    shown, whole = zip(*(_parts(first[k], first[k + 1]) for k in pairs), strict=True)
    square, noise = np.median(shown, axis=0)
    known = noise < _VAGUE**2
    if not known.any():
        return 0.0
    most = float(np.sqrt(np.maximum(square - _SURE * noise, 0.0)[known].max()))
    return most if most > _LEFT * float(np.median(whole)) else 0.0


def _parts(before: Luma, after: Luma) -> tuple[NDArray[np.float64], float]:
    """What each part does between two frames, beyond what the whole picture does.

    Returns
    -------
    shown : ndarray [shape=(2, parts), float64, px²]
        Square of its motion, and the variance of its noise.
    whole : float, px
        By how far the whole picture moves.
    """
    picture = (before.astype(np.float32) + after) / 2
    change = after.astype(np.float32) - before
    down, along = (np.asarray(slopes, np.float32) for slopes in np.gradient(picture))
    design = np.stack([along, down, picture - picture.mean(), np.ones_like(picture)]).reshape(4, -1)
    normal = (design @ design.T).astype(np.float64)
    fitted = np.linalg.lstsq(normal, (design @ change.ravel()).astype(np.float64), rcond=1e-9)[0]
    rest = change - (fitted.astype(np.float32) @ design).reshape(change.shape)
    level = _cut(np.asarray(picture, np.float32))
    contrast = level - level.mean(axis=1, keepdims=True)
    energy = np.maximum(np.sum(contrast**2, axis=1, keepdims=True), np.float32(1e-6))
    parts = np.stack([_cut(np.asarray(values, np.float32)) for values in (along, down, rest)])
    parts -= parts.mean(axis=2, keepdims=True)
    parts -= np.sum(parts * contrast, axis=2, keepdims=True) / energy * contrast  # a part's own light
    products = np.einsum("apk,bpk->pab", parts, parts, dtype=np.float64)
    information, moment, left = products[:, :2, :2], products[:, :2, 2], products[:, 2, 2]
    ridge = _RIDGE * np.trace(information, axis1=1, axis2=2) + 1e-6
    covariance = np.linalg.inv(information + ridge[:, None, None] * np.eye(2))
    motion = (covariance @ moment[..., None])[..., 0]
    variance = np.maximum(left - np.sum(moment * motion, axis=1), 0.0) / parts.shape[2]
    noise = variance * np.trace(covariance, axis1=1, axis2=2)
    return np.stack([np.sum(motion**2, axis=1), noise]), float(np.hypot(*fitted[:2]))


def _cut(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture's parts [shape=(parts, pixels)]; the last ones overlap those before."""
    window = tuple(min(_PART, size) for size in picture.shape)
    starts = [np.append(np.arange(0, n - k, k), n - k) for n, k in zip(picture.shape, window, strict=True)]
    pieces = sliding_window_view(picture, window)[starts[0]][:, starts[1]]
    return np.asarray(pieces.reshape(len(starts[0]) * len(starts[1]), -1))


def _first(frames: SensorFrames) -> Luma:
    """The first frames [shape=(frames, rows, cols)]."""
    blocks: list[Luma] = []
    for block in frames.blocks():
        blocks.append(block.luma)
        count = sum(len(luma) for luma in blocks)
        if count >= _FRAMES or count * block.luma[0].nbytes >= _BYTES:
            break
    if not blocks:
        return np.empty((0, 1, 1), np.uint8)
    first: NDArray[Any] = np.concatenate(blocks)
    return first[:_FRAMES]
