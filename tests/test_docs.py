"""What the documents say is what the program does: commands, options, exit codes, files, links, versions."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import vmforensics
from vmforensics import errors
from vmforensics.cli import app
from vmforensics.plugins import Registry
from vmforensics.testing import check_stage

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("casefiles/*.md"),
        *ROOT.glob("casefiles/example-*/*.md"),
    ]
)
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
A_COMMAND = re.compile(r"(vmforensics|vmf) (?!\.)(?P<arguments>.+)")


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell_lines(text: str) -> Iterator[str]:
    """Commands: the lines of shell blocks, continued ones joined, and what stands in code spans."""
    for block in fenced(text, "sh"):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


def documented(program: re.Pattern[str]) -> list[object]:
    """Every use of a program in the documents, as parameters of a test."""
    return [
        pytest.param(line.strip(), id=f"{document.relative_to(ROOT)}: {line.strip()[:60]}")
        for document in DOCUMENTS
        for line in dict.fromkeys(shell_lines(document.read_text("utf-8")))
        if program.fullmatch(line.strip())
    ]


@pytest.mark.parametrize("line", documented(A_COMMAND))
def test_documented_commands_are_understood(line):
    name, *words = shlex.split(line, comments=True)
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        name = words.pop(0)
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    if words and set(words) <= options:  # a bare option, as in `vmforensics --version`
        return
    assert not hasattr(command, "commands"), f"{words or name}: no such command"
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    if words or not arguments:  # a code span may name a command without its arguments
        with command.make_context(name, words):
            pass


@pytest.mark.parametrize("line", documented(re.compile(r"make [a-z].*")))
def test_documented_targets_exist(line):
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    assert re.search(rf"^\.PHONY:.*\b{target}\b", MAKEFILE, re.MULTILINE)


def test_the_commands_of_the_readme_are_all_the_commands():
    blocks = "\n".join(fenced(README, "sh"))
    named = set(re.findall(r"^vmforensics ([a-z]+)", blocks, re.MULTILINE))
    assert named | {"schema"} == set(typer.main.get_command(app).commands)


def test_exit_codes_are_those_of_the_errors():
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE))
    classes = [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type)
        and issubclass(thing, errors.VmforensicsError)
        and thing is not errors.VmforensicsError
    ]
    expected = {str(c.exit_code): c.__doc__.splitlines()[0] for c in classes if c.__doc__}
    assert len(expected) == len(classes)
    assert rows == expected | {code: rows.get(code) for code in ("0", "1", "2", "129", "130", "141", "143")}
    assert list(rows) == sorted(rows, key=int)


@pytest.fixture(scope="module")
def first_use(tmp_path_factory) -> Path:
    """A folder in which the first commands of the README, those from nothing, have been carried out."""
    folder = tmp_path_factory.mktemp("first-use")
    (block,) = [block for block in fenced(README, "sh") if block.startswith("vmforensics simulate")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in block.replace("\\\n", " ").splitlines():
            app(shlex.split(line)[1:], standalone_mode=False)
    return folder


def test_readme_commands_leave_a_verified_run(first_use):
    assert vmforensics.verify(first_use / "chips-run").ok


@pytest.mark.parametrize("document", ["README.md", "casefiles/README.md"])
def test_files_of_a_run_are_those_listed(first_use, document):
    text = (ROOT / document).read_text("utf-8")
    (table,) = re.findall(r"\| file \| what it is \|\n\|---\|---\|\n((?:\|.*\n)+)", text)
    listed = [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(path.name for path in (first_use / "chips-run").iterdir())


def test_python_of_the_readme_runs(first_use, monkeypatch, capsys):
    (block,) = fenced(README, "python")
    monkeypatch.chdir(first_use)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 our own text
    assert capsys.readouterr().out.split() == ["signal", str(Path("again", "recovered.wav"))]


def test_plugin_of_the_guide_passes_the_checks(tmp_path, monkeypatch):
    hooks, stage, _ = fenced((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "python")
    (tmp_path / "my_plugin").mkdir()
    (tmp_path / "my_plugin" / "__init__.py").write_text(hooks, encoding="utf-8")
    (tmp_path / "my_plugin" / "gate.py").write_text(stage, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry(entry_points=())
    registry.register(importlib.import_module("my_plugin"), "my-plugin")
    check_stage(registry.find("denoiser", "gate").stage)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    text = document.read_text("utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    for target in targets:
        assert (document.parent / target).exists(), target
    assert not re.search(r"\]\(\s*\)", text)


def test_the_map_of_the_house_names_what_is_there():
    (drawing,) = re.findall(r"^    vmforensics/ .*\n(?:    .*\n)+", README, re.MULTILINE)
    folder = ROOT
    named = set()
    for line in drawing.splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.findall(r"[\w.]+(?:/|\.py)", re.split(r"\s{2,}(?![\w.]+\.py)", line.strip())[0])
        for name in names:
            assert (ROOT / name if indent == 4 else folder / name).exists(), name
            named.add(ROOT / name if indent == 4 else folder / name)
        if indent == 4:
            folder = ROOT / names[0]
    for package in ("vmforensics", "plugins"):
        there = {p for p in (ROOT / package).iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
        assert there - named <= {ROOT / package / "__init__.py"}


def test_changelog_tells_of_this_version():
    versions = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert next(v for v in versions if v != "Unreleased") == vmforensics.__version__ == project["version"]


def test_licence_is_the_one_declared():
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def repository_files() -> list[Path]:
    """The files git knows or would add; without git, all but the hidden and the made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") or part in ("__pycache__", "runs") for part in path.relative_to(ROOT).parts)
    ]


def test_no_file_names_a_place_on_somebodys_machine():
    places = [f"/{name}/".encode() for name in ("work", "root", "tmp", "var/folders", "Users")]
    files = repository_files()
    assert ROOT / "README.md" in files
    found = [
        f"{path.relative_to(ROOT)}: {place.decode()}"
        for path in files
        for place in places
        if re.search(rb"(?<![\w.)}-])" + re.escape(place), path.read_bytes())
    ]
    assert found == []


def test_repository_stays_small():
    large = {str(p.relative_to(ROOT)): p.stat().st_size for p in repository_files() if p.stat().st_size > 300_000}
    assert large.pop("casefiles/example-rolling-shutter/clip.mkv") < 4_000_000
    assert large.pop("casefiles/example-rolling-shutter/truth/truth.wav") < 500_000
    assert large == {}
