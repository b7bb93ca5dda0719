"""Row motion against known motion: gain, honest σ, the noise bound, instants, halves, sway, and what it refuses."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmforensics.data import Motion, ReadoutDirection, Region, Shutter, Verdict
from vmforensics.detection import detect
from vmforensics.errors import RegionError, TooFewFrames
from vmforensics.testing import Camera, Flicker, Simulation, StoredFrames, simulate
from vmforensics_rolling_shutter.gap.row_average import RowAverage
from vmforensics_rolling_shutter.motion.row_motion import RowMotion, RowMotionParams

X, Y, SLANTED = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)


def clip(
    sound: str = "tone:311",
    *,
    width: int = 192,
    height: int = 64,
    frames: int = 60,
    noise: tuple[float, float] = (1.0, 0.0),
    bits: int = 8,
    readout: ReadoutDirection = ReadoutDirection.TOP_TO_BOTTOM,
    rms_px: float = 0.03,
    scene: str = "print",
    seed: int = 3,
    contrast: float = 0.4,
    brightness: float = 0.5,
    line_delay: float | None = None,
    exposure: float = 1e-4,
    **more: Any,
) -> Simulation:
    """A clip at 60 fps whose rows are read out in 13.4 ms, unless another line delay is given."""
    rows = width if readout.along_columns else height
    shutter = Shutter(line_delay=line_delay or 13.4e-3 / rows, exposure=exposure, direction=readout)
    camera = Camera(
        width=width,
        height=height,
        fps=60,
        frames=frames,
        noise=noise,
        bits=bits,
        contrast=contrast,
        brightness=brightness,
        shutter=shutter,
    )
    rms_px = 0.0 if sound == "silence" else rms_px
    return simulate(camera, scene=scene, sound=sound, rms_px=rms_px, seed=seed, **more)


def measure(simulation: Simulation, region: Region | None = None) -> Motion:
    return RowMotion().estimate(simulation.sensor_frames(region))


def error_of(motion: Motion, simulation: Simulation) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Truth less its mean over the frames, error, and information, where observed."""
    found, information = motion.along(simulation.truth.axis)
    truth = simulation.truth.displacement
    truth = truth - truth.mean(axis=0)  # it went with the template
    seen = information > 0
    return truth[seen], (found - truth)[seen], information[seen]


def gain_of(motion: Motion, simulation: Simulation) -> tuple[float, float]:
    """The gain, and its standard uncertainty from the stated σ."""
    truth, error, information = error_of(motion, simulation)
    power = float(np.sum(information * truth**2))
    return 1 + float(np.sum(information * error * truth)) / power, 1 / np.sqrt(power)


def spread_of(motion: Motion, simulation: Simulation) -> float:
    """RMS of the error in units of the stated σ."""
    _, error, information = error_of(motion, simulation)
    return float(np.sqrt(np.mean(error**2 * information)))


@pytest.mark.parametrize("direction", [0.0, 37.0, 90.0, 135.0])
@pytest.mark.parametrize("scene", ["print", "natural", "edges"])
@pytest.mark.parametrize("rms_px", [0.005, 0.03, 0.1])
def test_the_gain_is_right(scene: str, direction: float, rms_px: float) -> None:
    simulation = clip(scene=scene, direction=direction, rms_px=rms_px)
    gain, uncertainty = gain_of(measure(simulation), simulation)
    assert gain == pytest.approx(1, abs=0.01 + 3 * uncertainty)


@pytest.mark.parametrize(("scene", "direction"), [("soft", 0.0), ("soft", 90.0), ("bars", 37.0)])
def test_the_gain_is_right_where_a_row_sees_little_or_one_direction_only(scene: str, direction: float) -> None:
    simulation = clip(scene=scene, direction=direction, rms_px=0.05)
    gain, uncertainty = gain_of(measure(simulation), simulation)
    assert uncertainty < 0.02
    assert gain == pytest.approx(1, abs=0.012 + 3 * uncertainty)


@pytest.mark.parametrize("direction", [0.0, 45.0, 90.0])
@pytest.mark.parametrize("rms_px", [0.2, 0.3])
def test_the_gain_is_right_for_strong_motion(rms_px: float, direction: float) -> None:
    """At an ordinary row time; strong motion blurs its own template, and leaves the first order behind."""
    simulation = clip(rms_px=rms_px, direction=direction, line_delay=20e-6)
    gain, uncertainty = gain_of(measure(simulation), simulation)
    assert gain == pytest.approx(1, abs=0.01 + 3 * uncertainty)


