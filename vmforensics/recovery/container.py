"""What a file's container says, for whoever takes it in: nothing is decoded beyond what opening it takes."""

from __future__ import annotations

from typing import Any

from vmforensics.data import Evidence, FrameStream
from vmforensics.errors import TimingError, VmforensicsError
from vmforensics.plugins import Registry
from vmforensics.recovery import guard
from vmforensics.recovery.plan import describe_implementation, source_for
from vmforensics.recovery.summary import describe_clock
from vmforensics.timing import judge_clock


def container_facts(evidence: Evidence, registry: Registry) -> tuple[dict[str, Any] | None, str]:
    """Read what an exhibit's container says of codec, pictures, time stamps and metadata.

    Returns
    -------
    dict or None, str
        The facts and ""; or None and the reason why it can't be read. An exhibit that nothing here reads is one still.

    Raises
    ------
    EvidenceMissing
        It isn't there.
    """
    evidence.files()
    try:
        source = source_for(evidence.path, registry)
        implementation = describe_implementation(source, registry.find(source.kind, source.name))
        stream: FrameStream = guard.call(implementation, lambda: source.open(evidence), FrameStream)
    except VmforensicsError as error:
        return None, error.message
    facts: dict[str, Any] = {
        "frame_source": source.name,
        "frames": stream.frame_count,
        "width": stream.width,
        "height": stream.height,
        **dict(stream.facts),
    }
    try:
        clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
        facts["clock"] = describe_clock(clock)
    except TimingError as error:
        facts["clock"] = {"verdict": "broken", "basis": error.message}
    return facts, ""
