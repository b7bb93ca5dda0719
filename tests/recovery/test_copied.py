"""Footage that a codec predicted, stored anew without loss, still shows it: its frames repeat each other to the bit."""

from __future__ import annotations

import av
import numpy as np
import pytest

from vmforensics.recovery import recover_clip
from vmforensics.testing import Camera, simulate, write_clip


def laundered(folder, camera: Camera, *, quality: int, seed: int):
    """A soundless clip through H.264, decoded, and stored as FFV1."""
    compressed = write_clip(
        simulate(camera, scene="page", sound="silence", seed=seed),
        folder / "h264.mkv",
        codec="libx264",
        quality=quality,
    )
    path = folder / "ffv1.mkv"
    with av.open(str(compressed)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1", rate=int(camera.fps))
        stream.width, stream.height, stream.pix_fmt = camera.width, camera.height, "gray"
        for number, frame in enumerate(source.decode(video=0)):
            luma = np.array(frame.planes[0]).reshape(-1, frame.planes[0].line_size)[:, : camera.width]
            copy = av.VideoFrame.from_ndarray(np.ascontiguousarray(luma[: camera.height]), format="gray")
            copy.pts = number
            target.mux(stream.encode(copy))
        target.mux(stream.encode(None))
    return path


def test_laundered_footage_is_known_by_its_copies(tmp_path):
    camera = Camera(96, 96, 500, 120, noise=(1.0, 0.0))
    clip = laundered(tmp_path, camera, quality=20, seed=1)
    run = recover_clip(clip, tmp_path / "run", shutter="global")
    assert any("repeats the frame before to the bit" in warning for warning in run.result["warnings"])
    assert run.result["verdict"] != "signal"


def test_coarse_pictures_aren_t_said_to_have_been_predicted(tmp_path):
    """Where noise doesn't change a picture's levels its blocks repeat, too."""
    camera = Camera(96, 96, 500, 60, noise=(0.5, 0.0))
    clip = write_clip(simulate(camera, scene="page", sound="silence"), tmp_path / "clip.avi", codec="mjpeg", quality=16)
    run = recover_clip(clip, tmp_path / "run", shutter="global")
    (warning,) = (each for each in run.result["warnings"] if "repeats the frame before to the bit" in each)
    assert "compression is too coarse to show what changes there, or it was" in warning


@pytest.mark.parametrize("sound", ["silence", "tone:110"])
def test_a_camera_s_own_frames_don_t_repeat(tmp_path, sound):
    camera = Camera(96, 96, 500, 120, noise=(1.0, 0.0))
    clip = write_clip(simulate(camera, scene="page", sound=sound, rms_px=0.05), tmp_path / "clip.mkv")
    run = recover_clip(clip, tmp_path / "run", shutter="global")
    assert not any("repeats the frame before" in warning for warning in run.result["warnings"])


def test_frames_that_never_change_hold_no_signal(tmp_path):
    camera = Camera(96, 96, 60, 90, noise=(0.0, 0.0))
    clip = write_clip(simulate(camera, scene="edges", sound="silence"), tmp_path / "clip.mkv")
    run = recover_clip(clip, tmp_path / "run", shutter="rolling", row_time="100us")
    assert run.result["verdict"] == "no-signal"


def test_other_evidence_under_the_same_mark_is_told(tmp_path):
    for seed in (1, 2):
        (tmp_path / f"{seed}").mkdir()
        write_clip(simulate(Camera(64, 48, 500, 60), sound="silence", seed=seed), tmp_path / f"{seed}" / "clip.mkv")
        run = recover_clip(tmp_path / f"{seed}" / "clip.mkv", tmp_path / "runs" / f"{seed}", shutter="global")
    assert any("run 1 had other evidence as exhibit E1" in warning for warning in run.result["warnings"])