@pytest.mark.parametrize("direction", [0.0, 37.0, 90.0, 135.0])
def test_motion_in_any_direction_is_found_on_its_principal_axis(direction: float) -> None:
    simulation = clip(rms_px=0.02, direction=direction)
    axis = measure(simulation).steadied()[0].principal_axis()
    assert abs(np.dot(axis, simulation.truth.axis)) > np.cos(np.deg2rad(2))


def test_the_gain_does_not_depend_on_the_bit_depth() -> None:
    simulation = clip(bits=12, noise=(200.0, 0.1))
    motion = measure(simulation)
    gain, uncertainty = gain_of(motion, simulation)
    assert gain == pytest.approx(1, abs=0.01 + 3 * uncertainty)
    assert spread_of(motion, simulation) == pytest.approx(1, abs=0.07)


def test_a_noisy_template_of_few_frames_does_not_shrink_the_motion() -> None:
    """Noise in the gradient would cost 4 % here (errors in variables)."""
    gains, weights = [], []
    for seed in range(6):
        simulation = clip(scene="natural", noise=(60.0, 0.0), frames=12, rms_px=0.1, seed=seed, width=256)
        gain, uncertainty = gain_of(measure(simulation), simulation)
        gains.append(gain)
        weights.append(1 / uncertainty**2)
    assert np.sum(weights) ** -0.5 < 0.01
    assert np.average(gains, weights=weights) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("noise", [(1.0, 0.0), (4.0, 0.0), (0.5, 0.04)])
@pytest.mark.parametrize("scene", ["print", "natural", "edges", "soft"])
@pytest.mark.parametrize("sound", ["silence", "tone:311"])
def test_sigma_is_honest(scene: str, noise: tuple[float, float], sound: str) -> None:
    simulation = clip(sound, scene=scene, noise=noise, direction=30)
    motion = measure(simulation)
    assert 0.93 < spread_of(motion, simulation) < 1.07
    if sound == "silence":
        for axis in (X, Y):
            found, information = motion.along(axis)
            seen = information > 0
            assert 0.93 < np.sqrt(np.mean(found[seen] ** 2 * information[seen])) < 1.07


def test_sigma_is_honest_in_dark_and_in_bright_rows() -> None:
    """Shot noise: 0.5 + 0.1·I DN²."""
    still = clip("silence", noise=(0.0, 0.0), bits=16, frames=1).frames[0] / (65535 / 255)
    shaded = still * np.linspace(0.2, 1.0, 64)[:, None]
    noise = np.sqrt(0.5 + 0.1 * shaded) * np.random.default_rng(1).standard_normal((120, *shaded.shape))
    frames = np.rint(shaded + noise).clip(0, 255).astype(np.uint8)
    motion = RowMotion().estimate(StoredFrames(frames, rate=60.0).sensor_frames(Shutter(line_delay=2e-4)))
    found, information = motion.along(X)
    for rows in (slice(0, 16), slice(24, 40), slice(48, 64)):
        assert np.sqrt(np.mean((found**2 * information)[:, rows])) == pytest.approx(1, abs=0.05)


def information_bound(simulation: Simulation) -> NDArray[np.float64]:
    """Fisher information of each row about (dx, dy), from the noise-free scene [shape=(rows, 2, 2), 1/px²].

    The gradient is the central difference of pictures 0.1 px apart, exact to 0.1 %.
    """
    camera, (a, b) = simulation.camera, simulation.camera.noise
    slopes = []
    for step in ((0.15, 0.0), (0.0, 0.15)):  # over the three frames: 0, 0.05 and 0.1 px
        still = Camera(width=camera.width, height=camera.height, frames=3, bits=16, noise=(0, 0))
        before, here, after = simulate(
            still, scene=simulation.scene, sound="silence", drift=step, seed=simulation.seed
        ).frames / (65535 / 255)
        slopes.append((after - before) / 0.1 / np.sqrt(a + b * here + 1 / 12))
    design = np.stack(slopes, axis=-1)
    return np.einsum("rca,rcb->rab", design, design)


@pytest.mark.parametrize("noise", [(2.0, 0.0), (0.5, 0.03)])
@pytest.mark.parametrize("scene", ["print", "natural"])
def test_the_noise_of_a_row_is_at_the_cramer_rao_bound(scene: str, noise: tuple[float, float]) -> None:
    simulation = clip("silence", scene=scene, noise=noise, frames=150)
    motion, bound = measure(simulation), information_bound(simulation)
    for axis in (X, Y, SLANTED):
        found, information = motion.along(axis)
        rows = (information > 0).all(axis=0)
        rows[:4] = rows[-4:] = False  # slopes across the outermost rows aren't known
        least = 1 / np.sqrt(np.einsum("a,rab,b->r", axis, bound, axis))
        efficiency = np.sqrt(np.mean(np.var(found, axis=0)[rows] / least[rows] ** 2))
        assert 0.95 < efficiency < 1.1


