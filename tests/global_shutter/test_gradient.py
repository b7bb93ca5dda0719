"""Least squares on the gradient against known motion: the bound, drift, bad pixels, brightness, silence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Motion, Region, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.testing import Camera, Flicker, Occluder, Simulation, StoredFrames, simulate
from vmforensics_global_shutter.aligned_sum import AlignedSum
from vmforensics_global_shutter.gradient import Gradient, GradientParams
from vmforensics_global_shutter.tracker import Anchor, Readings

X, Y = (1.0, 0.0), (0.0, 1.0)
RATE = 2200.0


def clip(
    sound: str = "chirp:50-1000",
    *,
    size: tuple[int, int] = (160, 120),
    frames: int = 400,
    noise: tuple[float, float] = (1.0, 0.0),
    scene: str = "natural",
    seed: int = 1,
    **more: object,
) -> Simulation:
    camera = Camera(width=size[0], height=size[1], fps=RATE, frames=frames, noise=noise)
    return simulate(camera, scene=scene, sound=sound, seed=seed, **more)  # type: ignore[arg-type]


def measure(frames: NDArray[np.uint8], *, block: int = 64) -> Motion:
    return Gradient().estimate(StoredFrames(frames, rate=RATE, block=block).sensor_frames())


def bound(simulation: Simulation) -> float:
    """Cramér-Rao bound of the displacement along the true axis, px: 1/√Σ(∂I)²/σ², of the picture without noise."""
    camera = dataclasses.replace(simulation.camera, frames=2, noise=(0.0, 0.0), bits=16)
    picture = simulate(camera, scene=simulation.scene, sound="silence", seed=simulation.seed).frames[0] / 257.0
    spectrum = np.fft.fft2(np.block([[picture, picture[:, ::-1]], [picture[::-1], picture[::-1, ::-1]]]))
    x, y = simulation.truth.axis
    turns = 2j * np.pi * (x * np.fft.fftfreq(spectrum.shape[1]) + y * np.fft.fftfreq(spectrum.shape[0])[:, None])
    slope = np.fft.ifft2(spectrum * turns).real[: len(picture), : picture.shape[1]]
    a, b = simulation.camera.noise
    return float(1 / np.sqrt(np.sum(slope**2 / (a + b * picture + 1 / 12))))


def gain_and_error(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """Gain, and RMS of what isn't the true motion, px; nothing slower than 25 Hz counts where the picture drifts."""
    from scipy.fft import dct

    truth = simulation.truth
    found = motion.along(truth.axis)[0][:, 0] - truth.drift[:, 0] @ truth.axis
    slow = round(2 * 25 * len(found) / RATE) if any(simulation.drift) else 1
    fast, expected = (
        (dct(v - np.linspace(v[0], v[-1], len(v)), norm="ortho")[slow:] for v in (found, truth.displacement[:, 0]))
        if slow > 1
        else (found - found.mean(), truth.displacement[:, 0] - truth.displacement[:, 0].mean())
    )
    return float(fast @ expected / (expected @ expected)), float(np.sqrt(np.mean((fast - expected) ** 2)))


@pytest.mark.parametrize(
    ("rms_px", "direction", "scene"),
    [
        (0.003, 45, "print"),
        (0.05, 0, "natural"),
        (0.05, 90, "edges"),
        (0.1, 37, "natural"),
        (0.02, 160, "soft"),
    ],
)
def test_motion_is_measured_at_the_bound(rms_px: float, direction: float, scene: str) -> None:
    simulation = clip(rms_px=rms_px, direction=direction, scene=scene)
    gain, error = gain_and_error(measure(simulation.frames), simulation)
    standard_error = bound(simulation) / (rms_px * np.sqrt(len(simulation.frames)))
    assert gain == pytest.approx(1, abs=0.01 + 2.5 * standard_error)
    assert 20 * np.log10(error / bound(simulation)) < 0.5


@pytest.mark.parametrize("scene", ["edges", "print"])
def test_peaks_beyond_the_linear_range_don_t_cost_the_picture_s_edges(scene: str) -> None:
    simulation = clip(rms_px=0.1, scene=scene, sound="melody", frames=1000)
    assert np.abs(simulation.truth.displacement).max() > 0.2
    gain, error = gain_and_error(measure(simulation.frames), simulation)
    assert gain == pytest.approx(1, abs=0.01)
    assert 20 * np.log10(error / bound(simulation)) < 0.5


@pytest.mark.parametrize("scene", ["natural", "soft"])
def test_a_drifting_picture_is_followed_and_said_to_be(scene: str) -> None:
    simulation = clip(rms_px=0.05, frames=600, drift=(7.0, 5.0), scene=scene, size=(200, 150))
    motion = measure(simulation.frames)
    gain, error = gain_and_error(motion, simulation)
    assert gain == pytest.approx(1, abs=0.01)
    assert 20 * np.log10(error / bound(simulation)) < 1.4
    path, _ = motion.frame_means()
    np.testing.assert_allclose(path[-60:].mean(axis=0) - path[:60].mean(axis=0), (6.3, 4.5), atol=0.05)
    assert any("it was followed, and linearised anew" in warning for warning in motion.warnings)
    assert not motion.doubt


