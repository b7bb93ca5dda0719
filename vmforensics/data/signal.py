"""A uniformly sampled signal that knows which samples were seen and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.quantity import DISPLACEMENT, Quantity


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The recovered motion on a uniform time line.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64, `unit`]
        What was recovered, in the unit of `quantity`.
    rate : float, Hz
        Samples per second.
    start : float, s
        Instant of the first sample, on the clip's clock.
    observed : ndarray [shape=(n,), bool]
        False where the camera saw nothing (between frames, dropped frames): such samples are synthesised or zero.
    sigma : ndarray [shape=(n,), float64, `unit`]
        Standard uncertainty of each sample, in the same unit; 0 where a sample is an empty gap.
    axis : (float, float)
        Direction of the displacement: unit vector along the sensor row (x) and across rows (y).
    quantity : Quantity
        What the samples are: displacement, unless the motion estimator measured something else.
    exposure_undone : float, dB
        Gain by which, at most, the loss that a row's exposure causes was made up for; 0 where it was left as it was.
    warnings : tuple of str
        What the stages wanted the user to know.
    method : str
        Of a combiner that sorts out which channels count: what it found; else "".

    Raises
    ------
    ValueError
        Shapes disagree, or a value isn't finite.
    """

    samples: NDArray[np.float64]
    rate: float
    start: float
    observed: NDArray[np.bool_]
    sigma: NDArray[np.float64]
    axis: tuple[float, float] = (1.0, 0.0)
    quantity: Quantity = DISPLACEMENT
    exposure_undone: float = 0.0
    warnings: tuple[str, ...] = ()
    method: str = ""

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or len(self.samples) == 0:
            raise ValueError(f"samples have shape {self.samples.shape}; they must be one non-empty row")
        for name in ("observed", "sigma"):
            if getattr(self, name).shape != self.samples.shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, samples {self.samples.shape}")
        if self.observed.dtype != np.bool_:
            raise ValueError(f"observed is {self.observed.dtype}; it must be bool")
        for name in ("samples", "sigma"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} holds values that aren't finite")
        if np.any(self.sigma < 0):
            raise ValueError("sigma must not be negative")
        if not (np.isfinite(self.rate) and self.rate > 0 and np.isfinite(self.start)):
            raise ValueError(f"rate {self.rate} Hz and start {self.start} s must be finite, the rate positive")

    @property
    def unit(self) -> str:
        """Unit of samples and sigma."""
        return self.quantity.unit

    @property
    def times(self) -> NDArray[np.float64]:
        """Instant of every sample [shape=(n,), float64, s]."""
        return np.asarray(self.start + np.arange(len(self.samples)) / self.rate)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    @property
    def synthesised_share(self) -> float:
        """Share of the samples that the camera didn't see."""
        return float(1 - self.observed.mean())
