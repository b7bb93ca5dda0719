"""The simulator's truth, checked against formulas and against pictures measured without its own renderer."""

from __future__ import annotations

import dataclasses
import json
import math

import av
import imageio.v3
import numpy as np
import pytest
import soundfile
import typer
from av.video.frame import PictureType
from typer.testing import CliRunner

from vmforensics.cli.simulate import simulate as simulate_command
from vmforensics.data import ReadoutDirection, Region, Shutter, TimingVerdict
from vmforensics.errors import OutputError, ParameterError, RegionError, VmforensicsError
from vmforensics.testing import (
    BAND_LIMIT,
    CODECS,
    PHOTOGRAPHS,
    SCENES,
    Camera,
    Flicker,
    Occluder,
    Scene,
    Sound,
    chirp,
    melody,
    recording,
    simulate,
    speech,
    tone,
    write_clip,
    write_image_sequence,
    write_truth,
)
from vmforensics.testing import simulation as simulation_module
from vmforensics.testing.scene import MovingScene

EXACT = 1e-4  # px


class PlaneWave:
    """A scene cos(k·r + φ) whose motion can be read off as a phase: a ruler that needs no interpolation."""

    def __init__(self, across: int = 9, down: int = 5) -> None:
        self.cycles = across, down
        self.scene = Scene("plane wave", self._texture)
        self.k = np.zeros(2)

    def _texture(self, height, width, _):
        self.k = 2 * np.pi * np.array([self.cycles[0] / width, self.cycles[1] / height])
        y, x = np.mgrid[:height, :width]
        return np.cos(self.k[0] * x + self.k[1] * y)

    def turn(self, frames, rest, line_axis):
        """k·displacement of each line of each frame against a frame at rest [shape=(frames, lines), radians]."""
        shift = self._phase(frames, line_axis) - self._phase(rest, line_axis)
        return -((shift + np.pi) % (2 * np.pi) - np.pi)

    def _phase(self, frames, line_axis):
        lines = np.moveaxis(np.asarray(frames, dtype=float), line_axis, -1)
        angle = self.k[0 if line_axis == 2 else 1] * np.arange(lines.shape[-1])
        design = np.stack([np.ones_like(angle), np.cos(angle), -np.sin(angle)], axis=1)
        _, real, imaginary = np.moveaxis(lines @ np.linalg.pinv(design).T, -1, 0)
        return np.arctan2(imaginary, real)


def clean(**changes) -> Camera:
    """A small camera without noise and with fine quantisation."""
    return Camera(**({"width": 48, "height": 40, "frames": 6, "bits": 16, "noise": (0.0, 0.0)} | changes))


def directly(spectrum, rows, cols):
    """The band-limited canvas at any positions, by its Fourier series: rows [n] × cols [m]."""
    height, width = spectrum.shape
    down = np.exp(2j * np.pi * np.outer(rows, np.fft.fftfreq(height)))
    along = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(width), cols))
    return (down @ spectrum @ along).real / spectrum.size


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("axis", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)])
def test_every_row_is_shifted_exactly_and_averaged_over_its_exposure(axis, spread):
    generator = np.random.default_rng(1)
    canvas = Scene.named("print").canvas(60, 72, generator)
    x, y = generator.uniform(-15, 15, (2, 2, 16))
    nodes = np.array([-1.0, -0.3, 0.2, 1.1]) * spread  # mean 0, equal weights
    moments = np.stack([np.full(x.shape, np.mean(nodes**p)) for p in range(60)])
    moving = MovingScene(canvas, 16, 36, axis=axis, moves_across_rows=True, deviation=1.1 * spread)
    rendered = moving.render(x, y, moments)
    spectrum = np.fft.fft2(canvas)
    expected = np.empty_like(rendered)
    for n, r in np.ndindex(2, 16):
        expected[n, r] = np.mean(
            [
                directly(spectrum, [22 + r - y[n, r] - d * axis[1]], 18 + np.arange(36) - x[n, r] - d * axis[0])[0]
                for d in nodes
            ],
            axis=0,
        )
    slope = np.gradient(expected, axis=2).std()  # smaller than the true slope: a strict ruler
    assert np.abs(rendered - expected).max() < EXACT * slope


