"""`vmforensics plugins new` and `check`, and the options by which every command chooses its plugins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

GATE = """
from pydantic import Field
from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Denoiser, StageParams

VMFORENSICS_API = "1.0"

class GateParams(StageParams):
    threshold: float = Field(default=0.0, ge=0, le=1, description="level below which samples are set to 0, px")

class Gate(Denoiser):
    name = "vmf-test-gate"
    summary = "shuts"
    Params = GateParams
    def denoise(self, signal):
        from dataclasses import replace
        return replace(signal, samples=signal.samples * (abs(signal.samples) >= self.params.threshold))

@hookimpl
def vmforensics_denoisers():
    return [Gate]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin folder with one good plugin and one that is broken."""
    import sys

    for module in ("vmf_test_gate", "vmf_test_broken"):  # taken away again at the end
        monkeypatch.setitem(sys.modules, module, sys)
        monkeypatch.delitem(sys.modules, module)
    place = tmp_path / "own plugins"
    place.mkdir()
    (place / "vmf_test_gate.py").write_text(GATE)
    (place / "vmf_test_broken.py").write_text("print('hello')\n")
    return place


def test_a_folder_of_plugins_is_listed_with_what_is_wrong_in_it(vmf, folder):
    answer = vmf("plugins", "list", "--plugin-dir", folder)
    assert (answer.code, answer.err) == (0, "")
    assert "  vmf-test-gate         shuts  [vmf-test-gate: plugin folder]" in answer.out.splitlines()
    assert "not loaded: vmf-test-broken (plugin folder): it wrote 'hello\\n' to standard output" in answer.out
    told = vmf("plugins", "list", "--plugin-dir", folder, "-p", "no:vmf-test-broken", "-p", "no:media", "--json").json
    assert told["not_loaded"] == []
    assert told["left_out"] == {"media": "left out by request", "vmf-test-broken": "left out by request"}
    assert not [stage for stage in told["stages"] if stage["plugin"] == "media"]
    assert vmf("plugins", "show", "vmf-test-gate", "--plugin-dir", folder, "--json").json["origin"] == "plugin folder"
    nothing = vmf("plugins", "list", "--plugin-dir", folder / "nowhere")
    assert (nothing.code, nothing.out) == (40, "")
    assert "nowhere: No such file or directory" in nothing.err


def test_check_tells_each_check_and_fails_with_41(vmf, folder):
    good = vmf("plugins", "check", "vmf-test-gate", "--plugin-dir", folder)
    assert (good.code, good.err) == (0, "")
    head, *lines = good.out.splitlines()
    assert head == "vmf-test-gate (denoiser, plugin folder)"
    assert len(lines) > 15
    assert {line.split()[0] for line in lines} == {"ok"}
    options = ["--plugin-dir", folder, "--params", '{"threshold": 0.01}']
    bad = vmf("plugins", "check", "vmf-test-gate", *options)
    assert bad.code == 41
    assert "  FAILED  works in any unit\n          1000 times the signal" in bad.out
    assert bad.err.startswith(f"error: vmf-test-gate: {bad.out.count('FAILED')} of {len(lines)} checks failed\nhint:  ")
    told = vmf("plugins", "check", "vmf-test-gate", *options, "--json")
    assert told.code == 41
    (stage,) = json.loads(told.out)
    assert (stage["kind"], stage["name"], stage["plugin"]) == ("denoiser", "vmf-test-gate", "vmf-test-gate")
    assert sum(not check["passed"] for check in stage["checks"]) == bad.out.count("FAILED")
    quiet = vmf("plugins", "check", "vmf-test-gate", *options, "--quiet")
    assert (quiet.code, quiet.out) == (41, "")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["high-pas"], 21, "hint:  did you mean 'high-pass'?"),
        (["video", "--evidence", "nowhere.mkv"], 10, "nowhere.mkv: no such file"),
        (["high-pass", "--params", "{cutoff: 80}"], 22, "is no JSON"),
        (["high-pass", "--params", "[80]"], 22, "is no JSON object"),
        (["high-pass", "--params", '{"cutof": 80}'], 22, "did you mean 'cutoff'?"),
    ],
)
def test_check_of_what_is_not_there(vmf, arguments, code, told):
    answer = vmf("plugins", "check", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.err


def test_new_tells_what_it_made_and_how_to_go_on(vmf, tmp_path):
    project = tmp_path / "My Gate"
    answer = vmf("plugins", "new", project, "--kind", "denoiser")
    assert (answer.code, answer.err) == (0, "")
    assert f"made {project / 'src' / 'my_gate' / 'denoiser.py'}" in answer.out.splitlines()
    assert answer.out.endswith(f"pip install -e '{project}'\nthen:       vmforensics plugins check my-gate\n")
    again = vmf("plugins", "new", project, "--kind", "denoiser")
    assert (again.code, again.out) == (30, "")
    wrong = vmf("plugins", "new", tmp_path / "gate", "--kind", "filter")
    assert (wrong.code, wrong.out) == (22, "")
    assert "one of frame-source, motion-estimator" in wrong.err
    assert json.loads(vmf("plugins", "new", tmp_path / "gate", "--kind", "exporter", "--json").out)["made"]


@pytest.mark.parametrize("command", [["recover"], ["calibrate"], ["info"]])
def test_every_command_leaves_out_what_it_is_told_to(vmf, clip, tmp_path, command):
    answer = vmf(*command, clip, "-p", "no:media")
    assert (answer.code, answer.out) == (21, "")
    assert "no installed frame source takes it" in answer.err
    unknown = vmf(*command, clip, "-p", "no:medai")
    assert (unknown.code, unknown.out) == (21, "")
    assert "--plugin 'no:medai': no such plugin; installed: denoise" in unknown.err
    assert vmf(*command, clip, "-p", "media").code == 20


def test_a_case_runs_with_a_plugin_of_a_folder_and_records_where_it_is_from(vmf, case_file, folder, tmp_path, ledger):
    runs = "runs: [{denoiser: [high-pass, vmf-test-gate], exporter: arrays}]"
    allowed = "plugins: {allow: [media, global-shutter, denoise, vmf-test-gate]}\n"
    case = case_file(allowed + runs)
    answer = vmf("run", case, "--plugin-dir", folder, "--out", tmp_path / "run", "--json")
    assert answer.code == 0, answer.err
    first = ledger(tmp_path / "run")[0]
    plugins = {plugin["name"]: plugin for plugin in first["plugins"]}
    assert plugins.keys() == {"media", "global-shutter", "denoise", "vmf-test-gate"}
    own = plugins["vmf-test-gate"]
    assert (own["origin"], own["distribution"], own["api"]) == ("plugin folder", "", "1.0")
    assert first["plugins_not_loaded"] == []
    left = {entry["name"]: entry["reason"] for entry in first["plugins_left_out"]}
    assert left["vmf-test-broken"] == left["rolling-shutter"] == "not on the case's list of plugins"
    refused = vmf("run", case_file("plugins: {allow: [media, global-shutter]}\n" + runs), "--out", tmp_path / "other")
    assert refused.code == 21
    assert "case.yaml:6:20: runs[0].denoiser[0]: unknown denoiser 'high-pass'; installed: none" in refused.err
    assert "denoise (not on the case's list of plugins)" in refused.err
    empty = vmf("run", case_file("plugins: {allow: []}\n"))
    assert empty.code == 20
    assert "plugins.allow: is an empty list, which would allow no stage at all" in empty.err


def test_check_of_a_source_on_a_clip_beside(vmf, tmp_path, clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    answer = vmf("plugins", "check", "video", "--evidence", clip.name)
    assert (answer.code, answer.err) == (0, "")


SOURCE = """
from vmforensics.hookspecs import hookimpl
from vmforensics.stages import FrameSource

class Rogue(FrameSource):
    name = "a-rogue"
    summary = "takes everything, opens nothing"
    @classmethod
    def accepts(cls, evidence):
        return True
    def open(self, evidence):
        raise KeyError("no header")

@hookimpl
def vmforensics_frame_sources():
    return [Rogue]
"""


@pytest.mark.parametrize("command", ["recover", "info"])
def test_a_source_that_falls_over_is_named_by_every_command(vmf, clip, folder, command):
    (folder / "vmf_test_broken.py").write_text(SOURCE)
    answer = vmf(command, clip, "--plugin-dir", folder)
    assert (answer.code, answer.out) == (41, "")
    assert "error: frame source 'a-rogue' (plugin folder) failed: KeyError: 'no header'\n" in answer.err
