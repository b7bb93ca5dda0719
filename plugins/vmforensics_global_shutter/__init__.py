"""Recovery from global-shutter, high-speed video: local phase in a complex steerable pyramid."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import MotionEstimator, SignalCombiner


@hookimpl
def vmforensics_motion_estimators() -> list[type[MotionEstimator]]:
    """Motion of the whole scene, one sample a frame."""
    from vmforensics_global_shutter.local_phase import LocalPhase

    return [LocalPhase]


@hookimpl
def vmforensics_signal_combiners() -> list[type[SignalCombiner]]:
    """From many channels to one signal."""
    from vmforensics_global_shutter.aligned_sum import AlignedSum

    return [AlignedSum]
