"""Writes simulated clips: as video through PyAV, as pictures, and their truth beside them.

The same simulation and settings give the same bytes: one thread, FFmpeg's bit-exact flags, no dates.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import OutputError, ParameterError
from vmforensics.testing.camera import Camera
from vmforensics.testing.simulation import Simulation

if TYPE_CHECKING:
    import av
    from av.video.stream import VideoStream

_MICROSECOND = Fraction(1, 1_000_000)


@dataclasses.dataclass(frozen=True, slots=True)
class Codec:
    """What a codec can write.

    Parameters
    ----------
    formats : mapping of int to tuple of str
        Pixel formats by bit depth, the default first.
    containers : tuple of str
        Suffixes of the files that hold it faithfully.
    quality : str
        What FFmpeg calls its quality figure, "" for a lossless codec.
    best, default, worst : int
        Range of that figure.
    predicts : bool
        Whether it codes frames from others, and so has groups of pictures and B frames.
    options : mapping of str to str
        FFmpeg options that make it deterministic and quiet.
    """

    formats: Mapping[int, tuple[str, ...]]
    containers: tuple[str, ...]
    quality: str = ""
    best: int = 0
    default: int = 0
    worst: int = 0
    predicts: bool = False
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _formats(*bits: int) -> dict[int, tuple[str, ...]]:
    return {n: ("gray", "yuv420p") if n == 8 else (f"gray{n}le", f"yuv420p{n}le") for n in bits}


def _colour_first(*bits: int) -> dict[int, tuple[str, ...]]:
    return {n: formats[::-1] for n, formats in _formats(*bits).items()}


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "ffv1": Codec(_formats(8, 10, 12, 16), (".mkv", ".mp4", ".avi")),
        "rawvideo": Codec(_formats(8), (".mkv", ".avi")),
        "libx264": Codec(_colour_first(8, 10), (".mkv", ".mp4", ".mov"), "crf", 0, 18, 51, predicts=True),
        "libx265": Codec(
            _colour_first(8, 10, 12),
            (".mkv", ".mp4", ".mov"),
            "crf",
            0,
            18,
            51,
            predicts=True,
            options={"x265-params": "log-level=none:pools=none:frame-threads=1"},
        ),
        "mjpeg": Codec({8: ("yuvj420p",)}, (".mkv", ".mp4", ".mov", ".avi"), "q", 1, 2, 31),
    }
)
"""The codecs that can be written, by FFmpeg's names."""

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
"""Speeds of libx264 and libx265."""


def write_clip(
    simulation: Simulation,
    path: Path,
    *,
    codec: str = "ffv1",
    quality: int | None = None,
    preset: str = "medium",
    gop: int | None = None,
    b_frames: int | None = None,
    pixel_format: str | None = None,
    container_fps: float | None = None,
) -> Path:
    """Encode a simulated clip.

    The luma plane is written as rendered, never range-converted, so a lossless codec gives it back exactly. Frame
    times become time stamps: multiples of the frame time where the rate is constant (with gaps for dropped frames),
    else microseconds, as far as the container can hold them (Matroska rounds to 1 ms).

    Parameters
    ----------
    simulation
        What to write.
    path
        File to write; its suffix names the container: .mkv, .mp4, .mov or .avi. It appears when it is complete.
    codec
        One of `CODECS`.
    quality
        crf of libx264 and libx265 (0 to 51, default 18), q of mjpeg (1 to 31, default 2); lossless codecs have none.
    preset
        Speed of libx264 and libx265.
    gop
        Largest distance of intra frames (1: intra only); the codec's own choice if None.
    b_frames
        Largest run of B frames; the codec's own choice if None.
    pixel_format
        FFmpeg's name; the first that suits codec and bit depth if None.
    container_fps
        Rate the container claims, Hz; the true one if None. High-speed clips often claim 30.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        An unknown codec or container, or a setting that the codec doesn't have.
    OutputError
        The file exists already, or can't be written.
    """
    import av

    kind = _codec(codec, path)
    frame_format = _pixel_format(kind, simulation.camera, pixel_format)
    options = _options(kind, quality, preset, gop, b_frames)
    stamps, time_base, rate = _stamps(simulation, container_fps, path)
    with _new_file(path) as partial:
        try:
            with av.open(str(partial), "w", options={"fflags": "+bitexact"}) as container:
                stream = cast("VideoStream", container.add_stream(codec, rate=rate))
                stream.width, stream.height = simulation.camera.width, simulation.camera.height
                stream.pix_fmt = frame_format
                stream.codec_context.time_base = stream.time_base = time_base
                stream.codec_context.thread_count = 1
                stream.options = options
                for frame, stamp in zip(_frames(simulation, frame_format), stamps, strict=True):
                    frame.pts, frame.time_base = stamp, time_base
                    container.mux(stream.encode(frame))
                container.mux(stream.encode(None))
        except (av.error.FFmpegError, OverflowError) as error:
            raise OutputError(
                f"{path}: {codec} in {path.suffix} can't be written: {error}",
                hint="try another container or pixel format, and even picture sizes",
            ) from error
    return path


