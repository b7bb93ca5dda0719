"""What combiners for one sample a frame share: the frames' own time grid, and a signal on it with honest gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vmforensics.data import Motion, Signal
from vmforensics.errors import StageError

_ON_GRID = 1e-3  # of a frame; times this close to a constant rate cost no signal (-50 dB at half the frame rate)
_NEAR = 0.75  # of a frame; farther from any frame, an interpolated sample wasn't observed


def on_frame_grid(motion: Motion, combiner: str) -> Motion:
    """The same motion with one row and frames at the constant frame rate, unobserved where there was none.

    Frame times that follow a constant rate with holes keep their values. Others are brought to the mean rate by
    cubic spline interpolation, with a warning.

    Parameters
    ----------
    motion
        As measured.
    combiner
        Its name, for messages.

    Raises
    ------
    StageError
        The rows have different instants (a rolling shutter), or nothing was observed.
    """
    if not motion.observed.any():
        raise StageError(f"{combiner}: no frame was observed", hint="choose another region")
    if np.ptp(motion.row_offsets) > 0:
        raise StageError(
            f"{combiner} takes one instant a frame; these rows were exposed one after another",
            hint="choose a combiner for rolling shutters, see: vmforensics plugins list",
        )
    return _on_uniform_grid(_one_row(motion))


def as_signal(grid: Motion, axis: tuple[float, float], combiner: str) -> Signal:
    """The displacement of a motion on the frames' grid along an axis; frames that nothing shows are interpolated.

    Parameters
    ----------
    grid
        From `on_frame_grid`, perhaps with other responses and shifted.
    axis
        Unit vector (x, y).
    combiner
        Its name, for messages.

    Raises
    ------
    StageError
        No channel carries information.
    """
    displacement, information = grid.along(axis)
    seen = information[:, 0] > 0
    if not seen.any():
        raise StageError(f"{combiner}: no channel carries information", hint="choose another region")
    where = np.arange(len(seen))
    # A filled-in sample is known no better than the signal varies.
    spread = max(float(np.std(displacement[seen, 0])), float(np.sqrt(1 / information[seen, 0].min())))
    return Signal(
        samples=np.interp(where, where[seen], displacement[seen, 0]),
        rate=grid.frame_rate,
        start=float(grid.frame_times[0] + grid.row_offsets[0]),
        observed=seen,
        sigma=np.where(seen, 1 / np.sqrt(np.where(seen, information[:, 0], 1.0)), spread),
        axis=axis,
        quantity=grid.quantity,
        warnings=grid.warnings,
    )


def _one_row(motion: Motion) -> Motion:
    """Rows that share an instant, averaged by their information into one."""
    if motion.displacement.shape[1] == 1:
        return motion
    weight = motion.precision.astype(np.float64) * motion.observed[:, :, None, None]
    total = weight.sum(axis=1, keepdims=True)
    moment = (weight @ motion.displacement[..., None]).sum(axis=1, keepdims=True)
    displacement = np.linalg.pinv(total, rcond=1e-9, hermitian=True) @ moment
    return replace(
        motion,
        displacement=displacement[..., 0].astype(np.float32),
        precision=total.astype(np.float32),
        observed=np.asarray(motion.observed.any(axis=1, keepdims=True)),
        row_offsets=motion.row_offsets[:1],
    )


def _on_uniform_grid(motion: Motion) -> Motion:
    """The same motion with frames at the constant frame rate, unobserved where there was none."""
    position = (motion.frame_times - motion.frame_times[0]) * motion.frame_rate
    slot = np.rint(position).astype(np.int64)
    constant = bool(np.abs(position - slot).max() <= _ON_GRID and np.all(np.diff(slot) > 0))
    size = int(position[-1] + _ON_GRID) + 1
    grid = np.arange(size)
    seen = np.flatnonzero(motion.observed[:, 0])
    nearest = seen[np.searchsorted((position[seen][1:] + position[seen][:-1]) / 2, grid)]
    displacement = motion.displacement[nearest]
    if not constant and len(seen) > 1:
        from scipy.interpolate import CubicSpline

        displacement = CubicSpline(position[seen], motion.displacement[seen])(grid).astype(np.float32)
    observed = np.asarray(np.abs(position[nearest] - grid) <= (_ON_GRID if constant else _NEAR))
    spline = (
        f"frame times vary: brought to a constant {motion.frame_rate:.6g} Hz by cubic spline interpolation, "
        f"inaccurate above {motion.frame_rate / 4:.0f} Hz"
    )
    return replace(
        motion,
        displacement=np.where(observed[:, None, None], displacement, np.float32(0)),
        precision=motion.precision if len(motion.precision) == 1 else motion.precision[nearest],
        observed=observed[:, None],
        frame_times=motion.frame_times[0] + grid / motion.frame_rate,
        warnings=motion.warnings if constant else (*motion.warnings, spline),
    )
