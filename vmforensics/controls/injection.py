"""A tone of known displacement, put into the footage's own pixels, to see what the chain makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import FrameBlock, Motion, SensorFrames
from vmforensics.numerics.derivative import derivative

_FINER = 16  # times finer than the footage's codes, or a hundredth of a pixel would be rounded away
_LARGEST_CODE = 65535
_STRETCHES = 10  # of the frames, for the jackknife


@dataclass(frozen=True, slots=True)
class Tone:
    """A sinusoidal motion of the whole picture.

    Parameters
    ----------
    frequency : float, Hz
    rms : float, px
        RMS displacement.
    axis : (float, float)
        Its direction: unit vector along the sensor row (x) and across rows (y).
    """

    frequency: float
    rms: float
    axis: tuple[float, float] = (1.0, 0.0)

    @classmethod
    def suited(cls, frame_rate: float, upper: float, rms: float, axis: tuple[float, float]) -> Tone:
        """Near 300 Hz, and well away from the multiples of a frame rate that rows don't show.

        Parameters
        ----------
        frame_rate, upper : float, Hz
            Frames per second, and the highest frequency that the chain shows.
        rms, axis
            Of the tone.
        """
        frequency = frame_rate * (np.floor(300.0 / frame_rate) + 0.37) if frame_rate < 300.0 else 300.0
        return cls(float(min(frequency, 0.37 * upper * 2)) if frequency >= upper else float(frequency), rms, axis)

    def at(self, instants: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement along the axis at some instants (s) [shape=instants.shape, float64, px]."""
        return np.asarray(np.sqrt(2.0) * self.rms * np.sin(2 * np.pi * self.frequency * instants))


@dataclass(frozen=True, slots=True, eq=False)
class InjectedFrames(SensorFrames):
    """The first frames of a clip with a tone in their pixels, row by row at the rows' instants.

    A frame I becomes I - d·(u_x·I_x + u_y·I_y), to first order what a motion of d along u makes of it, in codes sixteen
    times as fine. As many frames as the clock has times. How the codec came to the pixels says nothing of these.
    """

    tone: Tone = field(default_factory=lambda: Tone(300.0, 0.0))

    @property
    def frame_count(self) -> int:
        """Number of frames that are shown."""
        return len(self.clock.times)

    @property
    def finer(self) -> int:
        """How many times finer the codes are than the footage's."""
        return max(1, min(_FINER, _LARGEST_CODE // self.stream.full_scale))

    @property
    def full_scale(self) -> int:
        """Largest code."""
        return self.stream.full_scale * self.finer

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass over the frames, in readout order."""
        offsets = self.row_offsets()
        for block in SensorFrames(self.stream, self.clock, self.shutter, self.region).blocks():
            keep = block.index < self.frame_count
            luma = np.empty((int(keep.sum()), self.rows, self.cols), dtype=np.uint16)
            for k, (index, frame) in enumerate(zip(block.index[keep], block.luma[keep], strict=True)):
                luma[k] = self._moved(frame.astype(np.float64), self.clock.times[index] + offsets)
            if len(luma):
                yield FrameBlock(block.index[keep], luma, block.frame_types[: len(luma)])
            if not keep.all():
                return

    def coded_blocks(self) -> Iterator[FrameBlock]:
        """None: no codec coded these."""
        return iter(())

    def _moved(self, frame: NDArray[np.float64], instants: NDArray[np.float64]) -> NDArray[np.uint16]:
        x, y = self.tone.axis
        slope = (x * derivative(frame, axis=1) if x else 0.0) + (y * derivative(frame, axis=0) if y else 0.0)
        moved = (frame - self.tone.at(instants)[:, None] * slope) * self.finer
        return np.asarray(np.clip(np.rint(moved), 0, self.full_scale).astype(np.uint16))


@dataclass(frozen=True, slots=True)
class Gain:
    """How much of an injected tone was measured.

    Parameters
    ----------
    value : float
        1 for all of it.
    uncertainty : float
        Its standard uncertainty.
    """

    value: float
    uncertainty: float


def gain_of(plain: Motion, injected: Motion, tone: Tone) -> Gain | None:
    """Regress what an injection changed in the motion on what was injected; None where it can't be told.

    It can't where nothing shows along its axis, or where the estimator took other rows together.

    The footage's own motion and noise are in both, and cancel. Each row's mean over the frames goes with the template.
    The uncertainty is a jackknife over stretches of the frames (Efron & Stein 1981, doi:10.1214/aos/1176345462).

    Parameters
    ----------
    plain
        Of the footage as it is; its first frames are compared.
    injected
        Of the same frames with the tone in them.
    tone
        What was injected.
    """
    frames = len(injected.frame_times)
    if injected.observed.shape[1] != plain.observed.shape[1]:
        return None
    changed, information = injected.along(tone.axis)
    before, known = plain.along(tone.axis)
    weight = np.where((known[:frames] > 0) & (information > 0), information, 0.0)
    change = changed - before[:frames]
    wave = tone.at(injected.instants)
    total = np.maximum(weight.sum(axis=0), 1e-300)
    change, wave = (v - np.sum(weight * v, axis=0) / total for v in (change, wave))
    product, power = (np.sum(weight * v, axis=1) for v in (change * wave, wave**2))
    if not power.sum() > 0:
        return None
    left = []
    for stretch in np.array_split(np.arange(frames), _STRETCHES):
        rest = power.sum() - power[stretch].sum()
        if rest > 0:
            left.append((product.sum() - product[stretch].sum()) / rest)
    spread = np.asarray(left) - np.mean(left)
    variance = (len(left) - 1) / max(len(left), 1) * float(np.sum(spread**2))
    return Gain(float(product.sum() / power.sum()), float(np.sqrt(variance)))
