"""Motion of the whole picture from the cells that a codec's quantiser put its coefficients in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vmforensics.data import Channel, FrameCoding, Motion, SensorFrames, TableCoding
from vmforensics.errors import RegionError, Unsuitable
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.cells import CellReader
from vmforensics.numerics.coded.dither import DitheredPicture, Stir
from vmforensics.numerics.coded.fitted import FittedPicture
from vmforensics.numerics.coded.gain import gain_left
from vmforensics.numerics.coded.readings import CodedReadings, coding_of, each_alone, likeliest_noise, read
from vmforensics.numerics.coded.solver import PredictedSolver
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.straight import straightened
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.stages import MotionEstimator
from vmforensics_global_shutter.clarity import clarity
from vmforensics_global_shutter.macroblocks import HalvedBlocks
from vmforensics_global_shutter.pixel_halves import PixelHalves
from vmforensics_global_shutter.texture import no_texture

_LEAST_SIDE = 32  # px; fewer hold no two macroblocks each way
_LEAST_FRAMES = 3
_FARTHEST = 0.35  # px from the mean, up to which a codec predicts in place, and a picture changes in proportion
_STRAYING = 0.01  # share of the frames that may be farther off
_STRANGE = 4.0  # times the usual difference from the still picture, from which on a frame shows something else
_LEAST_EXPLAINED = 0.5  # share of the predicted frames' blocks; with less, it must be seen that it pays
_FRAMES = 240  # that the still picture of Motion JPEG is found from
_LEAST_LOST = 1.5  # dB that JPEG's quantiser must have taken for its levels to tell more than pixels
_LARGEST_EXCESS = 4.0  # times the disagreement of the halves that JPEG's cells allow
_SWALLOWED = 0.95  # share of the motion left, below which the codec's loss is worth a word
_MOST_TOLD = 1e6  # a ratio beyond which the noise's estimate came out as next to nothing
_PART = 0.98  # of what the picture tells; less is worth a word
_NEXT_TO_NOTHING = 0.03  # of what the best tenth of the frames tell
_BLIND = 0.1  # share of the frames
_CLEARER = 1.07  # times, 0.3 dB: as far as it can be told
_MUCH_CLEARER = 1.5  # times, 1.8 dB; what the halves of JPEG's levels get wrong alike makes pixels seem clearer by less
_FEW = 10  # frames of a type; their own mean isn't known
_HINT = "use gradient, which reads the decoded pixels"

CHANNELS = tuple(
    Channel(f"{name}, half {half}", response, half)
    for half in (0, 1)
    for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
)
"""Motion along and across the rows, of each half."""


class CodecCells(MotionEstimator):
    """Maximum likelihood of (dx, dy) of each frame from the cells of the quantiser that its coefficients lay in.

    A codec tells more than its pixels do: what was rounded to nothing can't have differed from its prediction by more
    than the rounding allows, and what wasn't did. Of H.264 the predictions are found and each coefficient has limits
    (where frames were coded by themselves the still picture is refined on their likelihood);
    of Motion JPEG the levels are read back, and the still picture is refined, on the likelihood of all of them, beyond
    the staircase that the mean of decoded frames is. The macroblocks of a chessboard's two colours are the two
    halves, each read as one: the whole picture has to move alike, and to stay where it is but for a third of a pixel.
    Precision differs from frame to frame, by what the codec kept of each; it is lessened by what the halves disagree.

    Plain least squares reads the same halves, too. Where it shows the motion more clearly the clip isn't suited, and
    the share of the motion that it still sees is the codec's gain (docs/codec.md).
    """

    name: ClassVar[str] = "codec-cells"
    summary: ClassVar[str] = "H.264 and Motion JPEG: maximum likelihood from the codec's own decisions, frame by frame"
    reference: ClassVar[str] = (
        "Gjeddebaek 1949, doi:10.1080/03461238.1949.10419771 (likelihood of grouped observations); docs/codec.md"
    )
    masks: ClassVar[bool] = True
    reads_coding: ClassVar[bool] = True

    def estimate(self, frames: SensorFrames) -> Motion:
        """Measure one displacement a frame and half, at the mean instant of the rows.

        Raises
        ------
        TooFewFrames
            Fewer than three frames could be decoded.
        RegionError
            The region is too small, or holds no texture.
        Unsuitable
            The codec doesn't tell how it coded, or its decisions can't be read or tell no more than the pixels; the
            picture moves too far, or something passes in front of it.
        """
        # A second thread for products this small would only fight with the decoder, and might round otherwise.
        with threadpool_limits(limits=1, user_api="blas"):
            return _measured(frames)


def _measured(frames: SensorFrames) -> Motion:
    if min(frames.rows, frames.cols) < _LEAST_SIDE:
        raise RegionError(
            f"the region has {frames.rows} rows of {frames.cols} px; codec-cells needs at least {_LEAST_SIDE} each way",
            hint="take a larger region",
        )
    coding = coding_of(frames)
    if coding is None:
        raise Unsuitable(f"the file doesn't tell how its frames were quantised{_codec(frames)}", hint=_HINT)
    template = MeanTemplate.measure(frames)
    pixels = PixelHalves.measure(frames, template)
    if not np.all(np.diagonal(pixels.precision).reshape(2, 2).any(axis=1)):
        raise no_texture(frames)
    _check_still(pixels)
    halved = HalvedBlocks.of(frames, template, textured=isinstance(coding, FrameCoding))
    if halved is None:
        raise no_texture(frames)
    if isinstance(coding, TableCoding):
        readings = _of_tables(frames, template, halved, pixels)
    elif each_alone(frames):
        readings = _of_intra(frames, template, halved)
    else:
        readings = _of_predicted(frames, template, halved)
    observed = np.trace(readings.precision, axis1=2, axis2=3) > 0
    if np.count_nonzero(observed) < _LEAST_FRAMES:
        raise Unsuitable("the codec kept nothing of the picture's changes: there is nothing to infer", hint=_HINT)
    displacement = _about_types(readings, observed[:, 0])
    shown = clarity(displacement[observed[:, 0], 0], pixels.displacement[observed[:, 0]], frames.clock.rate)
    if shown is None and readings.explained < _LEAST_EXPLAINED:
        raise Unsuitable(
            f"only {readings.explained:.0%} of the codec's predictions could be found, and there is too little "
            "motion to see whether they tell more than the pixels",
            hint=_HINT,
        )
    clearer = _MUCH_CLEARER if readings.by_table else _CLEARER
    if shown is not None and shown.plain > clearer * shown.inferred:
        raise Unsuitable(
            f"the decoded pixels show the motion more clearly ({_decibels(shown.plain)}) than what was inferred "
            f"from the codec's decisions ({_decibels(shown.inferred)})",
            hint=_HINT,
        )
    blind = _blind(readings)
    plain = pixels.displacement[:, None].astype(np.float64)
    gain = None if blind > _BLIND else gain_left(plain, readings, (1.0, 1.0))
    return Motion(
        displacement=displacement,
        precision=readings.precision,
        observed=observed,
        frame_times=frames.clock.times,
        row_offsets=np.array([frames.row_offsets().mean()]),
        channels=CHANNELS,
        frame_rate=frames.clock.rate,
        exposure=frames.shutter.exposure,
        warnings=tuple(_warnings(frames, halved, readings, gain, blind)),
        codec_gain=gain,
        decoded=False,
    )


def _check_still(pixels: PixelHalves) -> None:
    """Raise `Unsuitable` where the picture moves too far, or something else comes into it."""
    size = np.hypot(pixels.displacement[:, ::2], pixels.displacement[:, 1::2]).min(axis=1)[pixels.seen]
    if np.mean(size > _FARTHEST) > _STRAYING:
        raise Unsuitable(
            f"the picture moves by {np.quantile(size, 1 - _STRAYING):.2g} px; a codec's decisions can be read up to "
            f"{_FARTHEST:g} px, where it predicts in place",
            hint=_HINT,
        )
    strange = int(np.count_nonzero(pixels.strange > _STRANGE))
    if strange:
        raise Unsuitable(
            f"{strange} frames show something else than the others: something passes in front of the picture, or its "
            "light changes",
            hint=_HINT,
        )


def _of_predicted(frames: SensorFrames, template: MeanTemplate, halved: HalvedBlocks) -> CodedReadings:
    """Of frames that were predicted from others."""
    blocks = halved.blocks
    solver, reader = (
        PredictedSolver(blocks, template.still),
        CellReader(blocks.top, blocks.left, fine=True),
    )
    sigma = likeliest_noise(frames, solver, reader, least_explained=0.0)
    readings = None if sigma is None else read(frames, solver, reader, sigma)
    if readings is None:
        raise Unsuitable("too few frames were predicted from others: the codec coded most by themselves", hint=_HINT)
    return readings


def _of_intra(frames: SensorFrames, template: MeanTemplate, halved: HalvedBlocks) -> CodedReadings:
    """Of frames that were each predicted from themselves."""
    blocks = halved.blocks
    found = FittedPicture.find(frames, template.still, blocks)
    readings = None if found is None else read(frames, found.solver(blocks), found.reader(blocks), found.sigma)
    if found is None or readings is None:
        raise Unsuitable("too few of the predictions within the frames could be found", hint=_HINT)
    return _straight(readings, blocks, found.still)


def _of_tables(
    frames: SensorFrames, template: MeanTemplate, halved: HalvedBlocks, pixels: PixelHalves
) -> CodedReadings:
    """Of JPEG pictures."""
    blocks = halved.blocks
    stir = Stir.of(pixels.displacement[:, None], pixels.precision[None])
    found = DitheredPicture.find(frames, template.still, blocks, stir, least_lost=_LEAST_LOST, count=_FRAMES)
    if found is None:
        raise Unsuitable(
            "the levels of the pictures tell no more than their pixels: they were hardly rounded, too little changes "
            "from frame to frame, or they were coded more than once",
            hint=_HINT,
        )
    readings = read(frames, found.solver(blocks), found.reader(blocks), found.sigma)
    if readings is None or readings.excess > _LARGEST_EXCESS:
        raise Unsuitable("the two halves of the picture disagree by more than their levels allow", hint=_HINT)
    return replace(_straight(readings, blocks, found.still, found.kept), lost=found.lost)


def _straight(
    readings: CodedReadings, blocks: CodedBlocks, picture: StillPicture, weight: NDArray[np.float64] | float = 1.0
) -> CodedReadings:
    """The same in proportion to the motion."""
    return replace(readings, displacement=straightened(readings.displacement, blocks, picture, weight))


def _about_types(readings: CodedReadings, observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Displacement about each type of frame's mean, which is the template's error; 0 where not observed.

    Types follow one another in a pattern: left in, such errors would be a tone in both halves.
    """
    displacement = readings.displacement.copy()
    rest = observed.copy()
    for kind in set(readings.kinds[observed]):
        own = observed & (readings.kinds == kind)
        if np.count_nonzero(own) >= _FEW:
            displacement[own] -= displacement[own].mean(axis=0)
            rest &= ~own
    if rest.any():
        displacement[rest] -= readings.displacement[observed].mean(axis=0)
    displacement[~observed] = 0
    return displacement