@pytest.mark.parametrize("angle", [0.0, 90.0, 200.0])
@pytest.mark.parametrize("direction", list(ReadoutDirection))
@pytest.mark.parametrize("line_delay", [0.0, 2e-4])
def test_rows_move_as_the_time_formula_and_the_exposure_integral_say(line_delay, direction, angle):
    exposure, frequency, rms = 1 / 500, 310.0, 0.2  # 31 periods in the clip's 0.1 s, so the tone's RMS is exact
    camera = clean(fps=60.0, shutter=Shutter(line_delay, exposure=exposure, direction=direction))
    wave = PlaneWave()
    clip = simulate(camera, scene=wave.scene, sound=tone(frequency, 0.4), rms_px=rms, direction=angle)
    rest = simulate(camera, scene=wave.scene, sound="silence").frames[:1]
    along_columns = direction.along_columns
    reading = wave.turn(clip.frames, rest, 1 if along_columns else 2)
    unit = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    in_order = reading[:, ::-1] if direction.reversed else reading
    rows = camera.width if along_columns else camera.height
    instants = np.arange(6)[:, None] / 60 + line_delay * np.arange(rows) + exposure / 2
    moments = instants + exposure * ((np.arange(400) + 0.5) / 400 - 0.5)[:, None, None]
    position = math.sqrt(2) * rms * np.sin(2 * np.pi * frequency * moments + 0.4)
    blurred = np.angle(np.mean(np.exp(1j * (wave.k @ unit) * position), axis=0))  # of the time-averaged wave
    assert np.abs(in_order - blurred).max() < EXACT * abs(wave.k @ unit)
    amplitude = math.sqrt(2) * rms * np.sinc(frequency * exposure)
    wanted = amplitude * np.sin(2 * np.pi * frequency * instants + 0.4)
    truth = clip.truth
    per_row = truth.displacement if line_delay else np.repeat(truth.displacement, rows, axis=1)
    assert np.abs(per_row - wanted).max() < 1e-6
    assert np.abs(truth.instants - instants[:, : truth.instants.shape[1]]).max() < 1e-12


@pytest.mark.parametrize("angle", [0.0, 90.0])
@pytest.mark.parametrize("direction", list(ReadoutDirection))
def test_the_axis_of_the_truth_is_in_readout_order(direction, angle):
    camera = clean(width=80, height=64, fps=1000.0, frames=8, shutter=Shutter(direction=direction))
    clip = simulate(camera, scene="soft", sound=tone(210), rms_px=0.1, direction=angle)
    frames = np.concatenate([block.luma for block in clip.sensor_frames().blocks()]).astype(float)
    slope_y, slope_x = np.gradient(frames.mean(axis=0))
    design = np.stack([slope_x.ravel(), slope_y.ravel()], axis=1)
    change = (frames - frames.mean(axis=0)).reshape(len(frames), -1)
    motion = -change @ np.linalg.pinv(design).T
    wanted = (clip.truth.displacement - clip.truth.displacement.mean()) * np.array(clip.truth.axis)
    assert np.abs(motion - wanted).max() < 0.1 * 0.1


def test_drift_and_sway_move_everything_by_what_was_asked():
    camera = clean(frames=11, fps=10.0)
    wave = PlaneWave(across=2, down=0)
    clip = simulate(camera, scene=wave.scene, sound="silence", drift=(11.0, 0.0), sway=0.5, sway_frequency=1.0)
    reading = wave.turn(clip.frames, clip.frames[:1], 2)[:, 0] / wave.k[0]
    time = np.arange(11) / 10
    wanted = 10 * time + 0.5 * np.sin(2 * np.pi * time)
    period = 2 * np.pi / wave.k[0]
    assert np.abs((reading - wanted + period / 2) % period - period / 2).max() < EXACT
    assert clip.truth.drift[:, 0] == pytest.approx(np.stack([wanted, 0 * wanted], axis=1))


