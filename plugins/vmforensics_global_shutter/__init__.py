"""Recovery from global-shutter, high-speed video: least squares on the gradient, and local phase."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import MotionEstimator, SignalCombiner


@hookimpl
def vmforensics_motion_estimators() -> list[type[MotionEstimator]]:
    """Motion of the whole scene, one sample a frame."""
    from vmforensics_global_shutter.adaptive import Adaptive
    from vmforensics_global_shutter.codec_cells import CodecCells
    from vmforensics_global_shutter.gradient import Gradient
    from vmforensics_global_shutter.image_svd import ImageSVD
    from vmforensics_global_shutter.local_phase import LocalPhase
    from vmforensics_global_shutter.local_phase_linear import LocalPhaseLinear
    from vmforensics_global_shutter.mean_intensity import MeanIntensity
    from vmforensics_global_shutter.optical_flow import OpticalFlow
    from vmforensics_global_shutter.phase_correlation import PhaseCorrelation
    from vmforensics_global_shutter.riesz_phase import RieszPhase

    return [
        Adaptive,
        Gradient,
        LocalPhase,
        LocalPhaseLinear,
        RieszPhase,
        PhaseCorrelation,
        OpticalFlow,
        ImageSVD,
        MeanIntensity,
        CodecCells,
    ]


@hookimpl
def vmforensics_signal_combiners() -> list[type[SignalCombiner]]:
    """From many channels to one signal."""
    from vmforensics_global_shutter.aligned_sum import AlignedSum
    from vmforensics_global_shutter.inverse_variance import InverseVariance
    from vmforensics_global_shutter.principal_component import PrincipalComponent
    from vmforensics_global_shutter.shared_signal import SharedSignal

    return [AlignedSum, SharedSignal, InverseVariance, PrincipalComponent]
