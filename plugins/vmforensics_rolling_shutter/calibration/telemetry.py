"""The readout time that the camera itself wrote into the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from vmforensics.data import Evidence, RowTime, SensorFrames
from vmforensics.stages import RowTimeCalibrator

_KEYS: Mapping[str, float] = {
    "com.apple.quicktime.camera.framereadouttimeinmicroseconds": 1e-6,
    "framereadouttime": 1e-3,
    "frame_readout_time": 1e-3,
    "srot": 1e-3,
    "sensor read out time": 1e-3,
    "sensor readout time": 1e-3,
}
"""Names of entries that state a frame's readout time, in lower case, and their unit in s."""

_LIKELY = (2e-4, 0.2)  # s; a readout outside is another quantity
_RESOLUTION = 5e-3
"""Relative standard uncertainty: makers round to 0.1 ms or less, and don't say which rows they count."""


class Telemetry(RowTimeCalibrator):
    """Reads the frame readout time from the container's metadata.

    Two readers are asked: FFmpeg, whose tags are among the clip's facts, and, where the optional package
    telemetry-parser is installed, its decoder of makers' telemetry (GoPro, Sony, DJI, Insta360 and others).
    """

    name: ClassVar[str] = "telemetry"
    summary: ClassVar[str] = "row time from the readout time that the camera wrote into the file"
    reference: ClassVar[str] = "telemetry-parser, https://github.com/AdrianEddy/telemetry-parser"

    def calibrate(self, frames: SensorFrames, evidence: Evidence) -> RowTime:
        """Read the file's tags, and its telemetry where that can be done; no frame is decoded."""
        stated = list(_tags(frames.stream.facts, "FFmpeg"))
        asked = ["FFmpeg's tags"]
        outcome = _parsed(evidence)
        if isinstance(outcome, str):
            asked.append(outcome)
        else:
            asked.append("telemetry-parser")
            stated += _tags(outcome, "telemetry-parser")
        stated = [each for each in stated if _LIKELY[0] <= each[0] <= _LIKELY[1]]
        if not stated:
            return RowTime(self.name, f"the file states no readout time (asked: {'; '.join(asked)})")
        values = sorted(value for value, _ in stated)
        if values[-1] > 1.02 * values[0]:
            told = ", ".join(f"{1000 * value:.5g} ms ({where})" for value, where in stated[:4])
            return RowTime(self.name, f"the file contradicts itself: {told}")
        readout = values[len(values) // 2]
        total = frames.stream.width if frames.shutter.direction.along_columns else frames.stream.height
        if readout * frames.clock.rate > 1.02:
            return RowTime(
                self.name,
                f"the file states a readout of {1000 * readout:.5g} ms ({stated[0][1]}), longer than a frame at "
                f"{frames.clock.rate:.5g} frames/s",
            )
        return RowTime(
            self.name,
            f"the camera's own word: a readout of {1000 * readout:.5g} ms ({stated[0][1]}) over {total} stored rows; "
            f"{100 * _RESOLUTION:g} % are allowed for rounding and for rows that it may count beside",
            value=readout / total,
            uncertainty=_RESOLUTION * readout / total,
        )


def _parsed(evidence: Evidence) -> list[Any] | str:
    """The file's telemetry, or in words why there is none."""
    try:
        import telemetry_parser
    except ImportError:
        return "telemetry-parser isn't installed"
    if evidence.path.is_dir():
        return "a folder has no telemetry"
    try:
        return list(telemetry_parser.Parser(str(evidence.path)).telemetry())
    except (OSError, ValueError, RuntimeError) as error:
        return f"telemetry-parser: {error}"


def _tags(tree: object, where: str, depth: int = 0) -> Iterator[tuple[float, str]]:
    """Readout times (s) in nested mappings and lists, each with its place."""
    if depth > 6:
        return
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            unit = _KEYS.get(str(key).lower())
            number = _number(value)
            if unit is not None and number is not None:
                yield number * unit, f"{where}: {key}"
            else:
                yield from _tags(value, where, depth + 1)
    elif isinstance(tree, list | tuple):
        for value in tree[:1000]:
            yield from _tags(value, where, depth + 1)


def _number(value: object) -> float | None:
    """A positive number, also from a text or a list of one."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
