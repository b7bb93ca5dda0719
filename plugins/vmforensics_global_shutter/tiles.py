"""The grid of tiles whose motion is measured apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vmforensics.data import Region

_SMALLEST = 32  # px; a smaller tile loses too much to the four numbers that are fitted in it
_MOST = (6, 8)  # down and across: few enough to be kept for each frame of a long clip
_CODEC = 16  # px; tiles end where a codec's blocks do, whose errors then stay within one of them


@dataclass(frozen=True, slots=True)
class Tile:
    """One rectangle of the region.

    Parameters
    ----------
    region : Region
        Where it is, in the region's own rows and columns.
    half : int
        Which of the two sets it belongs to; neighbours belong to different ones.
    """

    region: Region
    half: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.region.y, self.region.y + self.region.height)

    @property
    def cols(self) -> slice:
        """Its columns."""
        return slice(self.region.x, self.region.x + self.region.width)

    def sampled(self, step: int) -> tuple[slice, slice]:
        """Its rows and columns in a picture of which every so-manieth pixel of every so-manieth row was kept."""
        rows, cols = (slice(-(-own.start // step), -(-own.stop // step)) for own in (self.rows, self.cols))
        return rows, cols

    def at(self, place: tuple[float, float], shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Its rows and columns, as far as they are in view, where the picture stands at a place (px right and down)."""
        right, down = (round(step) for step in place)
        rows, cols = (
            slice(min(max(own.start + step, 0), size), min(max(own.stop + step, 0), size))
            for own, step, size in zip((self.rows, self.cols), (down, right), shape, strict=True)
        )
        return rows, cols


def grids(rows: int, cols: int) -> Iterator[tuple[Tile, ...]]:
    """Deal a region of some rows and columns (px) into tiles like a chessboard, row by row.

    Yields
    ------
    tuple of Tile
        The finest grid first, each next one about half as fine, two tiles the last.

    Examples
    --------
    >>> [[(tile.region.x, tile.region.width, tile.half) for tile in grid] for grid in grids(24, 100)]
    [[(0, 32, 0), (32, 32, 1), (64, 36, 0)], [(0, 48, 0), (48, 52, 1)]]
    """
    down, across = (min(most, max(1, size // _SMALLEST)) for size, most in zip((rows, cols), _MOST, strict=True))
    while down * across > 2:
        yield _grid(_edges(rows, down), _edges(cols, across))
        down, across = (down + 1) // 2, (across + 1) // 2
    down, across = (1, 2) if cols >= rows else (2, 1)
    yield _grid(_edges(rows, down), _edges(cols, across))


def grid_of(rows: int, cols: int, size: float) -> tuple[Tile, ...]:
    """A region of some rows and columns (px) dealt into tiles of about a size (px), at least two of them.

    Examples
    --------
    >>> [(tile.region.x, tile.region.width, tile.half) for tile in grid_of(24, 100, 48)]
    [(0, 48, 0), (48, 52, 1)]
    """
    down, across = (max(1, round(length / size)) for length in (rows, cols))
    if down * across < 2:
        return list(grids(rows, cols))[-1]
    return _grid(_edges(rows, down), _edges(cols, across))


def _grid(down: list[int], across: list[int]) -> tuple[Tile, ...]:
    return tuple(
        Tile(Region(left, top, right - left, bottom - top), (i + k) % 2)
        for i, (top, bottom) in enumerate(pairwise(down))
        for k, (left, right) in enumerate(pairwise(across))
    )


def _edges(size: int, count: int) -> list[int]:
    edges = np.linspace(0, size, count + 1)
    inner = _CODEC * np.rint(edges[1:-1] / _CODEC)
    if len(inner) and (np.diff([0, *inner, size]) < _CODEC).any():
        inner = np.rint(edges[1:-1])
    return [0, *inner.astype(int).tolist(), size]