def test_a_picture_that_jumps_is_in_doubt() -> None:
    frames = clip("silence", frames=120).frames.copy()
    frames[60:] = np.roll(frames[60:], (31, 47), (1, 2))
    motion = measure(frames)
    assert "couldn't be followed" in motion.doubt
    assert motion.observed[:60].all()


@pytest.mark.parametrize("what", ["noise", "negative", "black"])
def test_one_frame_of_something_else_costs_no_more_than_itself(what: str) -> None:
    simulation = clip(rms_px=0.03, frames=200)
    frames = simulation.frames.copy()
    other = {
        "noise": np.random.default_rng(1).integers(0, 256, frames[0].shape),
        "negative": 255 - frames[0],
        "black": 0,
    }
    frames[70] = other[what]
    clear, spoilt = measure(simulation.frames), measure(frames)
    assert not spoilt.observed[70].any()
    assert np.delete(spoilt.observed, 70).all()
    assert np.linalg.norm(spoilt.precision) > 0.7 * np.linalg.norm(clear.precision)
    rest = np.delete(spoilt.along(X)[0] - clear.along(X)[0], 70, axis=0)
    assert np.std(rest) < 0.5 * bound(simulation)


def test_a_reading_that_runs_away_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Higher orders may, in a damaged frame; the picture isn't sought beyond the horizon for it."""
    frames = clip(rms_px=0.1, frames=120).frames
    straightened = Anchor.straightened

    def runaway(self: Anchor, readings: Readings) -> NDArray[np.float64]:
        straight = straightened(self, readings)
        if len(straight) > 100:
            straight[77] = 1e10
        return straight

    monkeypatch.setattr(Anchor, "straightened", runaway)
    motion = measure(frames, block=120)
    assert np.flatnonzero(~motion.observed[:, 0]).tolist() == [77]
    assert np.abs(motion.displacement).max() < 1


@pytest.mark.parametrize(("predicted", "doubted"), [(True, True), (False, False)])
def test_what_passes_a_predicted_picture_leaves_it_in_doubt(predicted: bool, doubted: bool) -> None:
    simulation = clip("silence", frames=420, occluder=Occluder(24, 60, 0.13, 0.18), scene="camera")
    stream = StoredFrames(simulation.frames, rate=RATE)
    stream.facts = {**stream.facts, "inter_coded": predicted}
    motion = Gradient().estimate(stream.sensor_frames())
    assert any("something covers" in warning for warning in motion.warnings)
    assert ("whose frames were predicted from one another" in motion.doubt) is doubted


def test_loud_motion_is_read_beyond_the_first_order() -> None:
    simulation = clip("tone:310", rms_px=0.3, noise=(0.5, 0), size=(200, 150))
    motion = measure(simulation.frames)
    gain, error = gain_and_error(motion, simulation)
    assert gain == pytest.approx(1, abs=0.01)
    assert error < 0.01 * 0.3


def test_tiles_say_where_they_are_and_only_those_that_move_do() -> None:
    moving = Region(16, 16, 70, 88)
    simulation = clip("tone:310", rms_px=0.08, moving=moving)
    motion = measure(simulation.frames)
    assert sorted({c.half for c in motion.channels if c.half is not None}) == [0, 1]
    truth = simulation.truth.displacement[:, 0]
    for number, channel in enumerate(motion.channels):
        place = channel.place
        assert place is not None
        if channel.response != X or motion.precision[0, 0, number, number] < 400:
            continue
        gain = float(motion.displacement[:, 0, number] @ truth / (truth @ truth))
        left, right = place.x >= moving.x + 2, place.x + place.width <= moving.x + moving.width - 2
        top, bottom = place.y >= moving.y + 2, place.y + place.height <= moving.y + moving.height - 2
        if left and right and top and bottom:
            assert gain == pytest.approx(1, abs=0.1)
        elif place.x > moving.x + moving.width + 2:
            assert gain == pytest.approx(0, abs=0.1)


def test_fine_print_is_measured_as_well_at_a_tenth_of_a_pixel() -> None:
    quiet, loud = (clip(rms_px=rms, scene="print") for rms in (0.005, 0.1))
    (_, least), (gain, error) = (gain_and_error(measure(s.frames), s) for s in (quiet, loud))
    assert gain == pytest.approx(1, abs=0.01)
    assert 20 * np.log10(error / least) < 0.5


def test_tiles_have_the_size_that_is_asked_for() -> None:
    frames = StoredFrames(clip(frames=40).frames, rate=RATE).sensor_frames()
    for size, tiles in ((40.0, 12), (80.0, 4), (1000.0, 2)):
        motion = Gradient(GradientParams(tile=size)).estimate(frames)
        assert len({channel.place for channel in motion.channels}) == tiles
        assert {channel.half for channel in motion.channels} == {0, 1}


