"""Sounds as functions of continuous time, of unit RMS over the clip.

A displacement of `rms_px` px RMS is `rms_px · sound(t)`; a tone's amplitude is √2 times that. No sound is sampled
on the camera's instants alone: it is a band-limited function that can be evaluated anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.errors import EvidenceMissing, EvidenceUnreadable, ParameterError

Times = NDArray[np.float64]
Waveform = Callable[[Times], NDArray[np.float64]]

_SYNTHESIS_RATE = 32_000.0  # Hz, for sounds that are made as samples
_SPLINE = 5
_OVERSAMPLING = 4  # with a quintic spline: 1e-5 of the amplitude at the band's upper end


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """A sound, still without its loudness.

    Parameters
    ----------
    name : str
        Its name in reports.
    make : callable
        (duration in s, generator) → waveform, a function of times [any shape, float64, s]; any scale.
    bandwidth : float, Hz
        Highest frequency it holds.
    """

    name: str
    make: Callable[[float, np.random.Generator], Waveform]
    bandwidth: float

    @classmethod
    def named(cls, name: str) -> Sound:
        """Find a sound by name: one of `SOUNDS`, `tone:440`, `chirp:100-1500`, or the path of a WAV file.

        Raises
        ------
        ParameterError
            There is none of that name.

        Examples
        --------
        >>> Sound.named("tone:310").name
        'tone of 310 Hz'
        """
        kind, _, detail = name.partition(":")
        if kind in SOUNDS and not detail:
            return SOUNDS[kind]()
        try:
            if kind == "tone":
                return tone(float(detail))
            if kind == "chirp":
                start, stop = detail.split("-")
                return chirp(float(start), float(stop))
        except ValueError as error:
            raise ParameterError(
                f"sound {name!r} isn't understood", hint="tone:440 or chirp:100-1500, in Hz"
            ) from error
        if Path(name).suffix or Path(name).is_file():
            return recording(Path(name))
        raise ParameterError(
            f"unknown sound {name!r}", hint="one of: " + ", ".join(SOUNDS) + ", or the path of a WAV file"
        )

    def waveform(self, duration: float, generator: np.random.Generator) -> Waveform:
        """The sound scaled to unit RMS over the clip's duration (silence stays silent)."""
        wave = self.make(duration, generator)
        if self.bandwidth == 0:
            return wave
        count = max(1000, math.ceil(8 * self.bandwidth * duration))
        times: Times = (np.arange(count, dtype=np.float64) + 0.5) * (duration / count)
        rms = float(np.sqrt(np.mean(np.square(wave(times)))))
        if rms == 0:
            raise ParameterError(f"sound {self.name!r} is silent in the {duration:g} s of the clip")
        return lambda times: wave(times) / rms


def silence() -> Sound:
    """Exactly no motion."""
    return Sound("silence", lambda _, __: np.zeros_like, 0.0)


def tone(frequency: float = 440.0, phase: float = 0.0) -> Sound:
    """A sine of constant amplitude: sin(2π·frequency·t + phase), frequency in Hz, phase in radians.

    Raises
    ------
    ParameterError
        The frequency isn't positive.
    """
    _check_frequency("tone", frequency)
    return Sound(
        f"tone of {frequency:g} Hz", lambda _, __: lambda t: np.sin(2 * np.pi * frequency * t + phase), frequency
    )


def chirp(start: float = 100.0, stop: float = 1500.0) -> Sound:
    """A sine whose frequency runs linearly from `start` to `stop` (Hz) over the clip.

    Raises
    ------
    ParameterError
        A frequency isn't positive.
    """
    _check_frequency("chirp", start)
    _check_frequency("chirp", stop)

    def make(duration: float, _: np.random.Generator) -> Waveform:
        return lambda t: np.sin(2 * np.pi * (start * t + (stop - start) / (2 * duration) * t**2))

    return Sound(f"chirp from {start:g} to {stop:g} Hz", make, max(start, stop))


_MELODY = ((0, 2), (4, 1), (7, 1), (12, 2), (11, 1), (7, 1), (9, 2), (5, 1), (4, 1), (2, 2), (0, 2))  # semitones, beats
_BEAT = 0.125  # s
_PARTIALS = (1.0, 0.4, 0.15)


def melody(lowest: float = 262.0) -> Sound:
    """A tune of struck notes over one octave from `lowest` (Hz), three partials each, repeated every two seconds.

    Raises
    ------
    ParameterError
        The frequency isn't positive.
    """
    _check_frequency("melody", lowest)
    length = sum(beats for _, beats in _MELODY) * _BEAT

    def wave(times: Times) -> NDArray[np.float64]:
        t = np.mod(times, length)
        total = np.zeros_like(t)
        begin = 0.0
        for semitones, beats in _MELODY:
            end = begin + beats * _BEAT
            here = (t >= begin) & (t < end)
            since = t[here] - begin
            rise = np.sin(np.pi / 2 * np.clip(since / 0.015, 0, 1)) ** 2
            fall = np.sin(np.pi / 2 * np.clip((end - begin - since) / 0.03, 0, 1)) ** 2
            turns = 2 * np.pi * lowest * 2 ** (semitones / 12) * since
            note = sum(level * np.sin(turns * (k + 1)) for k, level in enumerate(_PARTIALS))
            total[here] = rise * fall * np.exp(-3.0 * since) * note
            begin = end
        return total

    return Sound("melody", lambda _, __: wave, len(_PARTIALS) * 2 * lowest * 1.05)


