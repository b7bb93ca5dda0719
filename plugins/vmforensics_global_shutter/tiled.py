"""Normal equations solved tile by tile, as functionals."""

from __future__ import annotations

import math

import numpy as np

from vmforensics.data import Channel
from vmforensics_global_shutter.equations import Equations
from vmforensics_global_shutter.functionals import Functionals, Part
from vmforensics_global_shutter.linearise import Linearisation
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.tiles import Tile, grids

_LOSS = 0.1  # of the information that the whole picture has, estimated; 0.3 dB in truth
_SAMPLE = 2**16  # pixels that tell it


def suited_tiles(view: View) -> tuple[Tile, ...]:
    """The finest tiles that a picture allows.

    In a tile smaller than the picture's detail a motion can't be told from a change of brightness; tiles that lose too
    much so are doubled in size.
    """
    step = max(1, math.isqrt(view.picture.size // _SAMPLE))
    equations = Equations.of(view).sampled(step)
    whole = equations.information((slice(None), slice(None)))
    for grid in grids(*view.picture.shape):
        share = sum(equations.information(tile.sampled(step)) for tile in grid)
        if np.all(np.diag(share) >= (1 - _LOSS) * np.diag(whole)):
            break
    return grid


def linearised(equations: Equations, tiles: tuple[Tile, ...], view: View) -> Linearisation:
    """The solutions of every tile: two channels a tile, x and y.

    Tiles move with the picture: each keeps to the same part of the scene.
    """
    parts, channels = [], []
    precision = np.zeros((2 * len(tiles),) * 2)
    for number, tile in enumerate(tiles):
        place = tile.at(view.shift(tile.region), view.picture.shape)
        solved, known = equations.solved(place)
        own = slice(2 * number, 2 * number + 2)
        precision[own, own] = known
        parts.append(Part(*place, own, solved))
        r = tile.region
        for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0))):
            label = f"{name}, tile {r.x},{r.y} {r.width}x{r.height}"
            channels.append(Channel(label, response, tile.half, place=r))
    functionals = Functionals(tuple(parts), view.picture, len(channels))
    return Linearisation(functionals, tuple(channels), precision)