@pytest.mark.parametrize("trouble", ["hot", "letterbox", "saturated", "twinkling"])
def test_pixels_that_show_no_scene_are_left_out(trouble: str) -> None:
    simulation = clip(rms_px=0.05, noise=(2.0, 0.0))
    frames = simulation.frames.copy()
    generator = np.random.default_rng(5)
    if trouble == "hot":
        y, x = generator.integers(5, 110, 40), generator.integers(5, 150, 40)
        frames[:, y, x] = 255
    elif trouble == "letterbox":
        frames[:, :20] = frames[:, -20:] = 16
    elif trouble == "saturated":
        frames = np.minimum(frames.astype(np.int64) + 255 - int(np.quantile(frames[0], 0.8)), 255).astype(np.uint8)
    else:
        frames[:, 40:70, 60:100] = generator.integers(0, 255, (len(frames), 30, 40))
    gain, error = gain_and_error(measure(frames), simulation)
    assert gain == pytest.approx(1, abs=0.04)
    # where light is cut off, slopes are only nearly known
    assert error < (0.05 * 0.05 if trouble == "saturated" else 1.6 * bound(simulation))


def test_flicker_is_no_motion_and_scales_none() -> None:
    dark, lit = (clip(rms_px=0.05, flicker=f) for f in (None, Flicker(frequency=100, depth=0.2)))
    assert np.ptp(lit.frames.mean(axis=(1, 2))) > 20
    (_, quiet), (gain, flickering) = (gain_and_error(measure(s.frames), s) for s in (dark, lit))
    assert gain == pytest.approx(1, abs=0.01)
    assert flickering < 1.3 * quiet


@pytest.mark.parametrize("scene", ["print", "rocket"])
def test_a_camera_that_moves_in_flickering_light_shows_no_other_motion_for_it(scene: str) -> None:
    """The light changes how much a motion changes pixels by; what it does to noise isn't what makes a pixel bad."""
    errors = []
    for flicker in (None, Flicker(frequency=100, depth=0.2)):
        camera = Camera(160, 120, 240.0, 300, noise=(1.0, 0.03))
        shaken = simulate(camera, scene=scene, sound="silence", handheld=4.0, flicker=flicker, seed=2)
        motion = StoredFrames(shaken.frames, rate=240.0).sensor_frames()
        found = Gradient().estimate(motion).along(X)[0][:, 0] - shaken.truth.drift[:, 0, 0]
        spectrum = np.abs(np.fft.rfft((found - found.mean()) * np.hanning(len(found)))) ** 2
        errors.append(float(np.sqrt(spectrum[np.fft.rfftfreq(len(found), 1 / 240) > 30].mean())))
    assert errors[1] < 1.25 * errors[0]


@pytest.mark.parametrize("trouble", [{}, {"drift": (3.0, 2.0)}, {"flicker": Flicker(frequency=100, depth=0.1)}])
def test_silence_stays_silent(trouble: dict[str, object]) -> None:
    for seed in range(4):
        simulation = clip("silence", size=(128, 96), seed=seed, scene=("print", "soft")[seed % 2], **trouble)
        motion = measure(simulation.frames)
        detection = detect(motion, AlignedSum().combine(motion), false_alarm_rate=1e-3)
        assert detection.verdict is not Verdict.SIGNAL, detection.reason


def test_stated_noise_is_the_noise_there_is() -> None:
    motion = measure(clip("silence", scene="print", noise=(1.0, 0.03), frames=700).frames)
    for axis in (X, Y):
        displacement, information = motion.along(axis)
        assert np.std(displacement) * np.sqrt(information[0, 0]) == pytest.approx(1, abs=0.08)
    readings = motion.displacement[:, 0] - motion.displacement[:, 0].mean(axis=0)
    values, vectors = np.linalg.eigh(motion.precision[0, 0].astype(np.float64))
    whitened = readings @ vectors[:, values > 1e-6 * values[-1]] * np.sqrt(values[values > 1e-6 * values[-1]])
    assert np.mean(whitened**2) == pytest.approx(1, abs=0.08)


def test_the_result_does_not_depend_on_the_blocks_that_frames_come_in() -> None:
    frames = clip(frames=300, size=(100, 70), rms_px=0.05).frames
    found = [measure(frames, block=b) for b in (1, 7, 300)]
    for other in found[1:]:
        assert other.displacement.tobytes() == found[0].displacement.tobytes()
        assert other.precision.tobytes() == found[0].precision.tobytes()


def test_frames_are_decoded_once() -> None:
    stored = StoredFrames(clip(frames=300, size=(100, 70)).frames, rate=RATE)
    passes = []
    blocks = stored.blocks
    stored.blocks = lambda: passes.append(1) or blocks()  # type: ignore[method-assign,func-returns-value]
    Gradient().estimate(stored.sensor_frames())
    assert len(passes) == 1


def test_what_cannot_be_measured_on_is_refused() -> None:
    with pytest.raises(RegionError, match="0,0,160,120 holds no texture"):
        measure(clip(scene="grey", frames=20).frames)
    with pytest.raises(RegionError, match="12 rows of 40 px; gradient needs at least 16"):
        measure(clip(size=(40, 12), frames=20).frames)
    with pytest.raises(TooFewFrames, match="only 2 frames"):
        measure(clip(frames=2).frames)