def _codec(name: str, path: Path) -> Codec:
    codec = CODECS.get(name)
    if codec is None:
        raise ParameterError(f"unknown codec {name!r}", hint="one of " + ", ".join(CODECS))
    if path.suffix.lower() not in codec.containers:
        raise ParameterError(
            f"{path.name}: {name} isn't written to {path.suffix or 'files without a suffix'}",
            hint="one of " + ", ".join(codec.containers),
        )
    return codec


def _pixel_format(codec: Codec, camera: Camera, wanted: str | None) -> str:
    formats = codec.formats.get(camera.bits, ())
    if not formats or (wanted is not None and wanted not in formats):
        raise ParameterError(
            f"the codec doesn't write {camera.bits} bits as {wanted or 'any pixel format'}",
            hint="it writes " + ", ".join(f for formats in codec.formats.values() for f in formats),
        )
    chosen = wanted or formats[0]
    if codec.predicts and chosen.startswith("yuv420p") and (camera.width % 2 or camera.height % 2):
        raise ParameterError(
            f"a picture of {camera.width}x{camera.height} px can't be coded as {chosen}", hint="both must be even"
        )
    return chosen


def _options(
    codec: Codec, quality: int | None, preset: str, gop: int | None, b_frames: int | None
) -> dict[str, object]:
    """The codec's options as FFmpeg wants them."""
    if quality is not None and not codec.best <= quality <= codec.worst:
        has = f"{codec.quality} goes from {codec.best} (best) to {codec.worst}" if codec.quality else "it has none"
        raise ParameterError(f"quality {quality} is not the codec's", hint=has)
    if not codec.predicts and (gop is not None or b_frames is not None):
        raise ParameterError("the codec codes each frame by itself; it has no gop and no b_frames")
    if preset not in PRESETS:
        raise ParameterError(f"unknown preset {preset!r}", hint="one of " + ", ".join(PRESETS))
    figure = str(codec.default if quality is None else quality)
    options: dict[str, object] = {"flags": "+bitexact", **codec.options}
    if codec.quality == "q":
        options |= {"qmin": figure, "qmax": figure}
    if codec.predicts:
        options |= {"crf": figure, "preset": preset}
        options |= {} if gop is None else {"g": str(gop)}
        options |= {} if b_frames is None else {"bf": str(b_frames)}
    return options


def _stamps(simulation: Simulation, container_fps: float | None, path: Path) -> tuple[list[int], Fraction, Fraction]:
    """Time stamp of each frame in units of the time base, the time base (s), and the declared rate (Hz)."""
    camera = simulation.camera
    claimed = camera.fps if container_fps is None else container_fps
    if not (math.isfinite(claimed) and claimed > 0):
        raise ParameterError(f"container_fps is {container_fps}; it must be positive")
    rate = Fraction(claimed).limit_denominator(1001)  # so that 59.94005994 is 60000/1001
    if abs(float(rate) / claimed - 1) > 1e-9:
        rate = Fraction(claimed).limit_denominator(1_000_000)
    if camera.jitter == 0:
        return camera.kept, 1 / rate, rate
    if path.suffix.lower() == ".avi":
        raise ParameterError("AVI can't hold variable frame times", hint="write .mp4, .mov or .mkv, or no jitter")
    times = simulation.frame_times * camera.fps / claimed / float(_MICROSECOND)
    return np.rint(times).astype(int).tolist(), _MICROSECOND, rate


def _frames(simulation: Simulation, pixel_format: str) -> Iterator[av.VideoFrame]:
    import av

    camera = simulation.camera
    for block in simulation.blocks():
        for luma in block.luma:
            frame = av.VideoFrame(camera.width, camera.height, pixel_format)
            _pixels(frame.planes[0], luma.dtype)[:, : camera.width] = luma
            for plane in frame.planes[1:]:
                _pixels(plane, luma.dtype)[:] = (camera.full_scale + 1) // 2  # no colour
            yield frame


