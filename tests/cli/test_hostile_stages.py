"""Stages of a stranger's plugin that misbehave: each is named, the ledger says so, and nothing half done is left."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest

from vmforensics import Registry, run_case, verify
from vmforensics.data import Channel, Motion, Signal
from vmforensics.errors import DigestMismatch, EvidenceChanged, OutputError, StageError
from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Denoiser, Exporter, FrameSource, MotionEstimator, SignalCombiner

RECORD_OF_A_FAILED_RUN = {"case.yaml", "case.resolved.yaml", "ledger.jsonl", "manifest-sha256.txt"}
HOOKS = {
    FrameSource: "vmforensics_frame_sources",
    MotionEstimator: "vmforensics_motion_estimators",
    SignalCombiner: "vmforensics_signal_combiners",
    Denoiser: "vmforensics_denoisers",
    Exporter: "vmforensics_exporters",
}


def measured(frames):
    """A motion as an estimator makes it: two halves, and noise alone."""
    times = np.asarray(frames.clock.times)
    noise = np.random.default_rng(1).normal(0, 0.01, (len(times), 1, 2)).astype(np.float32)
    return Motion(
        displacement=noise,
        precision=np.broadcast_to(np.float32(1e4) * np.eye(2, dtype=np.float32), (1, 1, 2, 2)),
        observed=np.ones((len(times), 1), bool),
        frame_times=times,
        row_offsets=np.zeros(1),
        channels=(Channel("left", (1.0, 0.0), 0), Channel("right", (1.0, 0.0), 1)),
        frame_rate=frames.clock.rate,
    )


class Noise(MotionEstimator):
    """A sound estimator, and a fast one."""

    name = "noise"
    summary = "noise alone"

    def estimate(self, frames):
        for _ in frames.blocks():
            pass
        return measured(frames)


class Journey:
    """Runs a case of well-behaved, fast stages with some put in place of others."""

    def __init__(self, case_file, folder):
        self.case_file, self.folder = case_file, folder

    def __call__(self, *stages, evidence=None):
        chosen = {"motion_estimator": "noise", "exporter": "arrays", "denoiser": "[]"}
        chosen |= {stage.kind: stage.name for stage in stages}
        given = [Noise, *stages]

        class Stranger:
            pass

        for interface, hook in HOOKS.items():
            mine = [stage for stage in given if issubclass(stage, interface)]
            if mine:
                provide = hookimpl(lambda self, mine=mine: mine)
                provide.__name__ = hook
                setattr(Stranger, hook, provide)
        registry = Registry()
        registry.register(Stranger(), "stranger", "stranger-stages", "9.1")
        run = ", ".join(f"{kind}: {name}" for kind, name in chosen.items())
        more = {} if evidence is None else {"evidence": evidence}
        return run_case(self.case_file(f"runs: [{{{run}}}]", **more), self.folder, registry=registry)


@pytest.fixture
def journey(case_file, tmp_path):
    return Journey(case_file, tmp_path / "run")


@pytest.fixture
def own_clip(clip, tmp_path):
    """A copy of the clip, to be spoilt."""
    copy = tmp_path / "handed in" / "copy.mkv"
    copy.parent.mkdir()
    copy.write_bytes(clip.read_bytes())
    return copy


def check_failed(folder, ledger, name):
    """The ledger ends with the failure of that step, and no artefact is left."""
    entries = ledger(folder)
    assert entries[-1]["event"] == "run-failed"
    assert name in [entry["step"] for entry in entries if entry["event"] == "step-failed"]
    assert {path.name for path in folder.iterdir()} == RECORD_OF_A_FAILED_RUN
    found = verify(folder, evidence=False)
    assert (found.ok, found.status.value) == (True, "failed")


def test_the_well_behaved_stages_of_this_file_pass(journey, ledger):
    [outcome] = journey()
    assert outcome.result["method"][1]["distribution"] == "stranger-stages"
    assert ledger(outcome.folder)[-1]["event"] == "run-finished"


def rogue(interface, behave):
    """A stage class that does something else instead of its work."""
    method = {
        FrameSource: "open", MotionEstimator: "estimate", SignalCombiner: "combine", Denoiser: "denoise",
        Exporter: "export",
    }[interface]  # fmt: skip
    body = {"name": "rogue", "summary": "misbehaves", method: lambda self, *given: behave(*given)}
    if interface is FrameSource:
        body["accepts"] = classmethod(lambda cls, evidence: False)
    return type("Rogue", (interface,), body)


def fall(*_):
    raise ZeroDivisionError("a stranger's slip")


@pytest.mark.parametrize("interface", HOOKS, ids=lambda interface: interface.kind)
@pytest.mark.parametrize("returned", [None, (1.0, 2.0), {"samples": []}], ids=["none", "tuple", "dict"])
def test_another_type(journey, ledger, interface, returned):
    with pytest.raises(StageError, match=r"'rogue' \(stranger-stages 9\.1\) returned .+; its interface asks for"):
        journey(rogue(interface, lambda *_: returned))
    check_failed(journey.folder, ledger, interface.kind)


@pytest.mark.parametrize("interface", HOOKS, ids=lambda interface: interface.kind)
def test_an_exception(journey, ledger, interface):
    with pytest.raises(StageError, match=r"'rogue' \(stranger-stages 9\.1\) failed: ZeroDivisionError: a stranger's"):
        journey(rogue(interface, fall))
    check_failed(journey.folder, ledger, interface.kind)


def with_nan(frames):
    motion = measured(frames)
    motion.displacement[3] = np.nan
    return motion


def of_another_shape(frames):
    return dataclasses.replace(measured(frames), observed=np.ones((2, 2), bool))


def one_frame_less(frames):
    whole = measured(frames)
    return dataclasses.replace(
        whole,
        displacement=whole.displacement[:-1],
        observed=whole.observed[:-1],
        frame_times=whole.frame_times[:-1],
    )


def spoilt_signal(**changes):
    def behave(given):
        if isinstance(given, Motion):
            given = given.onto_grid((1.0, 0.0), start=0.0, rate=given.frame_rate, size=len(given.frame_times))
        return dataclasses.replace(given, **{name: change(given) for name, change in changes.items()})

    return behave


def nan_afterwards(given):
    signal = spoilt_signal()(given)
    signal.samples[5] = np.nan
    return signal


@pytest.mark.parametrize(
    ("interface", "behave", "message"),
    [
        (MotionEstimator, with_nan, "displacement holds values that aren't finite"),
        (MotionEstimator, of_another_shape, "observed has shape (2, 2)"),
        (MotionEstimator, one_frame_less, "returned motion for 329 frames of a clip of 330"),
        (SignalCombiner, spoilt_signal(samples=lambda s: s.samples * np.nan), "samples holds values"),
        (SignalCombiner, nan_afterwards, "samples holds values that aren't finite"),
        (SignalCombiner, spoilt_signal(samples=lambda s: s.samples[:0]), "they must be one non-empty row"),
        (SignalCombiner, spoilt_signal(rate=lambda s: 0.0), "rate 0.0 Hz"),
        (Denoiser, spoilt_signal(samples=lambda s: s.samples + np.inf), "samples holds values"),
        (Denoiser, nan_afterwards, "read-only"),
        (
            Denoiser,
            lambda s: Signal(s.samples[:9], s.rate, s.start, s.observed[:9], s.sigma[:9], s.axis),
            "changed the signal's length",
        ),
        (Denoiser, spoilt_signal(rate=lambda s: 2 * s.rate), "changed the signal's rate"),
        (Denoiser, spoilt_signal(start=lambda s: s.start + 1), "changed the signal's start"),
        (Denoiser, spoilt_signal(observed=lambda s: ~s.observed), "changed the signal's observed mask"),
    ],
)  # fmt: skip
def test_values_that_are_wrong(journey, ledger, interface, behave, message):
    with pytest.raises(StageError, match=re.escape(message)) as error:
        journey(rogue(interface, behave))
    assert "'rogue' (stranger-stages 9.1)" in error.value.message
    check_failed(journey.folder, ledger, interface.kind)


def test_a_denoiser_may_not_rewrite_what_it_was_given(journey, ledger):
    """Otherwise the raw samples would change under the ledger, which has recorded their digest already."""

    def overwrite(signal):
        signal.observed[:] = True
        signal.samples[:] = 0
        return signal

    with pytest.raises(StageError, match="read-only"):
        journey(rogue(Denoiser, overwrite))
    check_failed(journey.folder, ledger, "denoiser")


def test_an_exporter_may_not_rewrite_the_recovery(journey, ledger):
    def overwrite(recovery, into):
        recovery.raw.samples[:] = recovery.recovered.samples
        return []

    with pytest.raises(StageError, match="read-only"):
        journey(rogue(Exporter, overwrite))
    check_failed(journey.folder, ledger, "exporter")


def writes(name, *, claims=None, link=False):
    def export(recovery, into):
        path = into / name
        if link:
            path.symlink_to("/etc/hostname")
        else:
            path.write_bytes(b"half a")
        return [path if claims is None else claims]

    return export


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (writes("../outside.txt"), "isn't a file in the folder given to it"),
        (writes("a.txt", claims=Path("/etc/hostname")), "isn't a file in the folder given to it"),
        (writes("a.txt", claims="never-written.txt"), "isn't a file in the folder given to it"),
        (writes("a.txt", claims=7), "returned something else than paths"),
        (writes("ledger.jsonl"), "name that is kept for the record"),
        (writes("manifest-sha256.txt"), "name that is kept for the record"),
        (writes(".hidden"), "must not begin with a dot"),
        (writes("link.txt", link=True), "is no regular file"),
        (writes("new\nline.txt"), "can't be printed"),
    ],
)
def test_an_exporter_that_names_what_it_may_not(journey, ledger, export, message):
    with pytest.raises(StageError, match=message):
        journey(rogue(Exporter, export))
    assert ledger(journey.folder)[-1]["event"] == "run-failed"
    assert {path.name for path in journey.folder.iterdir()} == RECORD_OF_A_FAILED_RUN


def test_an_exporter_that_writes_into_the_run_folder_behind_the_ledgers_back(journey):
    def export(recovery, into):
        (into.parent.parent / "planted.wav").write_bytes(b"not recorded")
        (into / "own.txt").write_bytes(b"recorded")
        return [into / "own.txt"]

    with pytest.raises(StageError, match=r"planted\.wav"):
        journey(rogue(Exporter, export))


def test_an_exporter_that_takes_the_name_of_an_artefact(journey, ledger):
    with pytest.raises(OutputError, match=r"'case\.yaml' is there already"):
        journey(rogue(Exporter, writes("case.yaml")))
    assert ledger(journey.folder)[-1]["event"] == "run-failed"
    assert b"version: 1" in (journey.folder / "case.yaml").read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
def test_a_full_disk_is_no_fault_of_the_plugin(journey, ledger, number):
    def export(recovery, into):
        (into / "big.wav").write_bytes(b"half a")
        raise OSError(number, os.strerror(number))

    with pytest.raises(OutputError, match=os.strerror(number)):
        journey(rogue(Exporter, export))
    check_failed(journey.folder, ledger, "exporter")


def test_evidence_that_grows_while_it_is_read(journey, own_clip, ledger):
    def estimate(frames):
        motion = measured(frames)
        with own_clip.open("ab") as file:
            file.write(b"\0")
        return motion

    with pytest.raises(EvidenceChanged, match=r"the evidence changed during the run: .*copy\.mkv") as error:
        journey(rogue(MotionEstimator, estimate), evidence=own_clip)
    assert error.value.exit_code == 16
    check_failed(journey.folder, ledger, "digest evidence after")


def test_evidence_whose_frames_differ_from_pass_to_pass(journey, own_clip, ledger, clip):
    def estimate(frames):
        for _ in frames.blocks():
            pass
        vandal = bytearray(own_clip.read_bytes())
        middle = len(vandal) // 2
        vandal[middle : middle + 2000] = bytes(2000)
        own_clip.write_bytes(vandal)
        for _ in frames.blocks():
            pass
        return measured(frames)

    with pytest.raises(EvidenceChanged):
        journey(rogue(MotionEstimator, estimate), evidence=own_clip)
    check_failed(journey.folder, ledger, "motion_estimator")


def test_evidence_that_vanishes(journey, own_clip, ledger):
    def estimate(frames):
        motion = measured(frames)
        own_clip.unlink()
        return motion

    with pytest.raises(Exception, match=r"(?i)no such file") as error:
        journey(rogue(MotionEstimator, estimate), evidence=own_clip)
    assert error.value.exit_code == 10
    check_failed(journey.folder, ledger, "digest evidence after")


def test_another_clip_than_the_case_expects(clip, tmp_path, ledger):
    case = tmp_path / "case.yaml"
    case.write_text(
        f"version: 1\ncase: {{id: A}}\nevidence: [{{path: '{clip}', sha256: {'ab' * 32}}}]\ncamera: {{shutter: global}}"
    )
    with pytest.raises(DigestMismatch, match="the case expects abab") as error:
        run_case(case, tmp_path / "run")
    assert error.value.exit_code == 15
    check_failed(tmp_path / "run", ledger, "digest evidence before")


def test_a_stage_that_swallows_interrupts_leaves_a_ledger_that_says_interrupted(journey, ledger):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journey(rogue(MotionEstimator, stop))
    assert ledger(journey.folder)[-1]["event"] == "run-interrupted"
    assert verify(journey.folder).status.value == "interrupted"
    assert {path.name for path in journey.folder.iterdir()} == RECORD_OF_A_FAILED_RUN


@pytest.mark.parametrize("stop", [SystemExit(0), MemoryError(), RecursionError("too deep")], ids=repr)
def test_a_stage_that_gives_up_altogether(journey, ledger, stop):
    def leave(*_):
        raise stop

    with pytest.raises((SystemExit, MemoryError, StageError)):
        journey(rogue(MotionEstimator, leave))
    assert ledger(journey.folder)[-1]["event"] in ("run-failed", "run-interrupted")
    assert {path.name for path in journey.folder.iterdir()} == RECORD_OF_A_FAILED_RUN
