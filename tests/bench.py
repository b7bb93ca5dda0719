"""How fast the hot paths are, as ratios within one run: `make bench`. Not a test, for times depend on the machine.

Estimators are compared with decoding alone, which nobody can do without; combiners with the clip's own length.
"Without decoding" is an estimator's time less that of the two passes over the file that it makes.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from vmforensics.data import Evidence, Motion, SensorFrames, Shutter
from vmforensics.plugins import Registry
from vmforensics.testing import Camera, simulate, write_clip
from vmforensics.timing import judge_clock

T = TypeVar("T")

_FULL_HD = Camera(
    width=1920,
    height=1080,
    fps=60,
    frames=180,
    noise=(1.0, 0.01),
    shutter=Shutter(line_delay=14e-6, exposure=1 / 2000),
)
_ROLLING = Camera(width=640, height=360, fps=60, frames=90, shutter=Shutter(line_delay=40e-6, exposure=1 / 2000))
_GLOBAL = Camera(width=320, height=240, fps=2200, frames=330)
_SIZES = ((426, 240, 2000), (1280, 720, 300), (1920, 1080, 200))
_EXACT_FRAMES = 20
_CAMERA_CRF = 10  # gives full HD about 30 Mbit/s, as cameras do


def timed(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median time of some work (s), and what it returned last; a first round to warm up isn't counted."""
    result = work()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times), result


@cache
def registry() -> Registry:
    """The stages, found once a process."""
    return Registry()


class Clip:
    """A simulated clip in a file, and what is timed on it."""

    def __init__(self, camera: Camera, path: Path, **encoding: Any) -> None:
        self.camera = camera
        self.path = write_clip(simulate(camera, scene="natural", rms_px=0.03), path, **{"codec": "libx264", **encoding})

    def frames(self) -> SensorFrames:
        """The clip opened anew."""
        stream = self._stage("frame_source", "video").open(Evidence(self.path))
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
        return SensorFrames(stream, clock, self.camera.shutter)

    def decode(self) -> int:
        """One pass over the frames, and nothing done with them."""
        return sum(len(block.index) for block in self.frames().blocks())

    def estimate(self, name: str) -> Motion:
        """Both passes of a motion estimator, decoding included."""
        motion: Motion = self._stage("motion_estimator", name).estimate(self.frames())
        return motion

    def combine(self, name: str, motion: Motion) -> None:
        """A signal combiner, on motion measured before."""
        self._stage("signal_combiner", name).combine(motion)

    def _stage(self, kind: str, name: str) -> Any:
        return registry().create(kind, name)


def measure(clip: Clip, estimator: str, combiners: list[str], repeats: int) -> Table:
    """Time a clip's stages."""
    camera = clip.camera
    length = camera.frames / camera.fps
    rate = 8e-6 * clip.path.stat().st_size / length
    title = f"{camera.width}x{camera.height}, {camera.frames} frames at {camera.fps:g} fps, H.264 of {rate:.0f} Mbit/s"
    table = Table("", "ms", "frames/s", "ratio", title=title, title_justify="left", min_width=66)

    def row(what: str, seconds: float, baseline: str, ratio: float) -> None:
        table.add_row(what, f"{1e3 * seconds:.0f}", f"{camera.frames / seconds:.0f}", f"{ratio:.2f} × {baseline}")

    decoding, _ = timed(clip.decode, repeats)
    row("decoding, one pass", decoding, "decoding", 1.0)
    estimating, motion = timed(partial(clip.estimate, estimator), repeats)
    row(estimator, estimating, "decoding", estimating / decoding)
    alone = max(estimating - 2 * decoding, 1e-6)
    row(f"{estimator}, without decoding", alone, "decoding", alone / decoding)
    for name in combiners:
        combining, _ = timed(partial(clip.combine, name, motion), repeats)
        row(name, combining, "the clip's length", combining / length)
    return table


def decode_only(path: Path) -> int:
    """Decode a file with PyAV's automatic threading, and do nothing with the frames."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def at_engine(folder: Path, repeats: int) -> Table:
    """The fast engine end to end against merely decoding the same file, and against the exact pyramid.

    By turns, so that a busy machine slows both; H.264 of the quality of cameras. Memory is that of a process that does
    nothing else.
    """
    headings = ("", "decoding", "gradient", "ratio", "of processor time", "peak MB")
    table = Table(*headings, title="frames/s", title_justify="left", min_width=66)
    for (width, height, frames), codec in product(_SIZES, ("ffv1", "libx264", "mjpeg")):
        camera = Camera(width=width, height=height, fps=2200, frames=frames)
        quality = {"quality": _CAMERA_CRF, "preset": "veryfast"} if codec == "libx264" else {}
        clip = Clip(camera, folder / f"{codec}-{height}.mkv", codec=codec, **quality)
        works = (partial(decode_only, clip.path), partial(clip.estimate, "gradient"))
        rounds = [[spent(work) for work in works] for _ in range(1 + repeats)]
        decoding, estimating = np.median(rounds[1:], axis=0).tolist()
        ratios = (f"{d / e:.2f}" for d, e in zip(decoding, estimating, strict=True))
        row = (f"{frames / decoding[0]:.0f}", f"{frames / estimating[0]:.0f}", *ratios, f"{peak(clip):.0f}")
        table.add_row(f"{width}x{height} {codec}", *row)
    few = Clip(replace(camera, frames=_EXACT_FRAMES), folder / "exact.mkv", codec="ffv1")
    exact, _ = timed(partial(few.estimate, "local-phase"), 1)
    times = exact / _EXACT_FRAMES * frames / estimating[0]
    table.add_row(f"{width}x{height} local-phase", "", f"{_EXACT_FRAMES / exact:.1f}", f"gradient {times:.0f} ×")
    return table


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Time that some work takes by the clock, and of all processors together (s)."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def peak(clip: Clip) -> float:
    """Largest memory of a process that does nothing but measure a clip with the engine, in MB."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, clip).result()


def _peak(clip: Clip) -> float:
    clip.estimate("gradient")
    return 1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def profiled(clip: Clip) -> str:
    """Where the engine's time goes: the functions that take most of it themselves."""
    profile = cProfile.Profile()
    profile.runcall(clip.estimate, "gradient")
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(12)
    return text.getvalue()


def main() -> None:
    """Simulate the clips, time the stages, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="rounds that the median is taken over")
    repeats = parser.parse_args().repeats
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        full_hd = Clip(_FULL_HD, Path(folder) / "full-hd.mp4", quality=_CAMERA_CRF, preset="veryfast")
        console.print(measure(full_hd, "row-motion", [], repeats))
        rolling = Clip(_ROLLING, Path(folder) / "rolling.mp4")
        console.print(measure(rolling, "row-motion", ["row-average", "autoregressive"], repeats))
        high_speed = Clip(_GLOBAL, Path(folder) / "global.mp4")
        console.print(measure(high_speed, "local-phase", ["aligned-sum"], repeats))
        console.print(measure(high_speed, "gradient", ["aligned-sum"], repeats))
        console.print(at_engine(Path(folder), repeats))
        console.print(profiled(high_speed), markup=False)


if __name__ == "__main__":
    main()
