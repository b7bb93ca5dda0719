"""Which cells of a frame show something else than the scene: a hand, a branch, somebody who walks through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.numerics.noise import NoiseModel

ROWS, COLS = 8, 16
"""px, the size of a cell."""

_NOISE = 9.0  # times the noise's variance that may be left of a cell when its light is taken out,
_FAINTEST = 0.02  # and of full scale, RMS: less harms little, and a codec may leave as much,
_NOISIEST = 0.04  # of full scale, RMS, that is taken for noise in a picture that stays in place
_SHARE = 0.2  # and of the scene's variance about the cell, of which an opaque cover leaves twice as much;
_SETTLED_SHARE = 0.04  # less where the picture's place is known well: a cover of a few per cent of the cell shows
_HIDDEN = 0.5  # of the cells; a frame in which so many are covered shows something else altogether
_STEP = (6, 4)  # frames and rows, of which one is looked at in a picture that stays in place
_WIDE = 32  # px, of a cell there
_LEAST = 2  # such cells that are covered at once


@dataclass(frozen=True, slots=True, eq=False)
class CellTest:
    """Tells covered cells by what is left of them.

    Parameters
    ----------
    noise : NoiseModel
        Of a pixel.
    full_scale : DN
        Largest code of the pixel format.
    settled
        Whether the picture's place is known well.
    """

    noise: NoiseModel
    full_scale: int
    settled: bool = False

    def covered(
        self, beyond: NDArray[np.float64], picture: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which cells are covered.

        Parameters
        ----------
        beyond : ndarray [shape=(rows, cols), float64, DN]
            What the frame shows beyond the picture.
        picture : ndarray [shape=(rows, cols), float64, DN]
            What it should show.
        known : ndarray [shape=(rows, cols), bool]
            Where that is known.

        Returns
        -------
        ndarray [shape=(rows / 8, cols / 16), bool]
            Both rounded up.
        """
        count = np.maximum(in_cells(known.astype(np.float64)), 1)
        total = in_cells(np.where(known, beyond**2, 0)) / count
        if total.max(initial=0.0) < (_FAINTEST * self.full_scale) ** 2:
            return np.zeros(total.shape, np.bool_)
        level = in_cells(np.where(known, picture, 0)) / count
        more = in_cells(np.where(known, beyond, 0)) / count
        contrast = in_cells(np.where(known, picture**2, 0)) / count - level**2
        change = total - more**2
        both = in_cells(np.where(known, picture * beyond, 0)) / count - level * more
        left = change - both**2 / np.maximum(contrast, 1e-9)
        return np.asarray(left > self.bound(level, _widely(contrast)))

    def bound(self, level: NDArray[np.float64], contrast: NDArray[np.float64]) -> NDArray[np.float64]:
        """What may be left (DN²) of a cell of some mean and contrast (DN and DN²)."""
        noise = _NOISE * self.noise.variance(level)
        share = _SETTLED_SHARE if self.settled else _SHARE
        return np.maximum(noise, (_FAINTEST * self.full_scale) ** 2) + share * contrast


