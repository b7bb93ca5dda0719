"""What the channels themselves tell of their noise."""

from __future__ import annotations

import numpy as np

from vmforensics.data import Motion

_NOTHING = 1e-9  # of the largest eigenvalue of the precision; a direction with less isn't measured


def excess(motion: Motion) -> float:
    """How much larger the channels' noise is than stated; 1 if it isn't.

    A codec's noise is correlated from pixel to pixel. What the channels don't have in common, after the best common
    displacement, would have unit variance in every direction if the precision were right; the median over those
    directions isn't raised by a few that hold true motion (a part of the scene that moves by itself).
    """
    values, vectors = np.linalg.eigh(motion.precision[0, 0].astype(np.float64))
    known = values > _NOTHING * values[-1]
    root = vectors[:, known] * np.sqrt(values[known])
    common, size, _ = np.linalg.svd(root.T @ motion.response, full_matrices=False)
    common = common[:, size > _NOTHING * size[0]]
    if root.shape[1] <= common.shape[1]:
        return 1.0
    seen = motion.displacement[motion.observed[:, 0], 0] @ root
    seen -= seen @ common @ common.T
    variances = np.linalg.eigvalsh(np.cov(seen.T))[common.shape[1] :]
    return max(1.0, float(np.median(variances)))