def test_a_drift_down_is_a_drift_down():
    clip = simulate(clean(frames=5, fps=5.0), sound="silence", drift=(0.0, 5.0))
    assert np.array_equal(clip.frames[3][3:], clip.frames[0][:-3])


def test_a_still_control_shows_the_same_picture():
    still, vibrating = (simulate(clean(frames=1), sound=name) for name in ("silence", "tone:310"))
    assert np.abs(still.frames.astype(int) - vibrating.frames).max() < 2000  # a tenth of a pixel, not another texture


def test_silence_is_exactly_still():
    for camera in (clean(), clean(shutter=Shutter(1e-4, exposure=1e-3))):
        frames = simulate(camera, sound="silence", rms_px=1.0).frames
        assert np.all(frames == frames[0])
        assert frames[0].std() > 1000


def test_outside_the_moving_rectangle_nothing_moves():
    region = Region(10, 8, 20, 16)
    frames = simulate(clean(), sound="tone:310", rms_px=0.3, direction=40, moving=region).frames.astype(int)
    motion = np.ptp(frames, axis=0)
    inside = np.zeros(motion.shape, dtype=bool)
    inside[8:24, 10:30] = True
    assert motion[~inside].max() == 0
    assert np.median(motion[inside]) > 100
    whole = simulate(clean(), sound="tone:310", rms_px=0.3, direction=40).frames
    assert np.array_equal(frames[:, inside], whole[:, inside])


def test_noise_variance_is_a_plus_b_times_intensity():
    a, b = 0.5, 0.02
    clip = simulate(Camera(64, 48, frames=400, noise=(a, b), contrast=0.45), scene="soft", sound="silence")
    frames = clip.frames.astype(float)
    level, variance = frames.mean(axis=0).ravel(), frames.var(axis=0, ddof=1).ravel()
    slope, offset = np.polyfit(level, variance, 1)
    assert slope == pytest.approx(b, rel=0.05)
    assert offset == pytest.approx(a + 1 / 12, abs=0.1)  # and the variance of rounding


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16)])
def test_codes_stay_in_the_bit_depth_and_use_it(bits, dtype):
    frames = simulate(clean(bits=bits, contrast=0.8)).frames
    full = 2**bits - 1
    assert frames.dtype == dtype
    assert (frames.min(), frames.max()) == (0, full)


def test_gain_and_brightness_set_the_level():
    grey = simulate(clean(brightness=0.3, gain=1.5, frames=1), scene="grey", sound="silence").frames
    assert np.all(grey == round(0.45 * 65535))


def test_flicker_has_its_depth_its_frequency_and_the_exposures_loss():
    exposure, delay = 1 / 250, 3e-4
    camera = clean(fps=30.0, height=90, shutter=Shutter(delay, exposure=exposure))
    clip = simulate(camera, scene="grey", sound="silence", flicker=Flicker(100.0, 0.2, 0.3))
    light = clip.frames.mean(axis=2) / (0.5 * 65535)
    instants = np.arange(6)[:, None] / 30 + delay * np.arange(90) + exposure / 2
    depth = 0.2 * np.sinc(100 * exposure)
    assert np.abs(light - 1 - depth * np.cos(2 * np.pi * 100 * instants + 0.3)).max() < 1e-4


def test_jitter_and_dropped_frames_are_in_the_clock():
    camera = clean(frames=200, fps=100.0, jitter=2e-4, dropped=(0, 7, 8))
    clip = simulate(camera, scene="grey")
    assert len(clip.frame_times) == 197 == len(clip.truth.displacement)
    assert clip.clock.verdict is TimingVerdict.VARIABLE
    assert clip.clock.missing == 3
    grid = np.delete(np.arange(200), [0, 7, 8]) / 100
    deviation = clip.frame_times - grid
    assert np.std(deviation) == pytest.approx(2e-4, rel=0.2)
    assert clip.frame_times[0] == 0
    steady = simulate(dataclasses.replace(camera, jitter=0.0), scene="grey")
    assert np.diff(steady.frame_times)[5:7] == pytest.approx([0.03, 0.01])