def _widely(contrast: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest contrast of a cell and those beside it, where its edge may have come from."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(contrast, 3))


def in_cells(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over cells; those at the right and bottom edge may be smaller."""
    rows, cols = (np.arange(0, n, size) for n, size in zip(values.shape, (ROWS, COLS), strict=True))
    return np.asarray(np.add.reduceat(np.add.reduceat(values, cols, axis=1), rows, axis=0))


def in_pixels(cells: NDArray[np.bool_], rows: int, cols: int) -> NDArray[np.bool_]:
    """Each pixel's cell [shape=(rows, cols), bool]."""
    return np.asarray(np.repeat(np.repeat(cells, ROWS, axis=0)[:rows], COLS, axis=1)[:, :cols])


def with_those_beside(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Covered cells and their neighbours, which it may reach into; none where the whole frame would go."""
    from scipy.ndimage import binary_dilation

    if not cells.any() or cells.mean() > _HIDDEN:
        return np.zeros_like(cells)
    return np.asarray(binary_dilation(cells, np.ones((3, 3))))


def hides(cells: NDArray[np.bool_]) -> bool:
    """Whether so much of a frame is covered that it is left out."""
    return bool(cells.mean() > _HIDDEN)


class PassingTest:
    """Looks at a sample of a picture that stays in place, whether anything passes in front of it.

    Parameters
    ----------
    template
        The picture.
    full_scale : DN
        Largest code of the pixel format.
    """

    def __init__(self, template: MeanTemplate, full_scale: int) -> None:
        rows, cols = ((n // step) * step for n, step in zip(template.mean.shape, (_STEP[1] * ROWS, _WIDE), strict=True))
        self._some = (slice(0, rows, _STEP[1]), slice(0, cols))
        mean = self._cells(template.mean[self._some][None])[0]
        weight = self._cells(template.usable[self._some][None].astype(np.float64))[0]
        slopes = [self._cells(slope[self._some][None])[0] for slope in template.slopes]
        contrasted = mean - mean.mean(axis=1, keepdims=True)
        later = np.broadcast_to(
            np.repeat(np.linspace(-1, 1, ROWS), _WIDE), mean.shape
        )  # the light may change meanwhile
        design = np.stack([contrasted, np.ones_like(mean), contrasted * later, later, later**2, *slopes], axis=2)
        self._mean, self._weight = mean, weight
        self._basis = np.linalg.qr(design * weight[..., None])[0] if len(mean) else design
        test = CellTest(template.noise, full_scale)
        pixels = np.maximum(weight.sum(axis=1), 1)
        level = np.sum(weight * mean, axis=1) / pixels
        contrast = np.sum(weight * (mean - level[:, None]) ** 2, axis=1) / pixels
        noisy = (_NOISIEST * full_scale) ** 2  # what passes may have been taken for noise
        noise = np.minimum(test.bound(level, np.zeros_like(level)), noisy)
        self._bound = pixels * (noise + _SHARE * contrast)

    @staticmethod
    def _cells(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pictures [shape=(frames, rows, cols)] by cells [shape=(frames, cells, pixels)]."""
        frames, rows, cols = pictures.shape
        parts = pictures.reshape(frames, rows // ROWS, ROWS, cols // _WIDE, _WIDE).swapaxes(2, 3)
        return parts.reshape(frames, -1, ROWS * _WIDE)

    def passes(self, luma: Luma) -> bool:
        """Whether something passes in one of a block's frames [shape=(frames, rows, cols), DN]."""
        if not len(self._mean):
            return False
        change = (self._cells(luma[:: _STEP[0], *self._some].astype(np.float64)) - self._mean) * self._weight
        explained = np.matmul(change[:, :, None], self._basis)[:, :, 0]
        left = np.sum(change**2, axis=2) - np.sum(explained**2, axis=2)
        return bool((np.count_nonzero(left > self._bound, axis=1) >= _LEAST).any())


def told(covered: Mapping[int, NDArray[np.bool_]]) -> tuple[str, ...]:
    """What was left out, in words.

    Parameters
    ----------
    covered : mapping of int to ndarray [shape=(cell rows, cell cols), bool]
        By frame, what was covered.
    """
    share = {frame: float(with_those_beside(cells).mean()) for frame, cells in covered.items() if cells.any()}
    hidden = sum(hides(covered[frame]) for frame in share)
    some = sorted(frame for frame, part in share.items() if part > 0)
    notes = []
    if some:
        notes.append(
            f"something covers up to {max(share.values()):.0%} of the picture in {len(some)} of the frames {some[0]} "
            f"to {some[-1]}: the pixels that it covers, and those beside them, count for nothing there"
        )
    if hidden:
        notes.append(f"something hides the picture in {hidden} frames; they count as gaps")
    return tuple(notes)
