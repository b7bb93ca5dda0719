"""Finding a rolling shutter's row time: the handling, under a ledger; the methods are plugins."""

from vmforensics.calibration.run import USUAL_METHODS, calibrate_clip

__all__ = ["USUAL_METHODS", "calibrate_clip"]
