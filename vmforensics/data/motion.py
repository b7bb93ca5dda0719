"""Displacement samples with their variances and instants: what a motion estimator measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vmforensics.data.frames import Region
from vmforensics.data.quantity import DISPLACEMENT, Quantity
from vmforensics.data.signal import Signal
from vmforensics.data.sway import Sway

_SWAY_ROUNDS = 3
_NOTHING = 1e-9  # of the largest information: as good as none
_AXIS_SAMPLES = 1_000_000  # enough to tell a direction; the rest of a long clip adds time, not angle


@dataclass(frozen=True, slots=True)
class Channel:
    """One measurement of the motion: a pixel set, a band, a direction.

    Parameters
    ----------
    label : str
        Its name, "x" or "scale 1, 45°".
    response : (float, float)
        What the channel reads for a displacement of one pixel along the sensor row (x), and across rows (y).
    half : 0, 1 or None
        Which of two disjoint sets of pixels it was measured on. Noise is independent between the halves,
        a true motion is common to both; detection rests on that. None: on neither alone.
    place : Region or None
        Rectangle of the analysed region that it was measured on, in readout order: x along the sensor row, y across
        rows. None: on the whole of it.
    """

    label: str
    response: tuple[float, float]
    half: int | None = None
    place: Region | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Motion of the scene at every instant that the clip observed.

    A sample's instant is frame_times[n] + row_offsets[y]. With a global shutter there is one row.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, rows, channels), float32, px]
        What each channel read; 0 where not observed.
    precision : ndarray [shape=(frames or 1, rows or 1, channels, channels), float32, 1/px²]
        Inverse covariance of the channels' noise; zero rows and columns for what carries no information.
    observed : ndarray [shape=(frames, rows), bool]
        Whether the sample was measured.
    frame_times : ndarray [shape=(frames,), float64, s]
        Time of each frame.
    row_offsets : ndarray [shape=(rows,), float64, s]
        Instant of each row after its frame's time.
    channels : tuple of Channel
        What the last axis means.
    frame_rate : float, Hz
        Nominal frame rate.
    exposure : float or None, s
        Exposure time that each sample averages over; None where unknown.
    quantity : Quantity
        What the channels read. Anything but displacement stands in `displacement` in its own unit, with the responses
        (1, 0), as if along the row.
    doubt : str
        Why the displacement can't be relied on ("the picture drifts by 3 px ..."); "" where it can. A run whose motion
        is in doubt gets no verdict.
    warnings : tuple of str
        What the estimator wants the user to know.
    path : ndarray [shape=(frames, 2), float64, px] or None
        Where a drifting picture stood in each frame; the estimator followed it and took it out of `displacement`. None
        where the picture stays in place.
    codec_gain : float or None
        Share of a small motion that the codec left in the decoded pixels, as estimated; 1 where it swallowed nothing,
        None where that isn't known. `displacement` is true to scale where the estimator made up for it.
    decoded : bool
        Whether it was read from decoded pixels, and not from what the codec decided of them.
    method : str
        Of an estimator that chooses among methods: which it chose, and why ("gradient: ..."); else "".

    Raises
    ------
    ValueError
        Shapes disagree, a value isn't finite, or times don't increase.
    """

    displacement: NDArray[np.float32]
    precision: NDArray[np.float32]
    observed: NDArray[np.bool_]
    frame_times: NDArray[np.float64]
    row_offsets: NDArray[np.float64]
    channels: tuple[Channel, ...]
    frame_rate: float
    exposure: float | None = None
    quantity: Quantity = DISPLACEMENT
    doubt: str = ""
    warnings: tuple[str, ...] = ()
    path: NDArray[np.float64] | None = None
    codec_gain: float | None = None
    decoded: bool = True
    method: str = ""

    def __post_init__(self) -> None:
        if self.displacement.ndim != 3:
            raise ValueError(f"displacement has {self.displacement.ndim} axes; it must be (frames, rows, channels)")
        frames, rows, channels = self.displacement.shape
        expected = {
            "observed": (self.observed.shape, (frames, rows)),
            "frame_times": (self.frame_times.shape, (frames,)),
            "row_offsets": (self.row_offsets.shape, (rows,)),
            "channels": ((len(self.channels),), (channels,)),
            "precision": (self.precision.shape[2:], (channels, channels)),
        }
        if self.path is not None:
            expected["path"] = (self.path.shape, (frames, 2))
        for name, (shape, wanted) in expected.items():
            if shape != wanted:
                raise ValueError(f"{name} has shape {shape}; displacement {self.displacement.shape} asks for {wanted}")
        if self.precision.shape[0] not in (1, frames) or self.precision.shape[1] not in (1, rows):
            raise ValueError(f"precision {self.precision.shape} doesn't broadcast to ({frames}, {rows}) samples")
        for name in ("displacement", "precision", "frame_times", "row_offsets", "path"):
            value = getattr(self, name)
            if value is not None and not np.all(np.isfinite(value)):
                raise ValueError(f"{name} holds values that aren't finite")
        if np.any(np.diff(self.frame_times) <= 0):
            raise ValueError("frame_times must increase")

    @property
    def response(self) -> NDArray[np.float64]:
        """The channels' responses to motion along x and y [shape=(channels, 2), float64]."""
        return np.array([c.response for c in self.channels], dtype=np.float64).reshape(-1, 2)

    @property
    def instants(self) -> NDArray[np.float64]:
        """Time of every sample [shape=(frames, rows), float64, s]."""
        return np.asarray(self.frame_times[:, None] + self.row_offsets[None, :])

    def half(self, which: int) -> Motion:
        """The channels measured on one of the two disjoint sets of pixels (none, if the estimator made no halves)."""
        keep = [i for i, c in enumerate(self.channels) if c.half == which]
        return replace(
            self,
            displacement=self.displacement[:, :, keep],
            precision=self.precision[:, :, keep][:, :, :, keep],
            channels=tuple(self.channels[i] for i in keep),
        )

    def without(self, frames: NDArray[np.int64]) -> Motion:
        """The same with some frames unobserved, by their numbers."""
        if not len(frames):
            return self
        observed, displacement = self.observed.copy(), self.displacement.copy()
        observed[frames] = False
        displacement[frames] = 0
        return replace(self, observed=observed, displacement=displacement)

    def along(self, axis: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Displacement along one axis, by weighted least squares over the channels.

        With d = s·u, response G and precision P: s = uᵀGᵀP v / (uᵀGᵀP G u), Var s = 1 / (uᵀGᵀP G u).

        Parameters
        ----------
        axis
            Unit vector (x, y).

        Returns
        -------
        displacement : ndarray [shape=(frames, rows), float64, px]
            0 where nothing was observed.
        information : ndarray [shape=(frames, rows), float64, 1/px²]
            Inverse variance; 0 where nothing was observed.
        """
        direction = self.response @ np.asarray(axis, dtype=np.float64)
        weights = np.einsum("frcd,d->frc", self.precision.astype(np.float64), direction)
        information = weights @ direction
        # What a channel at right angles says is rounding.
        information = np.where(information > _NOTHING * information.max(initial=0.0), information, 0.0)
        total = np.einsum("...c,...c->...", weights, self.displacement, dtype=np.float64)
        safe = np.where(information > 0, information, 1.0)
        information = np.where(self.observed, np.broadcast_to(information, self.observed.shape), 0.0)
        return np.where(information > 0, total / safe, 0.0), information

    def principal_axis(self) -> tuple[float, float]:
        """Direction in which the scene vibrates most.

        The maximum-likelihood direction u of a motion s(t)·u with s free: it maximises Σ ((uᵀb)² - uᵀMu)/(uᵀMu), where
        b = GᵀPv and M = GᵀPG are the normal equations of (dx, dy) at each sample. Every direction expects 0 under
        noise alone, so noise that differs between x and y doesn't pull the axis; a ten-thousandth of the largest
        information is added to the denominator, so that of directions that say the same the clearest is chosen.
        Take slow motion out first (`steadied`), or a sway decides.

        Returns
        -------
        (float, float)
            Unit vector (x, y), in steps of a degree, x not negative.
        """
        frames, rows = self.observed.shape
        keep = slice(None, None, max(1, frames * rows // _AXIS_SAMPLES) if rows > 1 else 1)
        observed = self.observed[keep]
        response = self.response
        gain = np.einsum("ca,frcd->frad", response, self.precision, dtype=np.float64)
        gain = gain[keep] if len(gain) > 1 else gain
        normal = gain @ response
        moment = (gain @ self.displacement[keep, :, :, None])[..., 0]
        fast = np.where(observed[..., None], moment, 0.0)
        along = np.einsum("...a,...b->...ab", fast, fast)
        count = observed.astype(np.float64)
        if len(gain) == 1:  # frames that say equally much are taken together
            along, count = along.sum(axis=0, keepdims=True), count.sum(axis=0, keepdims=True)
        strength = np.trace(normal, axis1=-2, axis2=-1)
        floor = 1e-4 * (strength.max(initial=0.0) or 1.0)
        angles = np.deg2rad(np.arange(-90.0, 90.0))
        units = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        score, total = np.empty(len(units)), np.empty(len(units))
        for k, unit in enumerate(units):
            square = np.outer(unit, unit)
            power, energy = (np.tensordot(form, square, axes=2) for form in (normal, along))
            score[k] = np.sum((energy - count * power) / (power + floor))
            total[k] = np.sum(count * power)
        score[total < 0.01 * total.max()] = -np.inf  # a direction that nothing in the picture shows
        x, y = units[int(np.argmax(score))]
        return float(x), float(y)

    def frame_means(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Each frame's (x, y) by weighted least squares over its rows and channels, and the information in it.

        Returns
        -------
        mean : ndarray [shape=(frames, 2), float64, px]
        information : ndarray [shape=(frames,), float64, 1/px²]
            0 for a frame without any observation.
        """
        frames, rows = self.observed.shape
        response = self.response
        gain = np.einsum("ca,frcd->frad", response, self.precision, dtype=np.float64)
        normal = gain @ response
        moment = np.zeros((frames, 2))
        total = np.zeros((frames, 2, 2))
        for row in range(rows):
            seen = self.observed[:, row]
            own = min(row, gain.shape[1] - 1)
            moment += np.where(seen[:, None], np.einsum("fad,fd->fa", gain[:, own], self.displacement[:, row]), 0.0)
            total += np.where(seen[:, None, None], normal[:, own], 0.0)
        strength = np.trace(total, axis1=1, axis2=2)
        ridge = 1e-6 * (strength.max(initial=0.0) or 1.0) * np.eye(2)
        return np.asarray(np.linalg.solve(total + ridge, moment[..., None])[..., 0]), strength

    def sway(self) -> Sway:
        """The slow motion of the whole picture, with the path that was taken out of it."""
        return self._slow(0.0 if self.path is None else self.path)

    def _slow(self, path: NDArray[np.float64] | float) -> Sway:
        """The slow motion in the displacement, on top of a path."""
        mean, information = self.frame_means()
        middle = self.frame_times + float(self.row_offsets.mean())
        return Sway.through(mean + path, information, middle, frame_rate=self.frame_rate)

    def steadied(self) -> tuple[Motion, Sway]:
        """Set the slow motion of the whole picture apart.

        In rounds, for a frame's mean and a smooth path each fall short of a fast sway (twicing: Tukey 1977).

        Returns
        -------
        Motion
            What is left when the sway is taken out of every channel.
        Sway
            The slow motion that was in the displacement.
        """
        steady, sway = self, self._slow(0.0)
        for k in range(_SWAY_ROUNDS):
            sway = sway.with_rest(steady._slow(0.0)) if k else sway
            displacement = self.displacement.copy()
            for row, offset in enumerate(self.row_offsets):
                seen = self.observed[:, row]
                path = sway.at((self.frame_times + offset)[seen])
                if len(path):  # a row's mean went with the template that it was measured against
                    displacement[seen, row] -= (path - path.mean(axis=0)) @ self.response.T
            steady = replace(self, displacement=displacement)
        return steady, sway

    def onto_grid(self, axis: tuple[float, float], *, start: float, rate: float, size: int) -> Signal:
        """The motion along an axis averaged into the samples of a uniform grid, nothing filled in.

        Sample k takes the information-weighted mean of what was observed within half a sample of start + k/rate;
        a sample with no observation is 0 and marked unobserved.

        Parameters
        ----------
        axis
            Unit vector (x, y).
        start : float, s
            Time of the first sample.
        rate : float, Hz
            Samples per second.
        size
            Number of samples.
        """
        displacement, information = self.along(axis)
        slot = np.rint((self.instants - start) * rate).astype(np.int64)
        inside = (slot >= 0) & (slot < size) & (information > 0)
        weight = np.bincount(slot[inside], information[inside], minlength=size)
        total = np.bincount(slot[inside], (information * displacement)[inside], minlength=size)
        observed = weight > 0
        safe = np.where(observed, weight, 1.0)
        return Signal(
            samples=np.where(observed, total / safe, 0.0),
            rate=rate,
            start=start,
            observed=observed,
            sigma=np.where(observed, 1 / np.sqrt(safe), 0.0),
            axis=axis,
            quantity=self.quantity,
        )
