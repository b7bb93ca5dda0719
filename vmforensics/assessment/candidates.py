"""Where to look: rectangles of the picture, ranked by how faint a motion shows in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.assessment.texture import Texture
from vmforensics.data import Region

_LEAST_SHARE = 0.01  # of it, for a rectangle to be named at all
_LARGEST = 4  # tiles each way, of a candidate


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rectangle of the picture.

    Parameters
    ----------
    region : Region
        In readout order.
    uncertainty : float, px
        Cramér-Rao bound of one frame's motion, along the direction that shows best.
    direction : float, degrees
        That direction, against the sensor row.
    share : float
        Of the information in the whole picture.
    alive : bool
        Whether something in it moves, or flickers, by itself.
    """

    region: Region
    uncertainty: float
    direction: float
    share: float
    alive: bool


def best_region(texture: Texture) -> Candidate | None:
    """The rectangle that holds most information of those in which nothing moves by itself; None without any.

    The whole picture where nothing does: what shares no motion with the rest costs little, what moves of its own much.
    """
    strength = _strength(texture)
    if not strength.sum() > 0:
        return None
    spoiled = texture.alive if not texture.alive.all() else np.zeros_like(texture.alive)
    held, forbidden = (
        np.pad(np.cumsum(np.cumsum(values, axis=0), axis=1), ((1, 0), (1, 0))) for values in (strength, spoiled)
    )
    rows, cols = strength.shape
    best, place = 0.0, (0, rows - 1, 0, cols - 1)
    left, right = np.triu_indices(cols)
    for top in range(rows):
        for bottom in range(top, rows):
            inside, bad = (total[bottom + 1] - total[top] for total in (held, forbidden))
            sums = np.where(bad[right + 1] > bad[left], 0.0, inside[right + 1] - inside[left])
            k = int(np.argmax(sums))
            if sums[k] > best * (1 + 1e-9):
                best, place = float(sums[k]), (top, bottom, int(left[k]), int(right[k]))
    return _candidate(texture, *place)


def candidates(texture: Texture, count: int) -> list[Candidate]:
    """The rectangles of up to 4 × 4 tiles that hold most information for their size, none over another, best first.

    Parameters
    ----------
    texture
        The picture.
    count
        How many, at most.
    """
    strength = _strength(texture)
    total = strength.sum()
    found: list[Candidate] = []
    free = np.ones(strength.shape, dtype=bool)
    while len(found) < count and total > 0:
        best, place = 0.0, (0, 0, 0, 0)
        for height in range(1, _LARGEST + 1):
            for width in range(1, _LARGEST + 1):
                own = _windows(np.where(free, strength, -np.inf), height, width)
                if not own.size:
                    continue
                # Information over the root of the size: neither the one best tile, nor all there is.
                score = own / np.sqrt(height * width)
                top, left = (int(k) for k in np.unravel_index(int(np.argmax(score)), score.shape))
                if score[top, left] > best:
                    best, place = float(score[top, left]), (top, top + height - 1, left, left + width - 1)
        top, bottom, left, right = place
        if best <= 0 or strength[top : bottom + 1, left : right + 1].sum() < _LEAST_SHARE * total:
            break
        free[top : bottom + 1, left : right + 1] = False
        found.append(_candidate(texture, top, bottom, left, right))
    return found


@dataclass(frozen=True, slots=True)
class Strip:
    """A part of the picture that stands for the whole.

    Parameters
    ----------
    region : Region
        In readout order, all rows of it.
    share : float
        Of the information on motion that the whole picture's frames hold.
    row_share : float
        Of that which the picture's median row holds.
    """

    region: Region
    share: float
    row_share: float


def widest_strip(texture: Texture, pixels: int) -> Strip | None:
    """The strip of all rows that holds most information of those of a number of pixels; None where all are fewer."""
    whole = texture.whole
    if whole.width * whole.height <= pixels:
        return None
    strength = _strength(texture)
    column = strength.sum(axis=0)
    count = len(column)
    wide = max(1, count * pixels // (whole.width * whole.height))
    left = int(np.argmax([column[first : first + wide].sum() for first in range(count - wide + 1)]))
    inside = slice(left, left + wide)
    part = _candidate(texture, 0, len(strength) - 1, left, left + wide - 1)
    own, every = (float(np.median(each.sum(axis=1))) for each in (strength[:, inside], strength))
    return Strip(part.region, part.share, own / every if every > 0 and own > 0 else part.share)


def _strength(texture: Texture) -> NDArray[np.float64]:
    """Information of each tile along its clearest direction (1/px²)."""
    return np.asarray(np.maximum(np.linalg.eigvalsh(texture.information)[..., -1], 0.0))


def _windows(values: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Sums over all windows of some size; -inf where a part is taken."""
    if height > values.shape[0] or width > values.shape[1]:
        return np.zeros((0, 0))
    view = np.lib.stride_tricks.sliding_window_view(values, (height, width))
    return np.asarray(view.sum(axis=(2, 3)))


def _candidate(texture: Texture, top: int, bottom: int, left: int, right: int) -> Candidate:
    part = (slice(top, bottom + 1), slice(left, right + 1))
    values, vectors = np.linalg.eigh(texture.information[part].sum((0, 1)))
    whole = float(np.linalg.eigvalsh(texture.information.sum((0, 1)))[-1])
    return Candidate(
        region=texture.region(top, bottom, left, right),
        uncertainty=float(1 / np.sqrt(max(values[-1], 1e-300))),
        direction=float(np.degrees(np.arctan2(vectors[1, -1], vectors[0, -1])) % 180),
        share=float(values[-1] / whole) if whole > 0 else 0.0,
        alive=bool(texture.alive[part].any()),
    )
