"""Recovery from rolling-shutter video: every sensor row is a sample in time."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import MotionEstimator, SignalCombiner


@hookimpl
def vmforensics_motion_estimators() -> list[type[MotionEstimator]]:
    """Motion of each sensor row."""
    from vmforensics_rolling_shutter.row_motion import RowMotion

    return [RowMotion]


@hookimpl
def vmforensics_signal_combiners() -> list[type[SignalCombiner]]:
    """From row samples with a gap every frame to a uniform signal."""
    from vmforensics_rolling_shutter.autoregressive import Autoregressive
    from vmforensics_rolling_shutter.row_average import RowAverage

    return [Autoregressive, RowAverage]
