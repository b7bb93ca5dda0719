"""The small examples: what their READMEs say of clip, truth and recovery is so."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import vmforensics
from vmforensics.calibration import calibrate_clip
from vmforensics.cli import app
from vmforensics.plugins import Registry
from vmforensics.recovery import COMPARISON, Outcome

CASES = Path(__file__).resolve().parents[2] / "casefiles"
SIMULATED = ("example-global-shutter", "example-soundless", "example-calibrated-by-flicker")
SWAPPED = "example-swapped-estimators"


def readme(example: str) -> str:
    return (CASES / example / "README.md").read_text("utf-8")


def carried_out(example: str, folder: Path) -> list[Outcome]:
    return vmforensics.run_case(CASES / example / "case.yaml", folder / "run")


def against_truth(outcome: Outcome, example: str) -> tuple[float, float]:
    """Correlation of what was recovered with the truth, over all samples and over those that were seen."""
    sound, rate = soundfile.read(CASES / example / "truth" / "truth.wav")
    with np.load(outcome.folder / "signal.npz") as arrays:
        recovered, observed, times = arrays["samples_px"], arrays["observed"], arrays["times_s"]
    truth = np.interp(times, np.arange(len(sound)) / rate, sound)
    whole, seen = (float(np.corrcoef(recovered[part], truth[part])[0, 1]) for part in (slice(None), observed))
    return whole, seen


def luma(clip: Path) -> Iterator[NDArray[np.int16]]:
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray().astype(np.int16)


def test_every_example_is_tested() -> None:
    assert {path.name for path in CASES.glob("example-*")} == {*SIMULATED, SWAPPED, "example-rolling-shutter"}


@pytest.mark.parametrize("example", SIMULATED)
def test_digests_are_those_stated(example: str) -> None:
    stated = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", readme(example), re.MULTILINE))
    assert stated.keys() == {"clip.mkv", "truth/truth.wav"}
    for name, digest in stated.items():
        assert hashlib.sha256((CASES / example / name).read_bytes()).hexdigest() == digest
    assert vmforensics.read_case(CASES / example / "case.yaml").case.evidence[0].sha256 == stated["clip.mkv"]


@pytest.mark.parametrize("example", SIMULATED)
def test_the_command_remakes_the_clip(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte with the versions named in the README; with others, but for a pixel's rounding here and there."""
    (block,) = re.findall(r"```sh\n(vmforensics simulate .*?)```", readme(example), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    app([*shlex.split(block.replace("\\\n", " "))[1:], "--quiet"], standalone_mode=False)
    settings = [json.loads((folder / "truth" / "truth.json").read_text()) for folder in (tmp_path, CASES / example)]
    assert settings[0] == settings[1]
    shipped, made = (np.stack([*luma(folder / "clip.mkv")]) for folder in (CASES / example, tmp_path))
    assert np.abs(shipped - made).max() <= 1
    assert np.count_nonzero(shipped != made) <= 1e-3 * shipped.size


def test_global_shutter(tmp_path: Path) -> None:
    (outcome,) = carried_out("example-global-shutter", tmp_path)
    assert outcome.result["verdict"] == "signal"
    assert outcome.result["signal"]["rate_hz"] == 1500
    (stated,) = re.findall(r"correlates with it by (0\.\d+),", readme("example-global-shutter"))
    assert against_truth(outcome, "example-global-shutter")[0] == pytest.approx(float(stated), abs=0.005)
    with np.load(outcome.folder / "signal.npz") as arrays:
        x, y = arrays["axis"]
    assert abs(np.rad2deg(np.arctan2(y, x)) - 30) < 5


def test_soundless(tmp_path: Path) -> None:
    (outcome,) = carried_out("example-soundless", tmp_path)
    assert outcome.result["verdict"] == "no-signal"
    recovered, raw = (soundfile.read(outcome.folder / f"{name}.wav")[0] for name in ("recovered", "raw"))
    assert not recovered.any()
    assert raw.any()


def test_calibrated_by_flicker(tmp_path: Path) -> None:
    example = "example-calibrated-by-flicker"
    methods = {"mains-flicker": {"mains": 50}}
    found = calibrate_clip(CASES / example / "clip.mkv", tmp_path / "row-time", methods=[*methods], params=methods)
    assert found.result["verdict"] == "determined"
    camera = vmforensics.read_case(CASES / example / "case.yaml").case.camera
    uncertainty = found.result["row_time_uncertainty_s"]
    assert camera.row_time == pytest.approx(found.result["row_time_s"], abs=0.1 * uncertainty)
    assert camera.row_time_uncertainty == pytest.approx(uncertainty, rel=0.05)
    assert abs(found.result["row_time_s"] - 100e-6) < 3 * uncertainty
    lines = [line.strip() for line in found.result["case_lines"].splitlines()]
    assert f"row_time_source: {camera.row_time_source}" in lines
    (outcome,) = carried_out(example, tmp_path)
    assert outcome.result["verdict"] == "signal"
    share, *stated = map(float, re.findall(r"0\.\d\d+(?= of the\s+samples|, and|\s+over the samples)", readme(example)))
    assert outcome.result["signal"]["synthesised_share"] == pytest.approx(1 - share, abs=0.01)
    assert against_truth(outcome, example) == pytest.approx(tuple(stated), abs=0.003)


def test_swapped_estimators(tmp_path: Path) -> None:
    row = r"^\| `([a-z-]+)` \| .* \| (0\.\d+) \| (\d\.\d) mpx \|$"
    stated = {name: (float(c), float(s)) for name, c, s in re.findall(row, readme(SWAPPED), re.MULTILINE)}
    outcomes = carried_out(SWAPPED, tmp_path)
    assert [outcome.folder.name for outcome in outcomes] == list(stated)
    compared = json.loads((tmp_path / "run" / COMPARISON / "comparison.json").read_text("utf-8"))["runs"]
    for outcome, entry in zip(outcomes, compared, strict=True):
        correlation, sigma = stated[outcome.folder.name]
        assert outcome.result["verdict"] == "signal"
        assert against_truth(outcome, "example-global-shutter")[0] == pytest.approx(correlation, abs=0.003)
        assert entry["raw_median_sigma"] * 1e3 == pytest.approx(sigma, abs=0.1)


def test_swapped_estimators_allows_shipped_plugins_only() -> None:
    plugins = vmforensics.read_case(CASES / SWAPPED / "case.yaml").case.plugins
    assert plugins is not None
    shipped = {p.plugin for p in Registry().providers if p.distribution == "vmforensics"}
    assert set(plugins.allow) <= shipped
