"""A finished run comes out again as recorded; where it doesn't, what differs is named."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vmforensics.custody import read_ledger, sha256_file
from vmforensics.errors import CaseError, CustodyError, EvidenceMissing, VerificationFailed, VmforensicsError
from vmforensics.recovery import recover_clip
from vmforensics.replay import (
    Artefact,
    Difference,
    Likeness,
    ReplayVerdict,
    compare_artefacts,
    judge,
    replay_run,
    runs_below,
    validate,
    vary_run,
)


def listed(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_on_the_same_machine_every_digest_is_the_same(finished_case):
    before = listed(finished_case)
    found = replay_run(finished_case / "runs" / "001")
    assert found.verdict is ReplayVerdict.IDENTICAL, found
    assert found.ok
    assert {each.likeness for each in found.artefacts} == {Likeness.IDENTICAL}
    assert {"recovered.wav", "signal.npz", "result.json", "report.html"} <= {each.name for each in found.artefacts}
    assert found.first_step is None
    assert listed(finished_case) == before  # nothing is written to the run


def test_a_moved_case_is_replayed_where_it_lies_and_the_repeated_run_is_kept_if_asked(case_folder, tmp_path):
    moved = case_folder.rename(case_folder.parent / "moved")
    found = replay_run(moved / "runs" / "001", keep=tmp_path / "again")
    assert found.verdict is ReplayVerdict.IDENTICAL
    first = read_ledger(tmp_path / "again" / "ledger.jsonl")[0]
    assert first.fields["replay_of"] == {"ledger_head_sha256": found.head}


def test_an_assessment_before_the_run_is_part_of_its_record(finished_case, tmp_path):
    from vmforensics.assessment import assess_clip

    clip = finished_case / "evidence" / "chips.mkv"
    assessment = assess_clip(clip, tmp_path / "assessed")
    outcome = recover_clip(clip, tmp_path / "run", shutter="global", capture_fps=2200, assessment=assessment)
    found = replay_run(outcome.folder)
    assert found.verdict is ReplayVerdict.IDENTICAL, found
    assert "assessment.png" in {each.name for each in found.artefacts}


def replayed_with(kernel: str, run: Path) -> dict:
    """What replay says in a process whose BLAS uses another kernel."""
    program = Path(sys.executable).with_name("vmforensics")
    environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
    answer = subprocess.run([program, "replay", run, "--json"], env=environment, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_another_blas_kernel_agrees_within_tolerance_and_is_named(finished_case):
    found = replayed_with("Prescott", finished_case / "runs" / "001")
    named = [each for each in found["differences"] if each["what"] == "BLAS kernel"]
    if not named:
        pytest.skip("this BLAS has one kernel only")
    assert found["verdict"] == "within-tolerance"
    detail = {each["name"]: each for each in found["artefacts"]}["signal.npz"]
    assert detail["likeness"] in ("identical", "within-tolerance")


@pytest.fixture
def compared(finished_case, tmp_path):
    """Compares the run, as a function changed what was recorded of it, with the run itself."""

    def compare(change) -> dict[str, Artefact]:
        now = finished_case / "runs" / "001"
        then = Path(shutil.copytree(now, tmp_path / f"then-{len(list(tmp_path.iterdir()))}"))
        change(then)
        digests = [{path.name: sha256_file(path) for path in run.iterdir()} for run in (then, now)]
        return {each.name: each for each in compare_artefacts(then, now, *digests)}

    return compare


def scaled(factor: float):
    import numpy as np

    def change(run: Path) -> None:
        with np.load(run / "signal.npz") as archive:
            arrays = {name: archive[name] for name in archive.files}
        arrays["samples_px"] = arrays["samples_px"] + factor * arrays["sigma_px"]
        (run / "signal.npz").unlink()
        np.savez(run / "signal.npz", **arrays)

    return change


def test_a_sample_within_a_hundredth_of_its_uncertainty_agrees(compared):
    found = compared(scaled(0.005))
    assert found["signal.npz"].likeness is Likeness.WITHIN_TOLERANCE
    assert "0.005 standard uncertainties" in found["signal.npz"].detail
    assert judge(list(found.values()), [Difference("package", "numpy", "1", "2")])[0] is ReplayVerdict.WITHIN_TOLERANCE


def test_a_sample_beyond_it_is_different(compared):
    found = compared(scaled(0.02))
    assert found["signal.npz"].likeness is Likeness.DIFFERENT
    verdict, reason = judge(list(found.values()), [Difference("package", "numpy", "1", "2")])
    assert verdict is ReplayVerdict.DIFFERENT
    assert "signal.npz" in reason


def test_other_bytes_that_nothing_explains_are_no_agreement(compared):
    assert judge(list(compared(scaled(0.005)).values()), [])[0] is ReplayVerdict.UNEXPLAINED


def test_what_is_made_besides_is_told_and_what_is_missing_is_a_difference(compared):
    found = compared(lambda run: (run / "raw.wav").unlink())
    assert found["raw.wav"].likeness is Likeness.ADDED
    verdict, reason = judge(list(found.values()), [Difference("program", "version", "1", "2")])
    assert verdict is ReplayVerdict.WITHIN_TOLERANCE
    assert "raw.wav" in reason
    found = compared(lambda run: (run / "more.wav").touch())
    assert found["more.wav"].likeness is Likeness.MISSING
    assert judge(list(found.values()), [Difference("program", "version", "1", "2")])[0] is ReplayVerdict.DIFFERENT


def test_figures_are_compared_one_by_one(compared):
    def change(run: Path) -> None:
        result = json.loads((run / "result.json").read_text("utf-8"))
        result["verdict"] = "no-signal"
        result["signal"]["rms_px"] *= 1.5
        result["signal"]["rate_hz"] *= 1 + 1e-6
        result["raw"]["median_sigma_px"] *= 1.005
        result["method"][0]["source_sha256"] = "0" * 64
        (run / "result.json").write_text(json.dumps(result), "utf-8")

    artefact = compared(change)["result.json"]
    assert artefact.likeness is Likeness.DIFFERENT
    assert "verdict: 'no-signal' then, 'signal' now" in artefact.detail
    assert "signal.rms_px" in artefact.detail
    assert "rate_hz" not in artefact.detail
    assert "source_sha256" not in artefact.detail
    assert "sigma" not in artefact.detail


def test_a_parameter_that_a_stage_has_gained_since_is_told(compared):
    def change(run: Path) -> None:
        text = (run / "case.resolved.yaml").read_text("utf-8")
        (run / "case.resolved.yaml").write_text(re.sub(r"\n +repaired: .*", "", text), "utf-8")

    artefact = compared(change)["case.resolved.yaml"]
    assert artefact.likeness is Likeness.WITHIN_TOLERANCE
    assert "repaired" in artefact.detail


@pytest.mark.parametrize("name", ["recovered.wav", "signal.npz", "result.json", "case.resolved.yaml"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00RIFF" * 7, b"{" * 5000])
def test_a_damaged_artefact_is_told_and_nothing_breaks(compared, name, content):
    assert compared(lambda run: (run / name).write_bytes(content))[name].likeness is Likeness.DIFFERENT


def test_an_altered_record_is_not_repeated(case_folder):
    run = case_folder / "runs" / "001"
    (run / "recovered.wav").write_bytes(b"another sound")
    with pytest.raises(VerificationFailed, match="sound record only"):
        replay_run(run)


def test_missing_evidence_is_named(case_folder, monkeypatch):
    clip = case_folder / "evidence" / "chips.mkv"
    clip.unlink()
    with pytest.raises(EvidenceMissing, match=r"chips\.mkv"):
        _replay_without_the_original(case_folder / "runs" / "001", monkeypatch)


def _replay_without_the_original(run: Path, monkeypatch) -> None:
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: exists(path) and path.is_relative_to(run.parents[1]))
    replay_run(run)


def test_other_evidence_is_refused(case_folder):
    clip = case_folder / "evidence" / "chips.mkv"
    clip.write_bytes(clip.read_bytes() + b"x")
    with pytest.raises(VmforensicsError, match="SHA-256"):
        replay_run(case_folder / "runs" / "001")


def test_what_is_no_finished_recovery_is_refused(case_folder, tmp_path):
    with pytest.raises(CustodyError):
        replay_run(tmp_path / "nowhere")
    with pytest.raises(CustodyError, match="is no run's folder"):
        replay_run(case_folder)


class TestVariation:
    def test_it_makes_a_run_that_says_what_it_varied(self, case_folder):
        outcome, (variation,) = vary_run(case_folder / "runs" / "001", ["motion_estimator=phase-correlation"])
        assert outcome.folder == case_folder / "runs" / "002"
        assert (variation.then, variation.now) == ("gradient", "phase-correlation")
        first = read_ledger(outcome.folder / "ledger.jsonl")[0]
        assert first.fields["varied"] == [{"what": "motion_estimator", "then": "gradient", "now": "phase-correlation"}]
        assert first.fields["varies"]["run"] == "001"
        text = (outcome.folder / "case.yaml").read_text("utf-8")
        assert "motion_estimator: 'phase-correlation' instead of 'gradient'" in text
        methods = {each["kind"]: each["name"] for each in outcome.result["method"]}
        assert methods["motion_estimator"] == "phase-correlation"
        assert replay_run(outcome.folder).verdict is ReplayVerdict.IDENTICAL

    def test_parameters_and_lists_can_be_varied(self, case_folder):
        changes = ["denoiser=high-pass", "high-pass.cutoff=150 Hz"]
        outcome, variations = vary_run(case_folder / "runs" / "001", changes)
        assert [each.what for each in variations] == ["denoiser", "high-pass.cutoff"]
        denoisers = [each for each in outcome.result["method"] if each["kind"] == "denoiser"]
        assert [(each["name"], each["params"]["cutoff"]) for each in denoisers] == [("high-pass", 150.0)]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("motion_estimator", "there is no '='"),
            ("motion_estimate=gradient", "did you mean 'motion_estimator'"),
            ("motion_estimator=a,b", "a run has one"),
            ("gradiant.x=1", "did you mean 'gradient'"),
        ],
    )
    def test_what_cannot_be_varied_is_named(self, case_folder, change, message):
        with pytest.raises(CaseError, match=message):
            vary_run(case_folder / "runs" / "001", [change])
        assert not (case_folder / "runs" / "002").exists()


def test_validation_goes_on_after_what_cannot_be_repeated(case_folder):
    broken = Path(shutil.copytree(case_folder / "runs" / "001", case_folder / "runs" / "002"))
    (broken / "raw.wav").unlink()
    found = list(validate(runs_below(case_folder)))
    assert [each.run.name for each in found] == ["001", "002"]
    assert found[0].replay is not None
    assert found[0].replay.ok
    assert found[1].replay is None
    assert "deviation" in found[1].problem
