"""The fast engine: one pass over the frames, each read by linear functionals of the still picture.

The still picture is the mean of the first frames, registered where they move; the frames after them are read as they
come. Where the picture leaves the linear range, its functionals are made anew around the place where it now stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from vmforensics.data import FrameBlock, Motion, SensorFrames
from vmforensics.errors import Unsuitable
from vmforensics_global_shutter.channel_noise import excess
from vmforensics_global_shutter.cover import told
from vmforensics_global_shutter.decode_ahead import decoded_ahead
from vmforensics_global_shutter.head_places import head_places
from vmforensics_global_shutter.linearise import Lineariser
from vmforensics_global_shutter.still import View
from vmforensics_global_shutter.template import Head
from vmforensics_global_shutter.texture import no_texture
from vmforensics_global_shutter.tracker import LINEAR, Tracker
from vmforensics_global_shutter.turn import turned_back

_HEAD_FRAMES = 256  # make the still picture; its noise then adds 0.02 dB
_HEAD_BYTES = 64 * 2**20
_START = 16  # frames that a moving picture is followed by at first
_SMALL = 0.4  # px; of first frames that stand within so much the mean tells the still picture, up to its edges
_REGISTRATIONS = 2  # the first is as vague as so few frames
_LOST = 0.01  # share of frames
_PASSED = 0.02  # likewise


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
    tracker = _tracker(head, suited)
    if not tracker.home.informed.any():
        raise no_texture(frames)
    displacement = np.zeros((frames.frame_count, len(tracker.channels)), np.float32)
    observed = np.zeros(frames.frame_count, np.bool_)
    turn, covered = np.zeros(frames.frame_count), np.zeros(frames.frame_count)
    decoded = np.zeros(frames.frame_count, np.bool_)
    for block in chain(head.blocks, blocks):
        found, place, covered[block.index] = tracker.read(block.luma)
        seen = np.isfinite(found).all(axis=1)
        displacement[block.index[seen]] = found[seen]
        turn[block.index[seen]] = place[seen, 2]
        observed[block.index[seen]] = True
        decoded[block.index] = True
    if not observed.any():
        raise Unsuitable(
            "the picture can't be followed: no frame looks like the mean of the first ones",
            hint="choose a region or a stretch of the clip that stays in view",
        )
    covered[np.flatnonzero(observed)[-1:].max(initial=-1) + 1 :] = 0  # what never comes back isn't hidden but lost
    lost = int(np.count_nonzero(decoded & ~observed & (covered < 1)))
    if tracker.turned:
        turned_back(displacement, observed, turn, frames.clock, tracker.response, tracker.centres)
    useful = np.flatnonzero(np.diag(tracker.precision) > 0)
    if not len(useful):
        raise no_texture(frames)
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
        warnings=tuple(_warnings(frames, tracker, lost, covered)),
        doubt=_doubt(frames, tracker, lost, covered),
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


def _tracker(head: Head, suited: Callable[[View], Lineariser]) -> Tracker:
    """A tracker with the still picture behind the first frames, at its mean place."""
    places, noise = head_places(head)
    if np.abs(places).max() <= _SMALL and head.steady():
        view = head.still((np.cov(places.T) - noise)[:2, :2])
        return Tracker(view, head.excluded, suited(view))
    method = suited(head.view())
    tracker = Tracker(head.start(_START), head.excluded, method, look=False)
    for left in reversed(range(_REGISTRATIONS)):
        followed = [tracker.read(block.luma)[1] for block in head.blocks]
        tracker = Tracker(head.registered(followed, tracker.units), head.excluded, method, look=not left)
    return tracker


def _warnings(frames: SensorFrames, tracker: Tracker, lost: int, covered: NDArray[np.float64]) -> Iterator[str]:
    if frames.shutter.is_rolling:
        yield "one displacement a frame of a rolling shutter: sound above half the frame rate is lost"
    if len(tracker.places) > 1:
        x, y, turn = tracker.units * np.ptp(np.array(sorted(tracker.places)), axis=0)
        turned = f" and turns by {np.degrees(turn):.2g}°" if turn else ""
        yield (
            f"the picture moves by {max(x, y):.3g} px{turned}, beyond the linear range of {LINEAR:g} px: it was "
            f"followed, and linearised anew around {len(tracker.places)} places"
        )
    yield from told(covered)
    if lost:
        yield f"the picture wasn't found in {lost} frames; they count as gaps"


def _doubt(frames: SensorFrames, tracker: Tracker, lost: int, covered: NDArray[np.float64]) -> str:
    if lost > _LOST * frames.frame_count:
        return f"the picture couldn't be followed in {lost} of {frames.frame_count} frames"
    passed = int(np.count_nonzero(covered))
    moves, predicted = len(tracker.places) > 1, frames.stream.facts.get("inter_coded") is True
    if passed > _PASSED * frames.frame_count and (moves or predicted):
        which = "that moves" if moves else "whose frames were predicted from one another"
        return (
            f"something passes in front of a picture {which}, in {passed} of {frames.frame_count} frames: what its "
            "edges leave can't be told from motion; choose a region or a stretch of the clip without it"
        )
    return ""