@pytest.mark.parametrize("scene", ["print", "natural", "edges"])
def test_the_halves_noise_is_uncorrelated(scene: str) -> None:
    for seed in range(3):
        motion = measure(clip("silence", scene=scene, seed=seed))
        for axis in (X, Y):
            halves = [motion.half(k).along(axis) for k in (0, 1)]
            seen = (halves[0][1] > 0) & (halves[1][1] > 0)
            first, second = ((found * np.sqrt(information))[seen] for found, information in halves)
            assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(first))


def test_the_halves_are_disjoint_stripes_that_see_the_same_motion() -> None:
    simulation = clip(rms_px=0.05)
    motion = measure(simulation)
    assert [c.half for c in motion.channels] == [0, 0, 1, 1]
    assert [c.response for c in motion.channels] == [X, Y, X, Y]
    for half in (0, 1):
        gain, _ = gain_of(motion.half(half), simulation)
        assert gain == pytest.approx(1, abs=0.015)
    narrow = RowMotion(RowMotionParams(stripe=8)).estimate(simulation.sensor_frames())
    assert not np.array_equal(narrow.displacement, motion.displacement)


@pytest.mark.parametrize("scene", ["print", "natural"])
def test_flicker_is_no_motion(scene: str) -> None:
    lamp = Flicker(frequency=100, depth=0.1)
    lit, dark = (clip(scene=scene, flicker=f) for f in (lamp, None))
    assert gain_of(measure(lit), lit)[0] == pytest.approx(gain_of(measure(dark), dark)[0], abs=0.004)
    silent = clip("silence", scene=scene, flicker=lamp)
    assert np.ptp(silent.frames[:, 30].mean(axis=1)) > 20
    motion = measure(silent)
    assert 0.9 < spread_of(motion, silent) < 1.07
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL


def test_a_brighter_row_shows_no_larger_motion() -> None:
    lamp = Flicker(frequency=30, depth=0.4)
    simulation = clip(rms_px=0.05, flicker=lamp, contrast=0.25)
    motion = measure(simulation)
    found, information = motion.along(X)
    truth = simulation.truth.displacement
    truth = truth - truth.mean(axis=0)
    light = lamp.light(motion.instants, 1e-4)
    for where in (light > 1.2, light < 0.8):
        weighted = (information * truth)[where]
        assert weighted @ found[where] / (weighted @ truth[where]) == pytest.approx(1, abs=0.03)


def glaring(sound: str, **more: Any) -> Simulation:
    """A picture whose highlights are clipped, more of them or fewer with a lamp's flicker."""
    lamp, size = Flicker(frequency=100, depth=0.2), {"width": 480, "height": 160, "frames": 90}
    how: dict[str, Any] = {"brightness": 0.8, "noise": (0.3, 0.0), "line_delay": 19e-6, "flicker": lamp, "rms_px": 0.1}
    return clip(sound, **{"scene": "camera", **size, **how, **more})


def test_clipped_highlights_under_flicker_are_no_motion() -> None:
    motion = measure(glaring("silence"))
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL
    assert motion.doubt == ""
    assert "clipped" in motion.warnings[0]
    assert 0.7 < spread_of(motion, glaring("silence")) < 1.15
    simulation = glaring("tone:311")
    gain, uncertainty = gain_of(measure(simulation), simulation)
    assert gain == pytest.approx(1, abs=0.01 + 3 * uncertainty)


def test_highlights_clipped_below_the_codes_end_are_no_motion_either() -> None:
    """As limited range clips them at 235."""
    frames = np.minimum(glaring("silence").frames, 235)
    motion = RowMotion().estimate(StoredFrames(frames, rate=60.0).sensor_frames(Shutter(line_delay=19e-6)))
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL
    assert "clipped" in motion.warnings[0]


def test_clipped_highlights_of_a_picture_that_is_followed_cast_doubt() -> None:
    motion = measure(glaring("silence", drift=(3.0, 0.0)))
    assert motion.path is not None
    assert "clipped" in motion.doubt


