"""The documentation: its reference is what the code says, its tutorial works, and it builds without a warning."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vmforensics import data, hookspecs, stages
from vmforensics.case import parse_case
from vmforensics.plugins import Registry
from vmforensics.plugins.new import new_plugin
from vmforensics.testing import check_stage

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vmf_reference", REFERENCE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(generator: ModuleType) -> None:
    pages = generator.pages()
    assert {path.name for path in REFERENCE.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (REFERENCE / name).read_text("utf-8") == text, f"{name} is out of date; run: make docs"


def test_the_reference_leaves_nothing_out() -> None:
    pages = {path.name: path.read_text("utf-8") for path in REFERENCE.glob("*.md")}
    for name in vars(hookspecs):
        assert not name.startswith("vmforensics_") or f"::: vmforensics.hookspecs.{name}\n" in pages["hooks.md"]
    for kind in stages.KINDS:
        assert f"::: vmforensics.stages.{kind.__name__}\n" in pages["interfaces.md"]
    for name in data.__all__:
        assert f"::: vmforensics.data.{name}\n" in pages["data.md"]
    for found in Registry().stages():
        if found.provider.distribution == "vmforensics":
            (section,) = re.findall(rf"^### {found.stage.name}\n(.*?)(?=^##|\Z)", pages["stages.md"], re.M | re.S)
            assert all(f"| `{name}` |" in section for name in found.stage.Params.model_fields)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)


def test_the_tutorial_leads_to_a_plugin_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook, stage, tests, expected = blocks("python")
    made = new_plugin(tmp_path / "my-smoother", "denoiser")
    drawn = {name for line in re.findall(r"^      (\S.*)$", TUTORIAL, re.M) for name in line.split("   ")[0].split()}
    listed = {str(path.relative_to(tmp_path / "my-smoother")) for path in made}
    assert drawn == listed - {".gitignore"}
    package = tmp_path / "my-smoother" / "src" / "my_smoother"
    (package / "__init__.py").write_text(hook)
    (package / "denoiser.py").write_text(stage)
    for module in ("my_smoother", "my_smoother.denoiser"):  # taken away again at the end
        monkeypatch.setitem(sys.modules, module, sys)
        monkeypatch.delitem(sys.modules, module)
    registry = Registry(folders=[package.parent])
    assert registry.broken == []
    found = registry.find("denoiser", "my-smoother")
    assert found.provider.api == "1.0"
    check_stage(found.stage)
    exec(tests + expected + "def test_expected(check):\n    check()\n", {})  # noqa: S102 - our own text
    head = "version: 1\ncase: {id: A}\nevidence: [{path: a.mkv}]\ncamera: {shutter: global}\n"
    (runs,) = blocks("yaml")
    (run,) = parse_case(head + runs).case.runs
    for spec in run.stages("denoiser"):
        registry.create("denoiser", spec.name, spec.params)


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    for needed in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} isn't installed; it is in the dependency group docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    page = (tmp_path / "site" / "reference" / "data.html").read_text("utf-8")
    for name in data.__all__:
        assert f'id="vmforensics.data.{name}"' in page
