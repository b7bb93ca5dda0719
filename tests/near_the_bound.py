"""How near the reading of Motion JPEG comes to what its quantiser left: `make bound`. Not a test: it takes minutes.

Random simulated clips of a global shutter are read by `codec-cells` and by `gradient`, and compared with the Fisher
information that their coefficients hold where they truly lie in the quantiser's cells.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import ndtr

from vmforensics.data import Motion, SensorFrames
from vmforensics.errors import Unsuitable
from vmforensics.numerics.coded.tables import MIDDLE, ROUNDINGS, limit_above
from vmforensics.numerics.coded.transforms import COSINE, SIDE, transformed
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import QUANTISATION
from vmforensics.plugins import Registry
from vmforensics.stages import MotionEstimator
from vmforensics.testing import PHOTOGRAPHS, SCENES, Camera, Simulation, simulate, write_clip
from vmforensics_media.video import VideoFile

_SIZES = ((160, 128), (192, 144), (240, 176))
_SOUNDS = ("melody", "speech", "chirp")
_CLASSES = ((2, 4), (5, 6), (7, 8))  # of quality
_KIND = "motion_estimator"
_NEAR = 1.0  # dB
_LEAST_SLOPE = 0.02  # of the greatest
_FFMPEG = ROUNDINGS[1]
_LEVELS = np.arange(-3, 3)  # about a coefficient's own, above which a limit counts


def true_picture(simulation: Simulation, **scene: object) -> NDArray[np.float64]:
    """What a simulated camera sees of the still scene, before its noise [shape=(rows, cols), float64, DN]."""
    fine = replace(simulation.camera, bits=16, noise=(0.0, 0.0), frames=1)
    still = simulate(fine, **{**scene, "sound": "silence"})  # type: ignore[arg-type]
    return np.asarray(still.frames[0] / 257.0)


def allowed(
    picture: NDArray[np.float64], steps: NDArray[np.floating], sigma: float, displacement: NDArray[np.float64]
) -> float:
    """The best signal-to-noise ratio (dB) that FFmpeg's Motion JPEG left of a motion along the rows.

    The Fisher information of a coefficient whose mean is m, with noise of σ and limits Lᵢ of the cells, is the sum of
    (φ(aᵢ) - φ(aᵢ₊₁))² / (Φ(aᵢ₊₁) - Φ(aᵢ)) / σ² over the cells, aᵢ = (Lᵢ - m)/σ; m goes along with the motion.

    Parameters
    ----------
    picture : ndarray [shape=(rows, cols), float64, DN]
        The still picture, before noise.
    steps : ndarray [shape=(8, 8), DN]
        The quantiser's.
    sigma : float, DN
        Noise before compression.
    displacement : ndarray [shape=(frames,), float64, px]

    Returns
    -------
    float
        -inf where the picture shows no such motion.
    """
    rows, cols = (size // SIDE * SIDE for size in picture.shape)

    def coefficients(values: NDArray[np.float64]) -> NDArray[np.float64]:
        blocks = values[:rows, :cols].reshape(rows // SIDE, SIDE, cols // SIDE, SIDE).swapaxes(1, 2)
        return transformed(blocks.reshape(-1, SIDE, SIDE).astype(np.float32), COSINE).astype(np.float64)

    slope = -coefficients(derivative(picture, axis=1))
    slope[:, 0] = 0  # a brightness
    used = np.nonzero(np.abs(slope) > _LEAST_SLOPE * np.abs(slope).max())
    if not len(used[0]):
        return -math.inf
    still, slope = coefficients(picture - MIDDLE)[used], slope[used]
    step = steps.ravel().astype(np.float64)[used[1]]
    noise = math.sqrt(sigma**2 + QUANTISATION)
    information = np.empty(len(displacement))
    for frame, moved in enumerate(displacement):
        mean = still + slope * moved
        level = np.sign(mean) * np.floor(np.abs(mean) / step + _FFMPEG)
        limits = limit_above(level[:, None] + _LEVELS, _FFMPEG) * step[:, None]
        apart = (limits - mean[:, None]) / noise
        density = np.diff(np.exp(-(apart**2) / 2), axis=1) / math.sqrt(2 * math.pi)
        told = np.sum(density**2 / np.maximum(np.diff(ndtr(apart), axis=1), 1e-12), axis=1)
        information[frame] = np.sum(slope**2 * np.where(step < 1.5 * noise, 1.0, told)) / noise**2
    return float(10 * np.log10(np.var(displacement) / np.mean(1 / information)))


def shown(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """Signal-to-noise ratio (dB) and gain of what was read, weighted as it says itself."""
    read, weight = (values[:, 0] for values in motion.along(simulation.truth.axis))
    truth = simulation.truth.displacement[:, 0]
    read, truth = (values - np.average(values, weights=weight) for values in (read, truth))
    moment, moved, total = (float((weight * a * b).sum()) for a, b in ((read, truth), (truth, truth), (read, read)))
    likeness = moment**2 / (moved * total)
    return 10 * math.log10(likeness / (1 - likeness)), moment / moved


def main() -> None:
    """Draw the clips, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="a line for each clip")
    arguments = parser.parse_args()
    generator, console, registry = np.random.default_rng(arguments.seed), Console(), Registry()
    by_pixels, by_levels = (cast(MotionEstimator, registry.create(_KIND, name)) for name in ("gradient", "codec-cells"))
    scenes = sorted([*SCENES, *PHOTOGRAPHS])
    read: dict[int, list[tuple[float, ...]]] = {quality: [] for quality in range(2, 9)}
    refused = dict.fromkeys(read, 0)
    with tempfile.TemporaryDirectory() as folder:
        for number in track(range(arguments.clips), "clips", console=Console(stderr=True)):
            quality = int(generator.integers(2, 9))
            width, height = _SIZES[generator.integers(len(_SIZES))]
            noise, rms = float(generator.uniform(0.7, 2.0)), float(10 ** generator.uniform(-2, -1))
            scene: dict[str, object] = {
                "scene": scenes[generator.integers(len(scenes))],
                "sound": _SOUNDS[generator.integers(len(_SOUNDS))],
                "rms_px": rms,
                "seed": int(generator.integers(2**31)),
            }
            camera = Camera(width, height, 2000, 500, noise=(noise**2, 0.0))
            clip = simulate(camera, **scene)  # type: ignore[arg-type]
            path = write_clip(clip, Path(folder) / f"{number}.mkv", codec="mjpeg", quality=quality)
            frames = SensorFrames(VideoFile(path), clip.clock, clip.shutter)
            coding = next(iter(frames.coded_blocks())).coding[0]
            assert coding is not None
            best = allowed(true_picture(clip, **scene), coding.steps, noise, clip.truth.displacement[:, 0])
            if not math.isfinite(best):
                continue
            plain, _ = shown(by_pixels.estimate(frames), clip)
            line = f"{scene['scene']}, q {quality}, {scene['sound']} {rms:.3f} px, noise {noise:.2f}, {width}x{height}"
            line += f": allowed {best:.1f} dB, gradient {plain:.1f}"
            try:
                ratio, gain = shown(by_levels.estimate(frames), clip)
            except Unsuitable as error:
                refused[quality] += 1
                line += f", refused: {error}"
            else:
                read[quality].append((best - ratio, ratio - plain, abs(gain - 1)))
                line += f", codec-cells {ratio:.1f}, gain {gain:.3f}"
            if arguments.verbose:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            path.unlink()
    near = f"near: clips within {_NEAR:g} dB of the bound; below it, and gained over gradient: dB, median and extreme"
    table = Table(title=f"seed {arguments.seed}", title_justify="left", caption=near, caption_justify="left")
    for heading in ("quality", "read", "below", "most", "near", "gained", "least", "gain off", "most", "refused"):
        table.add_column(heading, justify="right")
    for first, last in _CLASSES:
        rows = np.array([row for quality in range(first, last + 1) for row in read[quality]])
        left = str(sum(refused[quality] for quality in range(first, last + 1)))
        if not len(rows):
            table.add_row(f"{first} to {last}", "0", *["–"] * 7, left)
            continue
        middle, most, least = np.median(rows, axis=0), rows.max(axis=0), rows.min(axis=0)
        figures = (middle[0], most[0], np.count_nonzero(rows[:, 0] <= _NEAR), middle[1], least[1], middle[2], most[2])
        formats = ("{:.1f}", "{:.1f}", "{}", "{:+.1f}", "{:+.1f}", "{:.2f}", "{:.2f}")
        cells = (form.format(figure) for form, figure in zip(formats, figures, strict=True))
        table.add_row(f"{first} to {last}", str(len(rows)), *cells, left)
    console.print(table)


if __name__ == "__main__":
    main()
