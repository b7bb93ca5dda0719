"""The hash of every decoded picture, in the form of FFmpeg's framehash, which stock ffmpeg confirms."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from vmforensics.custody import WatchedStream, digest_evidence
from vmforensics.data import FrameStream
from vmforensics.errors import EvidenceChanged
from vmforensics.plugins import Registry
from vmforensics.recovery import Watcher, guard
from vmforensics.recovery.watch import Unwatched
from vmforensics.replay import read_record

_FINEST = 1001 * 100_000  # denominator of a frame rate


def frame_hashes(run: Path, *, registry: Registry | None = None, watcher: Watcher | None = None) -> bytes:
    """Decode a run's evidence again, and write the SHA-256 of each picture's luma plane, as FFmpeg's framehash does.

    On a clip of constant rate, the lines that don't begin with # are those of

        ffmpeg -noautorotate -i CLIP -map 0:N -fps_mode passthrough -vf extractplanes=y -f framehash -hash sha256 -

    (FFmpeg 5.1 or newer; N is the number of the video stream); on any other, the last two columns are.

    Parameters
    ----------
    run
        The run folder, of a finished run.
    registry
        The stages to choose from; those installed if None.
    watcher
        Told of the progress.

    Raises
    ------
    EvidenceChanged
        The evidence, or what it decodes to, isn't what the run read.
    VmforensicsError
        The record isn't sound, or the evidence isn't there.
    """
    record = read_record(run)
    watcher = watcher or Unwatched()
    plan = record.plan(registry or Registry())
    sha256 = digest_evidence(plan.evidence).sha256
    if sha256 != record.evidence_sha256:
        raise EvidenceChanged(
            f"{plan.evidence.path}: its SHA-256 is {sha256}, the run read {record.evidence_sha256}",
            hint="this isn't the file that the run was made on, or it has changed since",
        )
    implementation = plan.implementation(plan.source)
    opened: FrameStream = guard.call(implementation, lambda: plan.source.open(plan.evidence), FrameStream)
    stream = WatchedStream(opened, lambda done, total, _: watcher.progress("decoding", done, total, "frames"))
    index = [int(k) for block in stream.blocks() for k in block.index]
    recorded = {entry.fields.get("decoded_luma_sha256") for entry in record.entries} - {None}
    if recorded and recorded != {stream.decoded_digest}:
        raise EvidenceChanged(
            f"{plan.evidence.path}: its pictures decode to other ones than the run saw",
            hint="another FFmpeg, or another frame source: see vmforensics replay, which names what differs",
        )
    return _listing(stream, index)


def _listing(stream: WatchedStream, index: list[int]) -> bytes:
    """The file's text; times count in frames of the declared rate, as ffmpeg's do."""
    rate = Fraction(stream.declared_rate or 1).limit_denominator(_FINEST)
    size = stream.height * stream.width * (1 if stream.full_scale < 256 else 2)
    stamps = np.asarray(stream.stamps, dtype=np.float64)
    known = bool(np.isfinite(stamps).all()) and stream.declared_rate is not None
    times = np.rint((stamps - stamps[0]) * float(rate)).astype(int) if known else np.arange(len(stamps))
    lines = [
        "#format: frame checksums",
        "#version: 2",
        "#hash: SHA256",
        "#software: vmforensics",
        f"#tb 0: {rate.denominator}/{rate.numerator}",
        "#media_type 0: video",
        "#codec_id 0: rawvideo",
        f"#dimensions 0: {stream.width}x{stream.height}",
        "#stream#, dts,        pts, duration,     size, hash",
    ]
    for k, digest in zip(index, stream.frame_hashes, strict=True):
        lines.append(f"0, {times[k]:>10}, {times[k]:>10}, {1:>8}, {size:>8}, {digest.hex()}")
    return ("\n".join(lines) + "\n").encode()
