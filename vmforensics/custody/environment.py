"""What a run ran on, as far as it can bear on the result; nothing that names the user or the computer."""

from __future__ import annotations

import importlib.metadata
import json
import locale
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vmforensics
from vmforensics.custody.digest import source_digest

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


def environment(extra: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Describe the software and hardware that a run depends on, as JSON values.

    Numerical libraries are listed as far as they are loaded, so call it once the stages are imported.

    Parameters
    ----------
    extra
        What only the caller can know, added under its own keys: the versions of FFmpeg's libraries, the plugins.

    Returns
    -------
    dict
        `vmforensics`, `python`, `platform`, `cpu`, `locale`, `time_zone`, `packages` (version of every installed
        one), `editable` (those whose source may change between runs), `numerics` (BLAS kernel, threads), `variables`.

    Raises
    ------
    CustodyError
        The program's own source can't be read.
    """
    packages, editable = _packages()
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
        "packages": packages,
        "editable": editable,
        "numerics": _numerics(),
        "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }
    return described | dict(extra or {})


def _packages() -> tuple[dict[str, str], list[str]]:
    """Version of every installed distribution, and the names of the editable ones (PEP 610)."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half-removed distribution has none
            found.setdefault(name, distribution)  # the first on the path is the one that gets imported
    versions = {name: found[name].version for name in sorted(found, key=str.lower)}
    return versions, [name for name in versions if _is_editable(found[name])]


def _is_editable(distribution: importlib.metadata.Distribution) -> bool:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(origin.get("dir_info", {}).get("editable", False))
    except (ValueError, AttributeError):
        return False


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
    """The loaded BLAS and OpenMP libraries, without the paths that they lie at."""
    from threadpoolctl import threadpool_info

    libraries = ({key: value for key, value in one.items() if key != "filepath"} for one in threadpool_info())
    return sorted(libraries, key=lambda library: json.dumps(library, sort_keys=True, default=str))