def test_the_seed_decides_every_byte():
    camera = Camera(40, 30, frames=12, noise=(1, 0.01), jitter=1e-4)
    clip, again, other = (simulate(camera, sound="speech", seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(clip.frames, again.frames)
    assert np.array_equal(clip.truth.displacement, again.truth.displacement)
    assert not np.array_equal(clip.frames, other.frames)
    assert not np.array_equal(clip.truth.displacement, other.truth.displacement)


def test_every_pass_over_the_stream_gives_the_same_frames(monkeypatch):
    clip = simulate(Camera(40, 30, frames=20), rms_px=0.05)
    stream = clip.stream()
    kept = np.concatenate([block.luma for block in stream.blocks()])
    assert (stream.frame_count, stream.height, stream.width, stream.full_scale) == (20, 30, 40, 255)
    monkeypatch.setattr(simulation_module, "_KEPT_BYTES", 0)
    monkeypatch.setattr(simulation_module, "_BLOCK_PIXELS", 7 * 1200)
    blocks = list(stream.blocks())
    assert [len(block.index) for block in blocks] == [7, 7, 6]
    assert np.concatenate([block.index for block in blocks]).tolist() == list(range(20))
    assert np.array_equal(np.concatenate([block.luma for block in blocks]), kept)


def test_sensor_frames_take_a_region():
    clip = simulate(Camera(40, 30, frames=3, shutter=Shutter(1e-4, direction=ReadoutDirection.BOTTOM_TO_TOP)))
    frames = clip.sensor_frames(Region(4, 5, 8, 10))
    luma = next(frames.blocks()).luma
    assert np.array_equal(luma, clip.frames[:, 5:15, 4:12][:, ::-1])
    assert frames.row_offsets() == pytest.approx(clip.truth.instants[0, 15:25])


@pytest.mark.parametrize("name", [*SCENES, *PHOTOGRAPHS])
def test_scenes_are_band_limited_and_fill_their_range(name):
    canvas = Scene.named(name).canvas(72, 90, np.random.default_rng(0))
    peak = np.abs(canvas).max()
    assert peak == pytest.approx(0.0 if name == "grey" else 1.0)
    radius = np.hypot(np.fft.fftfreq(72)[:, None], np.fft.fftfreq(90)[None, :])
    spectrum = np.abs(np.fft.fft2(canvas))
    assert spectrum[radius > BAND_LIMIT + 1e-9].max() < 1e-9 * (spectrum.max() + 1)
    assert abs(canvas.mean()) < 1e-12


def test_a_picture_of_ones_own_is_a_scene():
    y, x = np.mgrid[:200, :300]
    clip = simulate(clean(frames=1), scene=Scene.of(np.sin(x / 9.0) + np.cos(y / 7.0)), sound="silence")
    assert clip.frames.std() > 3000
    with pytest.raises(ParameterError, match="shape"):
        Scene.of(np.zeros((3, 4, 3)))


@pytest.mark.parametrize("sound", [tone(310), chirp(100, 1500), melody(), speech()], ids=lambda s: s.name)
def test_sounds_have_unit_rms_and_keep_to_their_band(sound):
    rate, duration = 48_000, 2.0
    wave = sound.waveform(duration, np.random.default_rng(5))
    samples = wave(np.arange(round(rate * duration)) / rate)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(1.0, abs=1e-3)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    assert power[frequency > sound.bandwidth * 1.1].sum() < 1e-4 * power.sum()


def test_speech_has_pauses_and_voice():
    samples = speech().waveform(3.0, np.random.default_rng(0))(np.arange(24_000) / 8000)
    loudness = np.sqrt(np.mean(samples.reshape(-1, 80) ** 2, axis=1))
    assert 0.05 < np.mean(loudness < 0.01) < 0.5
    assert np.mean(loudness > 0.5) > 0.4


def test_a_recording_is_interpolated_as_band_limited_and_silent_after_its_end(tmp_path):
    rate, frequency = 16_000, 3000.0
    time = np.arange(rate // 2) / rate
    window = np.hanning(len(time))
    soundfile.write(tmp_path / "voice.wav", 0.5 * window * np.sin(2 * np.pi * frequency * time), rate, subtype="DOUBLE")
    sound = recording(tmp_path / "voice.wav")
    between = np.random.default_rng(0).uniform(0.01, 0.48, 2000)
    wave = sound.waveform(1.0, np.random.default_rng(0))
    shape = np.sin(np.pi * between * rate / (len(time) - 1)) ** 2 * np.sin(2 * np.pi * frequency * between)
    scale = wave(between) @ shape / (shape @ shape)
    assert np.abs(wave(between) - scale * shape).max() < 1e-4 * scale
    assert np.all(wave(np.array([0.6, 0.9])) == 0)
    assert Sound.named(str(tmp_path / "voice.wav")).bandwidth == rate / 2


def decoded(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        luma = []
        for frame in frames:
            plane = frame.planes[0]
            dtype = np.uint16 if "le" in frame.format.name else np.uint8
            luma.append(np.frombuffer(plane, dtype).reshape(frame.height, -1)[:, : frame.width].copy())
        return np.stack(luma), np.array([float(frame.pts * frame.time_base) for frame in frames]), container.streams[0]


LOSSLESS = [
    (codec, container, bits, pixel_format)
    for codec in ("ffv1", "rawvideo")
    for container in CODECS[codec].containers
    for bits, formats in CODECS[codec].formats.items()
    for pixel_format in formats
]


@pytest.mark.parametrize(("codec", "container", "bits", "pixel_format"), LOSSLESS)
def test_lossless_codecs_give_the_luma_back(tmp_path, codec, container, bits, pixel_format):
    clip = simulate(Camera(37, 22, frames=4, bits=bits, contrast=0.6))
    path = write_clip(clip, tmp_path / f"clip{container}", codec=codec, pixel_format=pixel_format)
    luma, _, stream = decoded(path)
    assert stream.codec_context.pix_fmt == pixel_format
    assert np.array_equal(luma, clip.frames)


@pytest.mark.parametrize(("codec", "container"), [(name, c) for name, kind in CODECS.items() for c in kind.containers])
def test_the_same_clip_is_the_same_file(tmp_path, codec, container):
    clip = simulate(Camera(64, 48, frames=6, noise=(1, 0)))
    one, two = (write_clip(clip, tmp_path / f"{n}{container}", codec=codec) for n in "12")
    assert one.read_bytes() == two.read_bytes()
    luma, stamps, _ = decoded(one)
    assert luma.shape == clip.frames.shape
    assert np.abs(stamps - clip.frame_times).max() < (6e-4 if container == ".mkv" else 1e-9)
    assert np.abs(luma.astype(float) - clip.frames).mean() < 5  # rendered, not range-stretched
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"1{container}", f"2{container}"]


@pytest.mark.parametrize(("codec", "good", "poor"), [("libx264", 5, 40), ("libx265", 5, 40), ("mjpeg", 1, 25)])
def test_quality_is_quality(tmp_path, codec, good, poor):
    clip = simulate(Camera(64, 48, frames=5))
    error = [
        np.abs(decoded(write_clip(clip, tmp_path / f"{q}.mkv", codec=codec, quality=q))[0] - clip.frames.astype(float))
        for q in (good, poor)
    ]
    assert error[0].mean() < 0.5 * error[1].mean()


def test_groups_of_pictures(tmp_path):
    clip = simulate(Camera(64, 48, frames=12))

    def types(name, **settings):
        path = write_clip(clip, tmp_path / name, codec="libx264", **settings)
        with av.open(str(path)) as container:
            return "".join(PictureType(frame.pict_type).name for frame in container.decode(video=0))

    assert types("intra.mp4", gop=1) == "I" * 12
    assert types("forward.mp4", b_frames=0, gop=250) == "I" + "P" * 11


def test_time_stamps_tell_jitter_drops_and_a_false_rate(tmp_path):
    clip = simulate(Camera(32, 32, fps=600.0, frames=30, jitter=1e-4, dropped=(5, 6)))
    for container, resolution in ((".mp4", 1e-6), (".mov", 1e-6), (".mkv", 1e-3)):
        path = write_clip(clip, tmp_path / f"clip{container}", codec="libx264", container_fps=30.0)
        _, stamps, _ = decoded(path)
        assert np.abs(stamps - 20 * clip.frame_times).max() <= 0.5001 * resolution + 1e-12
    ntsc = simulate(Camera(32, 32, fps=60000 / 1001, frames=3))
    _, stamps, stream = decoded(write_clip(ntsc, tmp_path / "ntsc.mp4"))
    assert stream.average_rate.as_integer_ratio() == (60000, 1001)


def test_a_clip_is_never_overwritten_and_never_half_written(tmp_path):
    clip = simulate(Camera(32, 32, frames=2))
    (tmp_path / "there.mkv").write_bytes(b"evidence")
    with pytest.raises(OutputError, match="exists already"):
        write_clip(clip, tmp_path / "there.mkv")
    assert (tmp_path / "there.mkv").read_bytes() == b"evidence"
    with pytest.raises(OutputError, match="no such folder"):
        write_clip(clip, tmp_path / "nowhere" / "clip.mkv")
    broken = simulate(Camera(32, 32, frames=2), scene=Scene("broken", lambda *_: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        write_clip(broken, tmp_path / "clip.mkv")
    assert [p.name for p in tmp_path.iterdir()] == ["there.mkv"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"codec": "divx"}, "unknown codec"),
        ({"quality": 20}, "quality 20"),
        ({"codec": "libx264", "quality": 52}, "quality 52"),
        ({"codec": "mjpeg", "gop": 3}, "no gop"),
        ({"codec": "libx264", "preset": "best"}, "preset"),
        ({"pixel_format": "rgb24"}, "8 bits as rgb24"),
        ({"container_fps": 0.0}, "container_fps"),
        ({"codec": "libx265", "path": "clip.avi"}, "isn't written to .avi"),
        ({"path": "clip"}, "without a suffix"),
        ({"codec": "libx264", "camera": Camera(31, 32, frames=2)}, "31x32"),
        ({"codec": "libx264", "camera": Camera(32, 32, frames=2, bits=16)}, "16 bits"),
        ({"path": "clip.avi", "camera": Camera(32, 32, frames=9, jitter=1e-4)}, "variable frame times"),
    ],
)
def test_what_a_codec_cannot_do_is_refused(tmp_path, settings, message):
    settings = dict(settings)
    clip = simulate(settings.pop("camera", Camera(32, 32, frames=2)))
    with pytest.raises(ParameterError, match=message):
        write_clip(clip, tmp_path / settings.pop("path", "clip.mkv"), **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Camera(width=0), "width is 0"),
        (lambda: Camera(fps=math.nan), "fps is nan"),
        (lambda: Camera(bits=9), "bits is 9"),
        (lambda: Camera(noise=(-1, 0)), "noise"),
        (lambda: Camera(height=1000, shutter=Shutter(20e-6)), "longer than a frame"),
        (lambda: Camera(shutter=Shutter(exposure=0.02)), "exposure"),
        (lambda: Camera(jitter=0.01), "jitter"),
        (lambda: Camera(frames=3, dropped=(3,)), "dropped"),
        (lambda: Camera(frames=1, dropped=(0,)), "dropped"),
        (lambda: Flicker(depth=1.5), "flicker"),
        (lambda: simulate(rms_px=-1.0), "rms_px"),
        (lambda: simulate(direction=math.inf), "direction"),
        (lambda: simulate(seed=-1), "seed"),
        (lambda: simulate(scene="cat"), "unknown scene"),
        (lambda: simulate(sound="noise"), "unknown sound"),
        (lambda: simulate(sound="tone:loud"), "tone:loud"),
        (lambda: simulate(sound="tone:-3"), "positive"),
        (lambda: simulate(Camera(shutter=Shutter(exposure=1 / 60)), sound="tone:50", rms_px=5.0), "one exposure"),
        (lambda: simulate(sound="no-such.wav"), "no such sound"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(VmforensicsError, match=message):
        make()


def test_a_moving_part_outside_the_frame_is_refused():
    with pytest.raises(RegionError):
        simulate(Camera(32, 32), moving=Region(20, 0, 20, 5))


def test_the_truth_is_written_beside_the_clip(tmp_path):
    shutter = Shutter(1e-4, exposure=1e-3)
    clip = simulate(Camera(32, 32, frames=20, shutter=shutter), sound="tone:310", rms_px=0.05, drift=(2.0, 1.0))
    for folder in ("one", "two"):
        write_truth(clip, tmp_path / folder)
    names = ["truth.json", "truth.npz", "truth.wav"]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == names
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)
    with np.load(tmp_path / "one" / "truth.npz") as truth:
        assert np.array_equal(truth["displacement"], clip.truth.displacement)
        assert np.array_equal(truth["instants"], clip.truth.instants)
        assert truth["drift"].shape == (20, 32, 2)
        sound, rate = truth["sound"], int(truth["sound_rate"])
    assert np.array_equal(sound, clip.displacement(np.arange(16_000) / rate))
    settings = json.loads((tmp_path / "one" / "truth.json").read_text())
    assert settings["camera"]["shutter"]["line_delay"] == 1e-4
    samples, _ = soundfile.read(tmp_path / "one" / "truth.wav")
    assert np.abs(samples * settings["wav"]["full_scale_px"] - sound).max() < 1e-6
    with pytest.raises(OutputError, match="exists already"):
        write_truth(clip, tmp_path / "one")
    with pytest.raises(ParameterError, match="too low"):
        write_truth(clip, tmp_path / "three", rate=500)


@pytest.mark.parametrize("bits", [8, 12])
def test_pictures_hold_the_codes_as_they_are(tmp_path, bits):
    clip = simulate(Camera(32, 24, frames=3, bits=bits))
    paths = write_image_sequence(clip, tmp_path / "pictures")
    assert [p.name for p in paths] == ["frame-000000.png", "frame-000001.png", "frame-000002.png"]
    assert np.array_equal(np.stack([imageio.v3.imread(p) for p in paths]), clip.frames)
    with pytest.raises(OutputError, match="exists already"):
        write_image_sequence(clip, tmp_path / "pictures")
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(simulate_command)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_command_writes_clip_and_truth(tmp_path, command):
    out = tmp_path / "clip.mkv"
    result = command(
        out, "--size", "64x48", "--seconds", "100ms", "--shutter", "rolling", "--row-time", "19us", "--exposure",
        "1/2000", "--sound", "tone:310", "--displacement", "0.05 px", "--noise", "0,0.01", "--drop", "2", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["settings"]["camera"]["shutter"] == {
        "direction": "top-to-bottom",
        "exposure": 0.0005,
        "first_sensor_row": 0,
        "line_delay": 1.9e-05,
        "line_delay_source": "simulated",
        "line_delay_uncertainty": None,
        "rows_at_once": 1,
        "sensor_rows_per_row": 1.0,
    }
    shutter = Shutter(19e-6, line_delay_source="simulated", exposure=0.0005)
    camera = Camera(64, 48, frames=6, shutter=shutter, noise=(0, 0.01), dropped=(2,))
    same = simulate(camera, sound="tone:310", rms_px=0.05)
    assert np.array_equal(decoded(out)[0], same.frames)
    with np.load(tmp_path / "clip.mkv.truth" / "truth.npz") as truth:
        assert np.array_equal(truth["displacement"], same.truth.displacement)


def test_the_command_writes_pictures_quietly(tmp_path, command):
    result = command(tmp_path / "pictures", "--size", "32x24", "--seconds", "0.05", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert len(list((tmp_path / "pictures").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shutter", "rolling"], "needs the row time"),
        (["--shutter", "global", "--row-time", "1us"], "no row time"),
        (["--shutter", "both"], "isn't known"),
        (["--fps", "fast"], "--fps"),
        (["--size", "64"], "must have 2"),
        (["--moving", "1,2,x,4"], "--moving"),
        (["--readout-direction", "up"], "--readout-direction"),
    ],
)
def test_the_command_refuses_bad_values(tmp_path, command, arguments, message):
    result = command(tmp_path / "clip.mkv", *arguments)
    assert isinstance(result.exception, ParameterError)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_the_command_overwrites_neither_clip_nor_truth(tmp_path, command):
    (tmp_path / "clip.mkv.truth").mkdir()
    result = command(tmp_path / "clip.mkv")
    assert isinstance(result.exception, OutputError)
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mkv.truth"]


def test_a_rolling_camera_turns_the_picture_row_by_row() -> None:
    camera = Camera(64, 48, fps=30, frames=4, bits=16, noise=(0, 0), shutter=Shutter(line_delay=5e-4))
    still = simulate(camera, scene="natural", sound="silence", roll=1e-6, seed=3).frames[0].astype(np.float64)
    clip = simulate(camera, scene="natural", sound="silence", roll=8.0, seed=3)
    turn = clip.truth.turn
    assert np.degrees(np.ptp(turn)) == pytest.approx(8, rel=0.2)
    assert turn[0, 0] != turn[0, -1]
    row, col = 40, np.arange(20, 44)
    x, y = col - 31.5, row - 23.5
    cos, sin = np.cos(turn[2, row]), np.sin(turn[2, row])
    from scipy.ndimage import map_coordinates

    expected = map_coordinates(still, [23.5 - sin * x + cos * y, 31.5 + cos * x + sin * y], order=5)
    error = clip.frames[2, row, 20:44] - expected
    assert np.sqrt(np.mean(error**2)) < 0.05 * still.std()


def test_a_roll_of_nothing_is_the_exact_picture() -> None:
    camera = Camera(48, 40, fps=500, frames=6, bits=16, noise=(0, 0), shutter=Shutter(exposure=1e-3))
    plain, turned = (
        simulate(camera, sound="tone:120", rms_px=0.3, handheld=3.0, roll=roll, seed=2).frames.astype(np.float64)
        for roll in (0.0, 1e-9)
    )
    assert np.abs(plain - turned).max() < 2e-4 * 65535


def test_an_occluder_covers_only_what_it_passes() -> None:
    camera = Camera(64, 48, fps=100, frames=10, noise=(0, 0))
    free = simulate(camera, sound="silence", seed=1).frames.astype(int)
    passing = simulate(camera, sound="silence", seed=1, occluder=Occluder(16, 20, 0.02, 0.08)).frames.astype(int)
    changed = passing != free
    assert np.flatnonzero(changed.any(axis=(1, 2))).tolist() == [3, 4, 5, 6, 7]
    assert not changed[:, :13].any()
    assert not changed[:, 35:].any()
    assert changed[5, 16:32, 28:36].mean() > 0.9
    with pytest.raises(ParameterError, match="must end after it begins"):
        Occluder(16, 20, 0.5, 0.2)
    with pytest.raises(ParameterError, match="must be positive"):
        Occluder(0, 20, 0.1, 0.2)
