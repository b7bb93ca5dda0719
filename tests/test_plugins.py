"""The registry: finds stages by entry point, isolates what is broken, and names what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmforensics.errors import ParameterError, PluginError, UnknownPlugin
from vmforensics.plugins import Registry
from vmforensics.stages import KINDS

HEAD = """
from pydantic import Field
from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Denoiser, StageParams

class GateParams(StageParams):
    threshold: float = Field(default=0.5, ge=0, le=1, description="level, px")
    hold_time: float = Field(default=0.1, description="s")

class Gate(Denoiser):
    name = "gate"
    summary = "shuts"
    Params = GateParams
    def denoise(self, signal):
        return signal
"""
GATE = HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return [Gate]\n"

Plugin = Callable[..., importlib.metadata.EntryPoint]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    """Writes a module to a temporary path and gives the entry point that an installed plugin would have."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name: str, source: str) -> importlib.metadata.EntryPoint:
        module = f"vmf_test_{name.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        return importlib.metadata.EntryPoint(name, module, "vmforensics")

    yield write
    for module in set(sys.modules) - before:
        if module.startswith("vmf_test_"):
            del sys.modules[module]


def names(registry: Registry, kind: str | None = None) -> list[str]:
    return [registered.stage.name for registered in registry.stages(kind)]


def only_reason(registry: Registry) -> str:
    (broken,) = registry.broken
    return broken.reason