def _pixels(plane: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A plane as an array [shape=(height, line size in pixels)] over its own memory."""
    return np.frombuffer(plane, dtype).reshape(plane.height, -1)


def write_image_sequence(simulation: Simulation, folder: Path) -> list[Path]:
    """Write the clip as PNG pictures, frame-000000.png and so on, in a new folder.

    Codes of more than 8 bits are stored as they are in 16-bit pictures, not scaled up.

    Raises
    ------
    OutputError
        The folder exists already, or can't be written.
    """
    import imageio.v3

    with _new_folder(folder) as partial:
        names = [f"frame-{n:06d}.png" for n in range(len(simulation.frame_times))]
        for block in simulation.blocks():
            for n, luma in zip(block.index.tolist(), block.luma, strict=True):
                imageio.v3.imwrite(partial / names[n], luma, plugin="pillow")
    return [folder / name for name in names]


def write_tiff_stack(simulation: Simulation, path: Path) -> None:
    """Write the clip as one TIFF file, a page a frame; codes are stored as they are."""
    import tifffile

    tifffile.imwrite(path, simulation.frames, photometric="minisblack")


def write_photron(simulation: Simulation, path: Path) -> None:
    """Write the clip as a Photron recording: a header (.cih), and raw pictures (.mraw) of 8 or 16 bits beside it."""
    frames = simulation.frames
    said = {
        "Record Rate(fps)": f"{simulation.camera.fps:g}",
        "Total Frame": len(frames),
        "Image Width": frames.shape[2],
        "Image Height": frames.shape[1],
        "Color Type": "Mono",
        "Color Bit": 8 * frames.itemsize,
        "File Format": "MRaw",
        "EffectiveBit Depth": simulation.camera.bits,
        "EffectiveBit Side": "Lower",
    }
    path.write_text("#Camera Information Header\n" + "".join(f"{name} : {value}\n" for name, value in said.items()))
    path.with_suffix(".mraw").write_bytes(frames.astype(frames.dtype.newbyteorder("<")).tobytes())


def write_truth(simulation: Simulation, folder: Path, *, rate: int = 48_000) -> list[Path]:
    """Write what was simulated beside a clip: truth.npz, truth.json and truth.wav.

    truth.npz holds `instants` (s), `displacement` (px), `drift` (px) and `axis` as in `Truth`, `frame_times` (s), and
    the continuous vibration as `sound` (px) at `sound_rate` (Hz) from time 0. truth.json holds every setting. truth.wav
    is the same sound scaled to a peak of one half of full scale; the factor is in truth.json.

    Parameters
    ----------
    simulation
        The clip.
    folder
        Where to; it is created if it isn't there.
    rate
        Samples per second of the sound.

    Raises
    ------
    ParameterError
        The rate is too low for the sound.
    OutputError
        One of the files exists already, or can't be written.
    """
    import soundfile

    if rate < 2 * simulation.sound.bandwidth:
        raise ParameterError(f"rate {rate} Hz is too low for a sound of up to {simulation.sound.bandwidth:g} Hz")
    truth = simulation.truth
    sound = simulation.displacement(np.arange(round(simulation.camera.duration * rate)) / rate)
    peak = float(np.abs(sound).max(initial=0.0))
    pixels = 2 * peak or 1.0
    settings = simulation.settings() | {"wav": {"rate_hz": rate, "full_scale_px": pixels}}
    arrays = io.BytesIO()
    np.savez(
        arrays,
        instants=truth.instants,
        displacement=truth.displacement,
        drift=truth.drift,
        axis=np.array(truth.axis),
        frame_times=simulation.frame_times,
        sound=sound,
        sound_rate=np.array(rate),
    )
    wav = io.BytesIO()
    soundfile.write(wav, sound / pixels, rate, subtype="PCM_24", format="WAV")
    contents = {
        "truth.npz": arrays.getvalue(),
        "truth.json": json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n",
        "truth.wav": wav.getvalue(),
    }
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} can't be created: {error.strerror}") from error
    for name, content in contents.items():
        with _new_file(folder / name) as partial:
            partial.write_bytes(content)
    return [folder / name for name in contents]


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which takes its place once complete, and is removed otherwise."""
    if path.exists():
        raise OutputError(f"{path} exists already", hint="choose another name, or remove it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: no such folder", hint="create it")
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, which takes its place once complete, and is removed otherwise."""
    import shutil

    if folder.exists():
        raise OutputError(f"{folder} exists already", hint="choose another name, or remove it")
    partial = folder.with_name(f".partial-{folder.name}")
    try:
        partial.mkdir()
        yield partial
        partial.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
