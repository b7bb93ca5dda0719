"""How well any method could do on a clip: the Cramér-Rao bound of its noise and detail."""

from __future__ import annotations

import numpy as np

from vmforensics.data import SensorFrames
from vmforensics.errors import TooFewFrames, Unsuitable
from vmforensics.numerics.derivative import derivative
from vmforensics.numerics.noise import NoiseModel
from vmforensics.recovery import Plan
from vmforensics.timing import judge_clock

_FEWEST_FRAMES = 8


def information_rate(plan: Plan, axis: tuple[float, float]) -> float:
    """Fisher information on the displacement along an axis that a clip holds in each second, 1/(px²·s).

    A shift of a known picture under noise of variance s² a pixel has the information Σ (∇I·u)²/s² a frame. A signal
    sampled at f Hz from it can't have a variance below f/rate, unless something is known of the sound beforehand, or
    some of it is given up (Kay 1993, Fundamentals of statistical signal processing, chapter 3). The picture is taken
    from the mean of M frames, which makes it 1 + 1/M times harder; the noise from the frames' differences.

    Parameters
    ----------
    plan
        A run on the clip, for its source, camera and region.
    axis
        Unit vector along the sensor row (x) and across rows (y).

    Raises
    ------
    TooFewFrames
        There are too few to tell their noise.
    Unsuitable
        The run looks at a polygon.
    """
    stream = plan.source.open(plan.evidence)
    clock = judge_clock(
        stream.stamps,
        resolution=stream.stamp_resolution,
        declared_rate=stream.declared_rate,
        capture_fps=plan.case.camera.capture_fps,
    )
    shutter = plan.case.camera.to_shutter(stream.height, stream.width)
    if plan.place is not None and plan.place.polygon is not None:
        raise Unsuitable(f"no bound is known for a polygon, such as region {plan.place.name!r}")
    stated = plan.place or plan.case.region
    region = stated.to_region() if stated else None
    total, changes, last, count = np.zeros(()), np.zeros(()), None, 0
    for block in SensorFrames(stream, clock, shutter, region).blocks():
        for frame in block.luma.astype(np.float64):
            total, count = total + frame, count + 1
            if last is not None:
                changes = changes + (frame - last) ** 2
            last = frame
    if count < _FEWEST_FRAMES:
        raise TooFewFrames(f"{plan.evidence.path} has {count} frames; a bound needs at least {_FEWEST_FRAMES}")
    mean, temporal = total / count, changes / (2 * (count - 1))
    slopes = derivative(mean, axis=1), derivative(mean, axis=0)
    noise = NoiseModel.fitted(mean, slopes, temporal).variance(mean)
    slope = axis[0] * slopes[0] + axis[1] * slopes[1]
    return float(np.sum(slope**2 / noise) / (1 + 1 / count) * clock.rate)
