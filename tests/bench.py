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
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vmforensics.data import Evidence, FrameBlock, Motion, SensorFrames, Shutter
from vmforensics.plugins import Registry
from vmforensics.testing import Camera, StoredFrames, simulate, write_clip
from vmforensics.timing import judge_clock

T = TypeVar("T")

_FULL_HD = Camera(
    width=1920,
    height=1080,
    fps=60,
    frames=30,
    noise=(1.0, 0.01),
    shutter=Shutter(line_delay=14e-6, exposure=1 / 2000),
)
_ROLLING = Camera(width=640, height=360, fps=60, frames=90, shutter=Shutter(line_delay=40e-6, exposure=1 / 2000))
_GLOBAL = Camera(width=320, height=240, fps=2200, frames=330)
_SIZES = {240: (426, 2000), 720: (1280, 500), 1080: (1920, 300)}
"""Height, and width and frames of the clips that the engine is timed on; of H.264, which decodes faster, thrice as many
frames."""

_IN_MEMORY = 25  # times that frames in memory are repeated

_DIFFERENT = 100  # frames of such a clip; the file repeats them
_EXACT_FRAMES = 24
_SMALL = Camera(width=240, height=180, fps=2200, frames=2000)
_PUBLIC = 114  # frames/s of the fastest public tool of the same accuracy, at that size
_PYRAMIDS = ((180, 240), (360, 640))
_PYRAMID_FRAMES = 24
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