def test_a_plugin_is_found_by_its_entry_point(plugin: Plugin, tmp_path: Path) -> None:
    registry = Registry(entry_points=[plugin("gate-plugin", GATE)])
    assert names(registry) == ["gate"]
    found = registry.find("denoiser", "gate")
    assert found.provider.plugin == "gate-plugin"
    assert found.provider.source == tmp_path / "vmf_test_gate_plugin.py"
    assert found.provider in registry.providers
    assert (found.provider.distribution, found.provider.version, found.provider.editable) == ("", "", False)
    assert registry.create("denoiser", "gate", {"threshold": 0.2}).params.threshold == 0.2


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("VALUE = 1", "implements no hook"),
        (HEAD + "@hookimpl\ndef vmforensics_denoizers():\n    return [Gate]\n", "vmforensics_denoizers"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return [int]\n", "is no Denoiser class"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return [Gate()]\n", "is no Denoiser class"),
        (HEAD + "@hookimpl\ndef vmforensics_exporters():\n    return [Gate]\n", "is no Exporter class"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return [Denoiser]\n", "doesn't implement denoise"),
        (GATE.replace('"gate"', '"Big Gate"'), "'Big Gate'; it must be lower case"),
        (GATE.replace('"gate"', '""'), "it must be lower case"),
        (GATE.replace("Params = GateParams", "Params = dict"), "don't derive from StageParams"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return [Gate, Gate]\n", "'gate' is provided by both"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    raise OSError('no disk')\n", "OSError: no disk"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers():\n    return None\n", "TypeError"),
        (HEAD + "@hookimpl\ndef vmforensics_denoisers(config):\n    return [Gate]\n", "config"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
    ids=lambda value: value if len(value) < 60 else "",
)
def test_a_broken_plugin_is_named_and_the_others_go_on(plugin: Plugin, source: str, told: str) -> None:
    mute = GATE.replace('"gate"', '"mute"')
    registry = Registry(entry_points=[plugin("z-good", mute), plugin("broken", source), plugin("a-good", GATE)])
    assert names(registry) == ["gate", "mute"]
    (broken,) = registry.broken
    assert broken.plugin == "broken"
    assert told in broken.reason
    assert [provider.plugin for provider in registry.providers] == ["a-good", "z-good"]


def test_a_wrong_stage_takes_its_whole_plugin_out(plugin: Plugin) -> None:
    source = GATE + "@hookimpl\ndef vmforensics_exporters():\n    return [Gate]\n"
    registry = Registry(entry_points=[plugin("half", source)])
    assert names(registry) == []
    assert "is no Exporter class" in only_reason(registry)


def test_a_name_taken_twice_names_both_providers(plugin: Plugin) -> None:
    registry = Registry(entry_points=[plugin("first", GATE), plugin("second", GATE)])
    assert registry.find("denoiser", "gate").provider.plugin == "first"
    reason = only_reason(registry)
    assert "'gate'" in reason
    assert "'first'" in reason
    assert "'second'" in reason
    module = type(sys)("local")
    exec(GATE, module.__dict__)  # noqa: S102 - our own text
    with pytest.raises(PluginError, match=r"provided by both 'first' \(local\) and 'mine' \(local\)"):
        registry.register(module, "mine")


def test_one_name_may_serve_two_kinds(plugin: Plugin) -> None:
    source = GATE + (
        "from vmforensics.stages import Exporter\n"
        "class Other(Exporter):\n    name = 'gate'\n    summary = 'other'\n"
        "    def export(self, recovery, into): return []\n"
        "@hookimpl\ndef vmforensics_exporters():\n    return [Other]\n"
    )
    registry = Registry(entry_points=[plugin("both", source)])
    assert registry.broken == []
    assert names(registry, "denoiser") == names(registry, "exporter") == ["gate"]


def test_a_blocked_plugin_is_not_even_imported(plugin: Plugin) -> None:
    registry = Registry(["gate-plugin"], entry_points=[plugin("gate-plugin", "raise SystemExit('imported')")])
    assert names(registry) == []
    assert registry.broken == []
    assert registry.providers == []


def test_an_unknown_name_lists_the_choices_and_the_nearest(plugin: Plugin) -> None:
    entry_points = [plugin("good", GATE), plugin("bad", "import a_module_that_is_not_there")]
    registry = Registry(entry_points=entry_points)
    with pytest.raises(UnknownPlugin) as error:
        registry.find("denoiser", "gaet")
    assert "unknown denoiser 'gaet'; installed: gate" in error.value.message
    assert "not loaded: bad (ModuleNotFoundError" in error.value.message
    assert error.value.hint == "did you mean 'gate'?"
    with pytest.raises(UnknownPlugin) as error:
        registry.create("signal_combiner", "gate")
    assert "unknown signal combiner 'gate'; installed: none" in error.value.message
    assert error.value.hint == "see: vmforensics plugins list"


@pytest.mark.parametrize(
    ("params", "key", "told", "hint"),
    [
        ({"treshold": 0.1}, ("treshold",), "unknown; allowed: threshold, hold_time", "did you mean 'threshold'?"),
        ({"x": 1}, ("x",), "unknown; allowed: threshold, hold_time", "see: vmforensics plugins show gate"),
        ({"threshold": 2}, ("threshold",), "less than or equal to 1 (it is 2)", "see: vmforensics plugins show gate"),
        ({"threshold": "high"}, ("threshold",), "it is 'high'", "see: vmforensics plugins show gate"),
        ({"hold_time": float("nan")}, ("hold_time",), "finite number", "see: vmforensics plugins show gate"),
        ({"hold_time": float("inf")}, ("hold_time",), "finite number", "see: vmforensics plugins show gate"),
    ],
)
def test_a_bad_parameter_is_named_with_its_key(
    plugin: Plugin, params: dict[str, object], key: tuple[str, ...], told: str, hint: str
) -> None:
    registry = Registry(entry_points=[plugin("good", GATE)])
    with pytest.raises(ParameterError) as error:
        registry.create("denoiser", "gate", params)
    assert error.value.key == key
    assert f"denoiser 'gate': parameter {key[0]}: " in error.value.message
    assert told in error.value.message
    assert error.value.hint == hint


@pytest.mark.parametrize("editable", [True, False])
def test_the_distribution_and_an_editable_install_are_recorded(plugin: Plugin, tmp_path: Path, editable: bool) -> None:
    entry_point = plugin("gate-plugin", GATE)
    folder = tmp_path / "site" / "gates-1.4.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: gates\nVersion: 1.4\n")
    (folder / "entry_points.txt").write_text(
        f"[vmforensics]\ngate-plugin = {entry_point.value}\nbad = nowhere_at_all\n"
    )
    record = {"url": "file:///somewhere", "dir_info": {"editable": True} if editable else {}}
    (folder / "direct_url.json").write_text(json.dumps(record))
    (distribution,) = importlib.metadata.distributions(path=[str(tmp_path / "site")])
    registry = Registry(entry_points=distribution.entry_points)
    provider = registry.find("denoiser", "gate").provider
    assert (provider.distribution, provider.version, provider.editable) == ("gates", "1.4", editable)
    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution, broken.version) == ("bad", "gates", "1.4")


