"""Readings of motion, straightened."""

from __future__ import annotations

import numpy as np
import pytest

from vmforensics.data import SensorFrames
from vmforensics.numerics.coded.blocks import CodedBlocks
from vmforensics.numerics.coded.still import StillPicture
from vmforensics.numerics.coded.straight import straightened
from vmforensics.numerics.coded.transforms import CONSTANT, COSINE, transformed
from vmforensics.numerics.mean_template import MeanTemplate
from vmforensics.testing import Camera, simulate


def read_to_first_order(rms_px):
    """Whole frames of a moving picture, read on the slopes of their mean, with blocks, mean and truth."""
    camera = Camera(96, 96, 1000, 200, noise=(0.01, 0.0))
    clip = simulate(camera, scene="print", sound="melody", rms_px=rms_px, seed=3)
    frames: SensorFrames = clip.sensor_frames()
    template = MeanTemplate.measure(frames)
    every = CodedBlocks.of(frames, template, textured=False)
    assert every is not None
    blocks = every.grouped((every.top // 8 + every.left // 8) % 2, 2)
    picture = StillPicture.of(template.mean)
    cut = [np.where(CONSTANT[COSINE], 0, -transformed(blocks.cut(each), COSINE)) for each in picture.slopes]
    read = np.zeros((200, 1, 4), np.float32)
    for block in frames.blocks():
        for index, luma in zip(block.index, block.luma, strict=True):
            change = transformed(blocks.cut(luma - template.mean), COSINE)
            for half in (0, 1):
                own = blocks.group == half
                design = np.stack([each[own].ravel() for each in cut], axis=1)
                read[index, 0, 2 * half : 2 * half + 2] = np.linalg.lstsq(design, change[own].ravel(), rcond=None)[0]
    return read, blocks, picture, clip.truth


@pytest.mark.parametrize("rms_px", [0.05, 0.12])
def test_large_motion_is_read_in_proportion(rms_px):
    read, blocks, picture, truth = read_to_first_order(rms_px)
    true = truth.displacement[:, 0] - truth.displacement[:, 0].mean()
    errors = []

    for each in (read, straightened(read, blocks, picture, 1.0)):
        along = each[:, 0].reshape(-1, 2, 2).mean(axis=1) @ np.asarray(truth.axis)
        along = along - along.mean()
        gain = along @ true / (true @ true)
        errors.append((abs(gain - 1), np.std(along - gain * true) / np.std(true)))
    assert errors[1][0] < 0.004
    assert errors[1][0] < 0.6 * errors[0][0]
    assert errors[1][1] < errors[0][1]


def test_small_motion_is_left_alone():
    read, blocks, picture, _ = read_to_first_order(0.004)
    assert straightened(read, blocks, picture, 1.0) is read
