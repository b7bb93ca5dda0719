"""The camera: when each row is exposed, and what the sensor makes of the light."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Luma, ReadoutDirection, Shutter
from vmforensics.errors import ParameterError

BIT_DEPTHS = (8, 10, 12, 16)
"""Bits of a pixel value that a camera may have."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Everything about a camera and its recording.

    Parameters
    ----------
    width, height : int, px
        Size of the coded picture.
    fps : float, Hz
        True frame rate (a high-speed clip's container may claim another).
    frames : int
        Number of frame times; `dropped` ones are taken out of the clip.
    shutter : Shutter
        Row time (`line_delay`, 0 for a global shutter), exposure (None: an instant), readout direction.
    bits : int
        Bits of a pixel value: 8, 10, 12 or 16.
    noise : (float, float)
        a in DN² and b in DN: a pixel of mean value I DN has the noise variance a + b·I (DN: digital numbers,
        codes of this bit depth).
    brightness : float
        Mean level, as a share of full scale.
    contrast : float
        Peak of the scene about that mean, as a share of full scale. What exceeds the scale is clipped.
    gain : float
        Factor on the picture before noise.
    jitter : float, s
        RMS of independent deviations of the frame times from the constant rate.
    dropped : tuple of int
        Frames that the recorder lost.
    repeated : tuple of int
        Frames in whose place the recorder stored the one before once more.

    Raises
    ------
    ParameterError
        A value is out of range, or the readout or exposure doesn't fit into a frame's time.
    """

    width: int = 640
    height: int = 360
    fps: float = 60.0
    frames: int = 60
    shutter: Shutter = field(default_factory=Shutter)
    bits: int = 8
    noise: tuple[float, float] = (1.0, 0.0)
    brightness: float = 0.5
    contrast: float = 0.4
    gain: float = 1.0
    jitter: float = 0.0
    dropped: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("width", "height", "frames"):
            if getattr(self, name) < 1:
                raise ParameterError(f"camera {name} is {getattr(self, name)}; it must be at least 1")
        for name in ("fps", "gain"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ParameterError(f"camera {name} is {getattr(self, name)}; it must be positive")
        for name in ("brightness", "contrast", "jitter"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ParameterError(f"camera {name} is {getattr(self, name)}; it must not be negative")
        if self.bits not in BIT_DEPTHS:
            raise ParameterError(f"camera bits is {self.bits}; it must be one of {BIT_DEPTHS}")
        if not all(math.isfinite(v) and v >= 0 for v in self.noise):
            raise ParameterError(f"camera noise is {self.noise}; a and b must not be negative")
        period = 1 / self.fps
        if self.shutter.line_delay * self.sensor_rows > period * (1 + 1e-9):
            raise ParameterError(
                f"reading {self.sensor_rows} rows at {self.shutter.line_delay:g} s each takes longer than a frame's "
                f"{period:g} s",
                hint="lower the row time, the frame rate or the number of rows",
            )
        if self.exposure > period * (1 + 1e-9):
            raise ParameterError(f"exposure {self.exposure:g} s is longer than a frame's {period:g} s")
        if self.jitter > 0.1 * period:
            raise ParameterError(f"jitter {self.jitter:g} s is more than a tenth of a frame's {period:g} s")
        if not all(0 <= n < self.frames for n in self.dropped) or len(set(self.dropped)) >= self.frames:
            raise ParameterError(f"dropped frames {self.dropped}; the clip has frames 0 to {self.frames - 1}")
        if not all(0 < n < self.frames for n in self.repeated) or set(self.repeated) & set(self.dropped):
            raise ParameterError(
                f"repeated frames {self.repeated}; the clip has frames 0 to {self.frames - 1}, the first has none "
                "before it, and a dropped one can't be repeated"
            )

    @property
    def exposure(self) -> float:
        """Exposure time of a row in s, 0 for an instant."""
        return self.shutter.exposure or 0.0

    @property
    def duration(self) -> float:
        """Length of the clip in s."""
        return self.frames / self.fps

    @property
    def full_scale(self) -> int:
        """Largest code of a pixel."""
        return int(2**self.bits - 1)

    @property
    def sensor_rows(self) -> int:
        """Number of rows in readout order (columns of the coded picture, where the readout runs along them)."""
        return self.width if self.shutter.direction.along_columns else self.height

    @property
    def sensor_cols(self) -> int:
        """Number of pixels in a sensor row."""
        return self.height if self.shutter.direction.along_columns else self.width

    @property
    def kept(self) -> list[int]:
        """Numbers of the frames that weren't dropped, counted from the first of them."""
        kept = sorted(set(range(self.frames)) - set(self.dropped))
        return [n - kept[0] for n in kept]

    def frame_times(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Start of sensor row 0's exposure, for each frame that wasn't dropped; the first is 0.

        Returns
        -------
        ndarray [shape=(frames − dropped,), float64, s]
        """
        times = np.arange(self.frames) / self.fps
        if self.jitter:
            times += self.jitter * np.clip(generator.standard_normal(self.frames), -4, 4)
        times = np.delete(times, sorted(set(self.dropped)))
        return np.asarray(times - times[0])

    def expose(self, picture: NDArray[np.float32], light: NDArray[np.float64], generator: np.random.Generator) -> Luma:
        """Pixel values for pictures in scene units: light, gain, noise, quantisation.

        Parameters
        ----------
        picture : ndarray [shape=(frames, rows, cols), float32]
            Mean 0, peak 1; overwritten.
        light : ndarray [shape=(frames, rows or 1), float64]
            Brightness of the lighting, 1 on average.
        """
        full = self.full_scale
        picture *= np.float32(self.contrast)
        picture += np.float32(self.brightness)
        picture *= (full * self.gain * light)[:, :, None].astype(np.float32)
        a, b = self.noise
        if a or b:
            noise = generator.standard_normal(picture.shape, dtype=np.float32)
            noise *= np.sqrt(a + b * np.maximum(picture, 0)) if b else np.float32(math.sqrt(a))
            picture += noise
        np.rint(picture, out=picture)
        np.clip(picture, 0, full, out=picture)
        return picture.astype(np.uint8) if self.bits == 8 else picture.astype(np.uint16)


@dataclass(frozen=True, slots=True)
class Flicker:
    """Brightness of lamps on the mains: 1 + depth·cos(2π·frequency·t + phase).

    Parameters
    ----------
    frequency : float, Hz
        Of the light: twice the mains frequency, so 100 or 120 Hz.
    depth : float
        Modulation depth, 0 to 1.
    phase : float, radians
        At the clip's start.

    Raises
    ------
    ParameterError
        A value is out of range.
    """

    frequency: float = 100.0
    depth: float = 0.1
    phase: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.frequency) and self.frequency > 0 and 0 <= self.depth <= 1):
            raise ParameterError(
                f"flicker of {self.frequency} Hz, depth {self.depth}; the frequency must be positive, the depth in 0..1"
            )

    def light(self, instants: NDArray[np.float64], exposure: float) -> NDArray[np.float64]:
        """Brightness averaged over exposures centred on the instants (s)."""
        depth = self.depth * np.sinc(self.frequency * exposure)
        return np.asarray(1 + depth * np.cos(2 * np.pi * self.frequency * instants + self.phase))


def to_readout_order(picture: NDArray[np.float64], direction: ReadoutDirection) -> NDArray[np.float64]:
    """Turn a coded picture so that its axis 0 is the readout axis, first-exposed row first."""
    turned = picture.T if direction.along_columns else picture
    return turned[::-1] if direction.reversed else turned


def to_coded_picture(frames: Luma, direction: ReadoutDirection) -> Luma:
    """Undo `to_readout_order` for frames [shape=(frames, rows, cols)]."""
    ordered = frames[:, ::-1] if direction.reversed else frames
    turned: Luma = ordered.transpose(0, 2, 1) if direction.along_columns else ordered
    return turned if turned.flags.c_contiguous else turned.copy()


def axis_in_readout_order(axis: tuple[float, float], direction: ReadoutDirection) -> tuple[float, float]:
    """A direction (right, down) of the coded picture as (along the sensor row, across rows)."""
    x, y = (axis[1], axis[0]) if direction.along_columns else axis
    return (x, -y) if direction.reversed else (x, y)