def test_a_package_is_its_folder(plugin: Plugin, tmp_path: Path) -> None:
    package = tmp_path / "vmf_test_package"
    package.mkdir()
    (package / "__init__.py").write_text(GATE)
    entry_point = importlib.metadata.EntryPoint("packed", "vmf_test_package", "vmforensics")
    registry = Registry(entry_points=[entry_point])
    assert registry.find("denoiser", "gate").provider.source == package


def test_the_shipped_stages_are_registered_by_entry_point_as_a_strangers_are() -> None:
    registry = Registry()
    assert registry.broken == []
    shipped = [r for r in registry.stages() if r.provider.distribution == "vmforensics"]
    assert {(r.stage.kind, r.stage.name, r.provider.plugin) for r in shipped} == {
        ("frame_source", "video", "media"),
        ("frame_source", "image-sequence", "media"),
        ("frame_source", "photron", "media"),
        ("frame_source", "tiff-stack", "media"),
        ("motion_estimator", "gradient", "global-shutter"),
        ("motion_estimator", "image-svd", "global-shutter"),
        ("motion_estimator", "local-phase-linear", "global-shutter"),
        ("row_time_calibrator", "camera-motion", "rolling-shutter"),
        ("motion_estimator", "local-phase", "global-shutter"),
        ("motion_estimator", "mean-intensity", "global-shutter"),
        ("motion_estimator", "optical-flow", "global-shutter"),
        ("motion_estimator", "phase-correlation", "global-shutter"),
        ("motion_estimator", "riesz-phase", "global-shutter"),
        ("motion_estimator", "row-intensity", "rolling-shutter"),
        ("motion_estimator", "row-motion", "rolling-shutter"),
        ("motion_estimator", "row-phase", "rolling-shutter"),
        ("signal_combiner", "band-limited", "rolling-shutter"),
        ("signal_combiner", "janssen", "rolling-shutter"),
        ("denoiser", "line-remover", "denoise"),
        ("signal_combiner", "aligned-sum", "global-shutter"),
        ("signal_combiner", "autoregressive", "rolling-shutter"),
        ("signal_combiner", "row-average", "rolling-shutter"),
        ("denoiser", "high-pass", "denoise"),
        ("denoiser", "spectral-subtraction", "denoise"),
        ("exporter", "wav", "media"),
        ("exporter", "spectrogram", "media"),
        ("exporter", "arrays", "media"),
        ("row_time_calibrator", "camera-profile", "rolling-shutter"),
        ("row_time_calibrator", "known-light", "rolling-shutter"),
        ("row_time_calibrator", "mains-flicker", "rolling-shutter"),
        ("row_time_calibrator", "telemetry", "rolling-shutter"),
        ("row_time_calibrator", "tonal-sound", "rolling-shutter"),
    }
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["vmforensics"]
    for r in shipped:
        assert r.stage.__module__.split(".")[0] == declared[r.provider.plugin]
        assert r.provider.version == project["version"]
    assert [k.stage.kind for k in registry.stages()] == sorted(
        (k.stage.kind for k in registry.stages()),
        key=[kind.kind for kind in KINDS].index,
    )


def test_blocking_a_shipped_plugin_leaves_the_others() -> None:
    registry = Registry(["denoise"])
    assert names(registry, "denoiser") == []
    assert "video" in names(registry, "frame_source")
