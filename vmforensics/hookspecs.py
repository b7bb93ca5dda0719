"""The hooks a plugin may implement: one a kind of stage, each returning the stage classes it provides; and one beside.

from vmforensics.hookspecs import hookimpl

@hookimpl
def vmforensics_denoisers():
    from my_plugin.gate import Gate     # imported here, so that listing plugins stays fast
    return [Gate]
"""

from __future__ import annotations

from typing import Any

import pluggy

from vmforensics.stages import Denoiser, Exporter, FrameSource, MotionEstimator, RowTimeCalibrator, SignalCombiner

ENTRY_POINT_GROUP = "vmforensics"
"""Entry point group by which installed plugins are found."""

hookspec = pluggy.HookspecMarker("vmforensics")
hookimpl = pluggy.HookimplMarker("vmforensics")


@hookspec
def vmforensics_frame_sources() -> list[type[FrameSource]]:  # type: ignore[empty-body]
    """Return classes that open evidence as frames."""


@hookspec
def vmforensics_motion_estimators() -> list[type[MotionEstimator]]:  # type: ignore[empty-body]
    """Return classes that measure motion."""


@hookspec
def vmforensics_signal_combiners() -> list[type[SignalCombiner]]:  # type: ignore[empty-body]
    """Return classes that combine motion into one signal."""


@hookspec
def vmforensics_denoisers() -> list[type[Denoiser]]:  # type: ignore[empty-body]
    """Return classes that take noise out of a signal."""


@hookspec
def vmforensics_exporters() -> list[type[Exporter]]:  # type: ignore[empty-body]
    """Return classes that write results."""


@hookspec
def vmforensics_row_time_calibrators() -> list[type[RowTimeCalibrator]]:  # type: ignore[empty-body]
    """Return classes that find the row time of a rolling shutter."""


@hookspec
def vmforensics_libraries() -> dict[str, Any]:  # type: ignore[empty-body]
    """Return the libraries, other than Python packages, that the plugin's results rest on: JSON values, by name."""
