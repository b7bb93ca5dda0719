"""The one picture that a run keeps of the clip."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vmforensics import recover_clip
from vmforensics.recovery.picture import draw_picture
from vmforensics.testing import Camera, simulate, write_clip


def grey(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_codes_are_not_stretched():
    luma = np.arange(16, 236, dtype=np.uint8).reshape(20, 11)
    assert np.array_equal(grey(draw_picture(luma, 255)), luma)
    deep = (luma.astype(np.uint16) - 16) * 4
    assert np.array_equal(grey(draw_picture(deep, 1023)), np.rint(deep * (255 / 1023)))


@pytest.mark.parametrize("shape", [(2000, 1), (1, 961), (961, 1920), (3, 3)])
def test_large_pictures_are_made_smaller_by_a_whole_factor(shape):
    shown = grey(draw_picture(np.full(shape, 100, np.uint8), 255))
    factor = -(-max(shape) // 960)
    assert shown.shape == tuple(-(-size // factor) for size in shape)
    assert np.all(shown == 100)


def test_a_run_keeps_the_picture_in_its_middle(tmp_path: Path):
    clip = simulate(Camera(width=64, height=48, fps=500, frames=60), sound="tone:100", rms_px=0.3)
    path = write_clip(clip, tmp_path / "clip.mkv")
    outcome = recover_clip(path, tmp_path / "run", shutter="global", capture_fps=500)
    result = json.loads((outcome.folder / "result.json").read_text())
    assert result["picture"] == {
        "file": "frame.png", "frame": 30, "time_s": pytest.approx(30 / 500), "width": 64, "height": 48,
    }  # fmt: skip
    assert np.array_equal(grey((outcome.folder / "frame.png").read_bytes()), clip.frames[30])
