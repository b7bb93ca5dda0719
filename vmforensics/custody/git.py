"""The state of a git checkout that a program was installed from."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

_PATIENCE = 20.0  # s
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")  # a checkout's settings can name programs


def git_state(folder: Path) -> dict[str, Any]:
    """Which commit a folder is a checkout of, and whether files differ from it.

    Neither the folder nor where it was cloned from is told: addresses can hold credentials.

    Returns
    -------
    dict
        `commit`, and `changed_files`, the number of files that differ or aren't in it; or `problem`: why git can't say.

    Examples
    --------
    >>> git_state(Path(os.sep, "nowhere", "at", "all"))
    {'problem': "the folder isn't there"}
    """
    if not folder.is_dir():
        return {"problem": "the folder isn't there"}
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD").strip()
        changed = [line for line in _git(folder, "status", "--porcelain=v1", "-z", "--no-renames").split("\0") if line]
    except FileNotFoundError:
        return {"problem": "git isn't installed"}
    except subprocess.TimeoutExpired:
        return {"problem": f"git took longer than {_PATIENCE:g} s"}
    except subprocess.CalledProcessError:
        return {"problem": "the folder is no git checkout, or git refuses to read it"}
    return {"commit": commit, "changed_files": len(changed)}


def _git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        ["git", *_SAFE, "-C", os.fspath(folder), *arguments],
        check=True,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_PATIENCE,
        env=environment | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
    ).stdout