def repeated(camera: Camera, path: Path, **encoding: Any) -> Clip:
    """A clip as long as a camera says, made of a shorter one whose packets are written again and again."""
    import av

    short = Clip(
        replace(camera, frames=min(camera.frames, _DIFFERENT)), path.with_stem(path.stem + "-short"), **encoding
    )
    with av.open(str(short.path)) as source, av.open(str(path), "w") as file:
        template = source.streams.video[0]
        stream = file.add_stream_from_template(template)
        packets = [packet for packet in source.demux(template) if packet.size]
        period = round(short.camera.frames / camera.fps / float(template.time_base or 1))
        stamps = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for turn in range(camera.frames // short.camera.frames):
            for packet, (shown, decoded) in zip(packets, stamps, strict=True):
                packet.pts, packet.dts = shown + turn * period, decoded + turn * period
                packet.stream = stream
                file.mux(packet)
    short.path.unlink()
    long = copy(short)
    long.camera, long.path = camera, path
    return long


def engine_clip(folder: Path, camera: Camera, codec: str) -> Clip:
    """A clip for the engine; H.264 has the quality of cameras."""
    quality = {"quality": _CAMERA_CRF, "preset": "veryfast"} if codec == "libx264" else {}
    return repeated(camera, folder / f"{codec}-{camera.height}.mkv", codec=codec, **quality)


def at_engine(folder: Path, repeats: int) -> Table:
    """The fast engine end to end against merely decoding the same file, and against the exact pyramid.

    By turns, so that a busy machine slows both. Memory is that of a process that does nothing else.
    """
    headings = ("", "decoding", "gradient", "ratio", "of processor time", "peak MB", "× local-phase", "in memory")
    table = Table(
        *headings, title="frames/s, and gradient's against decoding alone", title_justify="left", min_width=66
    )
    for height, (width, base) in _SIZES.items():
        few = Clip(
            Camera(width=width, height=height, fps=2200, frames=_EXACT_FRAMES),
            folder / f"exact-{height}.mkv",
            codec="ffv1",
        )
        exact, _ = timed(partial(few.estimate, "local-phase"), repeats)
        memory = in_memory(few, repeats)
        for codec in ("ffv1", "libx264", "mjpeg"):
            frames = base * (3 if codec == "libx264" else 1)
            clip = engine_clip(folder, Camera(width=width, height=height, fps=2200, frames=frames), codec)
            decoding, estimating = against_decoding(clip, repeats)
            ratios = (f"{d / e:.2f}" for d, e in zip(decoding, estimating, strict=True))
            row = (f"{frames / decoding[0]:.0f}", f"{frames / estimating[0]:.0f}", *ratios, f"{peak(clip):.0f}")
            times = exact / _EXACT_FRAMES * frames / estimating[0]
            table.add_row(f"{width}x{height} {codec}", *row, f"{times:.0f} ×", f"{memory:.0f} ×")
            clip.path.unlink()
    return table


class Repeated(StoredFrames):
    """The same frames in memory again and again."""

    def blocks(self) -> Iterator[FrameBlock]:
        """One pass over all of them."""
        count = len(self.luma)
        for turn in range(_IN_MEMORY):
            yield FrameBlock(np.arange(count) + turn * count, self.luma)


def in_memory(clip: Clip, repeats: int) -> float:
    """How many times as fast as `local-phase` the engine is on frames that needn't be decoded."""
    luma = np.concatenate([block.luma for block in clip.frames().blocks()])
    luma.flags.writeable = False
    few, many = StoredFrames(luma, rate=clip.camera.fps), Repeated(luma, rate=clip.camera.fps)
    many.stamps = np.arange(_IN_MEMORY * len(luma)) / clip.camera.fps
    methods = (("local-phase", few), ("gradient", many))
    exact, fast = (timed(partial(_estimated, *method), repeats)[0] for method in methods)
    return _IN_MEMORY * exact / fast


def _estimated(name: str, frames: StoredFrames) -> Motion:
    motion: Motion = registry().create("motion_estimator", name).estimate(frames.sensor_frames())  # type: ignore[attr-defined]
    return motion


def at_small(folder: Path, repeats: int) -> Table:
    """The engine at the size that public tools were timed at."""
    table = Table("", "frames/s", "× the fastest public tool", title="240x180", title_justify="left", min_width=66)
    for codec in ("ffv1", "libx264", "mjpeg"):
        clip = engine_clip(folder, _SMALL, codec)
        for name in ("gradient", "local-phase-linear"):
            seconds, _ = timed(partial(clip.estimate, name), repeats)
            rate = _SMALL.frames / seconds
            table.add_row(f"{codec}, {name}", f"{rate:.0f}", f"{rate / _PUBLIC:.1f} × {_PUBLIC} frames/s")
    return table


def against_decoding(clip: Clip, repeats: int) -> tuple[list[float], list[float]]:
    """Medians of clock and processor time (s) of decoding a clip, and of decoding and estimating."""
    works = (partial(decode_only, clip.path), partial(clip.estimate, "gradient"))
    rounds = [[spent(work) for work in works] for _ in range(1 + repeats)]
    decoding, estimating = np.median(rounds[1:], axis=0).tolist()
    return decoding, estimating


def at_pyramid(repeats: int) -> Table | str:
    """The exact pyramid's phases against pyrtools': the same frames, scales and orientations, in turns."""
    if find_spec("pyrtools") is None:
        return "The exact pyramid isn't compared with pyrtools, which isn't installed."
    from pyrtools.pyramids import SteerablePyramidFreq

    from vmforensics_global_shutter.steerable_pyramid import SteerablePyramid

    table = Table("", "ours, ms", "pyrtools, ms", "ratio", title="4 scales, 2 orientations", title_justify="left")
    for shape in _PYRAMIDS:
        frames = np.random.default_rng(0).normal(128, 30, (_PYRAMID_FRAMES, *shape)).astype(np.float32)
        pyramid = SteerablePyramid(shape, scales=4, orientations=2)

        def ours(frames: NDArray[np.float32] = frames, pyramid: SteerablePyramid = pyramid) -> None:
            for some in np.split(frames, 6):  # as many at a time as stay in the cache
                spectrum = pyramid.spectrum(some)
                for band in pyramid.bands:
                    np.angle(pyramid.coefficients(spectrum, band))

        def theirs(frames: NDArray[np.float32] = frames) -> None:
            for frame in frames:
                bands = SteerablePyramidFreq(frame, height=4, order=1, is_complex=True).pyr_coeffs
                for key, coefficients in bands.items():
                    if isinstance(key, tuple):
                        np.angle(coefficients)

        rounds = [[spent(work)[0] for work in (ours, theirs)] for _ in range(1 + repeats)]
        own, other = (1e3 / _PYRAMID_FRAMES * np.median(rounds[1:], axis=0)).tolist()
        table.add_row(f"{shape[1]}x{shape[0]}, a frame", f"{own:.2f}", f"{other:.2f}", f"{other / own:.1f} ×")
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
    status = Path("/proc/self/status")
    if not status.is_file():
        return 1024e-6 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return 1024e-6 * float(peaks[0])  # what getrusage tells begins with the parent's peak


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
        console.print(measure(high_speed, "local-phase", ["shared-signal"], repeats))
        console.print(measure(high_speed, "gradient", ["shared-signal"], repeats))
        console.print(at_small(Path(folder), repeats))
        console.print(at_engine(Path(folder), repeats))
        console.print(at_pyramid(repeats))
        console.print(profiled(high_speed), markup=False)


if __name__ == "__main__":
    main()
