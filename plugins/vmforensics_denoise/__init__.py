"""Denoisers, one algorithm a file."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Denoiser


@hookimpl
def vmforensics_denoisers() -> list[type[Denoiser]]:
    """Filters and noise suppression."""
    from vmforensics_denoise.band_pass import BandPass
    from vmforensics_denoise.high_pass import HighPass
    from vmforensics_denoise.line_remover import LineRemover
    from vmforensics_denoise.mmse_lsa import MmseLsa
    from vmforensics_denoise.mmse_stsa import MmseStsa
    from vmforensics_denoise.om_lsa import OmLsa
    from vmforensics_denoise.spectral_subtraction import SpectralSubtraction
    from vmforensics_denoise.weighted_euclidean import WeightedEuclidean
    from vmforensics_denoise.wiener import Wiener
    from vmforensics_denoise.wiener_known_noise import WienerKnownNoise

    return [
        BandPass,
        HighPass,
        LineRemover,
        MmseLsa,
        MmseStsa,
        OmLsa,
        SpectralSubtraction,
        WeightedEuclidean,
        Wiener,
        WienerKnownNoise,
    ]
