"""An environment as a requirements file, from which pip makes it again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vmforensics.errors import OutputError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")  # looser than PEP 440, and holds nothing that pip would obey
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATIENCE = 600.0  # s


def requirements(environment: Mapping[str, Any], hashes: Mapping[str, list[str]] | None = None) -> str:
    """Write a requirements file that makes an environment again; what pip can't make stands in comments.

    Parameters
    ----------
    environment
        As `environment()` describes it, or as a ledger holds it: nothing in it is trusted.
    hashes
        SHA-256 of the files that each package may be installed from, for pip's hash checking; left out if None.

    Returns
    -------
    str
        `pip install --no-deps --requirement FILE` installs it.
    """
    python, platform, cpu = (_section(environment, name) for name in ("python", "platform", "cpu"))
    packages = _section(environment, "packages")
    digests, git = _section(environment, "package_digests"), _section(environment, "git")
    editable = _list(environment, "editable")
    lines = [
        "# The environment of a vmforensics run. To make it again, in a new virtual environment of the same Python:",
        "#   pip install --no-deps --requirement THIS_FILE",
        f"# Python: {_line(python.get('implementation'))} {_line(python.get('version'))}",
        f"# system: {_line(platform.get('distribution') or platform.get('system'))}, "
        f"{_line(platform.get('c_library'))}, {_line(cpu.get('model'))} ({_line(cpu.get('machine'))})",
    ]
    for library in _list(environment, "numerics"):
        if isinstance(library, Mapping):
            told = (library.get(key) for key in ("internal_api", "version", "architecture", "num_threads"))
            lines.append(f"# numerics (library, version, kernel, threads): {', '.join(map(_line, told))}")
    for name, value in sorted(_section(environment, "variables").items()):
        lines.append(f"# variable: {_line(name)}={_line(value)}")
    for name in sorted(packages, key=str.lower):
        version = packages[name]
        if not (_NAME.fullmatch(name) and isinstance(version, str) and _VERSION.fullmatch(version)):
            lines.append(f"# no package that pip could install: {_line(name)} {_line(version)}")
        elif name in editable:
            state = git.get(name)
            state = state if isinstance(state, Mapping) else {}
            where = f"commit {_line(state['commit'])}" if state.get("commit") else "a folder of unknown state"
            changed = state.get("changed_files")
            more = f" with {_line(changed)} changed files" if changed else ""
            lines.append(f"# editable, to be installed from its source: {name} {version}, {where}{more}")
        else:
            known = hashes.get(name, []) if hashes is not None else []
            checked = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256 in known if _SHA256.fullmatch(sha256))
            files = digests.get(name)
            comment = f"  # files: {files}" if isinstance(files, str) and _SHA256.fullmatch(files) else ""
            lines.append(f"{name}=={version}{checked}{'' if checked else comment}")
    return "\n".join(lines) + "\n"


def hashes_of(environment: Mapping[str, Any]) -> dict[str, list[str]]:
    """Ask the package index, through pip, for the SHA-256 of the files that it would install here.

    Nothing is installed. The files are those for this computer and this Python: ask on one like the run's.

    Raises
    ------
    OutputError
        pip can't be run, or the index doesn't know a package.
    """
    editable = _list(environment, "editable")
    wanted = {
        name: version
        for name, version in _section(environment, "packages").items()
        if name not in editable and _NAME.fullmatch(name) and isinstance(version, str) and _VERSION.fullmatch(version)
    }
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--report", "-"]
    try:
        answer = subprocess.run(
            [*command, *(f"{name}=={version}" for name, version in wanted.items())],
            check=True,
            capture_output=True,
            encoding="utf-8",
            timeout=_PATIENCE,
        )
        installs = json.loads(answer.stdout)["install"]
        return {
            _own_name(each["metadata"]["name"], wanted): [each["download_info"]["archive_info"]["hashes"]["sha256"]]
            for each in installs
        }
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        hint = "without --hashes nothing is asked of the index"
        raise OutputError(f"pip can't tell the files' hashes: {why[0]}", hint=hint) from error
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"pip can't tell the files' hashes: {type(error).__name__}: {error}") from error


def _own_name(name: str, wanted: Mapping[str, str]) -> str:
    """A package's name as the environment writes it; indexes write "-" for "_" and lower case for upper."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return next((each for each in wanted if re.sub(r"[-_.]+", "-", each).lower() == normal), name)


def _section(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = environment.get(name)
    return section if isinstance(section, Mapping) else {}


def _list(environment: Mapping[str, Any], name: str) -> list[Any]:
    value = environment.get(name)
    return value if isinstance(value, list) else []


def _line(value: object) -> str:
    """A value for a comment: one line, nothing that ends it."""
    text = "unknown" if value is None else str(value)
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
