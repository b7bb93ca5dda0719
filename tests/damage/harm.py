"""Ways in which files come to grief."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def _truncated(data: bytearray, rng: np.random.Generator) -> None:
    """The end is missing: a transfer broke off, a recorder lost power."""
    del data[int(rng.integers(1, len(data))) :]


def _beheaded(data: bytearray, rng: np.random.Generator) -> None:
    """The beginning is missing: carved from a disk, cut from a stream."""
    del data[: int(rng.integers(1, max(2, len(data) // 2)))]


def _flipped(data: bytearray, rng: np.random.Generator) -> None:
    """Single bits turned: a worn-out memory card."""
    for position in rng.integers(0, len(data), int(rng.integers(1, 24))):
        data[position] ^= 1 << int(rng.integers(8))


def _flipped_header(data: bytearray, rng: np.random.Generator) -> None:
    """Bits turned in the first or last kilobyte, where containers say what they hold."""
    size = min(1024, len(data))
    start = 0 if rng.random() < 0.5 else len(data) - size
    for position in rng.integers(0, size, int(rng.integers(1, 8))):
        data[start + position] ^= 1 << int(rng.integers(8))


def _blanked(data: bytearray, rng: np.random.Generator) -> None:
    """A run of zeros: a sector that can't be read."""
    size = int(rng.integers(1, max(2, min(4096, len(data) // 3))))
    start = int(rng.integers(len(data) - size + 1))
    data[start : start + size] = bytes(size)


def _scrambled(data: bytearray, rng: np.random.Generator) -> None:
    """A run of noise: a sector that belongs to another file."""
    size = int(rng.integers(1, max(2, min(4096, len(data) // 3))))
    start = int(rng.integers(len(data) - size + 1))
    data[start : start + size] = rng.bytes(size)


def _holed(data: bytearray, rng: np.random.Generator) -> None:
    """A run is missing, as lost network packets are."""
    size = int(rng.integers(1, max(2, len(data) // 4)))
    start = int(rng.integers(len(data) - size + 1))
    del data[start : start + size]


def _stuttering(data: bytearray, rng: np.random.Generator) -> None:
    """A run occurs twice, as where a copy was resumed in the wrong place."""
    size = int(rng.integers(1, max(2, len(data) // 4)))
    start = int(rng.integers(len(data) - size + 1))
    data[start:start] = data[start : start + size]


HARMS: Mapping[str, Callable[[bytearray, np.random.Generator], None]] = {
    "truncated": _truncated,
    "beheaded": _beheaded,
    "flipped bits": _flipped,
    "flipped header": _flipped_header,
    "blanked": _blanked,
    "scrambled": _scrambled,
    "holed": _holed,
    "stuttering": _stuttering,
}
"""What is done to a file's bytes in place; never empties it."""
