"""Recoveries of recorded speech, simulated: the same voice behind the noise of either shutter, and denoisers on it.

`python tests/denoise/recorded_speech.py FOOTAGE` prints the table of docs/denoisers.md.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vmforensics.data import Channel, Motion, Signal
from vmforensics.evaluation import METRICS
from vmforensics.plugins import Registry

RATE = 2200.0  # Hz; of the recording
RMS = 0.025  # px
SCORES = ("segmental_snr", "stoi")
DENOISERS = (
    "high-pass",
    "band-pass",
    "line-remover",
    "spectral-subtraction",
    "wiener",
    "mmse-stsa",
    "mmse-lsa",
    "weighted-euclidean",
    "om-lsa",
    "wiener-known-noise",
)


registry = functools.cache(Registry)


@dataclass(frozen=True, eq=False)
class Recovered:
    """A signal as it reaches the denoisers, and what really moved at its samples' times (px)."""

    signal: Signal
    truth: NDArray[np.float64]


def clips(footage: Path, count: int = 8) -> list[NDArray[np.float64]]:
    """Parts of a recorded voice, of equal length, without the recording's rumble, RMS 0.025 px [float64, px]."""
    import soundfile
    from scipy.signal import butter, sosfiltfilt

    samples, rate = soundfile.read(footage / "audio" / "chips1_played.wav")
    assert rate == RATE
    voice = sosfiltfilt(butter(4, 60, "highpass", fs=RATE, output="sos"), samples)
    parts = np.split(voice[: len(voice) // count * count], count)
    return [RMS * part / np.sqrt(np.mean(part**2)) for part in parts]


def global_shutter(voice: NDArray[np.float64], snr: float, *, growth: float = 1.0, seed: int = 0) -> Recovered:
    """Every frame a sample; white noise, whose σ may grow over the clip by a factor."""
    shape = growth ** np.linspace(0, 1, len(voice))
    sigma = shape * RMS * 10 ** (-snr / 20) / np.sqrt(np.mean(shape**2))
    noise = sigma * np.random.default_rng(seed).standard_normal(len(voice))
    return Recovered(Signal(voice + noise, RATE, 0.0, np.ones(len(voice), bool), sigma), voice)


def rolling_shutter(voice: NDArray[np.float64], combiner: str, *, sigma: float, seed: int = 0) -> Recovered:
    """Rows of 60 frames/s, 18 % of the time unseen, each read to within σ px, made into a signal by a combiner."""
    from scipy.interpolate import make_interp_spline
    from scipy.signal import resample_poly

    generator = np.random.default_rng(seed)
    fine = make_interp_spline(np.arange(16 * len(voice)) / (16 * RATE), resample_poly(voice, 16, 1), k=3)
    frame_times = np.arange(int(len(voice) / RATE * 60) - 1) / 60
    offsets = np.arange(720) * 19e-6
    moved = np.asarray(fine(frame_times[:, None] + offsets))
    of_channel = sigma * np.sqrt(2)
    noise = of_channel * generator.standard_normal((*moved.shape, 2))
    motion = Motion(
        displacement=((moved - moved.mean(axis=0))[..., None] + noise).astype(np.float32),
        precision=(np.eye(2) / of_channel**2).astype(np.float32)[None, None],
        observed=np.ones(moved.shape, bool),
        frame_times=frame_times,
        row_offsets=offsets,
        channels=(Channel("x, half 0", (1.0, 0.0), 0), Channel("x, half 1", (1.0, 0.0), 1)),
        frame_rate=60.0,
        exposure=None,
    )
    signal = registry().create("signal_combiner", combiner).combine(motion)  # type: ignore[attr-defined]
    return Recovered(signal, np.asarray(fine(signal.times)))


def denoised(recovered: Recovered, name: str) -> Recovered:
    """The same recovery after a denoiser with its usual parameters; one that knows neither lines is told the mains."""
    params = {"mains": 50} if name == "line-remover" else {}
    stage = registry().create("denoiser", name, params)
    return Recovered(stage.denoise(recovered.signal), recovered.truth)  # type: ignore[attr-defined]


def scores(recovered: Recovered) -> NDArray[np.float64]:
    """Segmental SNR (dB) and STOI, in the recording's own band, nothing aligned [shape=(2,)]."""
    from scipy.signal import resample_poly

    truth, samples = recovered.truth, recovered.signal.samples
    if recovered.signal.rate != RATE:
        truth, samples = (resample_poly(x, 11, 40) for x in (truth, samples))  # 8000 to 2200 Hz
    return np.array([METRICS[name].score(truth, samples, RATE).value for name in SCORES], dtype=np.float64)


def interval(differences: NDArray[np.float64], draws: int = 2000) -> tuple[float, float, float]:
    """Mean over clips, and its 95 % interval from drawing the clips anew."""
    found = np.random.default_rng(0).choice(differences, (draws, len(differences))).mean(axis=1)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def _table(footage: Path) -> None:
    voices = clips(footage)
    kinds: list[tuple[str, list[Recovered]]] = [
        *((f"global, {snr} dB", [global_shutter(v, snr, seed=k) for k, v in enumerate(voices)]) for snr in (0, 5, 10)),
        ("global, 5 dB, σ grows fourfold", [global_shutter(v, 5, growth=4, seed=k) for k, v in enumerate(voices)]),
        *(
            (
                f"rolling, rows to {sigma:g} px",
                [rolling_shutter(v, "autoregressive", sigma=sigma, seed=k) for k, v in enumerate(voices)],
            )
            for sigma in (0.2, 0.1, 0.05)
        ),
    ]
    before = [np.array([scores(each) for each in recovered]) for _, recovered in kinds]
    for k, (title, digits) in enumerate((("segmental SNR (dB)", 1), ("STOI", 3))):
        print(f"\n{title}\n\n| | " + " | ".join(name for name, _ in kinds) + " |\n" + "|---" * (len(kinds) + 1) + "|")  # noqa: T201
        print("| before | " + " | ".join(f"{b[:, k].mean():.{digits}f}" for b in before) + " |")  # noqa: T201
        for name in DENOISERS:
            cells = []
            for (_, recovered), start in zip(kinds, before, strict=True):
                after = np.array([scores(denoised(each, name))[k] for each in recovered])
                mean, low, high = interval(after - start[:, k])
                cells.append(f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})")
            print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)  # noqa: T201
    raw = [
        np.array([scores(rolling_shutter(v, "row-average", sigma=s, seed=k)) for k, v in enumerate(voices)]).mean(
            axis=0
        )
        for s in (0.2, 0.1, 0.05)
    ]
    print("\nraw motion, nothing filled in: ", raw)  # noqa: T201


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    _table(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
