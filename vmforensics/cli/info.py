"""`vmforensics info`: what a file is, without recovering anything."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from vmforensics.cli.console import ClipArgument, Console, JsonOption, QuietOption, print_json, printable


def info(
    clip: ClipArgument,
    *,
    decode: Annotated[
        bool, typer.Option(help="Decode every frame: frame types, losses, the digest of the luma.")
    ] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tell what a file is: container, codec, timing, frame types, colour range, rotation. Nothing is recovered.

    \b
    Examples:
      vmforensics info street.mp4
      vmforensics info --no-decode --json long.mkv
    """
    from vmforensics.custody import WatchedStream, digest_evidence
    from vmforensics.data import Evidence
    from vmforensics.display import describe_turn
    from vmforensics.errors import TimingError
    from vmforensics.plugins import Registry
    from vmforensics.recovery.plan import source_for
    from vmforensics.recovery.summary import describe_clock
    from vmforensics.timing import judge_clock

    evidence = Evidence(clip)
    source = source_for(clip, Registry())
    facts: dict[str, Any] = {"path": str(clip), "frame_source": source.name}
    with Console(quiet=quiet or as_json) as console:
        stream = WatchedStream(
            source.open(evidence), lambda done, total, _: console.progress("decoding", done, total, "frames")
        )
        facts |= {"sha256": digest_evidence(evidence).sha256, "frames_announced": stream.frame_count}
        facts |= {"width": stream.width, "height": stream.height, "full_scale": stream.full_scale}
        try:
            clock = judge_clock(stream.stamps, resolution=stream.stamp_resolution, declared_rate=stream.declared_rate)
            facts["clock"] = describe_clock(clock)
        except TimingError as error:
            facts["clock"] = {"verdict": "broken", "basis": str(error)}
        if decode:
            types: Counter[str] = Counter()
            for block in stream.blocks():
                types.update(block.frame_types)
            facts |= {
                "frames_decoded": stream.decoded_frames,
                "frames_repeated": stream.repeated_frames,
                "frame_types": dict(sorted(types.items())),
                "decoded_luma_sha256": stream.decoded_digest,
            }
        if turned := describe_turn(stream.facts, stream.height, stream.width):
            facts["shown"] = turned
        facts |= {"facts": dict(stream.facts), "complaints": list(stream.complaints)}
    if as_json:
        print_json(facts)
    elif not quiet:
        _print(facts)


def _print(facts: dict[str, Any], indent: str = "") -> None:
    for key, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{printable(key)}:")
            _print(value, indent + "  ")
        elif isinstance(value, list | tuple):
            typer.echo(f"{indent}{printable(key)}: {'; '.join(printable(v) for v in value) or 'none'}")
        elif value is not None and value != "":
            typer.echo(f"{indent}{printable(key)}: {printable(value)}")
