"""A score as something that is reduced from pieces in time, so that its confidence interval can be resampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST_BLOCKS = 6
_SHORTEST_BLOCK = 0.1  # s


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """What a score is made of, piece by piece in time.

    Parameters
    ----------
    values : ndarray [shape=(n, ...), float64 or complex128]
        One entry a piece: a frame's value, a segment's spectra, or the samples themselves.
    step : float, s
        Time from piece to piece.
    reduce : callable
        Pieces [shape=(m, ...)] → the score; None where they hold nothing to score.
    resamples
        How often the score is drawn anew for its interval; 0 for one that has none.
    """

    values: NDArray[np.generic]
    step: float
    reduce: Callable[[NDArray[np.generic]], float | None]
    resamples: int = 1000

    @property
    def value(self) -> float | None:
        """The score."""
        return self.reduce(self.values) if len(self.values) else None

    def interval(self, block: float = 0.5, confidence: float = 0.95, seed: int = 0) -> tuple[float, float] | None:
        """Confidence interval of the score, by the moving-block bootstrap, percentiles (Künsch 1989).

        Sound a moment later resembles itself, so whole blocks of time are drawn, doi:10.1214/aos/1176347265. None
        where the pieces last less than six blocks of a tenth of a second, most draws hold nothing to score, or the
        score has none.

        Parameters
        ----------
        block : float, s
            Length of the blocks drawn; less where the sound isn't six times as long.
        confidence
            Share of the draws inside the interval.
        seed
            Of the draws; the same seed gives the same interval.
        """
        size = len(self.values)
        block = min(block, size * self.step / _FEWEST_BLOCKS)
        if not self.resamples or block < _SHORTEST_BLOCK:
            return None
        length = max(round(block / self.step), 1)
        random = np.random.default_rng(seed)
        draws = []
        for _ in range(self.resamples):
            starts = random.integers(0, size - length + 1, -(-size // length))
            chosen = (starts[:, None] + np.arange(length)).ravel()[:size]
            draws.append(self.reduce(self.values[chosen]))
        found = [draw for draw in draws if draw is not None]
        if len(found) < self.resamples / 2:
            return None
        low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)


def framed(samples: NDArray[np.float64], length: int, hop: int) -> NDArray[np.float64]:
    """Overlapping frames of a signal [shape=(frames, length)], none where it is shorter."""
    if len(samples) < length:
        return np.zeros((0, length))
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
