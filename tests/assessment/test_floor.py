"""The noise floor: what it is where halves agree better or worse than stated, and what the assessment says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from vmforensics.assessment import Knowledge, assess_clip
from vmforensics.assessment.floor import Floor, floor_of
from vmforensics.data import Channel, Motion, Shutter
from vmforensics.testing import Camera, simulate, write_clip, write_image_sequence
from vmforensics.testing.sound import silence

RATE = 1000.0  # frames/s
CHANNELS = tuple(
    Channel(f"{name}, half {half}", response, half)
    for half in (0, 1)
    for name, response in (("x", (1.0, 0.0)), ("y", (0.0, 1.0)))
)
SIGMA = 1e-3  # px; of a half


def motion(common=(0.0, 0.0), *, known=(1.0, 1.0), offset=0.0, gaps=False):
    """Noise of two halves as it is stated, and fast motion that both share, along x and y; known better along one."""
    random = np.random.default_rng(3)
    sigma = np.tile(SIGMA / np.asarray(known), 2)
    shared = np.tile(np.asarray(common), 2) * random.standard_normal((800, 1))
    displacement = (shared + offset + sigma * random.standard_normal((800, 4))).astype(np.float32)[:, None]
    observed = np.ones((800, 1), bool)
    observed[4::5] = not gaps
    return Motion(
        displacement=np.where(observed[..., None], displacement, np.float32(0)),
        precision=np.diag(1 / sigma**2).astype(np.float32)[None, None],
        observed=observed,
        frame_times=np.arange(800) / RATE,
        row_offsets=np.zeros(1),
        channels=CHANNELS,
        frame_rate=RATE,
    )


def measured(of):
    floor = floor_of(of, lowest=80.0, highest=1000.0)
    assert floor is not None
    return floor


def test_noise_is_what_is_stated_where_it_is_right():
    floor = measured(motion())
    assert floor.density == pytest.approx(SIGMA / np.sqrt(2) * np.sqrt(2 / RATE), rel=0.15)
    assert floor.most == pytest.approx(floor.density, rel=0.15)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_both_halves_show_is_seen_in_whichever_direction_it_is(axis):
    """A recovery takes the direction that moves most, not the one that is measured most surely."""
    common = np.zeros(2)
    common[axis] = 5 * SIGMA
    floor = measured(motion(common, known=(1.0, 0.7)))
    assert abs(floor.axis[0]) > 0.9
    assert floor.seen == pytest.approx(5 * np.sqrt(2) * (1.0, 0.7)[axis], rel=0.2)
    assert floor.excess == pytest.approx(1, abs=0.15)
    assert floor.most > 3 * floor.density


def test_where_the_picture_stands_is_no_noise():
    """With frames missing in a regular pattern, a constant would be a tone of a fifth of the frame rate."""
    assert measured(motion(offset=1.0, gaps=True)).seen == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("own", "share"), [(False, 0.4), (True, np.sqrt(0.4))])
def test_halves_that_agree_too_well_are_frames_held_alike(own, share):
    floor = Floor(2.0, 0.3, 0.4, (1.0, 0.0), None, None, 1.0, RATE, own)
    assert floor.density == pytest.approx(2.0 * share)
    assert replace(floor, excess=1.5).density == pytest.approx(3.0)


def assessed(folder, sound, rms_px=0.0, **camera):
    clip = write_clip(
        simulate(Camera(96, 64, 500, 100, **camera), scene="camera", sound=sound, rms_px=rms_px), folder / "clip.mkv"
    )
    return assess_clip(clip, folder / "out", known=Knowledge(shutter="global")).result


def test_motion_that_stands_out_makes_the_noise_less_than_firm(tmp_path):
    result = assessed(tmp_path, "tone:150", 0.05)
    assert any("isn't firm" in reason for reason in result["reasons"])
    (method,) = result["methods"]
    assert method["noise_density_at_most_px_per_rthz"] > 2 * method["noise_density_px_per_rthz"]
    assert not method["noise_is_firm"]


def test_a_soundless_clip_s_noise_is_firm(tmp_path):
    result = assessed(tmp_path, silence())
    assert not any("isn't firm" in reason or "repeat" in reason for reason in result["reasons"])
    assert result["methods"][0]["frames_repeated"] == 0


@pytest.mark.parametrize(
    ("repeated", "told"), [((20, 47, 71), "3 of the 100 frames"), (tuple(range(5, 100, 5)), "regular pattern")]
)
def test_frames_that_repeat_another_are_told(tmp_path, repeated, told):
    result = assessed(tmp_path, silence(), repeated=repeated)
    assert result["methods"][0]["frames_repeated"] == len(repeated)
    assert any(told in reason for reason in result["reasons"])
    assert result["verdict"] != "suitable"


def test_one_picture_over_and_over_is_told(tmp_path):
    result = assessed(tmp_path, silence(), repeated=tuple(range(1, 100)))
    assert result["verdict"] != "suitable"
    assert any("all 100 frames measured are the same to the bit" in reason for reason in result["reasons"])


@pytest.mark.parametrize("what", ["black", "noise"])
def test_what_flashes_up_is_left_out_and_told(what: str, tmp_path: Path) -> None:
    shutter = Shutter(line_delay=100e-6)
    simulation = simulate(
        Camera(96, 120, 60, 60, noise=(1.0, 0.0), shutter=shutter), scene="natural", sound="silence", seed=3
    )
    write_image_sequence(simulation, tmp_path / "clip")
    known = Knowledge(shutter="rolling", row_time=100e-6, capture_fps=60.0)
    clear = assess_clip(tmp_path / "clip", tmp_path / "clear", known=known).result
    picture = np.zeros((120, 96)) if what == "black" else np.random.default_rng(0).integers(0, 255, (120, 96))
    imsave(sorted((tmp_path / "clip").glob("*.png"))[33], picture.astype(np.uint8), check_contrast=False)
    spoilt = assess_clip(tmp_path / "clip", tmp_path / "spoilt", known=known).result
    assert any("another for a moment at frame 33" in reason for reason in spoilt["reasons"])
    assert not any("clipped" in reason for reason in spoilt["reasons"])
    densities = [each["methods"][0]["noise_density_px_per_rthz"] for each in (clear, spoilt)]
    assert densities[1] == pytest.approx(densities[0], rel=0.1)
