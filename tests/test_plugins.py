"""The registry: finds stages by entry point, isolates what is broken, and names what is wrong."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmforensics.errors import ParameterError, PluginError, StageError, UnknownPlugin
from vmforensics.plugins import Origin, Registry
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
        ("VMFORENSICS_API = '2.0'\n" + GATE, "it is written for API 2.0; this program offers 1.0"),
        ("VMFORENSICS_API = 2\n" + GATE, "VMFORENSICS_API is 2; it must be MAJOR.MINOR"),
        ("print('hello')\n" + GATE, "it wrote 'hello\\n' to standard output"),
        (
            HEAD.replace('"gate"', '"bell"')
            + "@hookimpl\ndef vmforensics_denoisers():\n    print(1)\n    return [Gate]\n",
            "standard output",
        ),
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


def distribution(folder: Path, name: str, plugins: dict[str, str], record: object = None) -> Any:
    """An installed distribution with plugins, by their modules, and its installer's record."""
    info = folder / f"{name}-1.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.4\n")
    lines = "".join(f"{plugin} = {module}\n" for plugin, module in plugins.items())
    (info / "entry_points.txt").write_text(f"[vmforensics]\n{lines}")
    if record is not None:
        (info / "direct_url.json").write_text(record if isinstance(record, str) else json.dumps(record))
    (found,) = importlib.metadata.distributions(name=name, path=[str(folder)])
    return found


def test_two_plugins_of_one_name_are_told_apart_by_their_distributions(plugin: Plugin, tmp_path: Path) -> None:
    mute = plugin("mute", GATE.replace('"gate"', '"mute"'))
    one = distribution(tmp_path / "site", "gates", {"gate": plugin("gate", GATE).value})
    two = distribution(tmp_path / "site", "mutes", {"gate": mute.value})
    registry = Registry(entry_points=[*one.entry_points, *two.entry_points])
    assert names(registry) == ["gate"]
    (broken,) = registry.broken
    assert (broken.plugin, broken.distribution, broken.version) == ("gate", "mutes", "1.4")
    assert "two plugins are called 'gate': one of gates 1.4, one of mutes 1.4" in broken.reason


def test_a_stranger_never_takes_the_place_of_a_shipped_stage(plugin: Plugin, tmp_path: Path) -> None:
    first = plugin("aaa", GATE.replace('"gate"', '"high-pass"'))
    shipped = importlib.metadata.entry_points(group="vmforensics")
    registry = Registry(entry_points=[first, *shipped])
    assert registry.find("denoiser", "high-pass").provider.distribution == "vmforensics"
    (broken,) = registry.broken
    assert broken.plugin == "aaa"
    assert "'high-pass' is provided by both 'denoise' (vmforensics" in broken.reason


@pytest.mark.parametrize(
    ("record", "origin"),
    [
        (None, Origin.INDEX),
        ({"url": "file:///somewhere", "dir_info": {"editable": True}}, Origin.EDITABLE),
        ({"url": "file:///somewhere", "dir_info": {}}, Origin.LOCAL),
        ({"url": "file:///gates-1.4.whl", "archive_info": {}}, Origin.LOCAL),
        ({"url": "https://example.org/gates.git", "vcs_info": {"vcs": "git"}}, Origin.REMOTE),
        ("half a rec", Origin.LOCAL),
        ([], Origin.LOCAL),
    ],
)
def test_the_origin_is_what_the_installer_recorded(
    plugin: Plugin, tmp_path: Path, record: object, origin: Origin
) -> None:
    gates = distribution(tmp_path / "site", "gates", {"gate": plugin("gate", GATE).value, "bad": "nowhere"}, record)
    registry = Registry(entry_points=gates.entry_points)
    provider = registry.find("denoiser", "gate").provider
    assert (provider.origin, provider.editable) == (origin, origin is Origin.EDITABLE)
    special = "" if origin is Origin.INDEX else f", {origin.value}"
    assert str(provider) == f"gates 1.4{special}"
    assert str(registry.broken[0]).startswith(f"bad (gates 1.4{special}): ModuleNotFoundError")


def test_the_api_that_a_plugin_is_written_for_is_kept(plugin: Plugin) -> None:
    registry = Registry(entry_points=[plugin("one", "VMFORENSICS_API = '1.0'\n" + GATE)])
    assert registry.providers[0].api == "1.0"


def test_plugins_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "vmf_test_single.py").write_text(GATE)
    package = tmp_path / "vmf_test_many"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from vmforensics.hookspecs import hookimpl\n"
        "@hookimpl\ndef vmforensics_denoisers():\n    from vmf_test_many.mute import Gate\n    return [Gate]\n"
    )
    (package / "mute.py").write_text(HEAD.replace('"gate"', '"mute"'))
    (tmp_path / "_helper.py").write_text("1 / 0")
    (tmp_path / "numpy.py").write_text(GATE)
    (tmp_path / "notes.txt").write_text("no plugin")
    try:
        for _ in range(2):  # a second registry in one process finds the same modules
            registry = Registry(folders=[tmp_path], entry_points=[])
            assert names(registry) == ["gate", "mute"]
            provider = registry.find("denoiser", "mute").provider
            assert (provider.plugin, provider.origin, provider.source) == ("vmf-test-many", Origin.FOLDER, package)
            assert str(provider) == "plugin folder"
            assert "its name is that of the module 'numpy'" in only_reason(registry)
        assert Registry(["vmf-test-many"], folders=[tmp_path], entry_points=[]).left_out == {
            "vmf-test-many": "left out by request"
        }
    finally:
        for module in [name for name in sys.modules if name.startswith("vmf_test_")]:
            del sys.modules[module]


