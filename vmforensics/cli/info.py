"""`vmforensics info`: what a file is, without recovering anything."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vmforensics.cli.console import ClipArgument, Console, JsonOption, QuietOption, print_json, printable
from vmforensics.cli.plugin_options import PluginDirOption, PluginOption, registry_of

if TYPE_CHECKING:
    from vmforensics.stages import FrameSource

_LINE = 100  # characters; a longer list is printed an entry a line


def info(
    clip: ClipArgument,
    *,
    decode: Annotated[
        bool, typer.Option(help="Decode every frame: frame types, losses, the digest of the luma.")
    ] = True,
    stream: Annotated[
        int | None, typer.Option(help="Which video stream, where a file holds several.", metavar="N", min=0)
    ] = None,
    plugin: PluginOption = None,
    plugin_dir: PluginDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tell what a file is: container, codec, timing, frame types, colour range, rotation. Nothing is recovered.

    \b
    Examples:
      vmforensics info street.mp4
      vmforensics info --no-decode --json long.mkv
      vmforensics info --stream 2 dashcam.mp4
    """
    from vmforensics.credentials import read_credentials
    from vmforensics.custody import WatchedStream, digest_evidence
    from vmforensics.data import Evidence
    from vmforensics.display import describe_turn
    from vmforensics.errors import TimingError
    from vmforensics.recovery.plan import opened, source_for
    from vmforensics.recovery.summary import describe_clock
    from vmforensics.timing import judge_clock

    evidence = Evidence(clip)
    registry = registry_of(plugin, plugin_dir)
    source = source_for(clip, registry)
    if stream is not None:
        source = cast("FrameSource", registry.create(source.kind, source.name, {"stream": stream}))
    facts: dict[str, Any] = {"path": str(clip), "frame_source": source.name}
    with Console(quiet=quiet or as_json) as console:
        frames = WatchedStream(
            opened(source, evidence, registry),
            lambda done, total, _: console.progress("decoding", done, total, "frames"),
        )
        facts |= {"sha256": digest_evidence(evidence).sha256, "frames_announced": frames.frame_count}
        if (credentials := read_credentials(clip)) is not None and credentials["state"] != "unsupported":
            facts["content_credentials"] = credentials
        facts |= {"width": frames.width, "height": frames.height, "full_scale": frames.full_scale}
        try:
            clock = judge_clock(frames.stamps, resolution=frames.stamp_resolution, declared_rate=frames.declared_rate)
            facts["clock"] = describe_clock(clock)
        except TimingError as error:
            facts["clock"] = {"verdict": "broken", "basis": str(error)}
        if decode:
            types: Counter[str] = Counter()
            for block in frames.blocks():
                types.update(block.frame_types)
            facts |= {
                "frames_decoded": frames.decoded_frames,
                "frames_repeated": frames.repeated_frames,
                "frame_types": dict(sorted(types.items())),
                "decoded_luma_sha256": frames.decoded_digest,
            }
        if turned := describe_turn(frames.facts, frames.height, frames.width):
            facts["shown"] = turned
        facts |= {"facts": dict(frames.facts), "complaints": list(frames.complaints)}
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
            entries = [printable(entry) for entry in value]
            if sum(map(len, entries)) > _LINE:
                typer.echo("\n".join([f"{indent}{printable(key)}:", *(f"{indent}  {entry}" for entry in entries)]))
            else:
                typer.echo(f"{indent}{printable(key)}: {'; '.join(entries) or 'none'}")
        elif value is not None and value != "":
            typer.echo(f"{indent}{printable(key)}: {printable(value)}")
