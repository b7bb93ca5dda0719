"""A region must hold something that can be seen to move."""

from __future__ import annotations

from vmforensics.data import SensorFrames
from vmforensics.errors import RegionError


def no_texture(frames: SensorFrames) -> RegionError:
    """The error for a region without anything to measure on."""
    r = frames.rectangle
    return RegionError(
        f"the region {r.x},{r.y},{r.width},{r.height} holds no texture to measure motion on",
        hint="choose a region with edges or a pattern in it",
    )
