"""The fast engine: one pass over the frames, each read by linear functionals of the still picture.

The still picture is the mean of the first frames, registered where they move; the frames after them are read as they
come. Where the picture leaves the linear range, its functionals are made anew around the place where it now stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
from threadpoolctl import threadpool_limits

from vmforensics.data import FrameBlock, Motion, SensorFrames
from vmforensics_global_shutter.channel_noise import excess
from vmforensics_global_shutter.decode_ahead import decoded_ahead
from vmforensics_global_shutter.linearise import Lineariser
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.template import Head
from vmforensics_global_shutter.texture import no_texture
from vmforensics_global_shutter.tracker import GRID, LINEAR, Tracker

_HEAD_FRAMES = 256  # make the still picture; its noise then adds 0.02 dB
_HEAD_BYTES = 64 * 2**20
_START = 16  # frames that a moving picture is followed by at first
_REGISTRATIONS = 2  # the first is as vague as so few frames
_LOST = 0.01  # share of frames


def measure(frames: SensorFrames, suited: Callable[[View], Lineariser]) -> Motion:
    """Measure one displacement a frame and channel, at the mean instant of the rows.

    Parameters
    ----------
    frames
        The clip.
    suited
        Chooses the method that makes the functionals, by the mean of the first frames.

    Raises
    ------
    TooFewFrames
        Fewer than three frames could be decoded.
    RegionError
        The region holds no texture.
    """
    # A second thread for products this small would only fight with the decoder, and might round otherwise.
    with threadpool_limits(limits=1, user_api="blas"):
        return _measured(frames, suited)


def _measured(frames: SensorFrames, suited: Callable[[View], Lineariser]) -> Motion:
    blocks = decoded_ahead(frames)
    head = Head.of(_first(blocks), frames.full_scale, frames.mask)
    view = head.view()
    tracker = _tracker(head, view, suited(view))
    if not tracker.home.informed.any():
        raise no_texture(frames)
    displacement = np.zeros((frames.frame_count, len(tracker.channels)), np.float32)
    observed = np.zeros(frames.frame_count, np.bool_)
    lost = 0
    for block in chain(head.blocks, blocks):
        found, _ = tracker.read(block.luma)
        seen = np.isfinite(found).all(axis=1)
        displacement[block.index[seen]] = found[seen]
        observed[block.index[seen]] = True
        lost += int(np.count_nonzero(~seen))
    useful = np.flatnonzero(np.diag(tracker.precision) > 0)
    precision = tracker.precision[np.ix_(useful, useful)] / tracker.count
    motion = Motion(
        displacement=displacement[:, None, useful],
        precision=precision.astype(np.float32)[None, None],
        observed=observed[:, None],
        frame_times=frames.clock.times,
        row_offsets=np.array([frames.row_offsets().mean()]),
        channels=tuple(tracker.channels[i] for i in useful),
        frame_rate=frames.clock.rate,
        exposure=frames.shutter.exposure,
        warnings=tuple(_warnings(frames, tracker, lost)),
        doubt=_doubt(frames, lost),
    )
    return replace(motion, precision=(motion.precision / np.float32(excess(motion))).astype(np.float32))


def _first(blocks: Iterator[FrameBlock]) -> list[FrameBlock]:
    """The first blocks, as many as make the still picture."""
    first: list[FrameBlock] = []
    for block in blocks:
        first.append(block)
        count = sum(len(b.index) for b in first)
        if count >= _HEAD_FRAMES or count * block.luma[0].nbytes >= _HEAD_BYTES:
            break
    return first


def _tracker(head: Head, mean: View, method: Lineariser) -> Tracker:
    """A tracker with the still picture behind the first frames, at its mean place."""
    tracker = Tracker(mean, head.excluded, method)
    home = tracker.home
    places = np.concatenate([home.read(block.luma).place for block in head.blocks])
    if np.abs(places).max() <= LINEAR and head.steady():
        own = home.linearisation
        response = np.array([c.response for c in own.channels])
        noise = np.linalg.pinv(response.T @ own.precision @ response, rcond=1e-3, hermitian=True)
        moments = np.cov(places.T) - noise
        view = head.still(moments)
        return tracker if view.picture is mean.picture else Tracker(view, head.excluded, method)
    tracker = Tracker(head.start(_START), head.excluded, method)
    for _ in range(_REGISTRATIONS):
        followed = [tracker.read(block.luma)[1] for block in head.blocks]
        tracker = Tracker(head.registered(followed, GRID), head.excluded, method)
    return tracker


def _warnings(frames: SensorFrames, tracker: Tracker, lost: int) -> Iterator[str]:
    if frames.shutter.is_rolling:
        yield "one displacement a frame of a rolling shutter: sound above half the frame rate is lost"
    if len(tracker.places) > 1:
        x, y = GRID * np.ptp(np.array(sorted(tracker.places)), axis=0)
        yield (
            f"the picture moves by {max(x, y):.3g} px, beyond the linear range of {LINEAR:g} px: it was followed, and "
            f"linearised anew around {len(tracker.places)} places"
        )
    if lost:
        yield f"the picture wasn't found in {lost} frames; they count as gaps"


def _doubt(frames: SensorFrames, lost: int) -> str:
    if lost > _LOST * frames.frame_count:
        return f"the picture couldn't be followed in {lost} of {frames.frame_count} frames"
    return ""
