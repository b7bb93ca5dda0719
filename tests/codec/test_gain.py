"""The gain that a codec left is stated where it can be told, within a tenth."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.coded.gain import gain_left
from vmforensics.numerics.coded.readings import CodedReadings

NOISE = 1e-3  # px; of a reading


def low_passed(random, frames):
    """Motion of 0.05 px RMS whose successive frames resemble one another, along both axes."""
    motion = random.standard_normal((frames + 4, 2))
    motion = sum(motion[k : frames + k] for k in range(3))
    return 0.05 * motion / motion.std(axis=0)


def coded(*, b_frames=3, read=0.8, shown=0.7, p_shown=0.9, frames=3000, reading_noise=NOISE):
    """Readings of a clip whose B frames are read, and shown by the pixels, as shares of what differs from the mean of
    the frames about them; and the gain that its pixels have."""
    random = np.random.default_rng(1)
    motion = low_passed(random, frames)
    kinds = np.array(["P" if n % (b_frames + 1) == 0 else "B" for n in range(frames)], dtype=object)
    number = np.arange(frames)
    before = number - number % (b_frames + 1)
    after = np.minimum(before + b_frames + 1, number[kinds == "P"].max())
    # What remains of a P frame's motion is left of all, so that the frames about a B frame show it alike.
    reference = p_shown * motion
    prediction = (reference[before] + reference[after]) / 2
    two_sided = (kinds == "B")[:, None]
    inferred = np.where(two_sided, prediction + read * (motion - prediction), motion)
    plain = np.where(two_sided, prediction + shown * (motion - prediction), reference)
    both = [np.tile(each, 2)[:, None] + NOISE * random.standard_normal((frames, 1, 4)) for each in (plain, inferred)]
    precision = np.broadcast_to(np.eye(4, dtype=np.float32) / reading_noise**2, (frames, 1, 4, 4))
    readings = CodedReadings(both[1].astype(np.float32), precision, kinds, 1.0, 1.0, 1.0, by_table=False)
    gain = float((plain * motion).sum() / (motion**2).sum())
    return both[0], readings, gain


@pytest.mark.parametrize("b_frames", [0, 1, 3])
@pytest.mark.parametrize(("read", "shown"), [(0.95, 0.9), (0.8, 0.7), (0.6, 0.2)])
def test_what_b_frames_fall_short_of_is_made_up_for(b_frames, read, shown):
    plain, readings, gain = coded(b_frames=b_frames, read=read, shown=shown)
    assert gain_left(plain, readings, (1.0, 1.0)) == pytest.approx(gain, abs=0.1)


def test_b_frames_that_show_only_what_was_predicted():
    """Their pixels and their readings agree, and would seem to have lost nothing."""
    plain, readings, gain = coded(read=0.3, shown=0.25)
    told = gain_left(plain, readings, (1.0, 1.0))
    assert gain < 0.8
    assert told is None or told == pytest.approx(gain, abs=0.1)


def test_nothing_is_said_of_motion_that_isn_t_known_well():
    plain, readings, _ = coded(b_frames=0, reading_noise=0.01)
    assert gain_left(plain, readings, (1.0, 1.0)) is None


def test_nothing_is_said_where_both_halves_hold_to_the_prediction():
    """They agree far better than their uncertainty allows: what is read isn't the motion."""
    plain, readings, _ = coded(b_frames=0)
    agreeing = readings.displacement.copy()
    agreeing[..., 2:] = agreeing[..., :2] + 0.2 * (agreeing[..., 2:] - agreeing[..., :2])
    held = CodedReadings(agreeing, readings.precision, readings.kinds, 1.0, 1.0, 1.0, by_table=False)
    assert gain_left(plain, readings, (1.0, 1.0)) is not None
    assert gain_left(plain, held, (1.0, 1.0)) is None


def test_nothing_is_said_where_frames_are_known_now_and_then():
    plain, readings, _ = coded(b_frames=0)
    precision = readings.precision.copy()
    precision[::3] /= 30
    seldom = CodedReadings(readings.displacement, precision, readings.kinds, 1.0, 1.0, 1.0, by_table=False)
    assert gain_left(plain, seldom, (1.0, 1.0)) is None


def test_a_lone_key_frame_counts_for_nothing():
    plain, readings, gain = coded(b_frames=0)
    kinds = readings.kinds.copy()
    kinds[0] = "I"
    keyed = CodedReadings(readings.displacement, readings.precision, kinds, 1.0, 1.0, 1.0, by_table=False)
    assert gain_left(plain, keyed, (1.0, 1.0)) == pytest.approx(gain, abs=0.1)
    kinds[:] = "I"
    kinds[5:] = "B"
    alone = CodedReadings(readings.displacement, readings.precision, kinds, 1.0, 1.0, 1.0, by_table=False)
    assert gain_left(plain, alone, (1.0, 1.0)) is None
