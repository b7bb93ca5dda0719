"""A run's signals as numbers, from its signal.npz, checked against the run's own digests."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import CustodyError

_NAME = "signal.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One signal of a run.

    Parameters
    ----------
    samples : ndarray [shape=(n,), float64, unit]
    observed : ndarray [shape=(n,), bool]
        Whether the camera saw each sample.
    rate : float, Hz
    start : float, s
    unit : str
        "px", or "relative" for a share.
    filled : bool
        Whether samples that nobody saw were calculated; else they are empty gaps.
    """

    samples: NDArray[np.float64]
    observed: NDArray[np.bool_]
    rate: float
    start: float
    unit: str
    filled: bool

    @property
    def stop(self) -> float:
        """End of the last sample (s)."""
        return self.start + len(self.samples) / self.rate


def load_traces(folder: Path, digests: Mapping[str, str]) -> tuple[Trace, ...] | None:
    """Read the raw and the recovered signal.

    Returns
    -------
    tuple of two Trace, or None
        Raw and recovered; None where the run wrote no numbers, or an exporter wrote others under that name.

    Raises
    ------
    CustodyError
        The file isn't the one that the run wrote, or is gone.
    """
    if _NAME not in digests:
        return None
    path = folder / _NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CustodyError(
            f"{path}: the run lists this file, but it can't be read: {error.strerror}", hint="see: vmforensics verify"
        ) from error
    if hashlib.sha256(content).hexdigest() != digests[_NAME]:
        raise CustodyError(f"{path}: isn't the file that the run wrote", hint="see: vmforensics verify")
    try:
        with np.load(io.BytesIO(content)) as arrays:
            unit = next(name.removeprefix("raw_sigma_") for name in arrays.files if name.startswith("raw_sigma_"))
            return tuple(_trace(arrays, prefix, unit) for prefix in ("raw_", ""))
    except (KeyError, StopIteration, ValueError, IndexError, OSError):  # another exporter's file of the same name
        return None


def _trace(arrays: Mapping[str, NDArray[np.float64]], prefix: str, unit: str) -> Trace:
    """The raw signal (prefix "raw_") or the recovered one."""
    samples, sigma = arrays[f"{prefix or 'samples_'}{unit}"], arrays[f"{prefix}sigma_{unit}"]
    observed = arrays[f"{prefix}observed"].astype(bool)
    filled = bool(np.any(sigma[~observed] > 0))
    return Trace(
        samples, observed, float(arrays[f"{prefix}rate_hz"]), float(arrays[f"{prefix}times_s"][0]), unit, filled
    )
