"""The usual estimator of a global shutter: it chooses among three."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from vmforensics.data import FrameCoding, Motion, SensorFrames
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.numerics.coded.readings import coarse, coding_of, each_alone
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.alike import share_as_one
from vmforensics_global_shutter.codec_cells import CodecCells
from vmforensics_global_shutter.gradient import LEAST, Gradient
from vmforensics_global_shutter.local_phase import LocalPhase
from vmforensics_global_shutter.travel import apart

_FAR = 0.05
"""px from frame to frame. Sound moves a part by less; of real tuning forks and guitar strings that move by 0.06 to
1.1 px exact phase tells as much as least squares or more (up to 40 dB, where the motion folds back)."""

_AS_ONE = 0.5
"""Share of what parts show of a signal that one motion must account for; codec-cells, which takes them as one, gains
3 dB on the median."""

_MOST_ALONE = 3e8  # px of frames coded by themselves, some minutes of work
_LEAST_CODED = 2**14  # px; of fewer a codec's decisions tell too little of frames that it predicts from both sides


class Adaptive(MotionEstimator):
    """`gradient`, `codec-cells` where the codec tells how it coded, or `local-phase` where a part moves by itself.

    `gradient` is faster by far than `local-phase`, and reaches the noise bound on the thousandths of a pixel that sound
    amounts to. It follows a whole picture that moves farther, but not a part that does so by itself, as a tuning fork
    before a wall: such a part's motion, visible from frame to frame, is read by exact phase, and so is a region too
    small for `gradient`. Of a resting picture in H.264 or Motion JPEG that moves as one `codec-cells` tells more than
    the pixels do. The motion says which it was, and why (`Motion.method`).
    """

    name: ClassVar[str] = "adaptive"
    summary: ClassVar[str] = "gradient, codec-cells or local-phase, by how the picture moves and what its codec tells"
    reference: ClassVar[str] = "see gradient, codec-cells and local-phase"
    masks: ClassVar[bool] = True

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure one displacement a frame and channel, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small, or holds no texture.
        """
        if min(frames.rows, frames.cols) < LEAST and frames.mask is None:
            return _by(LocalPhase, frames, "the region is small")
        far = apart(frames)
        if far <= _FAR:
            return _of_one(frames)
        moves = f"a part of the picture moves by itself, by about {far:.2g} px from frame to frame"
        if frames.mask is None:
            return _by(LocalPhase, frames, moves)
        motion = _by(Gradient, frames, "it is the one for polygons")
        doubt = f"{moves}, farther than gradient can tell; give the region as a box, which local-phase can measure"
        return replace(motion, doubt=motion.doubt or doubt, warnings=(doubt, *motion.warnings))


def _of_one(frames: SensorFrames) -> Motion:
    """The motion of a picture that moves as one."""
    still = "no part of the picture moves far by itself"
    pixels = frames.rows * frames.cols
    coding = None if frames.mask is not None or pixels < _LEAST_CODED else coding_of(frames)
    if coding is None:
        return _by(Gradient, frames, still)
    if isinstance(coding, FrameCoding) and each_alone(frames):
        if not coarse(coding):
            return _by(Gradient, frames, f"{still}, and the codec took little of it")
        if pixels * frames.frame_count > _MOST_ALONE:
            return _by(Gradient, frames, f"{still}; codec-cells may tell more of so many frames, but would take long")
    plain = Gradient().estimate(frames)
    if (share := share_as_one(plain)) < _AS_ONE:
        unlike = f"parts of it move unlike one another ({share:.0%} is one motion), which codec-cells can't tell"
        return replace(plain, method=f"{Gradient.name}: {still}, but {unlike}")
    try:
        return _by(CodecCells, frames, f"{still}, and the codec tells how it coded")
    except (Unsuitable, RegionError) as reason:  # too low a region, too
        return replace(plain, method=f"{Gradient.name}: {still}, and codec-cells doesn't suit: {reason}")


def _by(estimator: type[MotionEstimator], frames: SensorFrames, why: str) -> Motion:
    """What an estimator measures, and that it did."""
    return replace(estimator().estimate(frames), method=f"{estimator.name}: {why}")
