"""The timing judge on the patterns that real containers show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vmforensics.data import Clock, TimingVerdict
from vmforensics.errors import TimingError
from vmforensics.timing import judge_clock
from vmforensics_media.video import VideoFile

NTSC = 30000 / 1001


def rounded(times: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    return np.asarray(np.rint(times / resolution) * resolution)


def grid(frames: int, rate: float, dropped: tuple[int, ...] = ()) -> NDArray[np.float64]:
    return np.asarray(np.delete(np.arange(frames), list(dropped)) / rate)


class TestConstantRate:
    """Stamps of a constant rate, however rounded, give that rate."""

    @pytest.mark.parametrize(
        ("rate", "resolution", "verdict"),
        [
            (30, 1 / 600, TimingVerdict.EXACT),  # MOV: 20 ticks a frame
            (50, 1 / 12800, TimingVerdict.EXACT),
            (25, 1e-3, TimingVerdict.EXACT),  # Matroska: 40 ms are whole milliseconds
            (60000 / 1001, 1 / 90000, TimingVerdict.EXACT),  # half a tick of 11 µs is nothing beside 17 ms
            (NTSC, 1 / 600, TimingVerdict.ROUNDED),
            (30, 1e-3, TimingVerdict.ROUNDED),
            (60000 / 1001, 1e-3, TimingVerdict.ROUNDED),
            (240, 1e-3, TimingVerdict.ROUNDED),
            (2200, 1e-3, TimingVerdict.ROUNDED),
        ],
    )
    @pytest.mark.parametrize("declared", [True, False])
    def test_verdict_and_rate(self, rate: float, resolution: float, verdict: TimingVerdict, *, declared: bool) -> None:
        clock = judge_clock(
            rounded(grid(2000, rate), resolution), resolution=resolution, declared_rate=rate if declared else None
        )
        assert clock.verdict is verdict
        assert clock.rate == pytest.approx(rate, rel=1e-12 if declared else 2e-5)
        assert clock.missing == 0
        assert clock.residual <= resolution
        assert np.abs(clock.times - grid(2000, rate)).max() <= resolution / 2 + 1e-9

    def test_matroska_2200_fps_holds_equal_stamps(self) -> None:
        stamps = rounded(grid(440, 2200), 1e-3)
        assert [int(np.sum(np.rint(1e3 * np.diff(stamps)) == step)) for step in (0, 1)] == [239, 200]
        clock = judge_clock(stamps, resolution=1e-3, declared_rate=1000)
        assert clock.verdict is TimingVerdict.ROUNDED
        assert clock.rate == pytest.approx(2200, rel=2e-4)
        assert clock.basis == "constant rate fitted to the stamps"

    def test_standard_rate_is_recognised(self) -> None:
        clock = judge_clock(rounded(grid(900, NTSC), 1e-3), resolution=1e-3)
        assert clock.rate == NTSC
        assert "30000/1001" in clock.basis

    def test_rates_that_the_stamps_cannot_tell_apart_are_not_chosen_between(self) -> None:
        clock = judge_clock(rounded(grid(10, NTSC), 1e-3), resolution=1e-3)
        assert clock.basis == "constant rate fitted to the stamps"
        assert clock.rate == pytest.approx(NTSC, rel=0.01)

    def test_wrong_declared_rate_is_not_believed(self) -> None:
        clock = judge_clock(rounded(grid(900, NTSC), 1e-3), resolution=1e-3, declared_rate=25)
        assert clock.rate == NTSC

    def test_milliseconds_behind_a_finer_time_base(self) -> None:
        for base in (16000, 15360, 90000):
            stamps = rounded(rounded(grid(900, 30), 1e-3), 1 / base)
            clock = judge_clock(stamps, resolution=1 / base, declared_rate=30)
            assert clock.verdict is TimingVerdict.ROUNDED
            assert clock.rate == 30

    def test_clip_that_starts_late_starts_at_zero(self) -> None:
        clock = judge_clock(rounded(7200.35 + grid(100, 50), 1 / 90000), resolution=1 / 90000, declared_rate=50)
        assert clock.times[0] == 0
        assert clock.verdict is TimingVerdict.EXACT

    def test_stamps_that_are_not_rounded(self) -> None:
        clock = judge_clock(grid(100, 239.76, (7,)), resolution=0, declared_rate=239.76)
        assert clock.verdict is TimingVerdict.EXACT
        assert clock.missing == 1


class TestDroppedFrames:
    """Drops leave holes in the grid."""

    def test_holes_are_where_the_frames_were_dropped(self) -> None:
        dropped = (5, 6, 7, 200)
        clock = judge_clock(rounded(grid(400, 30, dropped), 1e-3), resolution=1e-3, declared_rate=30)
        assert clock.missing == 4
        np.testing.assert_array_equal(np.rint(clock.times * 30), np.delete(np.arange(400), dropped))

    def test_below_the_resolution(self) -> None:
        """Three frames of 0.45 ms dropped, in stamps of 1 ms: seen once the shift passes the rounding."""
        dropped = (100, 101, 300)
        clock = judge_clock(rounded(grid(440, 2200, dropped), 1e-3), resolution=1e-3, declared_rate=2200)
        assert (clock.rate, clock.missing) == (2200, 3)
        assert np.abs(clock.times - grid(440, 2200, dropped)).max() <= 1e-3

    @settings(max_examples=150, deadline=None)
    @given(
        rate=st.sampled_from([24000 / 1001, 25.0, NTSC, 30.0, 50.0, 60.0, 100.0, 120000 / 1001, 240.0, 300.0]),
        resolution=st.sampled_from([1e-3, 1 / 600, 1 / 12800, 1 / 90000, 1e-6, 0.0]),
        dropped=st.sets(st.integers(1, 118), max_size=25),
        start=st.floats(0, 5000),
        declared=st.booleans(),
    )
    @example(rate=300.0, resolution=1 / 600, dropped={2, 4, 6, 8}, start=0.4, declared=True)
    def test_any_constant_rate(
        self, rate: float, resolution: float, dropped: set[int], start: float, *, declared: bool
    ) -> None:
        if 1 / rate < 2.6 * resolution and (not declared or dropped):
            return  # a step doesn't tell how many frames it spans; see the test below the resolution
        truth = grid(120, rate, tuple(dropped))
        stamps = rounded(start + truth, resolution) if resolution else start + truth
        clock = judge_clock(stamps, resolution=resolution, declared_rate=rate if declared else None)
        assert clock.verdict in (TimingVerdict.EXACT, TimingVerdict.ROUNDED)
        assert clock.missing == len(dropped)
        assert clock.residual <= resolution + 1e-5
        assert np.abs(clock.times - truth).max() <= 1.5 * resolution + 1e-6


class TestVariableRate:
    """A rate that truly varies is taken from the stamps."""

    @pytest.mark.parametrize("resolution", [1e-3, 1 / 90000])
    @pytest.mark.parametrize("jitter", [0.002, 0.008])
    @pytest.mark.parametrize("rate", [30.0, 50.0, 60.0])
    def test_phone(self, rate: float, jitter: float, resolution: float) -> None:
        rng = np.random.default_rng(3)
        truth = grid(600, rate) + np.clip(rng.normal(0, jitter, 600), -0.45 / rate, 0.45 / rate)
        truth -= truth[0]
        clock = judge_clock(rounded(truth, resolution), resolution=resolution, declared_rate=rate)
        assert clock.verdict is TimingVerdict.VARIABLE
        assert np.abs(clock.times - truth).max() <= resolution
        assert clock.rate == pytest.approx(rate, rel=0.01)
        assert clock.missing == 0

    def test_mostly_holes_is_no_constant_rate(self) -> None:
        stamps = np.cumsum(np.random.default_rng(0).integers(1, 12, 300)) / 60
        clock = judge_clock(stamps, resolution=1 / 90000, declared_rate=60)
        assert clock.verdict is TimingVerdict.VARIABLE
        np.testing.assert_allclose(clock.times, stamps - stamps[0])

    def test_absent_stamps_are_interpolated_and_said_to_be(self) -> None:
        truth = np.array([0.0, 0.03, 0.08, 0.1, 0.17, 0.2, 0.26])
        stamps = truth.copy()
        stamps[[0, 3, 6]] = np.nan
        clock = judge_clock(stamps, resolution=1 / 90000)
        assert clock.verdict is TimingVerdict.VARIABLE
        assert clock.times[3] - clock.times[2] == pytest.approx(0.045)
        assert "3 missing ones interpolated" in clock.basis


class TestBroken:
    """Without usable stamps a rate is needed, and said to be."""

    @pytest.mark.parametrize(
        ("stamps", "reason"),
        [
            ([np.nan] * 5, "no time stamps"),
            ([0, 0.1, 0.05, 0.2, 0.3], "run backwards"),
            ([0, 0.1, 0.1, 0.2, 0.3], "share a time stamp"),
            ([0, 0, 0, 0, 0], "share a time stamp"),
            ([0, 0.1, np.inf, 0.3, 0.4], "run backwards"),
        ],
    )
    def test_declared_rate_or_refusal(self, stamps: list[float], reason: str) -> None:
        values = np.array(stamps, dtype=np.float64)
        clock = judge_clock(values, resolution=1e-5, declared_rate=10)
        assert clock.verdict is TimingVerdict.BROKEN
        assert "declared rate" in clock.basis
        assert reason in clock.basis
        np.testing.assert_allclose(clock.times, np.arange(5) / 10)
        with pytest.raises(TimingError, match=rf"{reason}.*--capture-fps"):
            judge_clock(values, resolution=1e-5)
        assert judge_clock(values, resolution=1e-5, capture_fps=2200).rate == 2200

    @pytest.mark.parametrize("bad", [0.0, -5.0, np.nan, np.inf])
    def test_impossible_capture_rate(self, bad: float) -> None:
        with pytest.raises(TimingError, match="capture rate"):
            judge_clock(grid(10, 30), resolution=1e-3, capture_fps=bad)

    @pytest.mark.parametrize("bad", [0.0, -5.0, np.nan])
    def test_impossible_declared_rate_is_none(self, bad: float) -> None:
        with pytest.raises(TimingError):
            judge_clock(np.full(3, np.nan), resolution=0, declared_rate=bad)

    @pytest.mark.parametrize("frames", [0, 1])
    def test_clips_without_motion_have_a_clock(self, frames: int) -> None:
        clock = judge_clock(grid(frames, 30), resolution=1e-3, declared_rate=30)
        assert clock.times.tolist() == [0.0] * frames
        assert clock.rate == 30


class TestCaptureRate:
    """The user's word replaces the time scale, not the order of frames."""

    def test_drops_stay_holes(self) -> None:
        stamps = rounded(grid(400, 30, (5, 100)), 1e-3)
        clock = judge_clock(stamps, resolution=1e-3, declared_rate=30, capture_fps=2200)
        assert clock.rate == 2200
        assert clock.missing == 2
        assert clock.verdict is TimingVerdict.ROUNDED
        np.testing.assert_allclose(clock.times, grid(400, 2200, (5, 100)))
        assert clock.basis == "capture rate given by the user, in place of the container's 30 Hz"

    def test_over_varying_stamps(self) -> None:
        stamps = grid(100, 30) + np.random.default_rng(0).uniform(-0.008, 0.008, 100)
        clock = judge_clock(stamps, resolution=1 / 90000, capture_fps=240)
        assert clock.verdict is TimingVerdict.VARIABLE
        np.testing.assert_allclose(clock.times, np.arange(100) / 240)
        assert "drops can't be told" in clock.basis


