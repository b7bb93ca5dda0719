"""How often a soundless clip is said to hold a signal: `make silence`. Not a test, for it takes a quarter of an hour.

Random soundless clips of both shutters, with noise, drift, hand-held cameras that also turn, light that flickers
everywhere or on a part of the picture, things that pass in front, and the codecs that footage comes in, go through the
usual estimator, combiner and detector. A clip that is refused isn't an alarm.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from partly_lit import PartlyLitCamera, Screen
from rich.console import Console
from rich.progress import track
from scipy.stats import beta

from vmforensics.case import USUAL_STAGES, ShutterKind
from vmforensics.custody import WatchedStream
from vmforensics.data import Evidence, Motion, Region, SensorFrames, Shutter, Signal, Verdict
from vmforensics.detection import FALSE_ALARM_RATE, detect
from vmforensics.errors import VmforensicsError
from vmforensics.kinds import find_made_up
from vmforensics.plugins import Registry
from vmforensics.recovery.controlling import combined_apart, control, heeded
from vmforensics.recovery.inspect import InspectedStream
from vmforensics.recovery.journey import dead_zone, key_interval, lines_of_lamps
from vmforensics.testing import PHOTOGRAPHS, SCENES, Camera, Flicker, Occluder, simulate, write_clip
from vmforensics.testing.sound import silence
from vmforensics.timing import judge_clock

_SIZES = ((320, 360), (240, 270), (480, 270), (160, 480))
_HIGH_SPEED_SIZES = ((160, 120), (128, 96), (224, 160))
_CODECS = (
    ("ffv1", ({},)),
    ("mjpeg", ({"quality": 2}, {"quality": 4}, {"quality": 8})),
    ("libx264", tuple({"quality": q, **b} for q in (10, 14, 18, 20, 23) for b in ({}, {"b_frames": 0}, {"gop": 12}))),
    ("libx265", ({"quality": 12}, {"quality": 18}, {"quality": 23})),
)

_PARTLY_LIT = 0.15  # of the clips


@dataclass(frozen=True, slots=True)
class Soundless:
    """A random soundless clip: its camera, what befalls it, and how it is encoded."""

    camera: Camera
    scene: str
    befalls: dict[str, Any]
    codec: str
    encoding: dict[str, Any]

    @classmethod
    def drawn(cls, generator: np.random.Generator) -> Soundless:
        """Draw one."""
        rolling = generator.random() < 0.6
        noise = (float(generator.choice([0.5, 1.0, 2.0, 4.0])), float(generator.choice([0.0, 0.01, 0.03])))
        if rolling:
            width, height = _SIZES[generator.integers(len(_SIZES))]
            fps = float(generator.choice([24, 25, 30, 50, 60]))
            line_delay = float(generator.uniform(0.5, 0.95)) / fps / height
            exposure = float(generator.choice([0.0, 1 / 4000, 1 / 1000]))
            frames = int(fps * generator.choice([1.5, 2.5]))
            camera = Camera(width, height, fps, frames, noise=noise, shutter=Shutter(line_delay, exposure=exposure))
        else:
            width, height = _HIGH_SPEED_SIZES[generator.integers(len(_HIGH_SPEED_SIZES))]
            fps = float(generator.choice([240, 500, 1000, 2200]))
            camera = Camera(width, height, fps, int(generator.choice([300, 600])), noise=noise)
        befalls: dict[str, Any] = {}
        what = generator.random()
        if what < 0.2:
            befalls["drift"] = tuple(float(v) for v in generator.uniform(-3, 3, 2))
        elif what < 0.4:
            befalls["sway"] = float(generator.choice([0.1, 0.3, 1.0]))
            befalls["drift"] = (float(generator.uniform(0, 1)), float(generator.uniform(0, 1)))
        elif what < 0.6:
            befalls["handheld"] = float(generator.choice([0.5, 2.0, 8.0]))
        if generator.random() < 0.25:
            flicker = float(generator.choice([100, 120]))
            befalls["flicker"] = Flicker(frequency=flicker, depth=float(generator.choice([0.01, 0.05, 0.2])))
        name, choices = _CODECS[generator.choice(len(_CODECS), p=[0.25, 0.2, 0.4, 0.15])]
        scenes = (*SCENES, *PHOTOGRAPHS)
        scene, encoding = str(generator.choice(scenes)), choices[generator.integers(len(choices))]
        # drawn last, so that the clips of a seed are otherwise what they were
        if "handheld" in befalls and generator.random() < 0.5:
            befalls["roll"] = float(generator.choice([0.1, 0.5, 2.0]))
        if generator.random() < 0.15:
            begin = float(generator.uniform(0, 0.5)) * camera.duration
            size = generator.uniform(0.1, 0.6, 2) * (camera.width, camera.height)
            befalls["occluder"] = Occluder(*size.tolist(), begin, begin + 0.5 * camera.duration)
        if generator.random() < _PARTLY_LIT:
            camera = _partly_lit(camera, generator)
            frequency, depth = float(generator.choice([47.3, 83.1, 100, 120])), float(generator.choice([0.05, 0.2]))
            befalls["flicker"] = (Flicker, Screen)[generator.integers(2)](frequency=frequency, depth=depth)
        return cls(camera, scene, befalls, name, encoding)

    def verdict(self, registry: Registry, path: Path, seed: int) -> tuple[str, float | None]:
        """Simulate, encode and examine it."""
        clip = simulate(self.camera, scene=self.scene, sound=silence(), seed=seed, **self.befalls)
        write_clip(clip, path, codec=self.codec, **self.encoding)
        try:
            return self._examined(registry, path)
        except VmforensicsError as error:
            return f"refused ({type(error).__name__})", None
        finally:
            path.unlink()

    def _examined(self, registry: Registry, path: Path) -> tuple[str, float | None]:
        stream = registry.create("frame_source", "video").open(Evidence(path))  # type: ignore[attr-defined]
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
        shutter = self.camera.shutter
        whole = Region(0, 0, stream.width, stream.height)
        frames = SensorFrames(InspectedStream(WatchedStream(stream), shutter, whole), clock, shutter)
        usual = USUAL_STAGES[ShutterKind.ROLLING if self.camera.shutter.is_rolling else ShutterKind.GLOBAL]
        estimator, combiner = (
            registry.create(kind, usual[kind][0]) for kind in ("motion_estimator", "signal_combiner")
        )
        motion = estimator.estimate(frames)  # type: ignore[attr-defined]
        made_up = find_made_up(motion, frames.stream.index, frames.stream.types)  # type: ignore[attr-defined]
        motion = motion.without(made_up.frames)
        signal = combiner.combine(motion)  # type: ignore[attr-defined]
        interval, lines = key_interval(stream, motion.frame_rate), lines_of_lamps(frames)
        zone = dead_zone(frames.stream)

        def chosen(measured: Motion) -> tuple[Signal, Signal] | None:
            return combined_apart(measured, combiner.combine) if combiner.selects else None  # type: ignore[attr-defined]

        found = detect(motion, signal, chosen=chosen(motion), key_interval=interval, dead_zone=zone, lamp_lines=lines)
        controls = control(
            frames,
            motion,
            signal,
            found,
            estimator.estimate,  # type: ignore[attr-defined]
            combiner.combine,  # type: ignore[attr-defined]
            key_interval=interval,
            dead_zone=zone,
            lamp_lines=lines,
            choose=chosen,
        )
        return heeded(found, controls).verdict.value, found.p_value


def _partly_lit(camera: Camera, generator: np.random.Generator) -> PartlyLitCamera:
    """The same camera with a lamp or a screen somewhere."""
    same = {field.name: getattr(camera, field.name) for field in fields(camera)}
    across, down, wide, high = (*generator.uniform(0.2, 0.8, 2), *generator.uniform(0.1, 0.3, 2))
    place = {"centre": (float(across), float(down)), "radius": (float(wide), float(high))}
    return PartlyLitCamera(**same, **place, screen=bool(generator.random() < 0.5))


def main() -> None:
    """Draw clips, examine them, and tell how many are false alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first clip")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    registry = Registry()
    console = Console(stderr=True)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(given.first, given.first + given.clips)
        for number in track(numbers, "soundless clips", console=console, disable=not console.is_terminal):
            drawn = Soundless.drawn(np.random.default_rng([given.seed, number]))
            verdict, p_value = drawn.verdict(registry, Path(folder) / f"{number}.mkv", seed=number)
            found.append((number, verdict, p_value, drawn))
            if verdict == Verdict.SIGNAL:
                console.print(f"clip {number}: p = {p_value:.2g}: {drawn}", soft_wrap=True, highlight=False)
    counts = Counter(verdict for _, verdict, _, _ in found)
    alarms = counts[Verdict.SIGNAL.value]
    upper = float(beta.ppf(0.95, alarms + 1, len(found) - alarms))
    if given.json:
        print(json.dumps({"clips": len(found), "verdicts": counts, "alarms": alarms, "at_most_95": upper}))  # noqa: T201
        return
    for verdict, count in counts.most_common():
        Console().print(f"{count:>5}  {verdict}", highlight=False)
    share = f"{100 * alarms / len(found):.2g} % false alarms (at most {100 * upper:.2g} % with 95 % confidence)"
    Console().print(f"{share}; the test is set to {100 * FALSE_ALARM_RATE:g} %", highlight=False)


if __name__ == "__main__":
    main()