_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
_FORMANT_WIDTHS = (80.0, 100.0, 140.0)
_SPEECH_BAND = 4000.0


def speech() -> Sound:
    """A voice-like sound: syllables of voiced vowels and hissed consonants, with pauses, below 4 kHz.

    Harmonics of a gliding pitch weighted by three formants (vowel formants: Peterson & Barney 1952,
    doi:10.1121/1.1906875), four to five syllables a second, each started by a burst of noise one time in three.
    """

    def make(duration: float, generator: np.random.Generator) -> Waveform:
        rate = _SYNTHESIS_RATE
        samples = np.zeros(math.ceil(duration * rate) + 1)
        begin = 0.02
        while begin < duration:
            length = float(generator.uniform(0.12, 0.26))
            first = round(begin * rate)
            part = samples[first : first + round(length * rate)]
            part += _syllable(round(length * rate), rate, generator)[: len(part)]
            pause = float(generator.uniform(0.15, 0.35)) if generator.random() < 0.2 else 0.0
            begin += length + float(generator.uniform(0.01, 0.05)) + pause
        return _interpolated(samples, rate)

    return Sound("speech", make, _SPEECH_BAND)


def _syllable(size: int, rate: float, generator: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(size) / rate
    envelope = np.sin(np.pi * np.clip(t * rate / size, 0, 1)) ** 0.7
    envelope *= np.clip(np.minimum(t, t[-1] - t) / 0.01, 0, 1)
    pitch = generator.uniform(95, 150) * (1 + generator.uniform(-0.15, 0.15) * t / t[-1])
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    here, there = (np.array(_VOWELS[int(generator.integers(len(_VOWELS)))], dtype=np.float64) for _ in range(2))
    formants = here + (there - here) * (t / t[-1])[:, None]
    voiced = np.zeros(size)
    for harmonic in range(1, int(_SPEECH_BAND / pitch.max()) + 1):
        frequency = harmonic * pitch
        resonance = sum(
            (width / 2) / np.hypot(width / 2, frequency - formants[:, k]) for k, width in enumerate(_FORMANT_WIDTHS)
        )
        voiced += resonance / harmonic * np.sin(harmonic * phase)
    syllable = envelope * voiced / np.abs(voiced).max()
    if generator.random() < 1 / 3:
        burst = min(size, round(0.06 * rate))
        spectrum = np.fft.rfft(generator.standard_normal(burst))
        frequency = np.fft.rfftfreq(burst, 1 / rate)
        spectrum *= (frequency > 1800) & (frequency < 0.9 * _SPEECH_BAND)
        hiss = np.fft.irfft(spectrum, n=burst) * np.sin(np.pi * np.arange(burst) / burst) ** 2
        syllable[:burst] += 0.25 * hiss / np.abs(hiss).max()
    return np.asarray(syllable)


def recording(path: Path) -> Sound:
    """The sound of a WAV file (or another that libsndfile reads), its channels averaged; silent after its end.

    Raises
    ------
    EvidenceMissing, EvidenceUnreadable
        The file isn't there, or is no sound.
    """
    import soundfile

    if not path.is_file():
        raise EvidenceMissing(f"{path}: no such sound file", hint="check the path")
    try:
        facts = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise EvidenceUnreadable(f"{path}: no sound that can be read: {error}", hint="give a WAV file") from error
    rate = float(facts.samplerate)

    def make(duration: float, _: np.random.Generator) -> Waveform:
        samples, _rate = soundfile.read(path, frames=math.ceil(duration * rate) + 1, dtype="float64", always_2d=True)
        return _interpolated(samples.mean(axis=1), rate)

    return Sound(f"recording {path.name}", make, rate / 2)


SOUNDS: dict[str, Callable[[], Sound]] = {
    "tone": tone,
    "chirp": chirp,
    "melody": melody,
    "speech": speech,
    "silence": silence,
}
"""Names of the sounds that are built in."""


def _check_frequency(name: str, frequency: float) -> None:
    if not (math.isfinite(frequency) and frequency > 0):
        raise ParameterError(f"{name}: frequency {frequency} Hz; it must be positive")


def _interpolated(samples: NDArray[np.float64], rate: float) -> Waveform:
    """The band-limited function through samples: spectral oversampling, then a quintic spline; 0 outside."""
    from scipy.fft import irfft, next_fast_len, rfft
    from scipy.ndimage import map_coordinates, spline_filter1d

    lead = 64  # silence on both sides, so that neither the spectrum nor the spline sees an edge
    size = next_fast_len(len(samples) + 2 * lead, real=True)
    padded = np.zeros(size)
    padded[lead : lead + len(samples)] = samples
    fine = irfft(rfft(padded), n=size * _OVERSAMPLING) * _OVERSAMPLING
    coefficients = spline_filter1d(fine, order=_SPLINE)

    def wave(times: Times) -> NDArray[np.float64]:
        position = (times * rate + lead) * _OVERSAMPLING
        flat = map_coordinates(coefficients, [position.ravel()], order=_SPLINE, prefilter=False, mode="constant")
        return np.asarray(flat.reshape(times.shape))

    return wave
