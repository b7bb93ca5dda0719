"""Which FFmpeg decodes."""

from __future__ import annotations

from typing import Any

import av
from av import _core


def ffmpeg_build() -> dict[str, Any]:
    """Version of FFmpeg, versions of its libraries, and how each was configured.

    Returns
    -------
    dict
        `version`, `libraries` (version by name), `licence`, `configuration`: the options of the build, which name the
        decoders of others that it holds; where libraries were built apart, each of them with its own.
    """
    meta = _core.library_meta
    configurations = {name: each["configuration"] for name, each in sorted(meta.items())}
    alike = len(set(configurations.values())) == 1
    return {
        "version": av.ffmpeg_version_info,
        "libraries": {name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())},
        "licence": sorted({each["license"] for each in meta.values()}),
        "configuration": next(iter(configurations.values())) if alike else configurations,
    }