def _blind(readings: CodedReadings) -> float:
    """Share of the frames that tell next to nothing: their readings fall short of the motion."""
    known = np.trace(readings.precision[:, 0], axis1=1, axis2=2)[readings.kinds != ""]
    return float(np.mean(known < _NEXT_TO_NOTHING * np.quantile(known, 0.9))) if len(known) else 0.0


def _warnings(
    frames: SensorFrames, halved: HalvedBlocks, readings: CodedReadings, gain: float | None, blind: float
) -> Iterator[str]:
    if frames.shutter.is_rolling:
        yield "one displacement a frame of a rolling shutter: sound above half the frame rate is lost"
    if halved.share < _PART:
        yield (
            f"{len(halved.blocks.top)} of {halved.count} blocks were looked at, to end in reasonable time; they hold "
            f"{halved.share:.0%} of the detail that tells motion"
        )
    if blind > _BLIND:
        yield (
            f"the compression kept next to nothing of {blind:.0%} of the frames, which others were predicted around: "
            "what is read of them falls short of the motion"
        )
    if readings.vague:
        yield readings.vague
    if gain is not None and gain < _SWALLOWED:
        yield (
            f"the compression left {gain:.0%} of the motion in the pixels; the rest was inferred from how each block "
            "was coded"
        )


def _codec(frames: SensorFrames) -> str:
    """Which codec it is, if that is known."""
    codec = frames.stream.facts.get("codec")
    return f" ({codec})" if codec else ""


def _decibels(ratio: float) -> str:
    if ratio > _MOST_TOLD:
        return "no noise can be told"
    return f"{10 * np.log10(max(ratio, 1e-9)):.1f} dB"
