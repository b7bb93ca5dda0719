"""A plugin that somebody begins with `plugins new`: written, installed and used in an environment of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmforensics.errors import OutputError, ParameterError
from vmforensics.plugins import Registry
from vmforensics.plugins.new import KIND_NAMES, new_plugin
from vmforensics.testing import Camera, simulate, write_clip

ROOT = Path(__file__).resolve().parents[2]
PARTS = {  # of the project of each kind: the plugin's name, which the stage has as well
    "frame-source": "npy-stack",
    "motion-estimator": "own-gradient",
    "signal-combiner": "own-mean",
    "denoiser": "own-low-pass",
    "exporter": "own-table",
    "row-time-calibrator": "own-cameras",
}


def run(*command: object, folder: Path, **variables: str) -> str:
    """Run a program; what it prints, or its failure."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment | {"PIP_CONFIG_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the project's wheel and a new plugin of each kind, installed editable.

    Their dependencies are those of the environment that runs the tests, so that nothing is downloaded.
    """
    for needed in ("pip", "hatchling", "editables"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} isn't installed in the environment that runs the tests")
    folder = tmp_path_factory.mktemp("strange")
    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    run(*pip, "wheel", *offline, "--wheel-dir", folder, ROOT, folder=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    here = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    shared = [path for path in site.getsitepackages() if Path(path).is_dir()]
    Path(here, "shared.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
    run(*pip, "--python", python, "install", *offline, wheel, folder=folder)
    program = folder / "venv" / "bin" / "vmforensics"
    first, *others = PARTS.items()
    run(program, "plugins", "new", folder / first[1], "--kind", first[0], "--quiet", folder=folder)
    calls = "".join(f"new_plugin(Path({name!r}), {kind!r})\n" for kind, name in others)  # the same without a start each
    script = f"from pathlib import Path\nfrom vmforensics.plugins.new import new_plugin\n{calls}"
    run(python, "-c", script, folder=folder)
    editable = [part for name in PARTS.values() for part in ("--editable", folder / name)]
    run(*pip, "--python", python, "install", *offline, *editable, folder=folder)
    return folder


@pytest.fixture(scope="module")
def program(strange: Path) -> Callable[..., Any]:
    """The program in the fresh environment; its answer as JSON."""

    def answer(*arguments: object) -> Any:
        return json.loads(run(strange / "venv" / "bin" / "vmforensics", *arguments, "--json", folder=strange))

    return answer


def test_every_new_plugin_is_listed_beside_the_wheels_own(program: Callable[..., Any]) -> None:
    told = program("plugins", "list")
    assert told["not_loaded"] == []
    new = {stage["name"]: stage for stage in told["stages"] if stage["distribution"] != "vmforensics"}
    assert {(name, stage["kind"].replace("_", "-")) for name, stage in new.items()} == {
        (name, kind) for kind, name in PARTS.items()
    }
    for name, stage in new.items():
        assert (stage["distribution"], stage["version"], stage["origin"]) == (name, "0.1.0", "editable")
        assert stage["api"] == "1.0"
    shipped = {stage["name"] for stage in told["stages"]} - new.keys()
    assert shipped == {r.stage.name for r in Registry().stages() if r.provider.distribution == "vmforensics"}
    assert {stage["origin"] for stage in told["stages"] if stage["name"] in shipped} == {"local"}


def test_new_stages_run_from_a_case_file(strange: Path, program: Callable[..., Any]) -> None:
    film = simulate(Camera(width=64, height=48, fps=1000, frames=200), sound="tone:120", rms_px=0.05)
    write_clip(film, strange / "clip.mkv")
    stages = {"motion_estimator": "own-gradient", "signal_combiner": "own-mean", "denoiser": "own-low-pass"}
    chosen = "".join(f"\n    {slot}: {name}" for slot, name in (stages | {"exporter": "own-table"}).items())
    (strange / "case.yaml").write_text(
        "version: 1\ncase: {id: A}\nevidence: [{path: clip.mkv}]\ncamera: {shutter: global}\n"
        f"plugins: {{allow: [media, {', '.join(set(PARTS.values()) - {'own-cameras'})}]}}\n"
        f"runs:\n  - name: mine{chosen}\n",
        encoding="utf-8",
    )
    result = program("run", "case.yaml")
    assert result["verdict"] == "signal"
    assert [step["name"] for step in result["method"]] == ["video", *stages.values(), "own-table"]
    run_folder = strange / result["run_dir"]
    header, *rows = (run_folder / "own-table.csv").read_text("utf-8").splitlines()
    assert header == "time_s,sample_px,sigma_px,observed"
    assert len(rows) == 200
    first = json.loads((run_folder / "ledger.jsonl").read_text("utf-8").splitlines()[0])
    recorded = {plugin["name"]: plugin for plugin in first["plugins"]}
    assert recorded.keys() == {"media", *PARTS.values()} - {"own-cameras"}
    assert recorded["own-gradient"]["origin"] == "editable"
    assert all(len(plugin["source_sha256"]) == 64 for plugin in recorded.values())
    assert "own-cameras" in {left["name"] for left in first["plugins_left_out"]}


def test_the_tests_of_new_plugins_pass(strange: Path) -> None:
    python = strange / "venv" / "bin" / "python"
    tests = [strange / name / "tests" for name in PARTS.values()]
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-W", "error", "--rootdir", strange]
    assert " passed" in run(python, "-m", "pytest", *options, *tests, folder=strange)


def test_new_plugins_are_tidy(strange: Path) -> None:
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff isn't installed")
    run(sys.executable, "-m", "ruff", "check", "--no-cache", *(strange / n for n in PARTS.values()), folder=strange)
    for kind, name in PARTS.items():
        package = strange / name / "src" / name.replace("-", "_")
        assert {path.name for path in package.iterdir()} == {"__init__.py", f"{kind.replace('-', '_')}.py", "py.typed"}
        assert (strange / name / "LICENSE").read_bytes() == b""
        written = [path for path in (strange / name).rglob("*") if path.is_file() and "egg-info" not in str(path)]
        text = "".join(path.read_text("utf-8") for path in written)
        for left in ("my-stage", "MyStage", "my-plugin", "my_plugin", "MODULE", "KIND", "template"):
            assert left not in text, left


def test_every_kind_can_be_begun() -> None:
    assert PARTS.keys() == KIND_NAMES.keys()


@pytest.mark.parametrize(
    ("folder", "kind", "name", "told"),
    [
        ("gate", "gate", None, "--kind 'gate' isn't known"),
        ("gate", "denoiser", "My Gate", "'My Gate' can't be a plugin's name"),
        ("2nd", "denoiser", None, "'2nd' can't be a plugin's name"),
        ("gate", "denoiser", "numpy", "the Python package 'numpy' is there already"),
        ("gate", "denoiser", "class", "the Python package 'class' is there already"),
        ("high-pass", "denoiser", None, "a denoiser 'high-pass' is installed already"),
    ],
)
def test_a_name_or_kind_that_cannot_be(tmp_path: Path, folder: str, kind: str, name: str | None, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        new_plugin(tmp_path / folder, kind, name=name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    assert new_plugin(tmp_path / "gate", "denoiser")[0] == tmp_path / "gate" / "pyproject.toml"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="is there already"):
        new_plugin(tmp_path / "gate", "exporter")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_working_folder_itself_can_become_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own-gate").mkdir()
    monkeypatch.chdir(tmp_path / "own-gate")
    made = new_plugin(Path(), "denoiser")
    assert Path("src", "own_gate", "denoiser.py") in made
    assert all(path.is_file() for path in made)
    assert [path.name for path in tmp_path.iterdir()] == ["own-gate"]
