"""The signals as numbers, for whoever wants to calculate further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vmforensics.data import Recovery
from vmforensics.stages import Exporter


class Arrays(Exporter):
    """Writes `signal.npz`: raw and recovered displacement, uncertainties, what was observed, and times.

    Read it with `numpy.load`; where something else than displacement was recovered, names end in its suffix
    (`samples_relative`) instead of `px`: `samples_px`, `sigma_px`, `observed` and `times_s` are the recovered signal's,
    `raw_px`, `raw_sigma_px`, `raw_observed` and `raw_times_s` the raw one's; `rate_hz` and `raw_rate_hz` their rates;
    `axis` is the unit vector (x, y) of the displacement.
    """

    name = "arrays"
    summary = "samples, uncertainties and times as a NumPy archive"

    def export(self, recovery: Recovery, into: Path) -> list[Path]:
        """Write the archive; NumPy stamps its members 1980-01-01, so that its bytes depend on the numbers alone."""
        recovered, raw = recovery.recovered, recovery.raw
        unit = recovered.quantity.suffix
        path = into / "signal.npz"
        arrays: dict[str, Any] = {
            f"samples_{unit}": recovered.samples,
            f"sigma_{unit}": recovered.sigma,
            "observed": recovered.observed,
            "times_s": recovered.times,
            f"raw_{unit}": raw.samples,
            f"raw_sigma_{unit}": raw.sigma,
            "raw_observed": raw.observed,
            "raw_times_s": raw.times,
            "rate_hz": np.float64(recovered.rate),
            "raw_rate_hz": np.float64(raw.rate),
            "axis": np.array(recovered.axis, dtype=np.float64),
        }
        np.savez(path, **arrays)
        return [path]
