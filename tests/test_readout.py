"""Row times that mean nothing are refused, with the reason; those that do mean something aren't."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import av
import imageio.v3
import numpy as np
import pytest

from vmforensics.data import Motion, ReadoutDirection, Shutter
from vmforensics.errors import Unsuitable
from vmforensics.light import centroid_shift, judge_exposure, judge_lamp
from vmforensics.readout import ReadoutVerdict, judge_readout
from vmforensics.recovery import recover_clip
from vmforensics.repeats import find_repeats, without_repeats
from vmforensics.testing import Camera, Flicker, simulate, write_clip
from vmforensics_rolling_shutter.motion.row_motion import RowMotion

ROW = 60e-6
CAMERA = Camera(128, 240, fps=30, frames=90, shutter=Shutter(ROW))
SWAYING: dict[str, Any] = {"scene": "natural", "sway": 0.15, "sway_frequency": 0.7, "drift": (0.1, 0.2)}


def measured(camera: Camera, known: Shutter | None = None, **scene: Any) -> Motion:
    """Motion of a simulated clip, under the shutter it was filmed with or another one."""
    frames = simulate(camera, **scene).sensor_frames()
    return RowMotion().estimate(frames if known is None else dataclasses.replace(frames, shutter=known))


class TestReadoutOrder:
    """The picture's sway shows in which order its rows were read."""

    @pytest.mark.parametrize("sound", ["silence", "melody"])
    @pytest.mark.parametrize("direction", list(ReadoutDirection))
    def test_as_stated(self, sound: str, direction: ReadoutDirection) -> None:
        size = (240, 128) if direction.along_columns else (128, 240)
        camera = dataclasses.replace(CAMERA, width=size[0], height=size[1], shutter=Shutter(ROW, direction=direction))
        found = judge_readout(measured(camera, sound=sound, rms_px=0.01, **SWAYING))
        assert found.verdict is ReadoutVerdict.CONSISTENT
        assert found.pace == pytest.approx(1, abs=0.15)

    @pytest.mark.parametrize(("wrong", "pace"), [(1.0, 1.0), (1.5, 1 / 1.5), (-1.0, -1.0)])
    def test_a_hand_shows_it_while_its_path_is_followed(self, wrong: float, pace: float) -> None:
        camera = Camera(192, 112, fps=60, frames=120, shutter=Shutter(120e-6))
        direction = ReadoutDirection.BOTTOM_TO_TOP if wrong < 0 else ReadoutDirection.TOP_TO_BOTTOM
        known = Shutter(120e-6 * abs(wrong), direction=direction)
        motion = measured(camera, known, scene="natural", sound="tone:311", rms_px=0.03, handheld=10.0, seed=3)
        assert motion.path is not None
        found = judge_readout(motion)
        assert found.pace == pytest.approx(pace, abs=0.05)
        assert (found.verdict is ReadoutVerdict.CONSISTENT) == (wrong == 1)

    @pytest.mark.parametrize(
        ("filmed", "known", "pace", "meaning"),
        [
            (Shutter(ROW), Shutter(ROW, direction=ReadoutDirection.BOTTOM_TO_TOP), -1, "opposite direction"),
            (Shutter(), Shutter(ROW), 0, "exposed together"),
            (Shutter(ROW), Shutter(ROW / 2), 2, "the row time is 2 times the stated one"),
            (Shutter(ROW, direction=ReadoutDirection.LEFT_TO_RIGHT), Shutter(ROW), 0, "along the other axis"),
        ],
    )
    def test_not_as_stated(self, filmed: Shutter, known: Shutter, pace: float, meaning: str) -> None:
        found = judge_readout(
            measured(dataclasses.replace(CAMERA, shutter=filmed), known, sound="melody", rms_px=0.01, **SWAYING)
        )
        assert found.verdict is ReadoutVerdict.CONTRADICTED
        assert found.pace == pytest.approx(pace, abs=0.15)
        assert meaning in found.reason

    @pytest.mark.parametrize("tone", [29.3, 31, 59.5, 91, 121, 310])
    @pytest.mark.parametrize("sway", [0.0, 0.1])
    def test_a_loud_tone_is_no_sway(self, tone: float, sway: float) -> None:
        """Its alias moves the frames slowly, and its rows do otherwise: that contradicts nothing."""
        motion = measured(CAMERA, sound=f"tone:{tone}", rms_px=0.1, scene="natural", sway=sway)
        assert judge_readout(motion).verdict is not ReadoutVerdict.CONTRADICTED

    def test_a_picture_at_rest_says_nothing(self) -> None:
        found = judge_readout(measured(CAMERA, sound="silence", scene="natural"))
        assert found.verdict is ReadoutVerdict.UNKNOWN
        assert found.reason == "readout order couldn't be checked: the picture rests, or its rows move in other ways"

    def test_a_roll_that_goes_with_the_sway_is_no_readout(self) -> None:
        """A roll slants the picture as much as the readout does, but with the place, not with the speed."""
        motion = measured(CAMERA, sound="silence", **SWAYING)
        place = motion.frame_means()[0]
        slant = 2 * (np.arange(240) - 120) / 240
        rolled = motion.displacement + (place[:, None, :1] * slant[:, None] * motion.response[:, 0]).astype(np.float32)
        found = judge_readout(dataclasses.replace(motion, displacement=np.where(motion.observed[..., None], rolled, 0)))
        assert found.verdict is ReadoutVerdict.CONSISTENT

    def test_few_frames_and_a_global_shutter_aren_t_judged(self) -> None:
        few = judge_readout(measured(dataclasses.replace(CAMERA, frames=20), sound="silence", **SWAYING))
        assert (few.verdict, few.pace) == (ReadoutVerdict.UNKNOWN, None)
        assert "the clip has 20" in few.reason
        alike = measured(dataclasses.replace(CAMERA, shutter=Shutter()), sound="silence", **SWAYING)
        assert judge_readout(alike).verdict is ReadoutVerdict.UNKNOWN

    def test_the_run_is_refused(self, tmp_path: Path) -> None:
        clip = write_clip(simulate(CAMERA, sound="melody", rms_px=0.01, **SWAYING), tmp_path / "clip.mkv")
        with pytest.raises(Unsuitable, match="the readout runs in the opposite direction") as caught:
            recover_clip(clip, tmp_path / "run", shutter="rolling", row_time=ROW, readout_direction="bottom-to-top")
        assert "check readout direction and row time" in str(caught.value)
        assert '"pace":-1.0' in (tmp_path / "run" / "ledger.jsonl").read_text().replace('"pace":-0.9', '"pace":-1.0')
        assert not (tmp_path / "run" / "recovered.wav").exists()


