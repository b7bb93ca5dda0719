"""A still picture's coefficients bettered together with the motion."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.coded.joint import picture_step
from vmforensics.numerics.coded.quantisation import told_by_cell

_STEP, _SIGMA = 12.0, 0.8


def _seen(seed=0, frames=80, count=4000):
    """Coefficients that a tone moves, their cells, and what truly lay behind them."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-40, 40, count)
    slopes = rng.normal(scale=20.0, size=(count, 2)).T.astype(np.float32)
    motion = 0.15 * np.stack([np.sin(0.7 * np.arange(frames)), np.sin(1.3 * np.arange(frames) + 1)], axis=1)
    motion -= motion.mean(axis=0)
    level = np.rint((truth + motion @ slopes + _SIGMA * rng.normal(size=(frames, count))) / _STEP)
    return truth, slopes, motion, (level - 0.5) * _STEP, (level + 0.5) * _STEP


def _bent(motion):
    """A scale of displacements that is bent."""
    bent = motion + 0.5 * motion * (1 - (motion / 0.15) ** 2)
    return bent - bent.mean(axis=0)


def _stepped(picture, motion, slopes, low, high):
    mean = (picture + motion @ slopes).astype(np.float32)
    loose = np.full(len(picture), 12 / _STEP**2)
    return picture_step(low.astype(np.float32) - mean, high.astype(np.float32) - mean, slopes, _SIGMA, loose)


def _moved(motion, picture, slopes, low, high):
    """Newton's steps of the motion alone."""
    for _ in range(4):
        mean = (picture + motion @ slopes).astype(np.float32)
        _, score, curve = told_by_cell(
            low.astype(np.float32) - mean, high.astype(np.float32) - mean, np.full(mean.shape, _SIGMA, np.float32)
        )
        information = np.einsum("tk,ak,bk->tab", curve, slopes, slopes) + 11 * np.eye(2)
        motion = motion + np.clip(np.linalg.solve(information, (score @ slopes.T)[..., None])[..., 0], -0.1, 0.1)
    return motion - motion.mean(axis=0)


def _adrift(truth, slopes, motion, low, high):
    """A picture that fits a bent scale: each coefficient where its cells were likeliest under that motion."""
    picture = truth.copy()
    for _ in range(30):
        mean = (picture + _bent(motion) @ slopes).astype(np.float32)
        _, score, curve = told_by_cell(
            low.astype(np.float32) - mean, high.astype(np.float32) - mean, np.full(mean.shape, _SIGMA, np.float32)
        )
        picture += np.clip(score.sum(axis=0) / (curve.sum(axis=0) + 12 / _STEP**2), -_SIGMA, _SIGMA)
    return picture


def test_a_bent_scale_is_straightened_in_a_few_steps():
    truth, slopes, motion, low, high = _seen()
    picture = _adrift(truth, slopes, motion, low, high)
    found = _moved(_bent(motion), picture, slopes, low, high)
    before = np.sqrt(np.mean((found - motion) ** 2))
    for _ in range(3):
        step, moved = _stepped(picture, found, slopes, low, high)
        picture += np.clip(step, -2 * _SIGMA, 2 * _SIGMA)
        found = found + moved
    after = np.sqrt(np.mean((_moved(found, picture, slopes, low, high) - motion) ** 2))
    assert before > 0.005
    assert after < before / 3


def test_a_motion_that_all_frames_share_is_the_picture_s():
    truth, slopes, motion, low, high = _seen(seed=1)
    step, moved = _stepped(truth, motion + 0.02, slopes, low, high)
    assert moved.mean(axis=0) == pytest.approx([0, 0], abs=1e-4)
    assert np.corrcoef(step, 0.02 * slopes.sum(axis=0))[0, 1] < -0.4


def test_what_is_true_hardly_moves():
    truth, slopes, motion, low, high = _seen(seed=2)
    step, moved = _stepped(truth, motion, slopes, low, high)
    assert np.sqrt(np.mean(moved**2)) < 0.005
    assert np.median(np.abs(step)) < _SIGMA
    assert step.shape == truth.shape
    assert moved.shape == motion.shape