def test_a_folder_without_plugins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="it holds no Python module or package"):
        Registry(folders=[tmp_path], entry_points=[])
    with pytest.raises(PluginError, match="No such file or directory"):
        Registry(folders=[tmp_path / "nowhere"], entry_points=[])


def test_only_what_is_allowed_is_imported(plugin: Plugin) -> None:
    entry_points = [plugin("gate-plugin", GATE), plugin("other", "raise SystemExit('imported')")]
    registry = Registry(allowed=["gate-plugin"], entry_points=entry_points)
    assert names(registry) == ["gate"]
    assert registry.broken == []
    assert registry.left_out == {"other": "not on the case's list of plugins"}
    with pytest.raises(UnknownPlugin, match=r"not loaded: other \(not on the case's list of plugins\)"):
        registry.find("denoiser", "mute")


def test_a_registry_is_narrowed_to_what_is_allowed(plugin: Plugin) -> None:
    mute = GATE.replace('"gate"', '"mute"')
    registry = Registry(entry_points=[plugin("gates", GATE), plugin("mutes", mute), plugin("bad", "1 / 0")])
    narrow = registry.allowing(["gates", "bad"])
    assert names(narrow) == ["gate"]
    assert [provider.plugin for provider in narrow.providers] == ["gates"]
    assert narrow.left_out == {"mutes": "not on the case's list of plugins"}
    assert names(registry) == ["gate", "mute"]
    with pytest.raises(UnknownPlugin, match="no plugin 'gaets'; installed: bad, gates, mutes") as error:
        registry.allowing(["gaets"])
    assert error.value.hint == "did you mean 'gates'?"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise OSError('no disk')", "OSError: no disk"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("print('made')", "it wrote 'made\\\\n' to standard output"),
    ],
)
def test_a_stage_that_cannot_be_made_is_the_plugins_fault(plugin: Plugin, body: str, told: str) -> None:
    source = GATE.replace("    def denoise", f"    def __init__(self, params=None):\n        {body}\n    def denoise")
    registry = Registry(entry_points=[plugin("gate-plugin", source)])
    with pytest.raises(StageError, match=rf"denoiser 'gate' \(memory\) can't be made: {told}") as error:
        registry.create("denoiser", "gate")
    assert "-p no:gate-plugin" in str(error.value.hint)


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
    with pytest.raises(PluginError, match=r"provided by both 'first' \(memory\) and 'mine' \(memory\)"):
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
    assert "not loaded: bad (memory): ModuleNotFoundError" in error.value.message
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
        ("motion_estimator", "adaptive", "global-shutter"),
        ("motion_estimator", "codec-cells", "global-shutter"),
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
        ("denoiser", "band-pass", "denoise"),
        ("denoiser", "line-remover", "denoise"),
        ("denoiser", "mmse-lsa", "denoise"),
        ("denoiser", "mmse-stsa", "denoise"),
        ("denoiser", "om-lsa", "denoise"),
        ("denoiser", "weighted-euclidean", "denoise"),
        ("denoiser", "wiener", "denoise"),
        ("denoiser", "wiener-known-noise", "denoise"),
        ("signal_combiner", "aligned-sum", "global-shutter"),
        ("signal_combiner", "shared-signal", "global-shutter"),
        ("signal_combiner", "inverse-variance", "global-shutter"),
        ("signal_combiner", "principal-component", "global-shutter"),
        ("signal_combiner", "autoregressive", "rolling-shutter"),
        ("signal_combiner", "row-average", "rolling-shutter"),
        ("denoiser", "high-pass", "denoise"),
        ("denoiser", "spectral-subtraction", "denoise"),
        ("exporter", "wav", "media"),
        ("exporter", "spectrogram", "media"),
        ("exporter", "arrays", "media"),
        ("exporter", "vibration-map", "media"),
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


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return {'codec': '1.2'}", {"codec": "1.2"}),
        ("raise SystemExit(0)", {"problem": "SystemExit: 0"}),
        ("return {}['x']", {"problem": "KeyError: 'x'"}),
    ],
)
def test_libraries_are_what_a_plugin_says_or_why_it_doesn_t(plugin: Plugin, body: str, told: object) -> None:
    source = GATE + f"@hookimpl\ndef vmforensics_libraries():\n    {body}\n"
    assert Registry(entry_points=[plugin("gates", source)]).libraries() == {"gates": told}


def test_libraries_of_a_plugin_that_prints_are_a_problem(plugin: Plugin, capsys: pytest.CaptureFixture[str]) -> None:
    source = GATE + "@hookimpl\ndef vmforensics_libraries():\n    print('loading')\n    return {}\n"
    told = Registry(entry_points=[plugin("gates", source)]).libraries()["gates"]
    assert "it wrote 'loading\\n' to standard output" in told["problem"]
    assert capsys.readouterr().out == ""