@pytest.mark.parametrize(
    ("scene", "codec", "doubted"),
    [("bars", "mjpeg", True), ("bars", "ffv1", False), ("bars", None, False), ("print", "mjpeg", False)],
)
def test_a_texture_that_repeats_itself_is_doubted_where_a_codec_errs(scene: str, codec: str, doubted: bool) -> None:
    simulation = clip("silence", scene=scene)
    stored = StoredFrames(simulation.frames, rate=60.0)
    stored.facts = {"codec": codec} if codec else {}
    motion = RowMotion().estimate(stored.sensor_frames(simulation.shutter))
    assert ("repeats itself" in motion.doubt) is doubted
    assert detect(motion, RowAverage().combine(motion)).verdict is (
        Verdict.UNDETERMINED if doubted else Verdict.NO_SIGNAL
    )


@pytest.mark.parametrize("scene", ["print", "natural"])
@pytest.mark.parametrize("sound", ["speech", "melody"])
def test_motion_too_strong_for_its_level_to_be_right_is_doubted(sound: str, scene: str) -> None:
    for rms_px, doubted in ((0.3, False), (0.5, True)):
        motion = measure(clip(sound, scene=scene, rms_px=rms_px, height=400, line_delay=19e-6, exposure=2e-5))
        assert motion.path is None
        assert ("level" in motion.doubt) is doubted


def test_silence_is_no_signal_and_sound_is() -> None:
    for sound, verdict in (("silence", Verdict.NO_SIGNAL), ("tone:311", Verdict.SIGNAL)):
        motion = measure(clip(sound))
        assert detect(motion, RowAverage().combine(motion)).verdict is verdict
        assert motion.doubt == ""
        assert motion.warnings == ()


@pytest.mark.parametrize("drift", [(1e-9, 0.0), (0.0, 1e-9), (1e-9, 1e-9)], ids=["across", "down", "both"])
def test_a_sway_of_a_fifth_of_a_pixel_is_no_hindrance(drift: tuple[float, float]) -> None:
    moved: dict[str, Any] = {"sway": 0.2, "sway_frequency": 1.0, "drift": drift, "height": 120}
    simulation = clip(direction=20, **moved)
    motion = measure(simulation)
    steady, _ = motion.steadied()
    gain, uncertainty = gain_of(steady, simulation)
    assert gain == pytest.approx(1, abs=0.012 + 3 * uncertainty)
    assert 0.9 < spread_of(steady, simulation) < 1.15
    assert motion.doubt == ""
    silent = measure(clip("silence", **moved))
    assert detect(silent, RowAverage().combine(silent)).verdict is Verdict.NO_SIGNAL


def frames_of(simulation: Simulation, **how: Any) -> Motion:
    stored = StoredFrames(simulation.frames, rate=60.0, **how)
    return RowMotion().estimate(stored.sensor_frames(simulation.shutter))


def test_the_result_does_not_depend_on_the_blocks_that_frames_come_in() -> None:
    simulation = clip()
    whole, information = (first := frames_of(simulation, block=1000)).along(SLANTED)
    for block in (2, 7, 59):
        other, known = frames_of(simulation, block=block).along(SLANTED)
        assert np.max(np.abs(other - whole) * np.sqrt(information)) < 0.03
        np.testing.assert_allclose(known, information, rtol=0.04)
    again = frames_of(simulation, block=1000)
    assert again.displacement.tobytes() == first.displacement.tobytes()
    assert again.precision.tobytes() == first.precision.tobytes()


def test_undecodable_frames_are_unobserved_and_cost_the_others_nothing() -> None:
    simulation = clip(rms_px=0.05)
    lost = [0, 20, 21, 59]
    motion = frames_of(simulation, lost=lost)
    assert np.flatnonzero(~motion.observed.any(axis=1)).tolist() == lost
    assert not motion.displacement[lost].any()
    found, information = motion.along(X)
    kept = np.setdiff1d(np.arange(60), lost)
    truth = simulation.truth.displacement[kept]
    error = found[kept] - truth + truth.mean(axis=0)
    assert np.sqrt(np.mean(error**2 * information[kept])) == pytest.approx(1, abs=0.07)


@pytest.mark.parametrize("readout", list(ReadoutDirection))
@pytest.mark.parametrize("region", [None, Region(40, 24, 60, 48)], ids=["whole", "region"])
def test_every_row_has_its_instant_in_every_readout_direction(readout: ReadoutDirection, region: Region | None) -> None:
    """A row misplaced by a fiftieth of the readout would show: the tone turns by 28 degrees in that time."""
    simulation = clip("tone:290", width=120, height=100, readout=readout, rms_px=0.06, direction=25)
    motion = measure(simulation, region)
    found, information = motion.along(simulation.truth.axis)
    truth = simulation.displacement(motion.instants)
    truth -= truth.mean(axis=0)
    error = (found - truth)[information > 0] * np.sqrt(information[information > 0])
    assert 0.9 < np.sqrt(np.mean(error**2)) < 1.15
    late = simulation.displacement(motion.instants + 13.4e-3 / 50)
    late -= late.mean(axis=0)
    off = (found - late)[information > 0] * np.sqrt(information[information > 0])
    assert np.sqrt(np.mean(off**2)) > 1.3


