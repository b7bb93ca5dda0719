"""What a quantiser's cell tells of a mean, against derivatives and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.numerics.coded.quantisation import codec_limited_information, kept_information, told_by_cell


def test_score_and_information_are_the_likelihood_s_derivatives():
    low, high = np.array([-3.0, -0.5, 1.0, 2.0]), np.array([-1.0, 0.5, 4.0, 2.5])
    sigma, step = np.full(4, 1.3), 1e-3
    before, here, after = (told_by_cell(low - d, high - d, sigma) for d in (-step, 0.0, step))
    assert here[1] == pytest.approx((after[0] - before[0]) / (2 * step), rel=1e-4)
    assert here[2] == pytest.approx(-(after[0] - 2 * here[0] + before[0]) / step**2, rel=1e-3)


@pytest.mark.parametrize("far", [20.0, -200.0])
def test_a_cell_far_out_pulls_as_its_nearer_limit_would(far):
    near = far if far > 0 else far + 1
    _, score, information = told_by_cell(np.array([far]), np.array([far + 1]), np.array([1.0]))
    assert score[0] == pytest.approx(near, rel=0.05)
    assert np.isfinite(information[0])


def test_a_wide_cell_tells_nothing():
    _, score, information = told_by_cell(np.array([-50.0]), np.array([50.0]), np.array([1.0]))
    assert score[0] == pytest.approx(0, abs=1e-12)
    assert information[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 6.0])
def test_kept_information_is_what_a_simulated_quantiser_leaves(ratio):
    """The scores' variance, over values and over where the cells lie, is the Fisher information."""
    random = np.random.default_rng(4)
    phase, value = random.uniform(0, ratio, 200_000), random.standard_normal(200_000)
    low = np.floor((value - phase) / ratio) * ratio + phase
    _, score, _ = told_by_cell(low, low + ratio, np.ones(1))
    assert np.mean(score**2) == pytest.approx(float(kept_information(np.array([ratio]))[0]), rel=0.02)


def test_a_fine_quantiser_leaves_all_and_a_coarse_one_what_its_limits_show():
    slope = np.random.default_rng(1).standard_normal((16, 24))
    fine = codec_limited_information(slope, np.full((8, 8), 1e-3), 2.0)
    blocks = slope.reshape(2, 8, 3, 8).transpose(0, 2, 1, 3)
    assert fine == pytest.approx(8 * 8 * blocks.var(axis=(2, 3)) / 4.0, rel=1e-3)
    coarse = codec_limited_information(slope, np.full((8, 8), 200.0), 2.0)
    assert coarse == pytest.approx(fine * kept_information(np.array([100.0]))[0], rel=1e-3)
    assert codec_limited_information(slope, np.full((2, 3, 1, 1), 1e-3), 2.0) == pytest.approx(fine)