def test_single_absent_stamps_on_a_grid_are_filled() -> None:
    stamps = rounded(grid(200, 30, (50,)), 1e-3)
    stamps[[0, 1, 20, 120, 121, -1]] = np.nan
    clock = judge_clock(stamps, resolution=1e-3, declared_rate=30)
    np.testing.assert_array_equal(np.rint(clock.times * 30), np.delete(np.arange(200), 50))
    assert clock.missing == 1


@pytest.mark.parametrize(
    ("name", "rate", "missing"),
    [
        ("forks/tuning_hz32_fps500_50-1_640x420.mp4", 50, 0),
        ("chips/chips_2200fps.avi", 30.303, 0),
        ("phone/fan.mov", 30, 0),
        ("phone/guitar_bflat.mov", 30, 1),
    ],
)
def test_real_clips(footage: Path, name: str, rate: float, missing: int) -> None:
    stream = VideoFile(footage / name)
    clock: Clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
    assert clock.verdict is TimingVerdict.EXACT
    assert clock.rate == pytest.approx(rate, rel=1e-6)
    assert clock.missing == missing
    assert len(clock.times) == stream.frame_count


@pytest.mark.parametrize(("jitter", "doubtful"), [(0.0, False), (2e-4, True)])
def test_frames_taken_unevenly_are_doubtful_by_what_rounding_leaves_over(jitter: float, doubtful: bool) -> None:
    """Milliseconds hide a jitter of a fifth of one: the rate is the better clock, but no exact one."""
    times = np.arange(150) / 60 + jitter * np.random.default_rng(1).standard_normal(150)
    clock = judge_clock(np.round(times - times[0], 3), resolution=1e-3, declared_rate=60.0)
    assert clock.verdict is TimingVerdict.ROUNDED
    assert (clock.doubtful_by > 5.5e-4) == doubtful
    assert clock.doubtful_by == (clock.residual if doubtful else 0.0)


class TestTooSlow:
    """Less than one frame a second shows no sound, and its gaps would be filled with guesses."""

    def test_a_pause_is_named_with_its_place(self) -> None:
        stamps = np.arange(100) / 25.0
        stamps[60:] += 3600
        with pytest.raises(
            TimingError, match=r"after frame 59 \(counted from 0\) the time stamps pause for 3600\.04 s"
        ):
            judge_clock(stamps, resolution=1e-3)

    def test_short_pauses_are_kept(self) -> None:
        stamps = np.arange(100) / 25.0
        stamps[60:] += 7.013
        clock = judge_clock(stamps, resolution=1e-4)
        assert clock.verdict is TimingVerdict.VARIABLE
        assert clock.times[60] - clock.times[59] == pytest.approx(7.053)

    def test_time_lapse_is_refused_unless_the_user_knows_better(self) -> None:
        stamps = np.arange(20) * 5.0
        with pytest.raises(TimingError, match=r"0\.2 frames/s .* show no sound"):
            judge_clock(stamps, resolution=1e-3)
        assert judge_clock(stamps, resolution=1e-3, capture_fps=1000).rate == 1000
