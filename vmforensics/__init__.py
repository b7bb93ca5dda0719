"""Recovers sound from silent video, as evidence.

evidence file → frames → motion → signal → denoised signal → artefacts      all of it under one ledger
"""

__version__ = "0.1.0"
