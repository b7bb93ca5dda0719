"""Denoisers, one algorithm a file."""

from __future__ import annotations

from vmforensics.hookspecs import hookimpl
from vmforensics.stages import Denoiser


@hookimpl
def vmforensics_denoisers() -> list[type[Denoiser]]:
    """Filters and noise suppression."""
    from vmforensics_denoise.high_pass import HighPass
    from vmforensics_denoise.line_remover import LineRemover
    from vmforensics_denoise.spectral_subtraction import SpectralSubtraction

    return [HighPass, LineRemover, SpectralSubtraction]
