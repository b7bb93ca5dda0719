"""Recovery from rolling-shutter video: every sensor row is a sample in time; and its row time."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import MotionEstimator, RowTimeCalibrator, SignalCombiner


@hookimpl
def vmforensics_motion_estimators() -> list[type[MotionEstimator]]:
    """Motion, or brightness, of each sensor row."""
    from vmforensics_rolling_shutter.motion.row_intensity import RowIntensity
    from vmforensics_rolling_shutter.motion.row_motion import RowMotion
    from vmforensics_rolling_shutter.motion.row_phase import RowPhase

    return [RowIntensity, RowMotion, RowPhase]


@hookimpl
def vmforensics_signal_combiners() -> list[type[SignalCombiner]]:
    """From row samples with a gap every frame to a uniform signal."""
    from vmforensics_rolling_shutter.gap.autoregressive import Autoregressive
    from vmforensics_rolling_shutter.gap.band_limited import BandLimited
    from vmforensics_rolling_shutter.gap.janssen import Janssen
    from vmforensics_rolling_shutter.gap.row_average import RowAverage

    return [Autoregressive, BandLimited, Janssen, RowAverage]


@hookimpl
def vmforensics_row_time_calibrators() -> list[type[RowTimeCalibrator]]:
    """Row time from the file, from light, from sound, and from a table."""
    from vmforensics_rolling_shutter.calibration.camera_motion import CameraMotion
    from vmforensics_rolling_shutter.calibration.known_light import KnownLight
    from vmforensics_rolling_shutter.calibration.mains_flicker import MainsFlicker
    from vmforensics_rolling_shutter.calibration.profiles import CameraProfile
    from vmforensics_rolling_shutter.calibration.telemetry import Telemetry
    from vmforensics_rolling_shutter.calibration.tonal_sound import TonalSound

    return [CameraMotion, CameraProfile, KnownLight, MainsFlicker, Telemetry, TonalSound]
