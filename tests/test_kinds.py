"""What only frames predicted from both sides show is the codec's; what all show is kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion
from vmforensics.kinds import find_made_up

FRAMES, RATE, SIGMA = 240, 500.0, 0.003
TYPES = ("I", *"BBP" * 80)[:FRAMES]
BOTH_SIDES = np.array([kind == "B" for kind in TYPES])


def motion(common: NDArray[np.float64], *, halves: int = 2, rows: int = 1) -> Motion:
    """A motion of all the pixels, measured in either half with noise of its own."""
    noise = np.random.default_rng(3).normal(0, SIGMA, (FRAMES, rows, 2 * halves))
    noise += common[:, None, None] * np.tile([0.8, 0.6], halves)
    return Motion(
        displacement=noise.astype(np.float32),
        precision=np.diag(np.full(2 * halves, SIGMA**-2)).astype(np.float32)[None, None],
        observed=np.ones((FRAMES, rows), np.bool_),
        frame_times=np.arange(FRAMES) / RATE,
        row_offsets=np.arange(rows) * 1e-5,
        channels=tuple(
            Channel(f"{name}, half {half}", response, half)
            for half in range(halves)
            for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
        ),
        frame_rate=RATE,
    )


def random_motion(rms: float) -> NDArray[np.float64]:
    return np.random.default_rng(5).normal(0, rms, FRAMES)


def test_a_motion_of_frames_predicted_from_both_sides_alone_is_left_out():
    seen = motion(random_motion(0.015) * BOTH_SIDES)
    found = find_made_up(seen, np.arange(FRAMES), TYPES)
    assert np.array_equal(found.frames, np.flatnonzero(BOTH_SIDES))
    assert found.rms == pytest.approx(0.015, rel=0.2)
    assert found.others < 0.004
    left = seen.without(found.frames)
    assert np.array_equal(left.observed[:, 0], ~BOTH_SIDES)
    assert not left.displacement[BOTH_SIDES].any()
    assert np.array_equal(left.displacement[~BOTH_SIDES], seen.displacement[~BOTH_SIDES])


@pytest.mark.parametrize(
    "common",
    [random_motion(0.0), random_motion(0.015), random_motion(0.015) * ~BOTH_SIDES, random_motion(0.002) * BOTH_SIDES],
    ids=["silence", "sound", "sound that a codec took from some frames", "less than noise would tell"],
)
def test_what_all_frames_may_share_stays(common):
    seen = motion(common)
    found = find_made_up(seen, np.arange(FRAMES), TYPES)
    assert len(found.frames) == 0
    assert seen.without(found.frames) is seen


def test_nothing_is_asked_of_rows_of_one_measurement_and_of_few_frames():
    made_up = random_motion(0.015) * BOTH_SIDES
    few = ("B", *"P" * (FRAMES - 1))
    for seen, types in ((motion(made_up, rows=2), TYPES), (motion(made_up, halves=1), TYPES), (motion(made_up), few)):
        assert len(find_made_up(seen, np.arange(FRAMES), types).frames) == 0


def test_halves_that_disagree_share_nothing():
    opposite = motion(np.zeros(FRAMES))
    opposite.displacement[:, 0] += (
        np.where(BOTH_SIDES, 0.001, 0.02)[:, None] * random_motion(1.0)[:, None] * [1, 1, -1, -1]
    )
    assert len(find_made_up(opposite, np.arange(FRAMES), TYPES).frames) == 0


def test_positions_in_the_stream_count():
    """A frame that couldn't be decoded has no kind."""
    index = np.delete(np.arange(FRAMES), 10)
    found = find_made_up(motion(random_motion(0.015) * BOTH_SIDES), index, tuple(TYPES[k] for k in index))
    assert np.array_equal(found.frames, np.setdiff1d(np.flatnonzero(BOTH_SIDES), [10]))
