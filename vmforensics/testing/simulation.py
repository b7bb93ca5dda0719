"""A clip with known truth: a scene, moved by a sound, seen by a camera."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import (
    Clock,
    FrameBlock,
    FrameStream,
    Luma,
    Region,
    SensorFrames,
    Shutter,
    TimingVerdict,
)
from vmforensics.errors import ParameterError
from vmforensics.testing.camera import Camera, Flicker, axis_in_readout_order, to_coded_picture, to_readout_order
from vmforensics.testing.occluder import Occluder, coverage
from vmforensics.testing.scene import MovingScene, Scene
from vmforensics.testing.sound import Sound, Waveform
from vmforensics.testing.turning import TurningScene

_BLOCK_PIXELS = 2**21  # rendering takes about 40 bytes for each
_KEPT_BYTES = 256 * 2**20  # a clip up to this size is rendered once and kept
_LARGEST_DEVIATION = 1.5  # px within one exposure; the series' size grows with it
_ELSEWHERE = (37.0, 11.0)  # px along and across the rows: an occluder shows what isn't behind it
_SCENE, _SOUND, _TIMES, _NOISE, _HAND, _ROLL = range(6)  # independent random streams of one seed


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What an ideal estimator would measure.

    Parameters
    ----------
    instants : ndarray [shape=(frames, rows or 1), float64, s]
        Middle of each exposure; one row for a global shutter, else one a sensor row in readout order.
    displacement : ndarray [shape=(frames, rows or 1), float64, px]
        Vibration along `axis`, averaged over the exposure.
    drift : ndarray [shape=(frames, rows or 1, 2), float64, px]
        Slow motion of the whole picture along the sensor row and across rows, at the instants.
    turn : ndarray [shape=(frames, rows or 1), float64, radians]
        Slow turning of the picture about its middle, before it drifts; positive turns x towards y.
    axis : (float, float)
        Unit vector of the vibration along the sensor row (x) and across rows (y), in readout order.
    """

    instants: NDArray[np.float64]
    displacement: NDArray[np.float64]
    drift: NDArray[np.float64]
    turn: NDArray[np.float64]
    axis: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated clip; made by `simulate`, whose parameters its fields are.

    Frames are rendered when asked for, the same ones every time.
    """

    camera: Camera
    scene: Scene
    sound: Sound
    rms_px: float
    direction: float
    drift: tuple[float, float]
    sway: float
    sway_frequency: float
    handheld: float
    roll: float
    moving: Region | None
    occluder: Occluder | None
    flicker: Flicker | None
    seed: int

    def __post_init__(self) -> None:
        for name in ("rms_px", "sway", "sway_frequency", "handheld", "roll"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be finite and not negative")
        if not all(math.isfinite(v) for v in (self.direction, *self.drift)):
            raise ParameterError(f"direction {self.direction} and drift {self.drift} must be finite")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}; it must not be negative")
        if self.moving is not None:
            self.moving.check_inside(self.camera.height, self.camera.width)
        if self._deviation_bound > _LARGEST_DEVIATION:
            raise ParameterError(
                f"the vibration may travel {self._deviation_bound:.1f} px within one exposure of "
                f"{self.camera.exposure:g} s; at most {_LARGEST_DEVIATION:g} px can be rendered exactly",
                hint="lower the displacement or the exposure",
            )

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, stream]))

    @property
    def shutter(self) -> Shutter:
        """The camera's shutter."""
        return self.camera.shutter

    @property
    def picture_axis(self) -> tuple[float, float]:
        """Unit vector of the vibration in the coded picture: (right, down)."""
        angle = math.radians(self.direction)
        # the four main directions exactly, so that a horizontal motion has no trace of a vertical one
        return (round(math.cos(angle), 15) + 0.0, round(math.sin(angle), 15) + 0.0)

    @functools.cached_property
    def _waveform(self) -> Waveform:
        return self.sound.waveform(self.camera.duration, self._generator(_SOUND))

    def displacement(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The vibration along its direction at any times (s), in px: the sound itself, not averaged over exposures."""
        return np.asarray(self.rms_px * self._waveform(np.asarray(times, dtype=np.float64)))

    @functools.cached_property
    def frame_times(self) -> NDArray[np.float64]:
        """Start of sensor row 0's exposure in each frame [shape=(frames,), float64, s]."""
        return self.camera.frame_times(self._generator(_TIMES))

    @property
    def clock(self) -> Clock:
        """The exact clock."""
        camera = self.camera
        exact = not camera.jitter and not camera.dropped
        return Clock(
            times=self.frame_times,
            rate=camera.fps,
            verdict=TimingVerdict.EXACT if exact else TimingVerdict.VARIABLE,
            basis="simulated frame times",
            missing=len(set(camera.dropped)),
        )

    @property
    def truth(self) -> Truth:
        """What an ideal estimator would measure."""
        return self._truth(slice(None))

    def _truth(self, frames: slice) -> Truth:
        instants = self._instants(frames)
        mean, _ = self._exposed(frames, 0)
        axis = axis_in_readout_order(self.picture_axis, self.shutter.direction)
        return Truth(instants, mean, self._drift(instants), self._turn(instants), axis)

    def _instants(self, frames: slice) -> NDArray[np.float64]:
        rows = self.camera.sensor_rows if self.shutter.is_rolling else 1
        return np.asarray(self.frame_times[frames, None] + self.shutter.row_offsets(rows)[None, :])

    def _sensor_rows(self, frames: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Instants [shape=(frames, rows or 1, sensor rows per row)] and shares of what went into each stored row."""
        rows = self.camera.sensor_rows if self.shutter.is_rolling else 1
        offsets, shares = self.shutter.sensor_rows(rows)
        return np.asarray(self.frame_times[frames, None, None] + offsets), shares

    def _exposed(self, frames: slice, moments: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean of the displacement over each row's exposure, and its central moments [shape=(moments + 1, *mean)].

        Gauss-Legendre quadrature: with n nodes a sine of c cycles per exposure is integrated to 1e-12 for n ≥ πc + 6.
        """
        instants, shares = self._sensor_rows(frames)
        exposure = self.camera.exposure
        if self.sound.bandwidth == 0 or (exposure == 0 and instants.shape[-1] == 1):
            mean = self.displacement(instants[..., 0])
            return mean, np.zeros((moments + 1, *mean.shape))
        count = 6 + math.ceil(math.pi * self.sound.bandwidth * exposure) if exposure else 1
        nodes, weights = np.polynomial.legendre.leggauss(count)
        weights = weights / 2
        samples = np.stack([self.displacement(instants + exposure / 2 * node) for node in nodes])
        mean = np.sum(np.tensordot(weights, samples, axes=1) * shares, axis=-1)
        deviation = samples - mean[..., None]
        powers = [np.sum(np.tensordot(weights, deviation**p, axes=1) * shares, axis=-1) for p in range(moments + 1)]
        return mean, np.stack(powers)

    def _drift(self, instants: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slow displacement at each instant [shape=(*instants, 2)], along and across sensor rows."""
        across = axis_in_readout_order(self.drift, self.shutter.direction)
        swinging = self.sway * np.sin(2 * np.pi * self.sway_frequency * instants)
        length = math.hypot(*across)
        unit = (across[0] / length, across[1] / length) if length else (1.0, 0.0)
        share = instants / self.camera.duration
        steady = np.stack([v * share + u * swinging for v, u in zip(across, unit, strict=True)], axis=-1)
        return steady + self._hand(instants) if self.handheld else steady

    def _hand(self, instants: NDArray[np.float64]) -> NDArray[np.float64]:
        """A hand's wandering and its tremor of 7 to 11 Hz, `handheld` px from end to end along and across the rows."""
        return self.handheld * self._wandering(instants, _HAND, 2)

    def _turn(self, instants: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same hand's turning [shape=instants.shape, radians], `roll` degrees from end to end."""
        if not self.roll:
            return np.zeros_like(instants)
        return math.radians(self.roll) * self._wandering(instants, _ROLL, 1)[..., 0]

    def _wandering(self, instants: NDArray[np.float64], stream: int, count: int) -> NDArray[np.float64]:
        """Independent paths of a hand [shape=(*instants, count)], each with mean 0 and 1 from end to end."""
        random = self._generator(stream)
        frequency = np.concatenate([random.uniform(0.2, 3.0, 8), random.uniform(7.0, 11.0, 3)])
        size = np.where(frequency < 5, frequency**-1.5, 0.02) * random.standard_normal((count, len(frequency)))
        phase = random.uniform(0, 2 * np.pi, size.shape)

        def path(times: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.sum(size * np.sin(2 * np.pi * frequency * times[..., None, None] + phase), axis=-1))

        whole = path(np.linspace(0, self.camera.duration, 400))
        return np.asarray((path(instants) - whole.mean(axis=0)) / np.ptp(whole, axis=0))

    @functools.cached_property
    def _peak(self) -> float:
        """Largest displacement of the vibration in px."""
        count = max(1000, math.ceil(8 * self.sound.bandwidth * self.camera.duration))
        return float(np.abs(self.displacement(np.linspace(0, self.camera.duration, count))).max())

    @property
    def _deviation_bound(self) -> float:
        """Bound of the deviation from the mean within an exposure: by the peak, and by the slope (Bernstein)."""
        shutter = self.shutter
        span = self.camera.exposure + math.ceil(shutter.sensor_rows_per_row - 1) * shutter.line_time
        return self._peak * min(2.0, 1.05 * math.pi * self.sound.bandwidth * span)

    def _canvas(self) -> NDArray[np.float64]:
        """The scene, with all that may come into view, in readout order."""
        from scipy.fft import next_fast_len

        camera = self.camera
        travel = math.hypot(*self.drift) + self.sway + self.handheld + self._peak
        travel += math.radians(self.roll) * math.hypot(camera.height, camera.width) / 2
        margin = max(16, 8 + math.ceil(travel))  # the same canvas for a still and a vibrating clip
        height, width = (next_fast_len(n + 2 * margin, real=True) for n in (camera.height, camera.width))
        return to_readout_order(self.scene.canvas(height, width, self._generator(_SCENE)), self.shutter.direction)

    @functools.cached_property
    def _moving_scene(self) -> MovingScene:
        camera = self.camera
        axis = axis_in_readout_order(self.picture_axis, self.shutter.direction)
        drift = self._drift(np.array([0.25, 1.0]) * camera.duration)
        return MovingScene(
            self._canvas(),
            camera.sensor_rows,
            camera.sensor_cols,
            axis=axis,
            moves_across_rows=bool(axis[1] * self._peak or np.any(drift[:, 1])),
            deviation=self._deviation_bound,
        )

    @functools.cached_property
    def _turning_scene(self) -> TurningScene:
        axis = axis_in_readout_order(self.picture_axis, self.shutter.direction)
        rows, cols = self.camera.sensor_rows, self.camera.sensor_cols
        return TurningScene(self._canvas(), rows, cols, axis=axis, deviation=self._deviation_bound)

    @property
    def _moments(self) -> int:
        return self._turning_scene.moments if self.roll else self._moving_scene.moments

    def _seen(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        instants: NDArray[np.float64],
        moments: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """The scene from where the camera stands at some instants, displaced by (x, y) px."""
        if self.roll:
            return self._turning_scene.render(x, y, self._turn(instants), moments)
        return self._moving_scene.render(x, y, moments)

    def blocks(self) -> Iterator[FrameBlock]:
        """Render the clip, a block at a time, in coded (not readout) orientation."""
        size = max(1, _BLOCK_PIXELS // (self.camera.width * self.camera.height))
        generator = self._generator(_NOISE)
        kept = [n for n in range(self.camera.frames) if n not in self.camera.dropped]
        before: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        for first in range(0, len(self.frame_times), size):
            frames = slice(first, min(first + size, len(self.frame_times)))
            luma = self._render(frames, generator)
            for k, number in enumerate(kept[frames]):
                source = luma[k - 1] if k else before
                if number in self.camera.repeated and source is not None:
                    luma[k] = source
            before = luma[-1].copy()
            yield FrameBlock(np.arange(frames.start, frames.stop), luma)

    def _render(self, frames: slice, generator: np.random.Generator) -> Luma:
        axis = axis_in_readout_order(self.picture_axis, self.shutter.direction)
        instants = self._instants(frames)
        vibration, moments = self._exposed(frames, self._moments)
        drift = self._drift(instants)
        x, y = drift[..., 0], drift[..., 1]
        picture = self._seen(x + axis[0] * vibration, y + axis[1] * vibration, instants, moments)
        if self.moving is not None:
            share = self._share_moving(self.moving, x, y)
            still = self._seen(x, y, instants, np.zeros_like(moments))
            picture -= still
            picture *= share
            picture += still
        if self.occluder is not None:
            self._occlude(picture, self.occluder, instants)
        light = np.ones_like(instants)
        if self.flicker:
            seen, shares = self._sensor_rows(frames)
            light = np.sum(self.flicker.light(seen, self.camera.exposure) * shares, axis=-1)
        return to_coded_picture(self.camera.expose(picture, light, generator), self.shutter.direction)

    def _occlude(self, picture: NDArray[np.float32], occluder: Occluder, instants: NDArray[np.float64]) -> None:
        """Put what passes in front of the scene, in place; frames that it isn't in stay as they are."""
        own = np.flatnonzero(np.any((instants > occluder.begin) & (instants < occluder.end), axis=1))
        if not len(own):
            return
        right, down = _ELSEWHERE
        left = occluder.left(instants[own], self.camera.sensor_cols)
        front = self._moving_scene.render(
            right + left, np.full_like(left, down), np.zeros((self._moving_scene.moments + 1, *left.shape))
        )
        share = occluder.share(instants[own], self.camera.sensor_rows, self.camera.sensor_cols)
        picture[own] += share * (front - picture[own])

    def _share_moving(self, region: Region, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
        """How much of each pixel the vibrating region covers [shape=(frames, rows, cols)]; it drifts with the rest."""
        inside = np.zeros((self.camera.height, self.camera.width))
        inside[region.y : region.y + region.height, region.x : region.x + region.width] = 1
        inside = to_readout_order(inside, self.shutter.direction)
        rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        row, col = np.arange(inside.shape[0]), np.arange(inside.shape[1])
        down = coverage(row - y, rows[0], rows[-1] + 1)
        along = coverage(col - x[..., None], cols[0], cols[-1] + 1)
        return np.asarray(down[:, :, None] * along, dtype=np.float32)

    @functools.cached_property
    def frames(self) -> Luma:
        """The whole clip [shape=(frames, height, width), uint8 or uint16, digital numbers]; mind its size."""
        return np.concatenate([block.luma for block in self.blocks()])

    def settings(self) -> dict[str, object]:
        """Everything that was set, as JSON values; the camera's fields are in the units of `Camera`."""
        return {
            "camera": dataclasses.asdict(self.camera),
            "scene": self.scene.name,
            "sound": self.sound.name,
            "rms_px": self.rms_px,
            "direction_degrees": self.direction,
            "drift_px": list(self.drift),
            "sway_px": self.sway,
            "sway_frequency_hz": self.sway_frequency,
            "handheld_px": self.handheld,
            "roll_degrees": self.roll,
            "moving": dataclasses.asdict(self.moving) if self.moving else None,
            "occluder": dataclasses.asdict(self.occluder) if self.occluder else None,
            "flicker": dataclasses.asdict(self.flicker) if self.flicker else None,
            "seed": self.seed,
        }

    def stream(self) -> FrameStream:
        """The clip as a source would open it, without file or codec."""
        return _SimulatedStream(self)

    def sensor_frames(self, region: Region | None = None) -> SensorFrames:
        """The clip with its exact clock and shutter, ready for a motion estimator."""
        return SensorFrames(self.stream(), self.clock, self.shutter, region)


class _SimulatedStream(FrameStream):
    """A simulation's frames: kept in memory where they are few, else rendered again on each pass."""

    def __init__(self, simulation: Simulation) -> None:
        camera = simulation.camera
        self._simulation = simulation
        self.height, self.width, self.full_scale = camera.height, camera.width, camera.full_scale
        self.stamps = simulation.frame_times
        self.stamp_resolution = 0.0
        self.declared_rate = camera.fps
        self.facts = {"container": "none (simulated)", "bits": camera.bits}
        self.complaints = []

    def blocks(self) -> Iterator[FrameBlock]:
        bytes_per_frame = self.height * self.width * (1 if self.full_scale == 255 else 2)
        if len(self.stamps) * bytes_per_frame > _KEPT_BYTES:
            yield from self._simulation.blocks()
            return
        frames = self._simulation.frames
        size = max(1, _BLOCK_PIXELS // (self.height * self.width))
        for first in range(0, len(frames), size):
            luma = frames[first : first + size]
            yield FrameBlock(np.arange(first, first + len(luma)), luma)


def simulate(
    camera: Camera | None = None,
    *,
    scene: Scene | str = "print",
    sound: Sound | str | Path = "melody",
    rms_px: float = 0.03,
    direction: float = 0.0,
    drift: tuple[float, float] = (0.0, 0.0),
    sway: float = 0.0,
    sway_frequency: float = 0.5,
    handheld: float = 0.0,
    roll: float = 0.0,
    moving: Region | None = None,
    occluder: Occluder | None = None,
    flicker: Flicker | None = None,
    seed: int = 0,
) -> Simulation:
    """Simulate a clip of a scene that a sound sets vibrating.

    The picture's content stands at x + d(t)·cos(direction), y + d(t)·sin(direction), with d(t) = rms_px · sound(t),
    plus drift. Each row is the time average of the moving picture over its exposure, under the one time formula:
    exposure centre = frame time + line_delay · sensor row + exposure/2. Drift moves the picture between rows and
    frames, not during an exposure.

    Parameters
    ----------
    camera : Camera or None
        The camera; a 640×360 global-shutter one at 60 fps for one second if None.
    scene, sound
        A `Scene` or the name of one; a `Sound`, the name of one, or the path of a WAV file.
    rms_px : float, px
        RMS displacement over the clip (a tone's amplitude is √2 times that); 0 rests.
    direction : float, degrees
        Of the vibration in the coded picture: 0 is to the right, 90 down.
    drift : (float, float), px
        Steady motion to the right and down over the whole clip.
    sway, sway_frequency : float, px and Hz
        Amplitude and frequency of a slow swinging along the drift (to the right, without drift).
    handheld : float, px
        How far a hand that holds the camera wanders over the clip, along and across the rows, tremor included.
    roll : float, degrees
        How far that hand turns the camera about the line of sight, from end to end; the picture turns about its middle,
        each row by the angle at its own instant.
    moving : Region or None
        Rectangle of the coded picture whose content vibrates, as behind a window; everything if None.
    occluder : Occluder or None
        Something opaque that passes in front.
    flicker : Flicker or None
        Lamps on the mains.
    seed : int
        Of scene, sound and noise; the same seed gives the same bytes.

    Raises
    ------
    ParameterError, RegionError
        A value is out of range.

    Examples
    --------
    >>> clip = simulate(Camera(width=32, height=24, fps=1000, frames=10), sound="tone:310", rms_px=0.05)
    >>> clip.frames.shape, clip.frames.dtype, clip.truth.displacement.shape
    ((10, 24, 32), dtype('uint8'), (10, 1))
    >>> quiet = simulate(Camera(width=32, height=24, frames=5, noise=(0, 0)), sound="silence")
    >>> bool((quiet.frames == quiet.frames[0]).all())
    True
    """
    return Simulation(
        camera=camera or Camera(),
        scene=scene if isinstance(scene, Scene) else Scene.named(scene),
        sound=sound if isinstance(sound, Sound) else Sound.named(str(sound)),
        rms_px=rms_px,
        direction=direction,
        drift=drift,
        sway=sway,
        sway_frequency=sway_frequency,
        handheld=handheld,
        roll=roll,
        moving=moving,
        occluder=occluder,
        flicker=flicker,
        seed=seed,
    )
