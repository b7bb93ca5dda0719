"""`vmforensics evaluate`: from files to scores, facts and a picture; and the scores of what others recovered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from vmforensics.cli import app
from vmforensics.custody import RunFolder
from vmforensics.custody.verify import verify
from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, VerificationFailed, VmforensicsError
from vmforensics.evaluation import evaluate

from .sounds import noisy, voice


@pytest.fixture
def played(tmp_path: Path) -> Path:
    path = tmp_path / "played.flac"
    soundfile.write(path, 5 * voice(), 8000, subtype="PCM_24")
    return path


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    samples = noisy(voice(), 10)
    observed = np.arange(len(samples)) % 16 < 13
    np.savez(
        folder / "signal.npz",
        samples_px=samples,
        sigma_px=np.full(len(samples), 1e-3),
        observed=observed,
        rate_hz=8000.0,
        times_s=np.arange(len(samples)) / 8000,
    )
    return folder


def test_a_run_is_compared_with_what_was_played(run_folder: Path, played: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["evaluate", str(run_folder), str(played), "--out", str(tmp_path / "out"), "--score", "snr", "--json"]
    )
    assert said.exit_code == 0, said.output
    content = json.loads(said.stdout)
    assert content["metrics"]["snr"]["value"] == pytest.approx(10, abs=0.1)
    assert content["alignment"]["gain"] == pytest.approx(0.2, rel=0.01)
    assert content["observed"]["share"] == pytest.approx(13 / 16, abs=0.01)
    assert content == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (tmp_path / "out" / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert verify(tmp_path / "out").ok


def test_people_are_told_the_same(run_folder: Path, played: Path) -> None:
    said = CliRunner().invoke(app, ["evaluate", str(run_folder), str(played), "--score", "snr", "--score", "llr"])
    lines = {line[:29].strip(): line[29:] for line in said.stdout.splitlines()}
    assert lines["SNR"].split()[:2] == ["10.0", "dB"]
    (observed,) = (text for label, text in lines.items() if label.startswith("observed, 81"))
    assert "times the stated uncertainty" in observed


def test_two_evaluations_give_the_same_bytes(run_folder: Path, played: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate(run_folder, played, out=tmp_path / name, names=["snr", "coherence"])
    for name in ("evaluation.json", "evaluation.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("missing.wav", None, EvidenceMissing, "no such sound file"),
        ("text.wav", b"this is no sound", EvidenceUnreadable, "no sound that can be read"),
        ("text.npz", b"this is no archive", EvidenceUnreadable, "doesn't hold a recovered signal"),
    ],
)
def test_what_is_no_sound_is_refused(
    tmp_path: Path, played: Path, name: str, content: bytes | None, error: type[VmforensicsError], told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=told):
        evaluate(tmp_path / name, played)


def test_silence_a_moment_and_what_is_not_finite_are_refused(tmp_path: Path, played: Path) -> None:
    for name, samples, told in (
        ("silent.wav", np.zeros(8000), "is silent"),
        ("short.wav", np.ones(10), "s long"),
        ("broken.wav", np.full(8000, np.nan), "aren't finite"),
    ):
        soundfile.write(tmp_path / name, samples, 8000, subtype="FLOAT")
        with pytest.raises(EvidenceUnreadable, match=told):
            evaluate(tmp_path / name, played)
    with pytest.raises(EvidenceMissing, match=r"holds no signal\.npz"):
        evaluate(tmp_path, played)


def test_a_run_that_has_changed_is_not_scored(run_folder: Path, played: Path, tmp_path: Path) -> None:
    recorded = RunFolder.create(tmp_path / "recorded", evidence=[])
    with recorded.record(environment={}) as ledger, ledger.step("work"):
        ledger.published(recorded.write("signal.npz", (run_folder / "signal.npz").read_bytes()))
    assert evaluate(recorded.path, played, names=["snr"], intervals=False)["metrics"]["snr"]["value"] > 9
    with np.load(run_folder / "signal.npz") as arrays:
        altered = {**arrays, "samples_px": arrays["samples_px"] * 2}
    np.savez(recorded.path / "signal.npz", **altered)
    with pytest.raises(VerificationFailed, match="the run has changed since"):
        evaluate(recorded.path, played)


def test_what_a_peer_recovered_scores_as_published(footage: Path) -> None:
    """SNR -9.3 and -3.2 dB, segmental -8.8 and -1.9 dB; and the two clocks weren't of one pace."""
    for number, snr, segmental in ((1, -9.3, -8.8), (2, -3.2, -1.9)):
        files = [footage / "audio" / f"chips{number}_{kind}.wav" for kind in ("recovered_by_a_peer", "played")]
        found = evaluate(*files, names=["snr", "segmental_snr"], intervals=False)["metrics"]
        assert found["snr"]["value"] == pytest.approx(snr, abs=0.5)
        assert found["segmental_snr"]["value"] == pytest.approx(segmental, abs=0.3)
        drifting = evaluate(*files, names=["snr"], drift=True, intervals=False)
        assert drifting["metrics"]["snr"]["value"] > found["snr"]["value"] + 0.5
        assert -150 < drifting["alignment"]["drift_ppm"] < -20
