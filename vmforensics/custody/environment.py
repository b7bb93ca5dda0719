"""What a run ran on, as far as it can bear on the result; nothing that names the user or the computer."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import locale
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import vmforensics
from vmforensics.custody.digest import source_digest
from vmforensics.custody.git import git_state

_VARIABLES = (
    "BLIS_NUM_THREADS",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_NUMERIC",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONOPTIMIZE",
    "SOURCE_DATE_EPOCH",
    "TZ",
)
"""Environment variables that bear on numbers, their format or their order. Any other may hold a secret or a path."""


_OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files of a .dist-info folder that the installer writes; all others are the wheel's own."""


def environment(extra: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Describe the software and hardware that a run depends on, as JSON values.

    Parameters
    ----------
    extra
        What only the caller can know, added under its own keys: the libraries that plugins rest on, such as FFmpeg's.

    Returns
    -------
    dict
        `vmforensics`, `python`, `platform`, `cpu`, `locale`, `time_zone`; `packages` (version of every installed one),
        `package_digests` (SHA-256 of the list of each one's files and their SHA-256, the same wherever its wheel is
        installed), `editable` (those whose source may change between runs), `git` (of those: commit, number of changed
        files); `numerics` (BLAS kernel, threads), `hash_seed` (of Python's hashes), `variables`.

    Raises
    ------
    CustodyError
        The program's own source can't be read.
    """
    found = _distributions()
    editable = {name: origin for name, each in found.items() if (origin := _editable_origin(each)) is not None}
    described: dict[str, Any] = {
        "vmforensics": {
            "version": vmforensics.__version__,
            "source_sha256": source_digest(Path(vmforensics.__file__).parent),
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "distribution": _distribution(),
            "c_library": " ".join(platform.libc_ver()).strip(),
        },
        "cpu": {
            "machine": platform.machine(),
            "model": _cpu_model(),
            "cores": os.cpu_count(),
            "usable_cores": len(os.sched_getaffinity(0)),
        },
        "locale": locale.setlocale(locale.LC_ALL),
        "time_zone": {"name": time.tzname[0], "utc_offset_s": -time.timezone},
        "packages": {name: each.version for name, each in found.items()},
        "package_digests": {name: digest for name, each in found.items() if (digest := _record_digest(each))},
        "editable": list(editable),
        "git": {name: git_state(Path(origin)) for name, origin in editable.items() if origin},
        "numerics": _numerics(),
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random") if sys.flags.hash_randomization else "0",
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    return described | dict(extra or {})


def _distributions() -> dict[str, importlib.metadata.Distribution]:
    """Every installed distribution by its name, in the names' order."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half-removed distribution has none
            found.setdefault(name, distribution)  # the first on the path is the one that gets imported
    return {name: found[name] for name in sorted(found, key=str.lower)}


def _editable_origin(distribution: importlib.metadata.Distribution) -> str | None:
    """The folder of an editable install (PEP 610), "" where it isn't told; None for any other."""
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable", False):
            return None
        url = str(origin.get("url", ""))
    except (ValueError, AttributeError):
        return None
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else ""


def _record_digest(distribution: importlib.metadata.Distribution) -> str | None:
    """SHA-256 of the lines of a distribution's RECORD that its wheel brought, sorted; None where there is no RECORD.

    What the installer adds differs from one computer to the next: byte code, scripts that name their interpreter.
    """
    text = distribution.read_text("RECORD")
    if not text:
        return None
    lines = set()
    for row in csv.reader(text.splitlines()):
        path = row[0] if row else ""
        made = path.endswith(".pyc") or (".dist-info/" in path and path.rpartition("/")[2] in _OF_THE_INSTALLER)
        if path and not made and not path.startswith(("..", "/")):
            lines.add(",".join(row))
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).hexdigest()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return models[0] if models else platform.processor()


def _numerics() -> list[dict[str, Any]]:
    """The BLAS and OpenMP libraries, without the paths that they lie at."""
    import scipy.linalg  # noqa: F401 brings its own BLAS: the list mustn't depend on what happens to be loaded
    from threadpoolctl import threadpool_info

    libraries = ({key: value for key, value in one.items() if key != "filepath"} for one in threadpool_info())
    return sorted(libraries, key=lambda library: json.dumps(library, sort_keys=True, default=str))