@pytest.mark.parametrize("lowest", [1.0, 9.0])
def test_a_blank_wall_is_refused(lowest: float) -> None:
    with pytest.raises(RegionError, match="no texture"):
        measure(clip("silence", scene="grey", noise=(lowest, 0.0)))


def test_rows_without_texture_are_not_observed() -> None:
    frames = clip(frames=30).frames.copy()
    frames[:, 20:40] = 128 + np.random.default_rng(0).integers(-1, 2, (30, 20, 192))
    motion = RowMotion().estimate(StoredFrames(frames, rate=60.0).sensor_frames(Shutter(line_delay=1e-4)))
    _, information = motion.along(X)
    middle, beside = information[:, 28:32], information[:, 8:12]
    assert middle.mean() < 0.01 * beside.mean()


@pytest.mark.parametrize("region", [Region(0, 0, 31, 64), Region(0, 0, 192, 7)])
def test_a_tiny_region_is_refused(region: Region) -> None:
    with pytest.raises(RegionError, match="at least 8 rows of 32 px"):
        measure(clip(frames=10), region)


@pytest.mark.parametrize("rows", [8, 13, 16])
def test_the_smallest_region_is_measured(rows: int) -> None:
    simulation = clip(frames=30, rms_px=0.08)
    motion = measure(simulation, Region(0, 24, 192, rows))
    truth = simulation.displacement(motion.instants)
    found, _ = motion.along(X)
    assert np.corrcoef(found.ravel(), (truth - truth.mean(axis=0)).ravel())[0, 1] > 0.98


@pytest.mark.parametrize("frames", [1, 2])
def test_fewer_than_three_frames_are_refused(frames: int) -> None:
    with pytest.raises(TooFewFrames, match=f"{frames} frame"):
        measure(clip("silence", frames=frames))
    with pytest.raises(TooFewFrames):
        frames_of(clip(frames=8), lost=range(frames, 8))


def test_memory_does_not_grow_with_length_beyond_the_samples() -> None:
    simulation = clip("silence", frames=200, height=32)
    measure(clip("silence", frames=10, height=32))  # whatever is loaded once
    peaks = {}
    for frames in (100, 200):
        stored = StoredFrames(simulation.frames[:frames], rate=60.0, block=10).sensor_frames(simulation.shutter)
        tracemalloc.start()
        motion = RowMotion().estimate(stored)
        peaks[frames] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    samples = motion.displacement.nbytes + motion.observed.nbytes + motion.frame_times.nbytes
    assert peaks[200] - peaks[100] < 1.5 * samples / 2


def test_three_frames_are_enough() -> None:
    motion = frames_of(clip(frames=8), lost=range(3, 8))
    assert motion.observed[:3].all()
    assert not motion.observed[3:].any()


@pytest.mark.parametrize("frames", [48, 90])
def test_a_fast_sway_of_a_slow_camera_is_no_signal(frames: int) -> None:
    """3.5 Hz at 24 frames/s: a smooth path through the frames' means falls short of it."""
    camera = Camera(192, 240, fps=24, frames=frames, noise=(1.0, 0.02), shutter=Shutter(139e-6, exposure=1 / 4000))
    silent = simulate(
        camera, scene="print", sound="silence", seed=7, sway=0.18, sway_frequency=3.5, drift=(-0.22, -0.1)
    )
    motion = measure(silent)
    assert detect(motion, RowAverage().combine(motion)).verdict is Verdict.NO_SIGNAL


def test_every_row_that_says_something_across_the_rows_says_it_right() -> None:
    """Slopes across the outermost rows aren't known; with those of short stencils they read up to a third too much."""
    simulation = clip(direction=90.0, rms_px=0.05, frames=120)
    displacement, information = measure(simulation).along(Y)
    truth = simulation.truth.displacement - simulation.truth.displacement.mean(axis=0)
    gain = np.sum(displacement * truth, axis=0) / np.sum(truth**2, axis=0)
    known = (information > 0).all(axis=0)
    assert known.mean() > 0.85
    assert np.abs(gain[known] - 1).max() < 0.05
