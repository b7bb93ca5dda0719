"""A clip that is cut: its longest shot is measured, the others count as gaps; a flash or a pan is no cut."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imsave

from vmforensics.data import Shutter
from vmforensics.recovery import recover_clip
from vmforensics.shots import cuts_of, intruders_of, longest_shot
from vmforensics.testing import Camera, simulate, write_image_sequence


def noticed(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What an inspected stream notices of frames: change and bands' brightness."""
    change = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2))
    return np.concatenate([[0.0], change]), frames.mean(axis=2)


def scene(name: str, count: int = 30, **more) -> np.ndarray:
    return simulate(Camera(96, 64, 60, count, noise=(4.0, 0.0)), scene=name, sound="silence", **more).frames


def test_a_cut_is_found_where_it_is():
    frames = np.concatenate([scene("camera", 20), scene("text", 40), scene("coffee", 15)])
    cuts = cuts_of(*noticed(frames), 255)
    assert cuts == (20, 60)
    assert longest_shot(cuts, 75) == (20, 60)


@pytest.mark.parametrize("what", ["still", "handheld", "drift", "flash"])
def test_what_is_no_cut(what):
    more = {"handheld": {"handheld": 12.0}, "drift": {"drift": (20.0, 8.0)}}.get(what, {})
    frames = scene("camera", 60, **more)
    if what == "flash":
        frames = frames.copy()
        frames[30] = np.minimum(frames[30].astype(int) + 60, 255)
    assert cuts_of(*noticed(frames), 255) == ()


STRANGE = {
    "flash": lambda picture: np.minimum(picture.astype(int) + 60, 255),
    "black": lambda picture: 0 * picture,
    "noise": lambda picture: np.random.default_rng(3).integers(0, 255, picture.shape),
    "splice": lambda picture: picture[::-1, ::-1],
}


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("where", [(30,), (30, 31, 32), (12, 40)])
def test_what_flashes_up_is_found(strange: str, where: tuple[int, ...]):
    frames = scene("camera", 60, handheld=4.0).copy()
    for k in where:
        frames[k] = STRANGE[strange](frames[k])
    change, light = noticed(frames)
    assert cuts_of(change, light, 255) == ()
    assert intruders_of(change, light, 255) == where


def test_a_light_that_flashes_all_the_time_is_no_intruder():
    frames = scene("camera", 60).copy()
    frames[::9] = 0
    assert intruders_of(*noticed(frames), 255) == ()


def test_a_cut_is_no_intruder():
    frames = np.concatenate([scene("camera", 20), scene("text", 40), scene("camera", 15)])
    assert intruders_of(*noticed(frames), 255) == ()


def cut_clip(folder, *takes: tuple[str, Camera, dict]):
    """Pictures of several takes, one after the other."""
    into = folder / "clip"
    into.mkdir()
    number = 0
    for name, camera, more in takes:
        write_image_sequence(simulate(camera, scene=name, **more), folder / name)
        for picture in sorted((folder / name).glob("*.png")):
            picture.rename(into / f"{number:04}.png")
            number += 1
    return into


def test_only_the_longest_shot_is_measured(tmp_path):
    short, long = (Camera(96, 80, 500, count, noise=(1.0, 0.0)) for count in (40, 700))
    sound = {"sound": "tone:110", "rms_px": 0.05}
    clip = cut_clip(tmp_path, ("text", short, sound), ("camera", long, sound))
    run = recover_clip(clip, tmp_path / "run", shutter="global", capture_fps=500)
    assert any("only the longest shot, frames 40 to 739" in warning for warning in run.result["warnings"])
    assert run.result["verdict"] == "signal"
    with np.load(run.folder / "signal.npz") as arrays:
        observed = arrays["raw_observed"]
    assert not observed[:39].any()
    assert observed[41:].all()


def test_a_rolling_shutter_s_clip_is_cut_too(tmp_path):
    long, short = (
        Camera(96, 64, 60, count, noise=(1.0, 0.0), shutter=Shutter(line_delay=200e-6)) for count in (70, 12)
    )
    clip = cut_clip(tmp_path, ("camera", long, {"sound": "silence"}), ("text", short, {"sound": "silence"}))
    run = recover_clip(clip, tmp_path / "run", shutter="rolling", row_time="200us", capture_fps=60)
    assert run.result["verdict"] in ("no-signal", "undetermined")
    assert any("frames 0 to 69" in warning for warning in run.result["warnings"])


@pytest.mark.parametrize("strange", ["black", "noise"])
@pytest.mark.parametrize("shutter", ["rolling", "global"])
def test_one_frame_of_something_else_is_a_gap_and_costs_nothing_more(tmp_path, strange: str, shutter: str):
    camera = {
        "rolling": Camera(96, 120, 60, 80, noise=(1.0, 0.0), shutter=Shutter(line_delay=100e-6)),
        "global": Camera(96, 80, 500, 300, noise=(1.0, 0.0)),
    }[shutter]
    settings = {"shutter": shutter, "capture_fps": camera.fps}
    settings |= {"row_time": "100us"} if shutter == "rolling" else {}
    simulation = simulate(camera, scene="natural", sound="tone:110", rms_px=0.05)
    write_image_sequence(simulation, tmp_path / "clip")
    clear = recover_clip(tmp_path / "clip", tmp_path / "clear", **settings)
    picture = sorted((tmp_path / "clip").glob("*.png"))[35]
    imsave(picture, STRANGE[strange](simulation.frames[35]).astype(np.uint8), check_contrast=False)
    spoilt = recover_clip(tmp_path / "clip", tmp_path / "spoilt", **settings)
    assert any("another for a moment at frame 35" in warning for warning in spoilt.result["warnings"])
    assert clear.result["verdict"] == spoilt.result["verdict"] == "signal"
    sigma = []
    for run in (clear, spoilt):
        with np.load(run.folder / "signal.npz") as arrays:
            sigma.append(np.median(arrays["sigma_px"]))
    assert sigma[1] < 1.1 * sigma[0]
