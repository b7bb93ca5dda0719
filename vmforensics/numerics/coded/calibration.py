"""How sure readings are, by what two halves of the picture disagree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SINGULAR = 1e-9


def calibrate(displacement: NDArray[np.float32], precision: NDArray[np.float32], kinds: NDArray[np.object_]) -> float:
    """Lessen the precision, in place, where the two halves disagree by more than it allows, by type of frame.

    Their difference e would have e'C⁻¹e = 2 on average, with C = P0⁻¹ + P1⁻¹.

    Parameters
    ----------
    displacement : ndarray [shape=(frames, samples, 4), float32, px]
        x and y of either half.
    precision : ndarray [shape=(frames, samples, 4, 4), float32, 1/px²]
    kinds : ndarray [shape=(frames,), object]
        The frames' types.

    Returns
    -------
    float
        Times as much as allowed that they disagree by, the mean over the types; 0 where that can't be told.
    """
    energy, known = _disagreement(displacement, precision)
    excesses = []
    for kind in sorted(set(kinds)):
        own = known & (kinds == kind)[:, None]
        if own.any():
            excesses.append(float(np.mean(energy[own])) / 2)
            precision[kinds == kind] /= max(excesses[-1], 1.0)
    return float(np.mean(excesses)) if excesses else 0.0


def _disagreement(
    displacement: NDArray[np.float32], precision: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """By how much the halves of each sample differ, and whether that is known [shape=(frames, samples)]."""
    first, second = precision[:, :, :2, :2].astype(np.float64), precision[:, :, 2:, 2:].astype(np.float64)
    both = first + second
    known = np.linalg.det(both) > _SINGULAR * np.trace(both, axis1=2, axis2=3) ** 2
    safe = np.where(known[..., None, None], both, np.eye(2))
    common = first @ np.linalg.solve(safe, second)  # (P0⁻¹ + P1⁻¹)⁻¹, of singular ones too
    apart = displacement[:, :, :2] - displacement[:, :, 2:]
    energy = np.einsum("fra,frab,frb->fr", apart, np.broadcast_to(common, (*apart.shape[:2], 2, 2)), apart)
    return energy, np.broadcast_to(known & (np.trace(common, axis1=2, axis2=3) > 0), energy.shape)
