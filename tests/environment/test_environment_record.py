"""The environment on record is enough to make it again, names nobody, and is the same wherever a wheel is installed."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmforensics.custody import read_ledger
from vmforensics.custody.environment import environment
from vmforensics.custody.git import git_state
from vmforensics.custody.lock import requirements
from vmforensics.hookspecs import hookimpl
from vmforensics.plugins import Registry
from vmforensics.recovery.record import setting

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
KEYS = ["packages", "package_digests", "editable", "git", "numerics", "python", "platform", "cpu", "variables"]


@pytest.fixture(scope="module")
def here() -> dict:
    return setting(Registry())


def test_a_run_records_it_in_its_ledger_and_nowhere_else(finished_case):
    run = finished_case / "runs" / "001"
    first = read_ledger(run / "ledger.jsonl")[0].fields
    assert first["environment"]["package_digests"]["numpy"]
    assert first["environment"]["libraries"]["media"]["ffmpeg"]["libraries"]["libavcodec"]
    assert all(len(plugin["source_sha256"]) == 64 for plugin in first["plugins"])
    others = b"".join(path.read_bytes() for path in run.iterdir() if path.name != "ledger.jsonl")
    assert first["environment"]["package_digests"]["numpy"].encode() not in others


def test_it_names_ffmpeg_and_its_libraries(here):
    import av

    build = here["environment"]["libraries"]["media"]["ffmpeg"]
    assert build["version"] == av.ffmpeg_version_info
    assert build["libraries"]["libavformat"] == ".".join(map(str, av.library_versions["libavformat"]))
    assert "--enable" in str(build["configuration"])


def test_blas_is_named_whatever_is_loaded():
    code = "import json; from vmforensics.custody.environment import environment; print(json.dumps(environment()))"
    fresh = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert fresh["numerics"] == environment()["numerics"]
    assert any(each["user_api"] == "blas" for each in fresh["numerics"])


def test_a_package_digest_leaves_out_what_the_installer_adds(tmp_path, monkeypatch):
    def installed(place: str, record: str) -> str:
        info = tmp_path / place / "thing-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n", "utf-8")
        (info / "RECORD").write_text(record, "utf-8")
        monkeypatch.syspath_prepend(tmp_path / place)
        return environment()["package_digests"]["thing"]

    own = 'thing/__init__.py,sha256=abc,3\n"thing/a,b.py",sha256=def,4\n'
    added = "thing/__pycache__/__init__.cpython-311.pyc,,\n../../bin/thing,sha256=x,9\nthing-1.0.dist-info/RECORD,,\n"
    one = installed("one", own + added + "thing-1.0.dist-info/INSTALLER,sha256=y,4\n")
    assert one == installed("two", added.replace("311", "312") + own)
    assert one != installed("three", own.replace("abc", "abd") + added)


def test_git_tells_commit_and_changes(tmp_path):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    try:
        subprocess.run([*git, "init", "-q"], check=True)
    except FileNotFoundError:
        pytest.skip("git isn't installed")
    assert "problem" in git_state(tmp_path)
    (tmp_path / "a").write_text("1", "utf-8")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert git_state(tmp_path) == {"commit": commit, "changed_files": 0}
    (tmp_path / "a").write_text("2", "utf-8")
    (tmp_path / "b c").write_text("2", "utf-8")
    assert git_state(tmp_path) == {"commit": commit, "changed_files": 2}


def test_a_plugin_that_cannot_say_what_it_rests_on_is_named():
    class Plugin:
        @hookimpl
        def vmforensics_denoisers(self):
            return []

        @hookimpl
        def vmforensics_libraries(self):
            raise OSError("no library")

    registry = Registry(entry_points=())
    registry.register(Plugin(), "broken")
    assert registry.libraries() == {"broken": {"problem": "OSError: no library"}}


def test_pip_takes_the_lock_for_what_is_installed_here(here, tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text(requirements(here["environment"]), "utf-8")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
    ]
    answer = subprocess.run([*pip, "--requirement", lock], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "Would install" not in answer.stdout
    assert f"numpy=={version('numpy')}" in lock.read_text("utf-8")


def test_hashes_are_those_given():
    text = requirements({"packages": {"a": "1", "b": "2"}}, {"a": ["ab" * 32]})
    assert f"a==1 \\\n    --hash=sha256:{'ab' * 32}\n" in text
    assert "b==2\n" in text


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_a_hostile_record_cannot_command_pip(recorded):
    for line in requirements(recorded, {}).splitlines():
        assert line.startswith("#") or Path(line.split("==")[0]).name == line.split("==")[0], line
        assert not line.startswith(("-", " "))


@pytest.mark.parametrize("name", ["--index-url=http://x", "a\n--pre", "a @ http://x", "a;x", "-e ."])
def test_a_hostile_name_stays_in_a_comment(name):
    for packages in ({name: "1"}, {"a": name}):
        lines = requirements({"packages": packages}).splitlines()
        assert all(line.startswith("#") for line in lines)
