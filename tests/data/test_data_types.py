"""What travels between the stages: the checks on it, and the geometry and statistics that live in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import (
    Channel,
    Clock,
    Evidence,
    FrameBlock,
    Motion,
    ReadoutDirection,
    Region,
    Shutter,
    Signal,
    TimingVerdict,
)
from vmforensics.errors import EvidenceMissing, RegionError, TimingError, TooFewFrames
from vmforensics.testing import StoredFrames

X, Y = (1.0, 0.0), (0.0, 1.0)


class TestClock:
    @pytest.mark.parametrize("times", [[0, 1, 1], [0, 2, 1], [0, np.nan, 2], [0, np.inf]])
    def test_times_must_be_finite_and_increase(self, times: list[float]) -> None:
        with pytest.raises(ValueError, match="frame times"):
            Clock(np.array(times, float), 30.0, TimingVerdict.EXACT, "given")

    @pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
    def test_the_rate_must_be_positive(self, rate: float) -> None:
        with pytest.raises(ValueError, match="frame rate"):
            Clock(np.arange(3.0), rate, TimingVerdict.EXACT, "given")


class TestShutter:
    @pytest.mark.parametrize("name", ["line_delay", "line_delay_uncertainty", "exposure"])
    @pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf])
    def test_durations_must_be_finite_and_not_negative(self, name: str, value: float) -> None:
        with pytest.raises(TimingError, match=f"shutter {name} is {value}"):
            Shutter(**{name: value})

    def test_one_formula_for_both_kinds(self) -> None:
        rolling = Shutter(line_delay=19e-6, exposure=1 / 4000)
        np.testing.assert_allclose(rolling.row_offsets(3, 100), [100 * 19e-6 + 1 / 8000 + k * 19e-6 for k in range(3)])
        assert rolling.is_rolling
        still = Shutter(exposure=1 / 500)
        assert still.row_offsets(4, 7).tolist() == [0.001] * 4
        assert not still.is_rolling
        assert Shutter().row_offsets(2).tolist() == [0.0, 0.0]


class TestEvidence:
    def test_a_file_and_a_folder(self, tmp_path: Path) -> None:
        for name in ("b.png", "a.png", ".hidden"):
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "sub").mkdir()
        assert [p.name for p in Evidence(tmp_path).files()] == [".hidden", "a.png", "b.png"]
        assert Evidence(tmp_path / "a.png").files() == (tmp_path / "a.png",)

    @pytest.mark.parametrize("name", ["missing.mp4", "null\0.mp4", "a.png/b.mp4"])
    def test_what_is_not_there(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "a.png").write_bytes(b"x")
        with pytest.raises(EvidenceMissing):
            Evidence(tmp_path / name).files()


class TestFrameBlock:
    @pytest.mark.parametrize(
        ("index", "luma"),
        [
            (np.arange(2), np.zeros((3, 4, 4), np.uint8)),
            (np.arange(3), np.zeros((3, 4), np.uint8)),
            (np.arange(3), np.zeros((3, 4, 4), np.float32)),
            (np.arange(3), np.zeros((3, 4, 4), np.int16)),
        ],
    )
    def test_shape_and_type(self, index: Any, luma: Any) -> None:
        with pytest.raises(ValueError, match="luma"):
            FrameBlock(index, luma)


def coded_positions(rows: int, cols: int, frames: int = 3) -> NDArray[np.uint16]:
    """Frames whose pixels say where they are: 1000·row + 10·column + frame."""
    row, col = np.mgrid[:rows, :cols]
    return np.stack([1000 * row + 10 * col + n for n in range(frames)]).astype(np.uint16)


class TestSensorFrames:
    """Axis 0 is the readout axis, the row that was exposed first comes first."""

    REGION = Region(x=2, y=1, width=4, height=3)  # of a picture 9 wide and 7 high

    @pytest.mark.parametrize(
        ("direction", "first", "row_step", "col_step", "shape", "first_row"),
        [
            (ReadoutDirection.TOP_TO_BOTTOM, 1020, 1000, 10, (3, 4), 1),
            (ReadoutDirection.BOTTOM_TO_TOP, 3020, -1000, 10, (3, 4), 7 - 1 - 3),
            (ReadoutDirection.LEFT_TO_RIGHT, 1020, 10, 1000, (4, 3), 2),
            (ReadoutDirection.RIGHT_TO_LEFT, 1050, -10, 1000, (4, 3), 9 - 2 - 4),
        ],
    )
    def test_a_region_in_every_readout_direction(
        self,
        direction: ReadoutDirection,
        first: int,
        row_step: int,
        col_step: int,
        shape: tuple[int, int],
        first_row: int,
    ) -> None:
        shutter = Shutter(line_delay=1e-5, exposure=1e-4, direction=direction)
        frames = StoredFrames(coded_positions(7, 9), rate=60.0, block=2).sensor_frames(shutter, self.REGION)
        blocks = list(frames.blocks())
        assert [block.index.tolist() for block in blocks] == [[0, 1], [2]]
        luma = np.concatenate([block.luma for block in blocks]).astype(int)
        assert (frames.rows, frames.cols) == shape == luma.shape[1:]
        assert luma[:, 0, 0].tolist() == [first, first + 1, first + 2]
        assert (np.diff(luma, axis=1) == row_step).all()
        assert (np.diff(luma, axis=2) == col_step).all()
        assert frames.first_row == first_row
        np.testing.assert_allclose(frames.row_offsets(), (first_row + np.arange(shape[0])) * 1e-5 + 5e-5)
        assert (frames.frame_count, frames.full_scale) == (3, 65535)

    @pytest.mark.parametrize("direction", list(ReadoutDirection))
    def test_a_pixel_has_one_instant_whatever_the_region(self, direction: ReadoutDirection) -> None:
        shutter = Shutter(line_delay=1e-5, direction=direction)
        stream = StoredFrames(coded_positions(7, 9), rate=60.0)

        def instants(region: Region | None) -> dict[int, float]:
            frames = stream.sensor_frames(shutter, region)
            (block,) = frames.blocks()
            return {
                int(pixel): offset
                for row, offset in zip(block.luma[0], frames.row_offsets(), strict=True)
                for pixel in row
            }

        whole, part = instants(None), instants(self.REGION)
        assert part == {pixel: pytest.approx(whole[pixel]) for pixel in part}
        assert min(whole.values()) == 0
        assert len(part) == 12

    @pytest.mark.parametrize(
        "region", [(-1, 0, 3, 3), (0, -1, 3, 3), (7, 0, 3, 3), (0, 5, 3, 3), (0, 0, 0, 3), (0, 0, 3, 0), (3, 3, -1, 2)]
    )
    def test_a_region_outside_the_picture_is_refused(self, region: tuple[int, int, int, int]) -> None:
        stream = StoredFrames(coded_positions(7, 9), rate=60.0)
        with pytest.raises(RegionError, match="9x7 px frame"):
            stream.sensor_frames(region=Region(*region))

    def test_the_mean_leaves_undecodable_frames_out(self) -> None:
        frames = coded_positions(7, 9, frames=4)
        mean = StoredFrames(frames, rate=60.0, block=1, lost=(3,)).sensor_frames().mean()
        np.testing.assert_array_equal(mean, frames[:3].mean(axis=0))
        with pytest.raises(TooFewFrames):
            StoredFrames(frames, rate=60.0, lost=range(4)).sensor_frames().mean()


def signal(**changes: Any) -> Signal:
    values: dict[str, Any] = {
        "samples": np.arange(4.0),
        "rate": 100.0,
        "start": 0.5,
        "observed": np.array([True, True, False, True]),
        "sigma": np.array([0.1, 0.1, 0.0, 0.1]),
    }
    return Signal(**(values | changes))


class TestSignal:
    def test_times_and_shares(self) -> None:
        np.testing.assert_allclose(signal().times, [0.5, 0.51, 0.52, 0.53])
        assert signal().duration == pytest.approx(0.04)
        assert signal().synthesised_share == pytest.approx(0.25)

    @pytest.mark.parametrize(
        "changes",
        [
            {"samples": np.zeros((4, 1))},
            {"samples": np.zeros(0), "observed": np.zeros(0, bool), "sigma": np.zeros(0)},
            {"samples": np.array([0, np.nan, 0, 0])},
            {"sigma": np.array([0, np.inf, 0, 0])},
            {"sigma": np.array([0, -1.0, 0, 0])},
            {"sigma": np.zeros(3)},
            {"observed": np.ones(4)},
            {"observed": np.ones(5, bool)},
            {"rate": 0.0},
            {"rate": np.nan},
            {"start": np.inf},
        ],
    )
    def test_what_no_signal_can_be(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            signal(**changes)


def motion(
    displacement: NDArray[np.float64],
    sigma: tuple[float, ...] = (1.0,),
    responses: tuple[tuple[float, float], ...] = (X,),
    halves: tuple[int | None, ...] = (),
    *,
    rate: float = 100.0,
    offsets: NDArray[np.float64] | None = None,
) -> Motion:
    """A motion with independent channels [displacement: shape=(frames, rows, channels)]."""
    frames, rows, channels = displacement.shape
    return Motion(
        displacement=displacement.astype(np.float32),
        precision=np.diag(1 / np.square(sigma)).astype(np.float32)[None, None],
        observed=np.ones((frames, rows), bool),
        frame_times=np.arange(frames) / rate,
        row_offsets=np.zeros(rows) if offsets is None else offsets,
        channels=tuple(
            Channel(f"{i}", r, h) for i, (r, h) in enumerate(zip(responses, halves or (None,) * channels, strict=True))
        ),
        frame_rate=rate,
    )


def without(original: Motion, where: Any) -> Motion:
    observed = original.observed.copy()
    observed[where] = False
    return replace(original, observed=observed, displacement=np.where(observed[..., None], original.displacement, 0))


class TestMotion:
    @pytest.mark.parametrize(
        "changes",
        [
            {"displacement": np.zeros((5, 2), np.float32)},
            {"displacement": np.full((5, 2, 1), np.nan, np.float32)},
            {"precision": np.ones((1, 1, 2, 2), np.float32)},
            {"precision": np.ones((3, 1, 1, 1), np.float32)},
            {"precision": np.full((1, 1, 1, 1), np.inf, np.float32)},
            {"observed": np.ones((2, 5), bool)},
            {"frame_times": np.arange(4.0)},
            {"frame_times": np.zeros(5)},
            {"row_offsets": np.arange(3.0)},
            {"row_offsets": np.array([0, np.nan])},
            {"channels": ()},
        ],
    )
    def test_what_no_motion_can_be(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            replace(motion(np.zeros((5, 2, 1))), **changes)

    def test_an_instant_is_frame_time_plus_row_offset(self) -> None:
        made = motion(np.zeros((3, 2, 1)), offsets=np.array([0.001, 0.004]))
        np.testing.assert_allclose(made.instants, [[0.001, 0.004], [0.011, 0.014], [0.021, 0.024]])

    def test_along_is_weighted_least_squares(self) -> None:
        rng = np.random.default_rng(0)
        responses = ((1.0, 0.2), (-0.5, 1.0), (0.3, 0.9))
        root = rng.standard_normal((3, 3))
        precision = root @ root.T + np.eye(3)
        made = replace(
            motion(rng.standard_normal((6, 1, 3)), (1.0,) * 3, responses),
            precision=precision.astype(np.float32)[None, None],
        )
        axis = (0.6, -0.8)
        found, information = made.along(axis)
        design = np.linalg.cholesky(precision).T @ (np.array(responses) @ axis)
        readings = made.displacement[:, 0] @ np.linalg.cholesky(precision)
        np.testing.assert_allclose(found[:, 0], readings @ design / (design @ design), rtol=1e-5)
        np.testing.assert_allclose(information, design @ design, rtol=1e-5)

    def test_along_what_is_not_observed_or_not_seen(self) -> None:
        made = without(motion(np.ones((3, 2, 1))), (1, 0))
        found, information = made.along(X)
        assert information.tolist() == [[1, 1], [0, 1], [1, 1]]
        assert found.tolist() == [[1, 1], [0, 1], [1, 1]]
        found, information = made.along(Y)
        assert not found.any()
        assert not information.any()

    def test_half(self) -> None:
        displacement = np.arange(24.0).reshape(3, 2, 4)
        made = motion(displacement, (1.0, 2.0, 4.0, 8.0), (X, Y, X, Y), (0, 1, None, 1))
        second = made.half(1)
        assert [c.label for c in second.channels] == ["1", "3"]
        np.testing.assert_array_equal(second.displacement, displacement[..., [1, 3]])
        np.testing.assert_allclose(second.precision[0, 0], np.diag([1 / 4, 1 / 64]))
        assert motion(displacement, (1.0,) * 4, (X,) * 4).half(0).channels == ()

    @pytest.mark.parametrize("degrees", [0, 89, -89, 30, 60, -45])
    def test_the_principal_axis_is_that_of_the_vibration_not_of_the_noise(self, degrees: float) -> None:
        """Noise across is five times that along, and three times the vibration."""
        rng = np.random.default_rng(1)
        axis = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
        sound = 0.5 * rng.standard_normal((40_000, 1, 1))
        sigma = (0.3, 1.5)
        made = motion(sound * axis + rng.standard_normal((40_000, 1, 2)) * sigma, sigma, (X, Y))
        found = made.principal_axis()
        assert np.hypot(*found) == pytest.approx(1)
        assert np.rad2deg(np.arccos(min(1, abs(float(found @ axis))))) < 3
        assert found[0] >= 0

    def test_the_principal_axis_ignores_what_was_not_observed(self) -> None:
        sound = np.random.default_rng(1).standard_normal((200, 1, 1))
        made = motion(np.where(np.arange(200)[:, None, None] < 100, sound * X, 50 * sound * Y), (0.1, 0.1), (X, Y))
        assert abs(made.principal_axis()[1]) == pytest.approx(1, abs=0.01)
        assert without(made, slice(100, 200)).principal_axis()[0] == pytest.approx(1, abs=0.01)

    def test_onto_grid_averages_by_information_and_leaves_gaps_empty(self) -> None:
        rows = np.array([[[1.0], [3.0], [5.0]], [[7.0], [9.0], [11.0]]])
        made = motion(rows, rate=10.0, offsets=np.array([0.0, 0.004, 0.02]))
        made = replace(made, precision=np.array([1.0, 3.0, 2.0], np.float32).reshape(1, 3, 1, 1))
        made = without(made, (1, 2))
        grid = made.onto_grid(X, start=0.0, rate=100.0, size=12)
        assert np.flatnonzero(grid.observed).tolist() == [0, 2, 10]
        np.testing.assert_allclose(grid.samples[grid.observed], [(1 + 3 * 3) / 4, 5, (7 + 3 * 9) / 4])
        np.testing.assert_allclose(grid.sigma[grid.observed], [0.5, np.sqrt(0.5), 0.5])
        assert not grid.samples[~grid.observed].any()
        assert not grid.sigma[~grid.observed].any()
        assert (grid.rate, grid.start, grid.axis, grid.unit) == (100.0, 0.0, X, "px")

    def test_what_lies_off_the_grid_is_left_out(self) -> None:
        made = motion(np.arange(10.0)[:, None, None], rate=10.0)
        grid = made.onto_grid(X, start=0.3, rate=10.0, size=3)
        np.testing.assert_allclose(grid.samples, [3, 4, 5])
        assert made.onto_grid(X, start=50.0, rate=10.0, size=4).observed.tolist() == [False] * 4


def swaying(
    path: NDArray[np.float64], *, rows: int = 4, rate: float = 60.0, noise: float = 0.0, sound: float = 0.0
) -> Motion:
    """A path (x, y) of the frames, a tone of 170 Hz along x on top, and noise [path: shape=(frames, 2)]."""
    offsets = np.arange(rows) * 0.8 / rate / rows
    times = np.arange(len(path))[:, None] / rate + offsets
    displacement = np.repeat(path[:, None], rows, axis=1)
    displacement = displacement + noise * np.random.default_rng(2).standard_normal(displacement.shape)
    displacement[..., 0] += sound * np.sin(2 * np.pi * 170 * times)
    return motion(displacement, (0.01, 0.01), (X, Y), rate=rate, offsets=offsets)


class TestSway:
    def test_a_slow_path_is_followed_and_taken_out(self) -> None:
        t = np.arange(120) / 60
        path = np.stack([0.3 * np.sin(2 * np.pi * t), 0.2 * np.cos(2 * np.pi * 0.7 * t)], axis=1)
        made = swaying(path, noise=0.01)
        steady, sway = made.steadied()
        middle = t + made.row_offsets.mean()
        np.testing.assert_allclose(sway.at(middle)[5:-5], path[5:-5], atol=0.015)
        assert np.std(steady.displacement[..., 0]) < 0.02
        assert np.std(steady.displacement[..., 1]) < 0.02
        np.testing.assert_allclose(sway.along((0.6, 0.8), middle), sway.at(middle) @ (0.6, 0.8))

    def test_a_sound_is_left_in(self) -> None:
        made = swaying(np.zeros((120, 2)), rows=20, sound=0.05)
        steady, _ = made.steadied()
        difference = steady.displacement[..., 0] - made.displacement[..., 0]
        assert np.std(difference) < 0.12 * np.std(made.displacement[..., 0])

    def test_missing_frames_are_bridged_and_stay_empty(self) -> None:
        t = np.arange(120) / 60
        path = np.stack([0.3 * np.sin(2 * np.pi * t), np.zeros(120)], axis=1)
        lost = [0, 40, 41, 42, 119]
        made = without(swaying(path, noise=0.01), lost)
        steady, sway = made.steadied()
        np.testing.assert_allclose(sway.at(t + made.row_offsets.mean())[:, 0], path[:, 0], atol=0.05)
        assert not steady.displacement[lost].any()
        np.testing.assert_array_equal(steady.observed, made.observed)

    def test_single_rows_that_were_not_observed(self) -> None:
        path = np.stack([np.linspace(0, 0.5, 90), np.zeros(90)], axis=1)
        made = without(swaying(path, noise=0.005), (slice(20, 40), 2))
        steady, _ = made.steadied()
        assert not steady.displacement[20:40, 2].any()
        assert np.std(steady.displacement[made.observed][:, 0]) < 0.02

    def test_beyond_the_clip_the_path_is_held(self) -> None:
        _, sway = swaying(np.stack([np.linspace(0, 1, 60), np.zeros(60)], axis=1)).steadied()
        np.testing.assert_allclose(
            sway.at(np.array([-5.0, 99.0]))[:, 0], sway.at(np.array([sway.first, sway.last]))[:, 0]
        )

    @pytest.mark.parametrize("frames", [1, 2, 3])
    def test_a_few_frames_have_a_mean_and_no_path(self, frames: int) -> None:
        made = swaying(np.full((frames, 2), 0.4))
        sway = made.sway()
        np.testing.assert_allclose(sway.at(made.frame_times), np.full((frames, 2), 0.4), atol=1e-6)

    def test_nothing_observed_has_no_sway(self) -> None:
        made = without(swaying(np.ones((20, 2))), slice(None))
        assert not made.sway().at(made.frame_times).any()