class TestExposure:
    """An exposure erases what is as fast as itself."""

    def test_words(self) -> None:
        assert judge_exposure(None) == judge_exposure(1 / 2000)
        assert "250 Hz and its multiples" in judge_exposure(1 / 250).warnings[0]
        assert "60 Hz and its multiples" in judge_exposure(1 / 60).refusal

    def test_the_run_is_refused(self, tmp_path: Path) -> None:
        clip = write_clip(simulate(Camera(64, 48, fps=30, frames=8)), tmp_path / "clip.mkv")
        with pytest.raises(Unsuitable, match=r"exposed for 16\.7 ms.*shorter exposure"):
            recover_clip(clip, tmp_path / "run", shutter="rolling", row_time="100us", exposure="1/60")


def lit(lamp: Any, exposure: float | None = None, frames: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and instants of a grey wall's rows under a lamp."""
    instants = np.arange(frames)[:, None] / 30 + np.arange(0, 270, 3) * ROW
    return 100 * lamp.light(instants, exposure or 0.0), instants


class TestLamp:
    """Where the lamp decides when a row is seen, the row's time isn't the stated one."""

    def test_steady_light(self) -> None:
        rows, instants = lit(Flicker(100.0, 0.0))
        assert judge_lamp(rows, instants, 1 / 500) == judge_exposure(None)

    def test_flicker_counts_by_the_exposure(self) -> None:
        rows, instants = lit(Flicker(100.1, 0.3), 1 / 4000)
        assert judge_lamp(rows, instants, 1 / 4000) == judge_exposure(None)
        assert "exposure, which isn't known" in judge_lamp(rows, instants, None).warnings[0]
        rows, instants = lit(Flicker(100.1, 0.3), 1 / 500)
        assert "the waveform can't be trusted" in judge_lamp(rows, instants, 1 / 500).warnings[0]
        rows, instants = lit(Flicker(100.1, 0.8), 1 / 120)
        assert "no waveform can be trusted" in judge_lamp(rows, instants, 1 / 120).refusal

    @pytest.mark.parametrize(
        ("depth", "frequency", "exposure"), [(0.3, 100, 2e-3), (0.9, 120, 1 / 150), (0.5, 100, 1 / 90)]
    )
    def test_the_shift_is_that_of_the_light_s_centroid(self, depth: float, frequency: float, exposure: float) -> None:
        u = np.linspace(-exposure / 2, exposure / 2, 4001)
        light = 1 + depth * np.cos(2 * np.pi * (frequency * u + np.linspace(0, 1, 2000)[:, None]))
        largest = np.abs((light @ u) / light.sum(axis=1)).max()
        shown = depth * abs(np.sinc(frequency * exposure))
        assert centroid_shift(shown, frequency, exposure) == pytest.approx(largest, rel=5e-3)

    @pytest.mark.parametrize(("frequency", "duty"), [(90.3, 0.2), (300.7, 0.1), (47.3, 0.5)])
    def test_a_strobe_is_refused(self, frequency: float, duty: float) -> None:
        _, instants = lit(Flicker())
        rows = np.where((instants * frequency) % 1 < duty, 100.0, 1.0)
        assert "the lamp strobes, and decides when a row is seen" in judge_lamp(rows, instants, None).refusal

    def test_a_strobed_run_is_refused(self, tmp_path: Path) -> None:
        camera = dataclasses.replace(CAMERA, frames=30, brightness=0.2, contrast=0.05)
        frames = simulate(camera, sound="silence").frames.copy()
        instants = np.arange(30)[:, None] / 30 + np.arange(240) * ROW
        frames[(instants * 90.3) % 1 > 0.2] = 2
        folder = tmp_path / "pictures"
        folder.mkdir()
        for n, frame in enumerate(frames):
            imageio.v3.imwrite(folder / f"{n:04d}.png", frame)
        with pytest.raises(Unsuitable, match="the lamp strobes"):
            recover_clip(folder, tmp_path / "run", shutter="rolling", row_time=ROW, capture_fps=30)


class TestRepeats:
    """A frame stored twice shows nothing of its own instant."""

    @staticmethod
    def found(change: np.ndarray, types: str = "", frozen: float = 0.5) -> Any:
        size = len(change)
        return find_repeats(np.arange(size), change, change == 0, list(types) or [""] * size, np.full(size, frozen))

    def test_far_below_the_noise(self) -> None:
        change = np.random.default_rng(0).normal(1.1, 0.05, 100)
        change[[20, 33, 34]], change[70] = 0.1, 0.0
        repeats = self.found(change)
        assert repeats.frames.tolist() == [20, 33, 34, 70]
        assert (repeats.exact, repeats.doubt) == (1, "")

    def test_a_hand_that_rests_now_and_then_repeats_nothing(self) -> None:
        change = 1.1 + 8 * np.abs(np.sin(np.arange(200) / 7))
        assert len(self.found(change).frames) == 0

    def test_light_that_flickers_at_a_fraction_of_the_frame_rate_repeats_nothing(self) -> None:
        change = np.tile([1.7, 14.0, 20.0, 20.0, 14.0], 40) * np.random.default_rng(0).normal(1, 0.02, 200)
        assert len(self.found(change, frozen=0.0).frames) == 0
        assert len(self.found(change).frames) == 39

    def test_types_have_their_own_noise(self) -> None:
        assert len(self.found(np.tile([3.0, 0.5, 0.5], 40), "PBB" * 40).frames) == 0

    @pytest.mark.parametrize("period", [2, 5, 6])
    def test_a_converted_rate_is_in_doubt(self, period: int) -> None:
        change = np.random.default_rng(0).normal(1.1, 0.05, 120)
        change[3::period] = 0.0
        change[[3, 3 + 4 * period]] = 1.0  # a second coding hides some
        assert f"regular pattern of {period} frames" in self.found(change).doubt

    def test_an_accident_now_and_then_isn_t_a_conversion(self) -> None:
        change = np.ones(200)
        change[[5, 30, 62, 90, 155, 156, 170]] = 0
        assert self.found(change).doubt == ""
        assert len(self.found(change).frames) == 7

    def test_most_frames(self) -> None:
        change = np.where(np.random.default_rng(1).random(100) < 0.7, 0.0, 1.0)
        assert "a codec left them out, or" in self.found(change).doubt

    def test_a_still_picture_has_no_gaps(self) -> None:
        still = self.found(np.zeros(50))
        assert (len(still.frames), still.exact, still.still) == (0, 49, True)
        change = np.zeros(50)
        change[20] = 1.0
        assert not self.found(change).still

    def test_a_still_picture_shows_no_motion(self, tmp_path: Path) -> None:
        """What the estimator's arithmetic rounds is common to both halves, and is no signal."""
        motion = measured(dataclasses.replace(CAMERA, frames=30), sound="silence", scene="natural")
        rested = without_repeats(motion, self.found(np.zeros(30)))
        assert not rested.displacement.any()
        assert np.array_equal(rested.observed, motion.observed)
        still = dataclasses.replace(CAMERA, frames=45, noise=(0.0, 0.0))
        clip = write_clip(simulate(still, sound="silence", scene="edges"), tmp_path / "clip.mkv")
        run = recover_clip(clip, tmp_path / "run", shutter="rolling", row_time=ROW)
        assert run.result["verdict"] == "no-signal"
        assert "all 45 frames are the same to the bit" in (tmp_path / "run" / "ledger.jsonl").read_text()

    def test_repeats_become_gaps(self) -> None:
        motion = measured(dataclasses.replace(CAMERA, frames=30), sound="silence", scene="natural")
        change = np.ones(30)
        change[[4, 9]] = 0
        gaps = without_repeats(motion, self.found(change))
        assert np.flatnonzero(~gaps.observed.any(axis=1)).tolist() == [4, 9]
        assert not gaps.displacement[[4, 9]].any()
        assert np.array_equal(np.delete(gaps.displacement, [4, 9], 0), np.delete(motion.displacement, [4, 9], 0))

    def test_a_converted_clip_gets_no_verdict(self, tmp_path: Path) -> None:
        camera = Camera(96, 72, fps=2200, frames=330, repeated=tuple(range(3, 330, 5)))
        clip = write_clip(simulate(camera, sound="tone:310", rms_px=0.03), tmp_path / "clip.mkv")
        result = recover_clip(clip, tmp_path / "run", shutter="global", capture_fps=2200).result
        assert result["verdict"] == "undetermined"
        assert "the frame rate was converted" in result["verdict_reason"]


def test_a_strobed_string_is_refused(footage: Path, tmp_path: Path) -> None:
    """An electric guitar under 120 Hz light: its string moves at its alias, and its rows tell nothing of its sound."""
    beginning = tmp_path / "beginning.mov"
    with av.open(footage / "phone" / "guitar_bflat.mov") as source, av.open(beginning, "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(source.streams.video[0]), 50):
            packet.stream = stream
            copy.mux(packet)
    with pytest.raises(Unsuitable, match=r"moves|move apart|readout"):
        recover_clip(beginning, tmp_path / "run", shutter="rolling", row_time="15us", region=(1280, 0, 640, 1080))
