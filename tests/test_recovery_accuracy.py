"""How well sound is recovered, through the command line: clip and truth in files, sound out in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vmforensics.cli import app

SOUNDS = ("recovered.wav", "raw.wav", "recovered_48k.wav", "raw_48k.wav")


def command(*arguments: object) -> str:
    """Run a command that must succeed; what it printed."""
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


class Recovered:
    """A simulated clip that was recovered, beside its truth; options are written as on a command line."""

    def __init__(self, folder: Path, simulated: str, known: str, *, suffix: str = ".mkv") -> None:
        clip = folder / f"clip{suffix}"
        command("simulate", clip, *simulated.split(), "--quiet")
        self.folder = folder / "run"
        self.result: dict[str, Any] = json.loads(
            command("recover", clip, *known.split(), "--out", self.folder, "--json")
        )
        truth = folder / f"{clip.name}.truth"
        with np.load(truth / "truth.npz") as arrays:
            self._sound, self._rate, axis = arrays["sound"], float(arrays["sound_rate"]), arrays["axis"]
        with np.load(self.folder / "signal.npz") as arrays:
            self.arrays = dict(arrays)
        along, across = float(axis @ self.arrays["axis"]), float(np.linalg.det([axis, self.arrays["axis"]]))
        self._sound = self._sound * along
        self.axis_error = abs(np.degrees(np.arctan(across / along)))

    def truth(self, times: np.ndarray) -> np.ndarray:
        """What really moved along the recovered axis, in px."""
        return np.interp(times, np.arange(len(self._sound)) / self._rate, self._sound)

    def correlation(self) -> float:
        """Of recovered.wav with the truth."""
        samples, _ = soundfile.read(self.folder / "recovered.wav")
        return float(np.corrcoef(samples, self.truth(self.arrays["times_s"]))[0, 1])

    def gain(self) -> float:
        """Factor between what moved and what was measured, where it was seen."""
        seen = self.arrays["raw_observed"]
        measured, moved = self.arrays["raw_px"][seen], self.truth(self.arrays["raw_times_s"])[seen]
        moved = moved - moved.mean()
        return float(measured @ moved / (moved @ moved))


GLOBAL = "--fps 2200 --container-fps 30 --size 112x84 --seconds 0.2 --displacement 0.02"
ROLLING = "--fps 60 --shutter rolling --row-time 19us --size 96x720 --seconds 0.8 --displacement 0.03"


@pytest.mark.parametrize(
    ("scene", "sound", "direction"),
    [("print", "melody", 0), ("natural", "speech", 60), ("brick", "chirp:100-900", 90)],
)
def test_global_shutter(tmp_path, scene, sound, direction):
    simulated = f"{GLOBAL} --scene {scene} --sound {sound} --direction {direction}"
    found = Recovered(tmp_path, simulated, "--capture-fps 2200")
    assert found.result["verdict"] == "signal"
    assert (found.result["clock"]["verdict"], found.result["clock"]["frame_rate_hz"]) == ("rounded", 2200)
    assert found.correlation() > 0.99
    assert found.gain() == pytest.approx(1, abs=0.02)
    assert found.axis_error < 10


def test_stamps_that_matroska_rounded_to_milliseconds_cost_nothing(tmp_path):
    """At 2200 frames/s two or three frames share a stamp, and nobody told the rate."""
    found = Recovered(tmp_path, GLOBAL.replace("--container-fps 30", "--sound chirp:100-900"), "")
    assert (found.result["clock"]["verdict"], found.result["clock"]["frame_rate_hz"]) == ("rounded", 2200)
    assert found.result["clock"]["frames_missing_from_container"] == 0
    assert found.correlation() > 0.99
    assert found.gain() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("scene", "sound"), [("print", "melody"), ("natural", "tone:440")])
def test_rolling_shutter(tmp_path, scene, sound):
    found = Recovered(tmp_path, f"{ROLLING} --scene {scene} --sound {sound}", "--row-time 19us")
    assert found.result["verdict"] == "signal"
    assert found.correlation() > 0.9
    assert found.gain() == pytest.approx(1, abs=0.02)
    duty = 720 * 19e-6 * 60
    assert found.result["shutter"]["duty"] == pytest.approx(duty)
    assert found.result["signal"]["synthesised_share"] == pytest.approx(1 - duty, abs=0.03)


@pytest.mark.parametrize(
    ("simulated", "known"), [(GLOBAL, "--capture-fps 2200"), (ROLLING, "--row-time 19us")], ids=["global", "rolling"]
)
def test_silence_comes_out_as_silence(tmp_path, simulated, known):
    found = Recovered(tmp_path, f"{simulated} --sound silence --seed 3", known)
    assert found.result["verdict"] == "no-signal"
    assert found.result["detection"]["band_hz"] is None
    for name in ("recovered.wav", "raw.wav", "recovered_48k.wav", "raw_48k.wav"):
        samples, _ = soundfile.read(found.folder / name)
        assert len(samples)
        assert np.any(samples) == name.startswith("raw"), name
        assert found.result["audio"][name]["muted"] is name.startswith("recovered")
    assert "no motion beyond noise" in found.result["verdict_reason"]


def test_the_stated_uncertainty_is_the_error(tmp_path):
    """The raw samples miss the truth by as much as they say."""
    found = Recovered(tmp_path, f"{GLOBAL} --noise 4,0", "--capture-fps 2200")
    moved = found.truth(found.arrays["raw_times_s"])
    miss = (found.arrays["raw_px"] - (moved - moved.mean())) / found.arrays["raw_sigma_px"]
    assert np.sqrt(np.mean(miss**2)) == pytest.approx(1, abs=0.15)


def test_a_rolling_clip_of_variable_rate_is_placed_by_its_stamps(tmp_path):
    """Frames that come when they like: counted, they would smear a tone of 440 Hz over a radian and more."""
    simulated = f"{ROLLING} --sound tone:440 --jitter 400us"
    found = Recovered(tmp_path, simulated, "--row-time 19us", suffix=".mp4")
    assert found.result["clock"]["verdict"] == "variable"
    assert found.result["clock"]["largest_stamp_residual_s"] > 4e-4
    assert found.result["verdict"] == "signal"
    assert found.correlation() > 0.9
